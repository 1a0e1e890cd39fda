"""``segmenter serve`` as a process: what it prints, holds in memory, logs and finishes."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from segmenter.errors import ConfigError
from segmenter.mlflow_home import MlflowHome
from serving import online_commands
from serving.api.keys import read_keys
from tests.models import World
from tests.serving.api.running import HOST, Client, json_lines

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import atexit, sys
atexit.register(lambda: print("MODULES", *sorted(sys.modules)))
from segmenter.__main__ import main
main()
"""
HEAVY = (
    "pytorch_lightning",
    "umap",
    "hdbscan",
    "mlflow",
    "numba",
    "sklearn",
    "pandas",
    "polars",
)


@contextmanager
def serving(*words: str | Path) -> Iterator[tuple[subprocess.Popen, Client]]:
    """The command in a process of its own, killed at the latest behind the block."""
    command = [sys.executable, "-c", SCRIPT, "serve", "--port", "0", "--json", *map(str, words)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:  # noqa: S603 - our own
        try:
            told = json.loads(process.stdout.readline())
            yield process, Client(int(told["url"].rpartition(":")[2]))
        finally:
            process.kill()


def ended(process: subprocess.Popen) -> tuple[str, str]:
    """Tell the process to end; what it printed and logged."""
    process.send_signal(signal.SIGTERM)
    printed, logged = process.communicate(timeout=30)
    assert process.returncode == 0, logged
    return printed, logged


def test_a_champion_is_served_without_what_only_training_and_tracking_need(
    shared_home: MlflowHome, request_of_one: dict
) -> None:
    words = ("--model", "shoppers@champion", "--mlruns", shared_home.path)
    with serving(*words) as (process, client):
        assert client.post("/v1/assign", request_of_one).plain["model_version"] == "shoppers/1"
        assert client.get("/v1/model").plain["aliases"] == ["champion"]
        assert client.get("/metrics").status == client.get("/openapi.json").status == 200
        printed, _ = ended(process)
    modules = printed.partition("MODULES ")[2].split()
    assert "serving.api.guard" in modules
    assert not [name for name in modules if name.startswith(HEAVY)]


def test_what_has_begun_is_finished_and_no_line_of_the_log_holds_a_user(
    world: World, request_of_one: dict
) -> None:
    request_of_one["user_id"] = "jane@example.org"
    with serving("--model", world.bundle, "--state", "memory") as (process, client):
        client.post("/v1/assign", request_of_one)
        client.post("/v1/assign:batch", json_lines([request_of_one, {"user_id": "jane@"}]))
        client.post("/v1/assign?user=jane", request_of_one | {"events": "jane"})
        client.ask("POST", "/v1/jane", b"", referer="jane")
        client.post("/v1/users:append", {"user_id": "jane", "events": []})
        client.post("/v1/users:append", {"user_id": "jane", "events": request_of_one["events"]})
        client.post("/v1/users:forget", {"user_id": "jane"})
        client.ask("DELETE", "/v1/users/jane", b"")
        client.ask("JANE", "/v1/segments/jane", b"")
        line = json_lines([request_of_one])
        with closing(http.client.HTTPConnection(HOST, client.port, timeout=30)) as connection:
            headers = {"content-length": str(2 * len(line))}
            connection.request("POST", "/v1/assign:batch", body=line, headers=headers)
            while b"segmenter_waiting_requests 1.0" not in client.get("/metrics").body:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.send(line)
            answer = connection.getresponse()
            assert (answer.status, len(answer.read().splitlines())) == (200, 2)
        _, logged = process.communicate(timeout=30)
    lines = [json.loads(one) for one in logged.splitlines() if one.startswith("{")]
    assert [one["status"] for one in lines[:3]] == [200, 200, 422]
    assert lines[-1]["route"] == "/v1/assign:batch"
    assert "jane" not in logged.lower()
    assert process.returncode == 0


def command(*words: str) -> object:
    """Run a command in this process; its error, or what it printed."""
    app = typer.Typer()
    online_commands.register(app)
    done = CliRunner().invoke(app, list(words))
    return done.exception or done.stdout


def test_an_open_server_or_a_taken_port_is_refused_before_anything_is_loaded(
    world: World, client: Client
) -> None:
    model = ("serve", "--model", str(world.bundle))
    assert isinstance(command(*model, "--host", "0.0.0.0"), ConfigError)  # noqa: S104 - refused
    taken = command(*model, "--port", str(client.port))
    assert isinstance(taken, ConfigError)
    assert "pass another --host or --port" in str(taken)


def test_a_key_is_printed_once_and_replaced_by_name(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")
    words = ("api-key", "--keys", file, "--name", "web", "--scope", "assign")
    first, second = (json.loads(str(command(*words, "--json"))) for _ in range(2))
    assert first["key"] != second["key"]
    (kept,) = read_keys(tmp_path / "keys.json")
    assert (kept.name, kept.scopes) == ("web", ("assign",))


@pytest.mark.parametrize("spec", ["shoppers@nobody", "./nowhere"])
def test_a_model_that_is_not_there_is_an_error_that_lists_what_is(
    shared_home: MlflowHome, spec: str
) -> None:
    error = command("serve", "--port", "0", "--model", spec, "--mlruns", str(shared_home.path))
    assert type(error).__name__ in ("RegistryError", "BundleError")
    assert "shoppers@champion" in str(error) or "no model bundle" in str(error)
