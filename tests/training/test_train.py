"""The whole job: what it leaves behind, what it does when asked again, and on meagre logs."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import mlflow
import numpy as np
import polars as pl
import pytest

from segmenter.audience_model import AudienceModel
from segmenter.clock import iso
from segmenter.errors import ConfigError, FitError, StoreError
from segmenter.events.samples import planted_personas
from segmenter.events.store import EventStore
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from segmenter.terminal import ProgressCallback
from tests.models import frame_of, make_store
from tests.training.conftest import TINY, Personas, TrainedJob, no_bar
from training.plan import TrainRequest, plan_training
from training.report.data import BELOW_FLOOR
from training.tracking import flattened
from training.train import TrainOutcome, train
from training.user_tables import UserTables

MEAGRE = replace(TINY, name="meagre", n_segments=2, taste_weight=0.0)
START = np.datetime64("2025-01-01", "us")


def run(store: EventStore, home: MlflowHome, config=MEAGRE, *, bar=no_bar) -> TrainOutcome:
    return train(plan_training(TrainRequest(store.path, config, home.path)), bar)


def versions(home: MlflowHome, name: str) -> list[str]:
    found = home.client().search_model_versions(f"name = '{name}'")
    return sorted(str(version.version) for version in found)


def history(home: MlflowHome, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """Every value of every metric of a run, with its step."""
    client = home.client()
    return {
        name: [(point.step, point.value) for point in client.get_metric_history(run_id, name)]
        for name in client.get_run(run_id).data.metrics
    }


def test_everything_that_an_outcome_names_exists(trained: TrainedJob) -> None:
    outcome, home = trained.outcome, trained.home
    leads = outcome.data.standing != BELOW_FLOOR
    assert outcome.version.aliases == (("challenger", "champion") if leads else ("challenger",))
    assert (outcome.version.label, outcome.reused, outcome.unlogged) == ("personas/1", False, ())
    assert versions(home, "personas") == ["1"]
    assert f"{len(outcome.data.segments)} segments" in (
        home.client().get_model_version("personas", "1").description
    )
    page = outcome.report.read_text()
    assert "personas/1" in page
    assert all(segment["name"] in page for segment in outcome.data.segments)
    assert AudienceModel.load(outcome.bundle).training["store_digest"] == (
        plan_training(trained.request).store.digest
    )


def test_the_run_holds_settings_curves_data_and_report(trained: TrainedJob) -> None:
    home, outcome, plan = trained.home, trained.outcome, plan_training(trained.request)
    client, run_id = home.client(), outcome.version.run_id
    kept = client.get_run(run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params == dict(flattened(TINY.to_json() | {"as_of": iso(plan.as_of)}))
    assert kept.data.tags["events.digest"] == plan.store.digest
    assert [data.dataset.name for data in kept.inputs.dataset_inputs] == ["events"]
    assert [item.path for item in client.list_artifacts(run_id)] == ["report.html"]
    artifact = Path(kept.info.artifact_uri) / "report.html"
    assert artifact.read_bytes() == outcome.report.read_bytes()

    logged = history(home, run_id)
    for stage, metrics in outcome.data.curves.items():
        for name, values in metrics.items():
            assert logged.pop(f"{stage} {name}") == list(enumerate(values))
    assert logged == {name: [(0, value)] for name, value in outcome.data.metrics().items()}


def test_what_comes_after_until_is_judged_and_never_learned_from(
    personas: Personas, trained: TrainedJob
) -> None:
    data, until = trained.outcome.data, trained.request.until
    assert until is not None
    times = np.asarray(personas.store.times)
    assert data.n_events == (times < until).sum()
    assert data.as_of == iso(int(times[times < until].max()))
    report = data.validity_report
    assert report is not None
    assert {"Later spend R2", "Later events R2"} <= {outcome.title for outcome in report.outcomes}
    rows = {row.name for row in report.rows}
    assert {"RFM 3x3x3", "KMeans"} <= rows
    assert any(row.startswith("Demographics") for row in rows)


def test_the_bundle_and_mlflow_give_every_user_the_segment_of_the_report(
    personas: Personas, trained: TrainedJob
) -> None:
    data, plan = trained.outcome.data, plan_training(trained.request)
    shown = dict(zip(data.user_map.user_id, data.user_map.segment_id, strict=True))
    model = AudienceModel.load(resolve(trained.home, "personas/1").folder)
    rows = plan.users[:20]
    users = personas.store.user_ids().gather(rows).to_list()
    assigned = model.assign(model.embed(plan.store, rows, as_of=plan.as_of))
    assert assigned.segment_id.tolist() == [shown[user] for user in users]

    columns: dict[str, list[list]] = {name: [] for name in ("time", "event", "category", "item")}
    offsets = np.asarray(plan.store.offsets)
    for row in rows:
        events = slice(offsets[row], offsets[row + 1])
        columns["time"].append(np.asarray(plan.store.times[events]).tolist())
        for name in ("event", "category", "item"):
            texts = plan.store.vocabulary(name)
            columns[name].append([texts[code - 1] for code in plan.store.codes(name)[events]])
    columns["value"] = [
        np.asarray(plan.store.numbers("value")[offsets[row] : offsets[row + 1]]).tolist()
        for row in rows
    ]
    folder = trained.home.client().get_model_version_download_uri("personas", "1")
    frame = frame_of(columns, users).assign(as_of=plan.as_of)
    predicted = mlflow.pyfunc.load_model(folder).predict(frame)
    assert predicted["segment_id"].tolist() == assigned.segment_id.tolist()


def test_the_same_job_asked_for_twice_is_done_once(own_job: TrainedJob) -> None:
    plan = plan_training(own_job.request)
    files = {path: path.stat().st_mtime_ns for path in plan.folder.rglob("*") if path.is_file()}
    del files[plan.folder / "finished.json"]
    before = history(own_job.home, own_job.outcome.version.run_id)

    def no_work(what: str) -> Iterator[ProgressCallback]:
        pytest.fail(f"{what} was done again")

    again = train(plan, no_work)
    assert again.reused
    assert again.version == own_job.outcome.version
    assert again.data == own_job.outcome.data
    assert versions(own_job.home, "personas") == ["1"]
    assert history(own_job.home, again.version.run_id) == before
    assert (
        files.items()
        <= {
            path: path.stat().st_mtime_ns for path in plan.folder.rglob("*") if path.is_file()
        }.items()
    )


@pytest.mark.parametrize("missing", ["finished.json", "report.html"])
def test_a_job_that_died_while_publishing_is_published_when_asked_again(
    own_job: TrainedJob, missing: str
) -> None:
    plan = plan_training(own_job.request)
    (plan.folder / missing).unlink()
    again = train(plan, no_bar)
    assert not again.reused
    assert again.version == own_job.outcome.version
    assert versions(own_job.home, "personas") == ["1"]
    assert again.report.read_bytes() == own_job.outcome.report.read_bytes()
    assert train(plan, no_bar).reused


@contextmanager
def full_disk(home: MlflowHome) -> Iterator[None]:
    """The database takes no metric, as if there were no place left."""
    refusal = "CREATE TRIGGER full BEFORE INSERT ON metrics BEGIN SELECT RAISE(ABORT, 'full'); END"
    with sqlite3.connect(home.database) as connection:
        connection.execute(refusal)
    yield
    with sqlite3.connect(home.database) as connection:
        connection.execute("DROP TRIGGER full")


def bare_log(n_users: int) -> pl.DataFrame:
    """User, event and time alone; every fifth user has a single event."""
    log = planted_personas(n_users, seed=4, n_days=20).events.select("user", "event", "time")
    number = pl.col("user").str.slice(5).cast(pl.Int64)
    return log.filter((number % 5 > 0) | pl.col("user").is_first_distinct())


def test_tracking_may_fail_and_another_configuration_challenges(
    mlflow_home: MlflowHome, tmp_path: Path
) -> None:
    store = make_store(bare_log(80), tmp_path)
    with full_disk(mlflow_home):
        first = run(store, mlflow_home)
    assert first.version.aliases == ("challenger", "champion")
    assert {what.partition(":")[0] for what in first.unlogged} == {"metrics of step 0"}
    kept = mlflow_home.client().get_run(first.version.run_id)
    assert (kept.info.status, kept.data.metrics) == ("FINISHED", {})
    assert (Path(kept.info.artifact_uri) / "report.html").exists()
    assert all(segment["n_users"] > 0 for segment in first.data.segments)
    assert sum(segment["n_users"] for segment in first.data.segments) == 80
    assert "value" not in AudienceModel.load(first.bundle).network.vocabulary.numeric

    second = run(store, mlflow_home, replace(MEAGRE, seed=1))
    assert (second.version.label, second.version.aliases) == ("meagre/2", ("challenger",))
    assert second.unlogged == ()
    assert resolve(mlflow_home, "meagre@champion").version == 1
    assert first.bundle != second.bundle


def test_a_log_of_a_single_moment_still_has_segments(
    mlflow_home: MlflowHome, tmp_path: Path
) -> None:
    log = bare_log(40).with_columns(time=pl.lit(START).cast(pl.Datetime("us")))
    outcome = run(make_store(log, tmp_path), mlflow_home)
    assert outcome.data.figures["window days"] == 0
    assert outcome.data.validity is None
    assert outcome.data.as_of == "2025-01-01T00:00:00Z"
    assert sum(segment["n_users"] for segment in outcome.data.segments) == 40


def test_a_single_user_with_a_single_event_has_a_segment(
    mlflow_home: MlflowHome, tmp_path: Path
) -> None:
    log = pl.DataFrame({"user": ["only"], "event": ["seen"], "time": np.array([START])})
    outcome = run(make_store(log, tmp_path), mlflow_home)
    (segment,) = outcome.data.segments
    assert (segment["n_users"], segment["id"]) == (1, 1)
    model = AudienceModel.load(outcome.bundle)
    store = EventStore.open(tmp_path / "store")
    assigned = model.assign(model.embed(store, as_of=store.newest))
    assert assigned.segment_id.tolist() == [1]


def test_a_plan_counts_what_lies_before_until(personas: Personas, tmp_path: Path) -> None:
    store = personas.store
    owner = np.repeat(np.arange(store.n_users), np.diff(np.asarray(store.offsets)))
    times = np.asarray(store.times)
    for until in [None, *np.quantile(times, [0.001, 0.3, 1.0]).astype(int).tolist()]:
        plan = plan_training(TrainRequest(store.path, TINY, tmp_path, until=until))
        inside = times < (until or np.inf)
        assert plan.n_events == inside.sum()
        assert plan.users.tolist() == np.unique(owner[inside]).tolist()
        assert plan.as_of == times[inside].max()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_job_follows_from_all_that_decides_it(
    trained: TrainedJob, tmp_path: Path
) -> None:
    other = tmp_path / "others.csv"
    other.write_text("user_id,age\nuser-000001,7\n")
    request = trained.request
    requests = [
        request,
        replace(request, until=None),
        replace(request, config=replace(request.config, seed=5)),
        replace(request, tables=UserTables()),
        replace(request, tables=UserTables(attributes=other)),
        replace(request, tables=UserTables(outcomes=other)),
    ]
    folders = [plan_training(request).folder for request in requests]
    assert len(set(folders)) == len(folders)
    assert plan_training(request).folder == folders[0]
    elsewhere = replace(request, mlruns=tmp_path)
    assert plan_training(elsewhere).folder.name == folders[0].name


def test_what_cannot_be_trained_is_said_before_anything_is_written(
    personas: Personas, tmp_path: Path
) -> None:
    fine = TrainRequest(personas.store.path, TINY, tmp_path / "mlruns")
    table = tmp_path / "people.csv"
    table.write_text("person,age\na,1\n")
    wrong = [
        (replace(fine, store=tmp_path / "nowhere"), StoreError, "no event store"),
        (replace(fine, until=personas.store.oldest), FitError, "pass a later --until"),
        (replace(fine, config=replace(TINY, name="a/b")), ConfigError, "pass another --name"),
        (
            replace(fine, tables=UserTables(attributes=table)),
            ConfigError,
            "--attributes .*people.csv must have a column user_id; found person, age",
        ),
        (
            replace(fine, tables=UserTables(outcomes=tmp_path / "none.parquet")),
            ConfigError,
            "--outcomes .*none.parquet cannot be read",
        ),
    ]
    for request, kind, words in wrong:
        with pytest.raises(kind, match=words):
            plan_training(request)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv"]


def test_the_report_in_the_bundle_is_the_report_that_was_returned(trained: TrainedJob) -> None:
    plain = json.loads((trained.outcome.bundle / "report.json").read_text())
    assert plain["version"] is None
    shown = json.loads(json.dumps(asdict(trained.outcome.data)))
    assert plain | {"version": 1} == shown
