"""What looks past the cut is caught, by whatever road the future came; what does not, passes."""

import numpy as np
import polars as pl
import pytest

from segmenter.errors import FitError, StoreError
from segmenter.events.vocabulary import fit_vocabulary
from segmenter.validity.activity import activity_before
from segmenter.validity.baselines import kmeans_cells, rfm_cells
from segmenter.validity.features import plain_features
from segmenter.validity.guard import PastStore, check_blind
from segmenter.validity.trial import Trial, clusterings, features, rules
from segmenter.validity.window import windows
from tests.validity.reference import DAY_US, START_US, before, events_of, store_of


@pytest.fixture(scope="module")
def seen(store, cut):
    """Users with an event before the cut."""
    first = np.asarray(store.times)[np.asarray(store.offsets)[:-1]]
    return np.flatnonzero(first < cut)


@pytest.fixture(scope="module")
def visits(log, tmp_path_factory):
    """The log with visits, and with a field and all amounts only after the cut."""
    late = pl.col("time") > pl.datetime(2025, 4, 5)
    events = log.events.with_columns(
        pl.when(late).then("value"),
        pl.format("{}", pl.col("time").dt.date()).alias("session"),
        pl.when(late).then(pl.lit("spring")).alias("campaign"),
        pl.when(late).then(1.0).alias("quantity"),
    )
    folder = tmp_path_factory.mktemp("visits")
    return events, store_of(events, folder, extras=("campaign",))


def test_the_past_of_a_store_is_the_store_of_the_past(visits, cut, tmp_path):
    events, store = visits
    past = PastStore(store, until=cut)
    fresh = store_of(before(events, cut).drop("campaign", "quantity", "value"), tmp_path)
    assert (past.categorical, past.numeric) == (fresh.categorical, fresh.numeric)
    assert (past.n_events, past.newest) == (fresh.n_events, fresh.newest)
    lengths = np.diff(past.offsets)
    assert past.user_ids().filter(pl.Series(lengths > 0)).equals(fresh.user_ids())
    assert lengths[lengths > 0].tolist() == np.diff(np.asarray(fresh.offsets)).tolist()
    assert np.array_equal(past.times, fresh.times)
    for name in fresh.categorical:
        assert past.vocabulary(name) == fresh.vocabulary(name), name
        assert np.array_equal(past.codes(name), fresh.codes(name)), name
        assert np.array_equal(past.vocabulary_counts(name), fresh.vocabulary_counts(name)), name


def test_the_amounts_of_the_past_are_the_amounts_before_the_cut(*, store, log, cut, tmp_path):
    past, fresh = PastStore(store, until=cut), store_of(before(log.events, cut), tmp_path)
    assert np.array_equal(past.numbers("value"), fresh.numbers("value"), equal_nan=True)
    assert past.numeric == fresh.numeric == ("value",)


def test_fields_that_only_come_later_are_unknown_to_the_past(visits, cut):
    past = PastStore(visits[1], until=cut)
    with pytest.raises(StoreError, match="has no field campaign"):
        past.codes("campaign")
    with pytest.raises(StoreError, match="has no field quantity"):
        past.numbers("quantity")


HONEST = {
    "plain features": lambda store, users, cut: plain_features(store, users, until=cut, seed=1),
    "RFM": lambda store, users, cut: rfm_cells(store, users, until=cut, bins=4),
    "KMeans": lambda store, users, cut: kmeans_cells(
        store, users, until=cut, n_segments=6, seed=1
    ),
}


@pytest.mark.parametrize("what", HONEST)
@pytest.mark.parametrize("of", ["store", "visits"])
def test_baselines_are_blind_to_what_comes_after_the_cut(*, what, of, seen, cut, request):
    made = request.getfixturevalue(of)
    store = made[1] if of == "visits" else made
    check_blind(lambda given: HONEST[what](given, seen, cut), store, until=cut, what=what)


@pytest.mark.parametrize("what", HONEST)
def test_a_baseline_that_reads_ninety_days_more_is_caught(*, store, seen, cut, what):
    with pytest.raises(FitError, match=f"{what} depends on events at or after the cut"):
        check_blind(
            lambda given: HONEST[what](given, seen, cut + 90 * DAY_US),
            store,
            until=cut,
            what=what,
        )


def test_every_row_that_a_validation_makes_is_blind_to_what_comes_after_the_cut(store, seen, cut):
    def build(given):
        trial = Trial(given, seen, seen % 5, cut, cut + DAY_US)
        made = [*rules(trial, None), *clusterings(trial, features(trial))]
        assert [one.name for one in made] == ["RFM 3x3x3", "RFM 5x5x5", "KMeans"]
        bands = activity_before(given, seen, until=cut).bands
        return np.stack([*(one.labels for one in made), bands])

    check_blind(build, store, until=cut, what="a baseline")


def test_one_event_of_one_user_after_the_cut_is_enough_to_be_caught(make_store):
    rows = [(f"u{user}", "view", day) for user in range(30) for day in range(5)]
    store = make_store(events_of([*rows, ("u7", "view", 6)]))
    cut = START_US + 6 * DAY_US

    def counts(given):
        (block,) = windows(given, np.arange(30), end=cut + 1)
        return block.total()

    with pytest.raises(FitError, match="later behaviour leaked"):
        check_blind(counts, store, until=cut, what="a count")
    check_blind(
        lambda given: next(iter(windows(given, np.arange(30), end=cut))).total(),
        store,
        until=cut,
        what="a count",
    )


LEAKS = {
    "vocabulary": lambda store, _: np.array(store.vocabulary("item")),
    "frequencies": lambda store, _: store.vocabulary_counts("category"),
    "codes": lambda store, _: np.asarray(store.codes("item"))[: store.offsets[1] // 2],
    "newest event": lambda store, _: np.array([store.newest]),
    "model vocabulary": lambda store, cut: np.array(
        fit_vocabulary(store, as_of=cut + 20 * DAY_US, limits={"extra": 500}).values["item"]
    ),
}


@pytest.mark.parametrize("road", LEAKS)
def test_each_road_by_which_the_future_comes_is_watched(store, cut, road):
    with pytest.raises(FitError, match=road):
        check_blind(lambda given: LEAKS[road](given, cut), store, until=cut, what=road)


def test_scalers_of_the_whole_store_cannot_be_read_from_the_past(store, cut):
    assert "value" in store.manifest["summaries"]
    with pytest.raises(KeyError, match="summaries"):
        check_blind(
            lambda given: np.array([given.manifest["summaries"]["value"]["mean"]]),
            store,
            until=cut,
            what="a scaler",
        )


def test_a_vocabulary_learned_before_the_cut_passes(store, cut):
    def build(given):
        known = fit_vocabulary(given, as_of=cut - 1, limits={"extra": 500})
        return np.array([text for name in known.categorical for text in known.values[name]])

    check_blind(build, store, until=cut, what="the vocabulary")
