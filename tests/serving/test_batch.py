"""Scoring a store: every user, every column, and an output that says what it is."""

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from segmenter.autoencoder.config import DAY_US
from segmenter.clock import iso
from segmenter.errors import BundleError, ConfigError, StoreError
from segmenter.events.samples import planted_personas
from segmenter.files import digest_of_file
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import ResolvedModel, resolve
from segmenter.segments.coverage import GROUPS
from serving.batch import ScoreReport, score
from tests.models import N_USERS, OUTSIDER_SHARE, World, make_store

SCHEMA = {
    "user_id": pl.String(),
    "segment_id": pl.Int32(),
    "segment_name": pl.String(),
    "strength": pl.Float32(),
    "second_segment_id": pl.Int32(),
    "coverage": pl.String(),
    "as_of": pl.Datetime("us", "UTC"),
    "model_version": pl.String(),
    "macro_id": pl.Int32(),
    "macro_name": pl.String(),
    "micro_id": pl.Int32(),
    "micro_name": pl.String(),
}


@pytest.fixture(scope="module")
def model(shared_home: MlflowHome) -> ResolvedModel:
    return resolve(shared_home, "shoppers/1")


@pytest.fixture(scope="module")
def run(world: World, model: ResolvedModel) -> Callable[..., ScoreReport]:
    """Scores the shared store with the shared model, unless told otherwise."""

    def scored(out: Path, **changes: Any) -> ScoreReport:
        options = {"store": world.store.path, "model": model, "shard_users": 50}
        return score(out=out, **options | changes)

    return scored


@pytest.fixture(scope="module")
def out(run: Callable[..., ScoreReport], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody scored, in three shards; to be read only."""
    folder = tmp_path_factory.mktemp("scored") / "out put"
    run(folder)
    return folder


def table(out: Path, kind: str = "assignments") -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted((out / kind).iterdir())])


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


def contents(out: Path) -> dict[str, bytes]:
    """Every file of an output but the lock."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if path.name != ".score.lock"
    }


def test_everybody_has_an_assignment_with_every_column_and_type(out, world):
    found = table(out)
    assert dict(found.schema) == SCHEMA
    assert found["user_id"].to_list() == world.store.user_ids().to_list()
    assert found.null_count().sum_horizontal().item() == 0
    assert found["strength"].is_between(0, 1).all()
    assert (found["segment_id"] != found["second_segment_id"]).all()
    assert found["as_of"].dt.epoch("us").unique().to_list() == [world.store.newest]
    assert found["model_version"].unique().to_list() == ["shoppers/1"]


def test_the_columns_hold_what_the_model_says(out, world):
    embeddings = world.model.embed(world.store, as_of=world.store.newest)
    wanted = world.model.assign(embeddings)
    names = {segment.id: segment.name for segment in world.model.segments}
    found, vectors = table(out), table(out, "embeddings")
    assert found["segment_id"].to_list() == wanted.segment_id.tolist()
    assert found["second_segment_id"].to_list() == wanted.second_segment_id.tolist()
    assert found["segment_name"].to_list() == [names[number] for number in wanted.segment_id]
    np.testing.assert_allclose(found["strength"], wanted.strength, atol=1e-4)
    np.testing.assert_allclose(vectors["embedding"].to_numpy(), embeddings, rtol=0, atol=1e-5)
    assert vectors["user_id"].to_list() == found["user_id"].to_list()


def test_everybody_is_in_one_of_the_four_groups_and_the_manifest_counts_them(out, world):
    found = table(out)
    embeddings = world.model.embed(world.store, as_of=world.store.newest)
    groups = world.model.coverage.groups(world.model.assign(embeddings))
    assert found["coverage"].to_list() == [GROUPS[place] for place in groups]
    counted = json.loads((out / "manifest.json").read_text())["segments"]
    for group in GROUPS:
        told = sum(segment["coverage"].get(group, 0) for segment in counted)
        assert told == (found["coverage"] == group).sum()
    assert (found["coverage"] == "outsider").sum() == round(OUTSIDER_SHARE * N_USERS)


def test_embeddings_are_fixed_size_lists_for_every_reader(out, world):
    schema = pq.read_schema(out / "embeddings" / "part-00000.parquet")
    assert table(out, "embeddings").schema["embedding"] == pl.Array(
        pl.Float32, world.model.embedding_dim
    )
    assert str(schema.field("embedding").type).startswith("fixed_size_list<")
    assert str(schema.field("user_id").type) in {"large_string", "string_view", "string"}


