"""``segmenter ui`` and ``segmenter relocate``: a page that is served, a home that was moved."""

import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import psutil
import pytest
import typer
from typer.testing import CliRunner, Result

from segmenter.errors import RegistryError
from segmenter.mlflow_home import MLFLOW_ENVIRONMENT, MlflowHome
from segmenter.registry import resolve
from tests.models import frame_of, lists_of
from training import mlflow_commands
from training.mlflow_server import HOST, refuse_taken_port

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = (
    "import sys, typer\n"
    "from training import mlflow_commands\n"
    "app = typer.Typer(pretty_exceptions_enable=False)\n"
    "mlflow_commands.register(app)\n"
    "app()\n"
)


def segmenter(*words: str | Path) -> Result:
    """The command as typed, with these two commands alone."""
    app = typer.Typer()
    mlflow_commands.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def lives(process: psutil.Process) -> bool:
    """Whether a process still does something; one that nobody waits for is dead too."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_dry_run_says_what_would_run_and_runs_nothing(shared_home):
    done = segmenter("ui", "--dry-run", "--json", "--mlruns", shared_home.path, "--port", 5123)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["url"] == f"http://{HOST}:5123"
    assert result["environment"] == MLFLOW_ENVIRONMENT
    command = result["command"]
    assert command[:4] == [sys.executable, "-m", "mlflow", "server"]
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert options == {
        "--backend-store-uri": shared_home.uri,
        "--artifacts-destination": str(shared_home.artifacts),
        "--host": HOST,
        "--port": "5123",
        "--workers": "1",
    }


def test_the_printed_command_line_survives_a_path_with_a_space(shared_home):
    said = segmenter("ui", "--dry-run", "--mlruns", shared_home.path).stdout
    words = shlex.split(said)
    variables = dict(word.split("=", 1) for word in words[: len(MLFLOW_ENVIRONMENT)])
    assert variables == MLFLOW_ENVIRONMENT
    assert " " in str(shared_home.artifacts)
    assert str(shared_home.artifacts) in words


@pytest.mark.parametrize("command", ["ui", "relocate"])
def test_a_missing_home_is_a_deliberate_error(tmp_path, command):
    done = segmenter(command, "--mlruns", tmp_path / "none", "--json")
    assert isinstance(done.exception, RegistryError)
    assert "segmenter train" in str(done.exception)
    assert done.stdout == ""


def test_a_taken_port_is_refused_with_a_free_one():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RegistryError, match=f"port {port} .* is taken") as refused:
            refuse_taken_port(port)
    offered = int(str(refused.value).split("--port ")[1])
    refuse_taken_port(offered)


def test_a_served_page_answers_and_ends_with_a_polite_kill(shared_home):
    port = free_port()
    words = ("ui", "--json", "--port", str(port), "--mlruns", str(shared_home.path))
    command = [sys.executable, "-c", APPLICATION, *words]
    with subprocess.Popen(  # noqa: S603 - our own command line
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        result = json.loads(server.stdout.readline())
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        with urllib.request.urlopen(f"{result['url']}/health", timeout=20) as answer:  # noqa: S310 - on this machine
            assert (answer.status, answer.read()) == (200, b"OK")
        search = f"{result['url']}/api/2.0/mlflow/registered-models/search"
        with urllib.request.urlopen(search, timeout=20) as answer:  # noqa: S310 - on this machine
            models = json.load(answer)["registered_models"]
        server.send_signal(signal.SIGTERM)
        rest, said = server.communicate(timeout=60)
    assert [model["name"] for model in models] == ["shoppers"]
    assert (server.returncode, rest) == (0, "")
    assert "MLflow ended." in said
    assert len(family) > 1
    assert not [process for process in family if lives(process)]


def test_a_moved_home_serves_its_models_again_once_it_is_relocated(own_home, world, tmp_path):
    place = Path(shutil.move(own_home.path, tmp_path / "new [red] place"))
    with pytest.raises(RegistryError, match="segmenter relocate"):
        resolve(MlflowHome(place))
    done = segmenter("relocate", "--mlruns", place, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["old"], result["new"]) == (str(own_home.root), str(place))
    assert result["changed"]["logged_models.artifact_location"] == 2
    assert Path(result["backup"]).is_file()
    assert "new [red] place" in "".join(done.stderr.splitlines())
    assert f"segmenter ui --mlruns {shlex.quote(str(place))}" in done.stderr

    assert resolve(MlflowHome(place)).digest == world.model.digest
    ids = world.store.user_ids()[:4].to_list()
    frame = frame_of(lists_of(world.log, ids), ids).assign(as_of=world.store.newest)
    mlflow.set_tracking_uri(MlflowHome(place).uri)
    try:
        found = mlflow.pyfunc.load_model("models:/shoppers@champion").predict(frame)
    finally:
        mlflow.set_tracking_uri(None)
    embeddings = world.model.embed(world.store, np.arange(4), as_of=world.store.newest)
    assert found["segment_id"].tolist() == world.model.assign(embeddings).segment_id.tolist()
    again = json.loads(segmenter("relocate", "--mlruns", place, "--json").stdout)
    assert (again["changed"], again["backup"]) == ({}, None)
