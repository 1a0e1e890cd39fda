"""A real server on a free port of this machine, and a plain client for it."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl

from serving.api.server import ServerSettings, build_server, listen
from tests.models import lists_of

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def plain(self) -> Any:
        """The body as one JSON value."""
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The body as JSON lines."""
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def fields(self) -> list[str]:
        """Fields that a problem names."""
        return [error["field"] for error in self.plain["errors"]]


@dataclass(frozen=True)
class Client:
    """Asks a server; a connection per request."""

    port: int
    key: str = ""

    def ask(self, method: str, path: str, body: Any = None, **more: str) -> Reply:
        """Send a request; a body that is not bytes goes as JSON."""
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=30)) as connection:
            connection.request(method, path, body=body, headers=headers | more)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())

    def get(self, path: str) -> Reply:
        """Send a GET."""
        return self.ask("GET", path)

    def post(self, path: str, body: Any) -> Reply:
        """Send a POST."""
        return self.ask("POST", path, body)


@contextmanager
def running(settings: ServerSettings) -> Iterator[Client]:
    """A server in a thread, ended and drained behind the block."""
    sock = listen(HOST, 0)
    server = build_server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield Client(sock.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


def requests_of(
    log: pl.DataFrame, users: list[str], *, as_of: int | None = None
) -> list[dict[str, Any]]:
    """One request per user with everything that the log holds of the user."""
    columns = lists_of(log, users)
    more: Mapping[str, Any] = {} if as_of is None else {"as_of": as_of}
    return [
        {
            "user_id": user,
            "events": [
                dict(zip(columns, values, strict=True))
                for values in zip(*(lists[row] for lists in columns.values()), strict=True)
            ],
            **more,
        }
        for row, user in enumerate(users)
    ]


def json_lines(values: list[Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)