def test_the_manifest_agrees_with_the_files(out, model, world):
    said, found = manifest(out), table(out)
    assert (said["users"], said["users_without_events"]) == (N_USERS, 0)
    assert [shard["n_users"] for shard in said["shards"]] == [50, 50, 20]
    for shard in said["shards"]:
        for kind, digest in shard["digests"].items():
            file = out / kind / f"part-{shard['number']:05d}.parquet"
            assert digest_of_file(file) == digest
            assert len(pl.read_parquet(file)) == shard["n_users"]
    assert (said["model_version"], said["model_digest"]) == ("shoppers/1", model.digest)
    assert (said["store_digest"], said["as_of"]) == (world.store.digest, iso(world.store.newest))
    counts = Counter(found["segment_id"].to_list())
    assert {one["id"]: one["n_users"] for one in said["segments"]} == counts
    assert sum(one["share"] for one in said["segments"]) == pytest.approx(1)
    for one in said["segments"]:
        members = found.filter(pl.col("segment_id") == one["id"])
        assert members["segment_name"].unique().to_list() == [one["name"]]
        mean = members["strength"].cast(pl.Float64).mean()
        assert one["mean_strength"] == pytest.approx(mean, abs=1e-5)


def test_nothing_but_the_output_is_left(out):
    parts = {
        f"{kind}/part-0000{n}.parquet" for kind in ("assignments", "embeddings") for n in "012"
    }
    assert set(contents(out)) == parts | {"manifest.json"}


