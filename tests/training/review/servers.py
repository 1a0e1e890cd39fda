"""A real tracking server of two processes on this machine, on any database."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from segmenter.tracking_server import TrackingServer
from training.mlflow_server import server_environment

START_S = 180


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RunningServer:
    """An MLflow server that can go away and come back at the same address.

    Attributes
    ----------
    backend
        URI of its database.
    folder
        Its artifacts, and the bundles that are fetched from it.
    """

    backend: str
    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def home(self) -> TrackingServer:
        """What commands are given."""
        return TrackingServer(f"http://127.0.0.1:{self.port}", self.folder / "fetched")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1")
        places = ("--backend-store-uri", self.backend)
        places += ("--artifacts-destination", str(self.folder / "artifacts"))
        self.process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "mlflow", "server", *places, *options],
            env=server_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            assert self.process.poll() is None, "the server ended by itself"
            try:
                with urllib.request.urlopen(f"{self.home.uri}/health", timeout=5):  # noqa: S310
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise TimeoutError

    def stop(self) -> None:
        """Let it go away at once, with all its processes."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def serving(backend: str, folder: Path) -> Iterator[RunningServer]:
    """A server while the block runs."""
    server = RunningServer(backend, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of the test's own; skips where it or its driver is not installed."""
    pytest.importorskip("psycopg2", reason="PostgreSQL's driver psycopg2 is not installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    is_root = os.geteuid() == 0
    if is_root and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL refuses to run as root, and runuser is not installed")
    as_user = ("runuser", "-u", "postgres", "--") if is_root else ()
    tools, port = found[-1].parent, free_port()

    def run(*words: object) -> None:
        command = [*as_user, *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, cwd="/")  # noqa: S603 - as above

    with tempfile.TemporaryDirectory(prefix="segmenter-pg-") as folder:
        if is_root:
            shutil.chown(folder, "postgres")
        data, control = Path(folder) / "data", tools / "pg_ctl"
        run(tools / "initdb", "-D", data, "-U", "segmenter", "-A", "trust", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run(control, "-D", data, "-o", options, "-l", data / "log", "-w", "start")
        try:
            run(tools / "createdb", "-h", "127.0.0.1", "-p", port, "-U", "segmenter", "mlflow")
            yield f"postgresql+psycopg2://segmenter@127.0.0.1:{port}/mlflow"
        finally:
            run(control, "-D", data, "-m", "immediate", "stop")
