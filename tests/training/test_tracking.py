"""Runs: started, resumed, and never in the way of training."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from segmenter.errors import RegistryError
from segmenter.mlflow_home import MlflowHome
from training import tracking
from training.tracking import Tracker


@contextmanager
def broken(home: MlflowHome) -> Iterator[None]:
    """The database without its metrics: what MLflow's own store stumbles over."""
    with sqlite3.connect(home.database) as connection:
        connection.execute("ALTER TABLE metrics RENAME TO hidden")
    yield
    with sqlite3.connect(home.database) as connection:
        connection.execute("ALTER TABLE hidden RENAME TO metrics")


@contextmanager
def damaged(home: MlflowHome) -> Iterator[None]:
    """The database, overwritten with something else."""
    content = home.database.read_bytes()
    home.database.write_bytes(b"nothing of use")
    yield
    home.database.write_bytes(content)


def test_a_run_holds_what_was_logged(mlflow_home: MlflowHome, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>")
    with Tracker.start(mlflow_home, "shoppers") as tracker:
        tracker.log_params({"seed": 3, "model": {"width": 64, "bag": None}, "name": "a b"})
        for epoch, loss in enumerate([3.0, 2.0, 1.5]):
            tracker.log_metrics({"train loss": loss}, step=epoch)
        tracker.set_tags({"as_of": "2017-10-01T00:00:00Z"})
        tracker.log_data("events", "ab" * 32, source="stores/shoppers")
        tracker.log_artifact(tmp_path / "report.html", folder="pages")

    client = mlflow_home.client()
    run = client.get_run(tracker.run_id)
    history = client.get_metric_history(tracker.run_id, "train loss")
    dataset = run.inputs.dataset_inputs[0].dataset
    assert tracker.failures == ()
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "seed": "3",
        "model.width": "64",
        "model.bag": "null",
        "name": "a b",
    }
    assert [(point.step, point.value) for point in history] == [(0, 3.0), (1, 2.0), (2, 1.5)]
    assert run.data.tags["as_of"] == "2017-10-01T00:00:00Z"
    assert run.data.tags["events.digest"] == "ab" * 32
    assert (dataset.name, json.loads(dataset.profile)) == ("events", {"digest": "ab" * 32})
    assert [item.path for item in client.list_artifacts(tracker.run_id, "pages")] == [
        "pages/report.html"
    ]
    assert run.info.artifact_uri.startswith(f"{mlflow_home.artifacts}/shoppers/")


def test_a_killed_run_goes_on_under_its_own_id(mlflow_home: MlflowHome, tmp_path: Path) -> None:
    kept = tmp_path / "job" / "run.json"
    first = Tracker.start(mlflow_home, "shoppers", resume=kept)
    first.log_params({"seed": 0})
    first.log_metrics({"loss": 2.0}, step=0)

    second = Tracker.start(mlflow_home, "shoppers", resume=kept)
    second.log_params({"seed": 0})
    second.log_metrics({"loss": 1.0}, step=1)
    second.finish()

    history = mlflow_home.client().get_metric_history(first.run_id, "loss")
    assert (second.run_id, second.resumed, second.failures) == (first.run_id, True, ())
    assert [point.value for point in history] == [2.0, 1.0]


def test_a_run_that_is_gone_is_started_anew(mlflow_home: MlflowHome, tmp_path: Path) -> None:
    kept = tmp_path / "run.json"
    first = Tracker.start(mlflow_home, "shoppers", resume=kept)
    mlflow_home.client().delete_run(first.run_id)
    second = Tracker.start(mlflow_home, "shoppers", resume=kept)
    kept.write_text("not JSON")
    third = Tracker.start(mlflow_home, "shoppers", resume=kept)
    assert len({first.run_id, second.run_id, third.run_id}) == 3
    assert json.loads(kept.read_text()) == {"run_id": third.run_id}