def test_a_second_run_changes_nothing_and_says_what_it_reused(out, run):
    before = contents(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    report = run(out)
    assert contents(out) == before
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == times
    assert (report.n_reused, report.n_shards, report.n_users) == (3, 3, N_USERS)


def test_the_report_says_what_the_manifest_says(out, run):
    report = run(out)
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    said = manifest(out)
    assert plain["segments"] == said["segments"]
    assert (plain["out"], plain["as_of"], plain["model"]) == (
        str(out),
        said["as_of"],
        "shoppers/1",
    )


def test_the_size_of_the_shards_changes_no_answer(out, run, tmp_path):
    for shard_users in (1_000, N_USERS, 7):
        report = run(tmp_path / str(shard_users), shard_users=shard_users)
        assert report.n_shards == -(-N_USERS // shard_users)
        assert_frame_equal(table(report.out), table(out), abs_tol=1e-4)


def test_a_damaged_shard_is_made_again_and_the_others_are_reused(run, tmp_path):
    out = tmp_path / "out"
    run(out)
    before = contents(out)
    (out / "embeddings" / "part-00001.parquet").write_bytes(b"damaged")
    (out / "assignments" / "part-00002.parquet").unlink()
    assert run(out).n_reused == 1
    after = contents(out)
    del before["manifest.json"], after["manifest.json"]
    assert after == before


def test_other_inputs_replace_the_output(run, world, request):
    tmp_path: Path = request.getfixturevalue("tmp_path")
    shared_home: MlflowHome = request.getfixturevalue("shared_home")
    out = tmp_path / "out"
    smaller = make_store(world.log.head(2000), tmp_path)
    for change in (
        {"model": resolve(shared_home, "shoppers/2")},
        {"as_of": world.store.newest - DAY_US},
        {"store": smaller.path},
        {"shard_users": 60},
    ):
        run(out)
        report = run(out, **change)
        found, store = table(out), smaller if "store" in change else world.store
        assert report.n_reused == 0
        assert found["user_id"].to_list() == store.user_ids().to_list()
        label = change["model"].label if "model" in change else "shoppers/1"
        assert found["model_version"].unique().to_list() == [label]
        moment = change.get("as_of", store.newest)
        assert found["as_of"].dt.epoch("us").unique().to_list() == [moment]
        assert manifest(out)["as_of"] == report.as_of == iso(moment)
        assert len(list((out / "assignments").iterdir())) == report.n_shards


def test_users_without_an_event_until_then_are_listed_without_a_segment(run, world, tmp_path):
    as_of = world.store.oldest + DAY_US
    first = np.asarray(world.store.times)[np.asarray(world.store.offsets[:-1])]
    active = first <= as_of
    assert 0 < active.sum() < N_USERS
    report = run(tmp_path, as_of=as_of, shard_users=10)
    found, vectors = table(tmp_path), table(tmp_path, "embeddings")
    assert found["user_id"].to_list() == world.store.user_ids().to_list()
    for name in ("segment_id", "segment_name", "strength", "second_segment_id"):
        assert found[name].is_not_null().to_list() == active.tolist()
    assert found["as_of"].null_count() == found["model_version"].null_count() == 0
    ids = world.store.user_ids().filter(pl.Series(active))
    assert vectors["user_id"].to_list() == ids.to_list()
    assert report.n_without_events == int((~active).sum())
    assert sum(segment.n_users for segment in report.segments) == int(active.sum())
    assert sum(segment.share for segment in report.segments) == pytest.approx(1)


def test_a_shard_in_which_nobody_has_an_event_has_the_same_columns(run, world, tmp_path):
    run(tmp_path, as_of=world.store.oldest, shard_users=20)
    found, vectors = table(tmp_path), table(tmp_path, "embeddings")
    assert dict(found.schema) == SCHEMA
    assert found["segment_id"].count() == len(vectors) == 1
    assert vectors.schema["embedding"] == pl.Array(pl.Float32, world.model.embedding_dim)


def test_events_after_as_of_change_nothing(run, world, tmp_path):
    as_of = world.store.oldest + 15 * DAY_US
    run(tmp_path / "all", as_of=as_of)
    until = world.log.filter(pl.col("time").dt.epoch("us") <= as_of)
    run(tmp_path / "cut", store=make_store(until, tmp_path).path, as_of=as_of)
    everybody = table(tmp_path / "all").drop_nulls("segment_id")
    assert_frame_equal(everybody, table(tmp_path / "cut"), abs_tol=1e-4)


def test_an_as_of_time_before_every_event_is_refused_and_leaves_nothing(run, world, tmp_path):
    with pytest.raises(ConfigError, match=r"the first is of 2025-01-01T.*pass a later --as-of"):
        run(tmp_path / "out", as_of=world.store.oldest - 1)
    assert not (tmp_path / "out").exists()


def test_new_users_with_new_values_are_scored(run, world, tmp_path):
    strange = world.log.head(300).with_columns(
        user=pl.lit("new ") + pl.col("user"),
        event=pl.lit("teleport"),
        category=pl.lit("never seen"),
        colour=pl.lit("red"),
    )
    store = make_store(strange.drop("item", "value"), tmp_path)
    run(tmp_path / "out", store=store.path)
    found = table(tmp_path / "out")
    assert found["user_id"].str.starts_with("new ").all()
    assert found["segment_id"].null_count() == 0
    assert np.isfinite(table(tmp_path / "out", "embeddings")["embedding"].to_numpy()).all()


def test_user_ids_keep_their_text_form(run, world, tmp_path):
    odd = ["007", "7", "7.0", "+7", "1e3", "NA", "null", "true", "ü", "a b", "00", "x" * 300]
    log = pl.concat([world.log.head(3).with_columns(user=pl.lit(user)) for user in odd])
    store = make_store(log.with_columns(session=pl.lit("s")), tmp_path)
    run(tmp_path / "out", store=store.path, shard_users=5)
    for kind in ("assignments", "embeddings"):
        assert sorted(table(tmp_path / "out", kind)["user_id"]) == sorted(odd)
    read = pq.read_table(tmp_path / "out" / "assignments").column("user_id").to_pylist()
    assert sorted(read) == sorted(odd)


def test_progress_rises_to_everybody(run, tmp_path):
    told: list[tuple[int, int]] = []
    run(tmp_path, progress=lambda *step: told.append(step))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (N_USERS, N_USERS)
    told.clear()
    run(tmp_path, progress=lambda *step: told.append(step))
    assert told == [(N_USERS, N_USERS)]


def test_memory_grows_with_the_shard_and_not_with_the_store(run, tmp_path):
    log = planted_personas(4000, seed=1, n_days=1).events
    store = make_store(log, tmp_path / "whole").path
    quarter = make_store(log.filter(pl.col("user") < "user-001000"), tmp_path / "quarter").path

    def peak(store: Path, shard_users: int) -> int:
        tracemalloc.start()
        run(tmp_path / f"{store.parent.name} {shard_users}", store=store, shard_users=shard_users)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(quarter, 250)  # what is imported and compiled once counts for neither
    of_quarter, of_whole = peak(quarter, 249), peak(store, 250)
    assert of_whole < 1.2 * of_quarter
    assert peak(store, 4000) > 1.5 * of_whole, "everything at once must be told from shards"


def test_what_is_no_store_or_no_bundle_is_refused_and_leaves_nothing(run, own_home, tmp_path):
    found = resolve(own_home)
    with pytest.raises(StoreError, match="no event store"):
        run(tmp_path / "out", store=tmp_path / "nowhere", model=found)
    assert not (tmp_path / "out").exists()
    (found.folder / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match=r"weights\.safetensors is missing"):
        run(tmp_path / "out", model=found)
    assert "manifest.json" not in contents(tmp_path / "out")
