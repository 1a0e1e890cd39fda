"""A receiver on this machine that is as strict, busy and forgetful as a platform."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from serving.exports.destinations import criteo, google_data_manager, meta, reddit, x


class StandIn:
    """What has been received, and which trouble comes next.

    Parameters
    ----------
    troubles
        Names of `_Handler` troubles, taken in turn, one a request; then there is none.
    """

    def __init__(self, *troubles: str) -> None:
        self.troubles = list(troubles)
        self.seen: dict[str, bytes] = {}
        self.counts: Counter[str] = Counter()
        self.people: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.base = ""

    def take(self, path: str, key: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Judge a request by the limits of its platform, and count its people once."""
        if key in self.seen:
            assert self.seen[key] == body
            return 200, {"num_received": 0}
        document = json.loads(body)
        members, removes = members_of(path, document)
        if members is None:
            return 400, {"error": f"too many in {path}"}
        self.seen[key] = body
        assert len(set(members)) == len(members)
        self.counts.update(members if not removes else [])
        self.people = self.people - set(members) if removes else self.people | set(members)
        if path.endswith("offlineUserDataJobs:create"):
            return 200, {"resourceName": f"customers/1/offlineUserDataJobs/{len(self.seen)}"}
        return 200, {"num_received": len(members)}


def members_of(path: str, document: Any) -> tuple[list[str] | None, bool]:
    """People of a body, None where it is over the limit; and whether they are taken off."""
    if isinstance(document, list):  # X
        one = [str(operation["params"]["users"]) for operation in document]
        most, removes = x.MAX_OPERATIONS, document[0]["operation_type"] == "Delete"
    elif "contact-list" in path:
        attributes = document["data"]["attributes"]
        one, most = attributes["identifiers"], criteo.MAX_IDENTIFIERS
        removes = attributes["operation"] == "remove"
    elif "custom_audiences" in path:
        one = [str(row) for row in document["data"]["user_data"]]
        most, removes = reddit.MAX_ROWS, document["data"]["action_type"] == "REMOVE"
    elif "audienceMembers" in path:
        one = [str(member) for member in document["audienceMembers"]]
        most, removes = google_data_manager.MAX_MEMBERS, path.endswith("remove")
    elif "offlineUserDataJobs" in path:
        one = [str(operation) for operation in document.get("operations", [])]
        most, removes = 10_000, False
    else:
        one = [str(row) for row in document["payload"]["data"]]
        most, removes = meta.MAX_ROWS, False
    return (one if len(one) <= most else None), removes


class _Handler(BaseHTTPRequestHandler):
    """One request; `server.stand_in` says what is wrong with it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def _handle(self) -> None:
        stand_in: StandIn = self.server.stand_in  # type: ignore[attr-defined] # set below
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stand_in.headers.append(dict(self.headers))
        stand_in.paths.append(f"{self.command} {self.path}")
        trouble = stand_in.troubles.pop(0) if stand_in.troubles else ""
        key = self.headers["Idempotency-Key"]
        if trouble in ("429", "503", "500", "400"):
            self._answer(int(trouble), {}, {"Retry-After": "7"} if trouble == "429" else {})
            return
        status, document = stand_in.take(self.path, key, body)
        if trouble == "slow":
            time.sleep(0.5)
        if trouble in ("lost answer", "slow"):
            self.close_connection = True
            return
        if trouble == "invalid entries":
            document["num_invalid_entries"] = 3
        self._answer(status, document, {})

    do_POST = do_PATCH = do_DELETE = do_PUT = _handle  # noqa: N815 - as the base class calls them

    def _answer(self, status: int, document: dict[str, Any], headers: dict[str, str]) -> None:
        raw = json.dumps(document).encode()
        self.send_response(status)
        for name, text in {**headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(raw)


@contextmanager
def running(*troubles: str) -> Iterator[StandIn]:
    """A receiver as long as the block runs."""
    stand_in = StandIn(*troubles)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.stand_in = stand_in  # type: ignore[attr-defined] # read by the handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand_in.base = f"http://127.0.0.1:{server.server_address[1]}/base"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def random_troubles(seed: int, n_requests: int) -> list[str]:
    """A bad day, on which no request fails more than twice in a row."""
    pick = random.Random(seed)  # noqa: S311 - a bad day
    kinds = ["", "", "429", "503", "500", "lost answer"]
    return [pick.choice(kinds) if place % 3 else "" for place in range(n_requests)]
