"""The fitted model: one vector per user, whoever asks, wherever the events come from."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings, strategies as st

from segmenter.assignment_table import ASSIGNMENT_COLUMNS, assignment_table
from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.config import DAY_US
from segmenter.bundle import read_bundle, write_bundle
from segmenter.errors import BundleError
from segmenter.events.batches import SequenceReader
from segmenter.events.vocabulary import OTHER
from segmenter.segments.assignment import PrototypeAssigner
from tests.models import N_USERS, World, lists_of, make_store

SAME = {"rtol": 0, "atol": 1e-5}
START = np.datetime64("2025-01-01T00:00:00", "us")
some_user = st.integers(0, N_USERS - 1)


def as_log(rows: dict[str, list[Any]]) -> pl.DataFrame:
    """A log with times given in days after the planted period began."""
    times = START + (np.array(rows["day"]) * DAY_US).astype("timedelta64[us]")
    return pl.DataFrame(rows).drop("day").with_columns(time=times)


@pytest.fixture(scope="module")
def embeddings(world: World) -> np.ndarray:
    return world.model.embed(world.store, as_of=world.store.newest)


def test_embeddings_are_finite_and_tell_users_apart(world, embeddings):
    assert embeddings.shape == (N_USERS, world.model.embedding_dim)
    assert embeddings.dtype == np.float32
    assert np.isfinite(embeddings).all()
    assert len(np.unique(embeddings, axis=0)) == N_USERS


@settings(max_examples=15, deadline=None)
@given(st.lists(some_user, min_size=1, max_size=20, unique=True))
def test_a_user_alone_or_in_any_company_has_the_same_vector_and_segment(
    world, embeddings, company
):
    users = np.array(company)
    together = world.model.embed(world.store, users, as_of=world.store.newest)
    alone = world.model.embed(world.store, users[:1], as_of=world.store.newest)
    np.testing.assert_allclose(together, embeddings[users], **SAME)
    np.testing.assert_allclose(alone, together[:1], **SAME)
    assert world.model.assign(alone).segment_id == world.model.assign(together).segment_id[0]


def test_loading_gives_back_exactly_what_was_saved(world, embeddings):
    loaded = AudienceModel.load(world.bundle)
    again = loaded.embed(world.store, as_of=world.store.newest)
    np.testing.assert_array_equal(again, embeddings)
    before, after = world.model.assign(embeddings), loaded.assign(embeddings)
    for name in ("segment_id", "strength", "second_segment_id"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert loaded.segments == world.model.segments
    assert loaded.training == world.model.training
    assert loaded.trained_as_of == world.store.newest
    assert loaded.network.vocabulary == world.model.network.vocabulary
    assert loaded.digest == world.model.digest == read_bundle(world.bundle).digest
    assert not loaded.network.training


def test_saving_what_was_loaded_gives_the_same_bundle(world, tmp_path):
    saved = AudienceModel.load(world.bundle).save(tmp_path / "again")
    assert saved.digest == world.model.digest


def test_further_documents_are_kept_with_the_model(world, tmp_path):
    saved = world.model.save(tmp_path / "bundle", documents={"report": {"lines": [1, 2]}})
    assert read_bundle(tmp_path / "bundle").documents["report"] == {"lines": [1, 2]}
    assert AudienceModel.load(tmp_path / "bundle").digest == saved.digest != world.model.digest


def test_loading_leaves_the_random_numbers_of_the_program_alone(world):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        expected = torch.rand(3)
        torch.default_generator.manual_seed(5)
        AudienceModel.load(world.bundle)
        torch.testing.assert_close(torch.rand(3), expected)


@settings(max_examples=15, deadline=None)
@given(st.lists(some_user, min_size=1, max_size=6, unique=True), st.randoms())
def test_lists_from_outside_make_the_batch_that_the_store_makes(world, rows, random):
    as_of = int(START.astype(np.int64)) + random.randint(3, 31) * DAY_US
    ids = [world.store.user_ids()[row] for row in rows]
    columns = lists_of(world.log, ids)
    for position in range(len(ids)):
        order = list(range(len(columns["time"][position])))
        random.shuffle(order)
        for lists in columns.values():
            lists[position] = [lists[position][place] for place in order]
    found = world.model.batch_of(columns, as_of=[as_of] * len(ids))
    reader = SequenceReader(world.store, world.model.network.vocabulary)
    wanted = reader.histories(np.array(rows), as_of)

    for name in ("times", "lengths", "as_of"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist()
    assert {name: codes.tolist() for name, codes in found.codes.items()} == {
        name: codes.tolist() for name, codes in wanted.codes.items()
    }
    for name, numbers in wanted.numbers.items():
        np.testing.assert_array_equal(found.numbers[name], numbers)
    assert changes(found.visits, found.owner) == changes(wanted.visits, wanted.owner)
    np.testing.assert_allclose(
        world.model.embed_batch(found), world.model.embed_batch(wanted), **SAME
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(some_user, max_size=60), st.tuples(st.integers(1, 4000), st.integers(1, 40)))
def test_padded_batches_keep_to_their_budget_and_hold_everybody_once(world, rows, budget):
    max_events, max_users = budget
    reader = SequenceReader(world.store, world.model.network.vocabulary)
    as_of, users, seen = world.store.newest, np.array(rows, dtype=np.int64), []
    for places, batch in reader.batches(
        users, as_of=as_of, max_events=max_events, max_users=max_users
    ):
        seen += places.tolist()
        lengths = np.diff(world.store.offsets)[users[places]]
        assert batch.lengths.tolist() == lengths.tolist()
        assert len(batch) <= max_users
        assert len(batch) == 1 or len(batch) * int(lengths.max()) <= max_events
    assert sorted(seen) == list(range(len(users)))


def changes(visits: torch.Tensor, owner: torch.Tensor) -> list[bool]:
    """Where a visit begins: all that the ids of visits say."""
    pairs = list(zip(owner.tolist(), visits.tolist(), strict=True))
    return [one != other for one, other in itertools.pairwise(pairs)]


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 29))
def test_events_after_the_as_of_time_might_as_well_not_exist(world, tmp_path_factory, day):
    as_of = int(START.astype(np.int64)) + day * DAY_US
    before = world.log.filter(pl.col("time").dt.epoch("us") <= as_of)
    cut = make_store(before, tmp_path_factory.mktemp("cut"))
    places = {user: row for row, user in enumerate(world.store.user_ids())}
    rows = np.array([places[user] for user in cut.user_ids()])
    np.testing.assert_allclose(
        world.model.embed(cut, as_of=as_of),
        world.model.embed(world.store, rows, as_of=as_of),
        **SAME,
    )


def test_values_never_seen_count_as_other_and_absent_fields_as_missing(world, tmp_path):
    strange = as_log(
        {
            "user": ["new"] * 3,
            "day": [1.0, 2.0, 3.0],
            "event": ["teleport", "view", "view"],
            "category": ["never seen", "category 1", None],
            "colour": ["a field", "of no", "model"],
        }
    )
    store = make_store(strange, tmp_path)
    reader = SequenceReader(store, world.model.network.vocabulary)
    batch = reader.histories(np.array([0]), store.newest)
    assert (batch.codes["event"] == OTHER).tolist() == [True, False, False]
    assert (batch.codes["category"] == OTHER).tolist() == [True, False, False]
    assert batch.codes["item"].tolist() == [0, 0, 0]
    assert bool(batch.numbers["value"].isnan().all())
    vectors = world.model.embed(store, as_of=store.newest)
    assert np.isfinite(vectors).all()
    named = strange.with_columns(event=pl.col("event").replace("teleport", "warp"))
    same = make_store(named, tmp_path / "other")
    np.testing.assert_array_equal(world.model.embed(same, as_of=same.newest), vectors)


def test_one_event_and_tens_of_thousands_of_events_work_alone_and_together(world, tmp_path):
    n_events = 30_000
    long = as_log(
        {
            "user": ["long"] * n_events,
            "day": np.linspace(0, 30, n_events).tolist(),
            "event": ["view"] * n_events,
            "category": [f"category {number % 16}" for number in range(n_events)],
        }
    )
    one = as_log({"user": ["one"], "day": [4.0], "event": ["cart"], "category": ["category 2"]})
    store = make_store(pl.concat([long, one]), tmp_path)
    together = world.model.embed(store, as_of=store.newest)
    alone = [world.model.embed(store, np.array([row]), as_of=store.newest) for row in range(2)]
    assert np.isfinite(together).all()
    np.testing.assert_allclose(np.concatenate(alone), together, **SAME)
    found = world.model.assign(together)
    assert set(found.segment_id) <= {segment.id for segment in world.model.segments}
    assert ((found.strength >= 0) & (found.strength <= 1)).all()


def test_a_user_without_an_event_yet_has_a_finite_vector(world):
    vectors = world.model.embed(world.store, np.arange(3), as_of=world.store.oldest - 1)
    assert np.isfinite(vectors).all()


def test_nobody_has_no_vectors(world):
    nobody = world.model.embed(world.store, np.arange(0), as_of=world.store.newest)
    assert nobody.shape == (0, world.model.embedding_dim)
    assert len(world.model.assign(nobody).segment_id) == 0


def test_of_a_single_segment_there_is_no_second_best(world, embeddings):
    (one, *_) = world.model.segments
    space = world.model.projection(embeddings)
    assigner = PrototypeAssigner.fit(space.mean(axis=0, keepdims=True), space)
    alone = replace(world.model, assigner=assigner, segments=(one,))
    active = np.arange(N_USERS) % 3 > 0
    table = assignment_table(alone, world.store.user_ids(), embeddings[active], active=active)
    assert table.columns == list(ASSIGNMENT_COLUMNS)
    assert table["second_segment_id"].null_count() == N_USERS
    assert table["segment_id"].is_not_null().to_list() == active.tolist()
    assert table["segment_name"].drop_nulls().unique().to_list() == [one.name]
    assert table["user_id"].to_list() == world.store.user_ids().to_list()


def test_progress_rises_to_everybody(world):
    told: list[tuple[int, int]] = []
    world.model.embed(
        world.store, as_of=world.store.newest, progress=lambda *step: told.append(step)
    )
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (N_USERS, N_USERS)


def spoiled(world: World, folder: Path, **parts: Any) -> Path:
    """A bundle whose files are undamaged and whose parts do not fit; None leaves a part out."""
    content = read_bundle(world.bundle)
    documents = content.documents | {
        name: parts[name] for name in parts if name in ("segments", "network", "training")
    }
    arrays = content.arrays | {name: parts[name] for name in parts if name not in documents}
    write_bundle(
        folder,
        documents={name: value for name, value in documents.items() if value is not None},
        arrays={name: value for name, value in arrays.items() if value is not None},
    )
    return folder


@pytest.mark.parametrize(
    "part", ["network", "segments", "training", "weights", "projection", "assigner"]
)
def test_a_bundle_that_lacks_a_part_is_refused(world, tmp_path, part):
    with pytest.raises(BundleError, match="parts that do not fit"):
        AudienceModel.load(spoiled(world, tmp_path / "bundle", **{part: None}))


@pytest.mark.parametrize("value", [[], {}, "text", 3, [3], [{"id": 1}]])
def test_a_document_of_another_form_is_refused(world, tmp_path, value):
    for part in ("network", "segments"):
        with pytest.raises(BundleError, match="parts that do not fit"):
            AudienceModel.load(spoiled(world, tmp_path / part, **{part: value}))


def test_parts_of_different_models_are_refused(world, tmp_path):
    content = read_bundle(world.bundle)
    narrow = {"offset": np.zeros(3, np.float32), "matrix": np.zeros((3, 2), np.float32)}
    thin = {**content.arrays["projection"]}
    thin["matrix"] = thin["matrix"][:, :2]
    weights = dict(list(content.arrays["weights"].items())[1:])
    more = content.arrays["weights"] | {"unknown": np.zeros(1, np.float32)}
    table = content.documents["segments"][1:]
    for number, parts in enumerate(
        [
            {"projection": narrow},
            {"projection": thin},
            {"weights": weights},
            {"weights": more},
            {"segments": table},
        ]
    ):
        with pytest.raises(BundleError, match="parts that do not fit"):
            AudienceModel.load(spoiled(world, tmp_path / str(number), **parts))


def test_a_model_is_never_changed_by_use(world, tmp_path):
    before = {name: value.clone() for name, value in world.model.network.state_dict().items()}
    saved = replace(world.model, digest="").save(tmp_path / "bundle")
    saved.embed(world.store, as_of=world.store.newest)
    for name, value in saved.network.state_dict().items():
        assert torch.equal(value, before[name])
