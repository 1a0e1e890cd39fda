"""From embeddings to segments: planted kinds come out again, and facts are what was counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from segmenter.audience_model import embed_users
from segmenter.autoencoder.config import DAY_US
from segmenter.events.batches import SequenceReader
from segmenter.events.vocabulary import Vocabulary, fit_vocabulary
from segmenter.segments.density import BETWEEN
from segmenter.segments.projection import fit_projection
from tests.models import SMALL, make_store
from tests.training.conftest import Personas, plant
from training.config import TrainConfig
from training.fit import fit_network
from training.segmentation import (
    TOTAL_VALUE,
    Segmentation,
    described_fields,
    fit_segments,
    user_facts,
)
from training.selection import choose_level

N_SEGMENTS = 6


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Personas:
    return plant(tmp_path_factory.mktemp("planted"), 800, seed=3, n_days=60)


@pytest.fixture(scope="module")
def embeddings(planted: Personas, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    config = TrainConfig(
        n_cuts=2, forecast_batch_users=128, forecast_epochs=4, taste_epochs=4, model=SMALL
    )
    store = planted.store
    folder = tmp_path_factory.mktemp("network")
    network = fit_network(store, config, as_of=store.newest, folder=folder).model
    return embed_users(network, store, np.arange(store.n_users), as_of=store.newest)


def segmented(
    planted: Personas, embeddings: np.ndarray, *, seed: int = 0
) -> tuple[Segmentation, list[tuple[int, int]]]:
    store, told = planted.store, []
    vocabulary = fit_vocabulary(store, as_of=store.newest, limits=TrainConfig().limits)
    config = TrainConfig(n_segments=N_SEGMENTS, taste_weight=1.0)
    choice = choose_level(embeddings[:100], None, config, n_forecast=8)  # a matter of a second
    projection = fit_projection(embeddings, n_forecast=8, taste_weight=1.0, taste_components=8)
    found = fit_segments(
        embeddings,
        SequenceReader(store, vocabulary),
        np.arange(store.n_users),
        as_of=store.newest,
        choice=replace(choice, projection=projection, leaves=None),
        seed=seed,
        progress=lambda done, total: told.append((done, total)),
    )
    return found, told


@pytest.fixture(scope="module")
def found(planted: Personas, embeddings: np.ndarray) -> Segmentation:
    found, told = segmented(planted, embeddings)
    assert told == [(1, 3), (2, 3), (3, 3)]
    return found


def test_the_whole_pipeline_finds_the_planted_kinds(
    planted: Personas, found: Segmentation
) -> None:
    assert adjusted_rand_score(planted.persona, found.assignment.segment_id) > 0.5


def test_segments_and_assignments_tell_the_same_of_every_user(
    embeddings: np.ndarray, found: Segmentation
) -> None:
    ids = found.assignment.segment_id
    again = found.assigner.assign(found.choice.projection(embeddings))
    np.testing.assert_array_equal(ids, again.segment_id)
    assert [segment.id for segment in found.segments] == list(range(1, N_SEGMENTS + 1))
    core = np.zeros(len(ids), dtype=bool)
    core[found.leaves.rows[found.leaves.labels != BETWEEN]] = True
    for segment in found.segments:
        assert segment.n_users == (ids == segment.id).sum()
        assert segment.n_core == (core & (ids == segment.id)).sum()
    assert found.map_xy.shape == (len(ids), 2)
    assert 0.5 < found.agreement <= 1


def test_names_speak_of_what_members_prefer(planted: Personas, found: Segmentation) -> None:
    """Favourites of the personas are typical of the segments that hold mostly one persona."""
    favourites = ({0, 1, 2}, {3, 4, 5}, {6, 7}, {8, 9, 10, 11})
    n_pure = 0
    for segment in found.segments:
        inside = planted.persona[found.assignment.segment_id == segment.id]
        share = np.bincount(inside, minlength=4) / len(inside)
        done = [fact.value for fact in segment.facts if fact.field == "category"]
        if share.max() > 0.9 and done:
            n_pure += 1
            assert {int(value.split()[1]) for value in done} <= favourites[int(share.argmax())]
    assert n_pure >= 2


def test_the_same_seed_gives_the_same_segments(
    planted: Personas, embeddings: np.ndarray, found: Segmentation
) -> None:
    again, _ = segmented(planted, embeddings)
    np.testing.assert_array_equal(again.assignment.segment_id, found.assignment.segment_id)
    np.testing.assert_array_equal(again.map_xy, found.map_xy)
    assert again.segments == found.segments


def whole_log(personas: Personas) -> pl.DataFrame:
    """Every event of the store as a table, read without the reader."""
    store = personas.store
    offsets = np.asarray(store.offsets)
    owner = np.repeat(np.arange(store.n_users), np.diff(offsets))
    columns = {"row": owner, "time": np.asarray(store.times)}
    for name in store.categorical:
        texts = pl.Series([None, *store.vocabulary(name)], dtype=pl.String)
        columns[name] = texts.gather(np.asarray(store.codes(name)))
    columns["value"] = pl.Series(np.asarray(store.numbers("value"))).fill_nan(None)
    return pl.DataFrame(columns)


@pytest.mark.parametrize("days", [20, 40])
@pytest.mark.parametrize("max_categories", [500, 5])
def test_facts_are_what_a_plain_count_gives(
    personas: Personas, days: int, max_categories: int
) -> None:
    store = personas.store
    as_of = min(store.oldest + days * DAY_US, store.newest)
    limits = TrainConfig(max_categories=max_categories).limits
    vocabulary = fit_vocabulary(store, as_of=as_of, limits=limits)
    log = whole_log(personas).filter(pl.col("time") <= as_of)
    users = np.random.default_rng(0).permutation(log["row"].unique().to_numpy())
    facts = user_facts(SequenceReader(store, vocabulary), users, as_of=as_of)

    assert facts.presence.shape == (len(users), len(facts.tokens))
    dense = facts.presence.toarray()
    for column, (field, value) in enumerate(facts.tokens):
        did = set(log.filter(pl.col(field) == value)["row"])
        assert dense[:, column].tolist() == [user in did for user in users]

    expected = (
        log.group_by("row")
        .agg(
            pl.len().alias("events"),
            (pl.col("time") // DAY_US).n_unique().alias("active days"),
            ((as_of - pl.col("time").max()) / DAY_US).alias("days since last event"),
            pl.col("value").sum().alias(TOTAL_VALUE),
        )
        .sort("row")
    )
    order = np.searchsorted(expected["row"].to_numpy(), users)
    assert list(facts.levels) == expected.columns[1:]
    for name, values in facts.levels.items():
        np.testing.assert_allclose(values, expected[name].to_numpy()[order], rtol=1e-5)


def test_items_explain_a_segment_only_where_there_is_no_category() -> None:
    values = {"event": ("a", "b"), "item": ("x",), "plan": ("p", "q")}
    assert described_fields(Vocabulary(values, ())) == ("event", "item", "plan")
    values["category"] = ("c", "d")
    assert described_fields(Vocabulary(values, ())) == ("event", "plan", "category")


def test_a_log_of_nothing_but_times_has_facts_too(tmp_path: Path) -> None:
    times = np.datetime64("2025-01-01", "us") + np.arange(10).astype("timedelta64[D]")
    log = pl.DataFrame({"user": ["a"] * 7 + ["b"] * 3, "event": "seen", "time": times})
    store = make_store(log, tmp_path)
    vocabulary = fit_vocabulary(store, as_of=store.newest, limits=TrainConfig().limits)
    facts = user_facts(SequenceReader(store, vocabulary), np.arange(2), as_of=store.newest)
    rows = [store.user_ids().to_list().index(user) for user in "ab"]
    assert facts.tokens == [("event", "seen")]
    assert facts.levels["events"][rows].tolist() == [7, 3]
    assert facts.levels["days since last event"][rows].tolist() == [3, 0]
    assert TOTAL_VALUE not in facts.levels
