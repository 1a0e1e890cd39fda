"""Servers in processes of their own, requests for them, and load over loopback."""

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.config import DAY_US
from segmenter.flavor import write_flavor
from serving.api.schemas import fields_of
from tests.benchmarks.measure import ROOT

N_EVENTS = 128
START_S = 120


@dataclass(frozen=True)
class Target:
    """A running server.

    Attributes
    ----------
    process
        Its process; children count too.
    port
        Where it listens on this machine.
    path
        Where requests go.
    """

    process: psutil.Process
    port: int
    path: str

    def tree(self) -> list[psutil.Process]:
        """The process and its children."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        times = [process.cpu_times() for process in self.tree()]
        return sum(spent.user + spent.system for spent in times)

    def resident_mb(self) -> float:
        """Memory now, in MiB."""
        return sum(process.memory_info().rss for process in self.tree()) / 2**20

    def ask(self, connection: HTTPConnection, body: bytes) -> int:
        """Status of one request."""
        headers = {"content-type": "application/json"}
        connection.request("POST", self.path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextmanager
def online_server(*words: str | Path) -> Iterator[Target]:
    """``segmenter serve`` with some options, on a free port."""
    command = ["-m", "segmenter", "serve", "--port", "0", "--json", *map(str, words)]
    with _started(command, stdout=subprocess.PIPE) as process:
        told = json.loads(process.stdout.readline())
        port = int(told["url"].rpartition(":")[2])
        yield Target(psutil.Process(process.pid), port, "/v1/assign")


@contextmanager
def mlflow_server(bundle: Path, folder: Path) -> Iterator[Target]:
    """``mlflow models serve`` with the same model."""
    write_flavor(folder / "flavor", bundle, name="model", run_id="0" * 32, model_id="m-0")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    words = ["models", "serve", "-m", str(folder / "flavor"), "-p", str(port), "-w", "1"]
    command = ["-m", "mlflow", *words, "--env-manager", "local"]
    with _started(command, stdout=subprocess.DEVNULL) as process:
        target = Target(psutil.Process(process.pid), port, "/invocations")
        end = time.monotonic() + START_S
        while time.monotonic() < end and not _is_up(port):
            time.sleep(0.5)
        yield target


@contextmanager
def _started(command: list[str], *, stdout: int) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(  # noqa: S603 - our own commands
        [sys.executable, *command], cwd=ROOT, stdout=stdout, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.terminate()
            process.terminate()


def _is_up(port: int) -> bool:
    with suppress(OSError), closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    return False


def drawn_users(bundle: Path, n_users: int, *, n_events: int = N_EVENTS) -> list[dict[str, Any]]:
    """Requests about users with some events each of the model's own values."""
    model, draw = AudienceModel.load(bundle), random.Random(0)  # noqa: S311 - no secret
    vocabulary = model.network.vocabulary

    def event() -> dict[str, Any]:
        values: dict[str, Any] = {"time": model.trained_as_of - draw.randrange(90 * DAY_US)}
        for name, kind in fields_of(vocabulary).items():
            known = vocabulary.values.get(name) or ("1", "2", "3")
            values[name] = draw.choice(known) if kind == "text" else round(draw.uniform(0, 50), 2)
        return values

    return [
        {"user_id": f"user-{number}", "events": [event() for _ in range(n_events)]}
        for number in range(n_users)
    ]


def mlflow_body(user: dict[str, Any]) -> bytes:
    """The same request in the form of MLflow's scoring protocol: lists per field."""
    names = list(user["events"][0])
    lists = [[event[name] for event in user["events"]] for name in names]
    table = {"columns": ["user_id", *names], "data": [[user["user_id"], *lists]]}
    return json.dumps({"dataframe_split": table}).encode()


@dataclass(frozen=True)
class Load:
    """What a load of requests took.

    Attributes
    ----------
    seconds
        Of each request, to its answer.
    statuses
        Of each request.
    wall_s, cpu_s
        Of all of them; CPU of the server alone.
    """

    seconds: list[float]
    statuses: list[int]
    wall_s: float
    cpu_s: float


def closed_load(target: Target, bodies: Sequence[bytes], n_connections: int) -> Load:
    """Every connection asks again as soon as it is answered."""

    def one(number: int) -> list[tuple[float, int]]:
        found = []
        with closing(HTTPConnection("127.0.0.1", target.port)) as connection:
            for body in bodies[number::n_connections]:
                began = time.perf_counter()
                status = target.ask(connection, body)
                found.append((time.perf_counter() - began, status))
        return found

    return _measured(target, one, n_connections)


def open_load(target: Target, bodies: Sequence[bytes], *, rate: float, n_connections: int) -> Load:
    """Requests are due at a fixed rate, and each one's time counts from when it was due."""
    began = time.perf_counter() + 0.2

    def one(number: int) -> list[tuple[float, int]]:
        found = []
        with closing(HTTPConnection("127.0.0.1", target.port)) as connection:
            for place in range(number, len(bodies), n_connections):
                due = began + place / rate
                time.sleep(max(0.0, due - time.perf_counter()))
                status = target.ask(connection, bodies[place])
                found.append((time.perf_counter() - due, status))
        return found

    return _measured(target, one, n_connections)


def _measured(
    target: Target, one: Callable[[int], list[tuple[float, int]]], n_connections: int
) -> Load:
    cpu_s, began = target.cpu_s(), time.perf_counter()
    with ThreadPoolExecutor(n_connections) as threads:
        found = [pair for pairs in threads.map(one, range(n_connections)) for pair in pairs]
    wall_s, cpu_s = time.perf_counter() - began, target.cpu_s() - cpu_s
    return Load([seconds for seconds, _ in found], [status for _, status in found], wall_s, cpu_s)
