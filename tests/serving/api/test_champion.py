"""A moved alias: loaded aside, checked, exchanged between requests; a bad one is refused."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segmenter.errors import BundleError, RegistryError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import ResolvedModel, resolve
from serving.api.champion import Alias, ChampionWatch
from serving.api.holder import ModelHolder
from serving.api.metrics import Metrics
from serving.api.scorer import Scorer
from serving.api.server import ServerSettings
from serving.api.settings import Limits
from serving.api.worker import Worker
from tests.models import World
from tests.serving.api.running import Client, running

WAIT_S = 60


def until(holds: Callable[[], bool]) -> None:
    """Wait for another thread."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def move(home: MlflowHome, version: int) -> None:
    home.client().set_registered_model_alias("shoppers", "champion", str(version))


def damage(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")


@pytest.fixture
def following(own_home: MlflowHome) -> Iterator[Client]:
    """A server that follows ``shoppers@champion`` of a home that the test may change."""
    settings = ServerSettings(own_home, "shoppers@champion", poll_s=0.1)
    with running(settings) as asking:
        yield asking


def in_use(client: Client) -> str:
    return client.get("/readyz").plain["model"]


def test_no_request_is_lost_while_the_model_is_exchanged_and_rolled_back(
    following: Client, own_home: MlflowHome, request_of_one: dict
) -> None:
    failed, versions, over = [], [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            found = following.post("/v1/assign", request_of_one)
            (versions if found.status == 200 else failed).append(found.body)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    move(own_home, 2)
    until(lambda: in_use(following) == "shoppers/2")
    move(own_home, 1)
    until(lambda: in_use(following) == "shoppers/1")
    over.set()
    for asker in askers:
        asker.join()
    assert not failed
    assert {b"shoppers/1" in body for body in versions} == {True, False}
    told = following.get("/readyz").plain
    assert (told["previous"], told["update_refused"]) == ("shoppers/2", None)
    assert b"segmenter_model_exchanges_total 2.0" in following.get("/metrics").body


def test_a_bad_bundle_leaves_the_old_model_and_says_so(
    following: Client, own_home: MlflowHome, request_of_one: dict
) -> None:
    damage(resolve(own_home, "shoppers/2").folder)
    move(own_home, 2)
    until(lambda: following.get("/readyz").plain["update_refused"] is not None)
    ready = following.get("/readyz")
    assert (ready.status, ready.plain["model"]) == (200, "shoppers/1")
    assert "damaged" in ready.plain["update_refused"]
    text = following.get("/metrics").body
    assert b"segmenter_model_update_refused 1.0" in text
    assert b"segmenter_model_refusals_total 1.0" in text
    assert following.post("/v1/assign", request_of_one).plain["model_version"] == "shoppers/1"
    move(own_home, 1)
    until(lambda: following.get("/readyz").plain["update_refused"] is None)


def test_an_alias_or_a_database_that_is_gone_leaves_the_old_model(own_home: MlflowHome) -> None:
    holder = ModelHolder(Scorer.load(resolve(own_home, "shoppers/1"), Limits()))
    metrics = Metrics(holder, Worker(1))
    alias = Alias(own_home, "shoppers", "champion")
    watch = ChampionWatch(alias, holder, metrics=metrics, limits=Limits())
    watch.look()
    assert holder.refusal is None
    own_home.client().delete_registered_model_alias("shoppers", "champion")
    watch.look()
    assert "RegistryError" in str(holder.refusal)
    own_home.database.unlink()
    watch.look()
    assert "cannot read the aliases" in str(holder.refusal)
    assert holder.current.label == "shoppers/1"


def test_an_alias_is_read_without_mlflow_as_mlflow_has_it(shared_home: MlflowHome) -> None:
    assert shared_home.alias_version("shoppers", "champion") == 1
    assert shared_home.alias_version("shoppers", "challenger") == 2
    assert shared_home.alias_version("shoppers", "nobody") is None
    with pytest.raises(RegistryError, match="cannot read the aliases"):
        MlflowHome(Path("nowhere")).alias_version("shoppers", "champion")


def test_a_bundle_that_changed_since_it_was_found_is_refused(world: World) -> None:
    found = ResolvedModel("bundle", None, (), world.bundle, None, "0" * 64)
    with pytest.raises(BundleError, match="changed while it was loaded"):
        Scorer.load(found, Limits())
