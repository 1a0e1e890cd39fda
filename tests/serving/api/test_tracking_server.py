"""Following an alias of a real MLflow tracking server, over loopback."""

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from segmenter.errors import ConfigError, RegistryError
from segmenter.flavor import write_flavor
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import DIGEST_TAG, resolve
from segmenter.tracking_server import TrackingServer, registry_at
from serving.api.champion import Alias, ChampionWatch
from serving.api.holder import ModelHolder
from serving.api.metrics import Metrics
from serving.api.scorer import Scorer
from serving.api.settings import Limits
from serving.api.worker import Worker
from tests.models import World, make_model

START_S = 120
NAME = "shoppers"


@dataclass
class Remote:
    """A tracking server that can be stopped."""

    folder: Path
    port: int
    process: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin, and wait until it answers."""
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        words += ["--backend-store-uri", f"sqlite:///{self.folder / 'remote.db'}"]
        words += ["--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.process = subprocess.Popen(  # noqa: S603 - MLflow's own command
            [sys.executable, "-m", "mlflow", *words],
            env=os.environ | quiet,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with suppress(OSError), urlopen(f"{self.uri}/health", timeout=1):  # noqa: S310 - our own
                return
            time.sleep(0.1)
        pytest.fail("the tracking server did not start")

    def stop(self) -> None:
        """End, if it still runs."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def remote(
    world: World, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Remote]:
    """A server with two versions of a model, of which the first is the champion."""
    folder = tmp_path_factory.mktemp("remote")
    database = (mlflow_template / "mlflow.db").read_bytes()
    (folder / "remote.db").write_bytes(database)  # else its migrations take a while
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        made = Remote(folder, free.getsockname()[1])
    made.start()
    second = make_model(world.store, seed=1).save(folder / "second")
    client = MlflowClient(made.uri, made.uri)
    client.create_registered_model(NAME)
    experiment = client.create_experiment("remote")
    for bundle, digest in ((world.bundle, world.model.digest), (folder / "second", second.digest)):
        run = client.create_run(experiment)
        flavor = folder / digest
        write_flavor(flavor, bundle, name=NAME, run_id=run.info.run_id, model_id="m-0")
        client.log_artifacts(run.info.run_id, str(flavor), "model")
        source = f"{run.info.artifact_uri}/model"
        client.create_model_version(NAME, source, run.info.run_id, tags={DIGEST_TAG: digest})
    client.set_registered_model_alias(NAME, "champion", "1")
    yield made
    made.stop()


@pytest.fixture
def source(remote: Remote, tmp_path: Path) -> TrackingServer:
    return TrackingServer(remote.uri, tmp_path / "cache")


def watch_of(source: TrackingServer, holder: ModelHolder) -> ChampionWatch:
    metrics = Metrics(holder, Worker(1))
    return ChampionWatch(Alias(source, NAME, "champion"), holder, metrics=metrics, limits=Limits())


def test_a_champion_is_fetched_checked_and_followed(
    remote: Remote, source: TrackingServer, world: World
) -> None:
    found = resolve(source, f"{NAME}@champion")
    assert (found.label, found.digest) == (f"{NAME}/1", world.model.digest)
    assert found.folder.is_relative_to(source.cache)
    holder = ModelHolder(Scorer.load(found, Limits()))
    client = MlflowClient(remote.uri, remote.uri)
    client.set_registered_model_alias(NAME, "champion", "2")
    watch_of(source, holder).look()
    assert (holder.current.label, holder.refusal) == (f"{NAME}/2", None)
    client.set_registered_model_alias(NAME, "champion", "1")


def test_what_is_missing_is_none_and_what_is_no_mlflow_is_an_error(
    remote: Remote, source: TrackingServer
) -> None:
    assert source.alias_version(NAME, "nobody") is None
    assert source.alias_version("nothing", "champion") is None
    elsewhere = TrackingServer(f"{remote.uri}/elsewhere", source.cache)
    with pytest.raises(RegistryError, match="404"):
        elsewhere.alias_version(NAME, "champion")


def test_a_damaged_copy_is_fetched_again_and_a_damaged_original_is_refused(
    remote: Remote, source: TrackingServer
) -> None:
    found = resolve(source, f"{NAME}/1")
    weights = found.folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"?")
    assert resolve(source, f"{NAME}/1").folder == found.folder
    assert weights.read_bytes() == whole
    client = MlflowClient(remote.uri, remote.uri)
    client.set_model_version_tag(NAME, "2", DIGEST_TAG, "0" * 64)
    with pytest.raises(RegistryError, match="not what was registered"):
        resolve(source, f"{NAME}/2")


def test_an_address_is_a_server_and_its_password_is_not_told(tmp_path: Path) -> None:
    source = TrackingServer("http://jane:secret@127.0.0.1:1", tmp_path)
    with pytest.raises(RegistryError) as caught:
        source.alias_version(NAME, "champion")
    assert "secret" not in str(caught.value)
    for uri in ("mlruns", "sqlite:///a.db", "file:///a", "http://"):
        with pytest.raises(ConfigError, match="--mlruns"):
            TrackingServer(uri, tmp_path)


class Silent(BaseHTTPRequestHandler):
    """Says that it is healthy, notes who asks, and answers nothing else."""

    asked: list[str | None]

    def do_GET(self) -> None:
        """Answer, or hang up."""
        if self.path == "/health":
            self.send_response(200)
            self.end_headers()
            return
        self.asked.append(self.headers["Authorization"])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_mlflow_says_of_a_failure_holds_no_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "another")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(Silent, "asked", [], raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        address = f"127.0.0.1:{server.server_port}"
        client = TrackingServer(f"http://jane:se%40cret@{address}", tmp_path).client()
        with pytest.raises(MlflowException) as caught:
            client.get_registered_model(NAME)
        server.shutdown()
        thread.join()
    assert address in str(caught.value)
    assert "cret" not in str(caught.value)
    assert set(Silent.asked) == {f"Basic {base64.b64encode(b'jane:se@cret').decode()}"}


def test_the_environment_names_a_server_where_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual, uri = Path("mlruns"), "https://tracking.example.org"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    assert registry_at(usual, None) == MlflowHome(usual)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert registry_at(usual, None, cache=tmp_path) == TrackingServer(uri, tmp_path)
    assert registry_at(tmp_path, None) == MlflowHome(tmp_path)


def test_a_server_that_goes_away_leaves_the_old_model_and_it_is_said(
    remote: Remote, source: TrackingServer
) -> None:
    """The last one: nothing answers behind it."""
    holder = ModelHolder(Scorer.load(resolve(source, f"{NAME}/1"), Limits()))
    watch = watch_of(source, holder)
    watch.look()
    assert holder.refusal is None
    remote.stop()
    watch.look()
    assert holder.current.label == f"{NAME}/1"
    assert f"cannot read the aliases of {remote.uri}" in str(holder.refusal)
