"""The same acts on a tracking server: two machines at once, and a server that goes away."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from segmenter.errors import ConfigError, RegistryError, ReviewError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from segmenter.tracking_server import TrackingServer, registry_at
from tests.models import World, make_model
from tests.training.conftest import no_bar
from tests.training.review.desks import write_review
from tests.training.review.servers import RunningServer, postgres, serving
from training.registration import register
from training.review import act
from training.review.approval import Word
from training.review.decision_log import INTENT, Decision
from training.review.desk import open_desk
from training.review.history import read_history
from training.review.publish import publish
from training.review.review import ReviewRequest, review
from training.review.server_log import ServerLog
from training.tracking import Tracker

ADA, BO = Word("Ada", "better"), Word("Bo", "reach fell")


def fill(home: TrackingServer, world: World, folder: Path) -> None:
    """Register ``shoppers/1``, the champion, and ``shoppers/2``, the challenger."""
    make_model(world.store, seed=1).save(folder / "second")
    for bundle in (world.bundle, folder / "second"):
        with Tracker.start(home, "shoppers") as tracker:
            tracker.log_data("events", world.store.digest, source=str(world.store.path))
            register(tracker, bundle, "shoppers")


@pytest.fixture(scope="module")
def server(
    world: World, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server on SQLite with two versions."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(mlflow_template / "mlflow.db", folder / "mlflow.db")
    with serving(f"sqlite:///{folder / 'mlflow.db'}", folder) as running:
        fill(running.home, world, folder)
        yield running


def aliases_of(home: TrackingServer) -> dict[str, int]:
    with open_desk(home, "shoppers") as desk:
        return desk.aliases("shoppers")


def test_a_review_is_published_approved_and_rolled_back_on_a_server(server, world):
    home = server.home
    assert resolve(home, "shoppers@champion").digest == world.model.digest
    found = review(home, ReviewRequest("shoppers/2"), no_bar)
    published = publish(home, found, by="Ada")
    client = home.client()
    assert (
        client.get_model_version("shoppers", "2").tags["review.bundle"] == found.challenger.digest
    )
    files = client.list_artifacts(found.challenger.run_id, "review")
    assert {Path(file.path).name for file in files} >= {"review.html", "review.json"}
    done = act.approve(home, "shoppers/2", Word("Ada", "better", found.failed))
    assert done.decision.details["review"] == published.entry.number
    assert aliases_of(home) == {"challenger": 2, "champion": 2, "previous": 1}
    act.roll_back(home, "shoppers", BO)
    assert aliases_of(home) == {"challenger": 2, "champion": 1, "previous": 2}
    acts = [entry.decision.action for entry in read_history(home, "shoppers").entries]
    assert acts == ["register", "register", "review", "approve", "rollback"]


def test_of_two_machines_at_the_same_moment_the_later_one_is_refused(server):
    client = server.home.client()
    one, other = ServerLog(client), ServerLog(client)
    assert one.read() == other.read()
    decision = Decision("approve", "shoppers", 2, "", "Ada", "better", aliases={"champion": 2})
    intent = one.append(INTENT, decision)
    with pytest.raises(ReviewError, match="somebody else decided at the same moment"):
        other.append(INTENT, Decision("approve", "shoppers", 1, "", "Bo", "no"))
    assert other.read()[-1] == intent
    with pytest.raises(ReviewError, match="somebody else decided"):
        other.append(INTENT, decision)
    assert aliases_of(server.home)["champion"] == 2
    act.reject(server.home, "shoppers/1", ADA)


def test_a_server_that_goes_away_leaves_no_half_decision(server):
    home = server.home
    write_review(home, "shoppers/2")
    before = aliases_of(home)
    with open_desk(home, "shoppers") as desk:
        number = len(desk.log.read())
        decision = Decision(
            *("promote", "shoppers", 1, "", "Ada", "back"), aliases={"champion": 1, "previous": 2}
        )
        desk.log.append(INTENT, decision)
        server.stop()
        with pytest.raises(Exception, match=r"refused|retries|exceeded|Connection"):
            desk.aliases("shoppers")
    for ask in (read_history, act.roll_back):
        with pytest.raises(RegistryError, match=r"tracking server http://\S+ does not answer"):
            ask(home, *(("shoppers",) if ask is read_history else ("shoppers", BO)))
    server.start()
    assert before["champion"] == 2
    assert aliases_of(home)["champion"] == 1
    kinds = [entry.kind for entry in ServerLog(home.client()).read()[number:]]
    assert kinds == ["intent", "done"]


def test_the_address_may_stand_in_the_environment_and_a_folder_named_by_hand_wins(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert registry_at(Path("mlruns"), None) == TrackingServer("http://127.0.0.1:1")
    assert registry_at(Path("other"), None) == MlflowHome(Path("other"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    assert registry_at(Path("mlruns"), None) == MlflowHome(Path("mlruns"))
    with pytest.raises(ConfigError, match="address with http"):
        registry_at(Path("mlruns"), "ftp://x")


def test_the_same_acts_work_with_postgresql_behind_the_server(world, tmp_path):
    with postgres() as backend, serving(backend, tmp_path) as running:
        home = running.home
        fill(home, world, tmp_path)
        write_review(home, "shoppers/2")
        act.approve(home, "shoppers/2", ADA)
        assert aliases_of(home) == {"challenger": 2, "champion": 2, "previous": 1}
        one, other = (ServerLog(home.client()) for _ in range(2))
        assert one.read() == other.read()
        decision = Decision("approve", "shoppers", 2, "", "Ada", "better")
        one.append(INTENT, decision)
        with pytest.raises(ReviewError, match="somebody else decided at the same moment"):
            other.append(INTENT, Decision("approve", "shoppers", 1, "", "Bo", "no"))