def test_an_exception_leaves_the_run_as_failed(mlflow_home: MlflowHome) -> None:
    with pytest.raises(ZeroDivisionError), Tracker.start(mlflow_home, "shoppers") as tracker:
        raise ZeroDivisionError
    assert mlflow_home.client().get_run(tracker.run_id).info.status == "FAILED"


@pytest.mark.parametrize("trouble", [broken, damaged])
def test_training_outlives_a_failing_database_and_its_writes_arrive_at_the_end(
    mlflow_home: MlflowHome, trouble: Callable[[MlflowHome], AbstractContextManager[None]]
) -> None:
    heard: list[str] = []
    tracker = Tracker.start(mlflow_home, "shoppers", on_failure=heard.append)
    tracker.log_metrics({"loss": 3.0}, step=0)
    with trouble(mlflow_home):
        for step in range(1, 50):
            tracker.log_metrics({"loss": 3.0 - step / 50}, step=step)
        assert len(tracker.failures) == 49
    assert tracker.finish() == ()

    history = mlflow_home.client().get_metric_history(tracker.run_id, "loss")
    assert sorted(point.step for point in history) == list(range(50))
    assert len(heard) == 1
    assert "metrics of step 1" in heard[0]


def test_a_database_that_stays_away_is_reported_and_nothing_raises(
    mlflow_home: MlflowHome,
) -> None:
    with Tracker.start(mlflow_home, "shoppers") as tracker:
        mlflow_home.database.unlink()
        for step in range(9):
            tracker.log_metrics({"loss": 1.0}, step=step)
    what = [failure.what for failure in tracker.failures]
    assert what == [*(f"metrics of step {step}" for step in range(9)), "state FINISHED"]
    assert "no MLflow home" in tracker.failures[0].reason
    assert not mlflow_home.database.exists()


def test_a_write_that_mlflow_refuses_keeps_no_other_write_back(mlflow_home: MlflowHome) -> None:
    tracker = Tracker.start(mlflow_home, "shoppers")
    tracker.log_params({"seed": 0})
    tracker.log_params({"seed": 1})
    tracker.log_metrics({"loss": 1.0}, step=0)
    (failure,) = tracker.finish()
    run = mlflow_home.client().get_run(tracker.run_id)
    assert (failure.what, run.info.status) == ("parameters", "FINISHED")
    assert run.data.metrics == {"loss": 1.0}


def test_a_home_that_cannot_be_used_is_said_before_training(tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("in the way")
    with pytest.raises(RegistryError, match="--mlruns"):
        Tracker.start(MlflowHome(tmp_path / "mlruns"), "shoppers")


def test_a_deleted_experiment_says_how_to_restore_it(mlflow_home: MlflowHome) -> None:
    Tracker.start(mlflow_home, "shoppers").finish()
    client = mlflow_home.client()
    client.delete_experiment(client.get_experiment_by_name("shoppers").experiment_id)
    with pytest.raises(RegistryError, match="mlflow experiments restore"):
        Tracker.start(mlflow_home, "shoppers")


def test_an_experiment_name_cannot_leave_the_home(mlflow_home: MlflowHome) -> None:
    tracker = Tracker.start(mlflow_home, "../../etc/passwd")
    place = Path(mlflow_home.client().get_run(tracker.run_id).info.artifact_uri)
    assert place.resolve().is_relative_to(mlflow_home.artifacts)


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("xyz", max_size=5),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), nested, max_size=3))
def test_flattening_keeps_every_leaf_under_its_path(values: dict) -> None:
    flat = dict(tracking.flattened(values))

    def leaves(part: object) -> int:
        return sum(map(leaves, part.values())) if isinstance(part, dict) else 1

    assert len(flat) == leaves(values)
    for path, text in flat.items():
        leaf: object = values
        for name in path.split("."):
            assert isinstance(leaf, dict)
            leaf = leaf[name]
        assert text == (leaf if isinstance(leaf, str) else json.dumps(leaf))
