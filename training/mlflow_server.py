"""MLflow's own web page on one home: a server of two processes, on this machine alone."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from segmenter.errors import RegistryError
from segmenter.mlflow_home import MLFLOW_ENVIRONMENT, MlflowHome

HOST = "127.0.0.1"
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 15


def server_command(home: MlflowHome, port: int) -> list[str]:
    """The command line that serves a home; see `server_environment` for its variables."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", home.uri),
        *("--artifacts-destination", str(home.artifacts)),
        *("--host", HOST, "--port", str(port)),
        *("--workers", "1"),
    ]


def server_environment() -> dict[str, str]:
    """Variables that keep the server quiet, offline and small; the user's own win."""
    return MLFLOW_ENVIRONMENT | dict(os.environ)


def refuse_taken_port(port: int) -> None:
    """Refuse a port on which something answers already.

    Raises
    ------
    RegistryError
        With a port that is free.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            with socket.socket() as other:
                other.bind((HOST, 0))
                free = other.getsockname()[1]
            message = f"port {port} of {HOST} is taken ({error.strerror}); pass --port {free}"
            raise RegistryError(message) from error


@contextmanager
def running_server(home: MlflowHome, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve a home while the block runs.

    Yields
    ------
    subprocess.Popen
        The server, which answers by now. It and its children are ended with the block.

    Raises
    ------
    RegistryError
        If the port is taken, or the server ends or does not answer within three minutes.
    """
    refuse_taken_port(port)
    server = subprocess.Popen(  # noqa: S603 - our own command line
        server_command(home, port),
        env=server_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # one signal reaches the server and its workers, and only them
    )
    try:
        _wait_until_it_answers(server, port)
        yield server
    finally:
        _stop(server)


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            message = (
                f"MLflow ended at once with status {server.returncode}; "
                "run what `segmenter ui --dry-run` prints to see why"
            )
            raise RegistryError(message)
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    message = f"MLflow did not answer on port {port} within {START_TIMEOUT_S} seconds; try again"
    raise RegistryError(message)


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server's whole process group, first politely."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, kind)
            server.wait(STOP_TIMEOUT_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
