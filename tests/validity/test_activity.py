"""The control tells bands of activity from segments of taste."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import entropy, f_oneway
from sklearn.metrics import mutual_info_score

from segmenter.validity.activity import (
    Activity,
    activity_before,
    activity_share,
    within_bands,
)
from segmenter.validity.outcomes import Outcome
from tests.validity.reference import before, per_user


def test_activity_counts_events_before_the_cut_in_even_bands(store, log, cut):
    users = np.arange(0, store.n_users, 2)
    activity = activity_before(store, users, until=cut)
    counts = per_user(before(log.events, cut), store, pl.len().alias("n"), users=users)["n"]
    np.testing.assert_allclose(np.expm1(activity.log_events), counts)
    sizes = np.bincount(activity.bands)
    assert len(sizes) == 10
    assert sizes.min() > 0.5 * sizes.max()
    order = np.argsort(activity.log_events, kind="stable")
    assert (np.diff(activity.bands[order]) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_segments=st.integers(1, 12))
def test_shares_equal_those_of_other_libraries(seed, n_segments):
    generator = np.random.default_rng(seed)
    log_events = generator.gamma(2, 1, 200)
    bands = (np.argsort(np.argsort(log_events)) * 10 // 200).astype(np.int64)
    labels = (log_events + generator.normal(0, 1, 200)).astype(np.int64).clip(-1, n_segments)
    share = activity_share("Segments", labels, Activity(log_events, bands))
    _, sizes = np.unique(labels, return_counts=True)
    information = mutual_info_score(labels, bands) / entropy(sizes) if len(sizes) > 1 else 0
    assert share.information == pytest.approx(information, abs=1e-9)
    groups = [log_events[labels == label] for label in np.unique(labels)]
    if len(groups) > 1:
        # F = (between / (k - 1)) / (within / (n - k)), and eta squared = between / (both).
        ratio = f_oneway(*groups).statistic * (len(groups) - 1) / (200 - len(groups))
        assert share.variance == pytest.approx(ratio / (1 + ratio))


def test_bands_themselves_are_all_activity_and_taste_is_none():
    log_events = np.random.default_rng(0).permutation(np.arange(1_000) / 100)
    bands = (np.argsort(np.argsort(log_events)) // 100).astype(np.int64)
    activity = Activity(log_events, bands)
    banded = activity_share("bands", bands // 2, activity)
    assert banded.information == pytest.approx(1)
    assert banded.variance > 0.9
    order = np.argsort(log_events)
    taste = np.empty(1_000, dtype=np.int64)
    taste[order] = np.arange(1_000) % 4
    told = activity_share("taste", taste, activity)
    assert told.information == pytest.approx(0, abs=1e-9)
    assert told.variance == pytest.approx(0, abs=1e-4)
    assert activity_share("one", np.zeros(1_000), activity).information == 0


def test_amounts_lose_the_mean_of_their_band_and_occurrences_stay():
    generator = np.random.default_rng(1)
    bands, population = generator.integers(0, 4, 300), generator.random(300) < 0.7
    amounts = Outcome(
        "later spend", "r2", bands + generator.normal(0, 1, 300), population, logged=True
    )
    yes = Outcome("later buy", "auc", (generator.random(300) < 0.5).astype(np.float64), population)
    left, same = within_bands((amounts, yes), bands)
    assert same is yes
    assert (left.name, left.logged) == ("later spend", False)
    for band in range(4):
        rows = population & (bands == band)
        assert left.values[rows].mean() == pytest.approx(0, abs=1e-12)
        shift = amounts.values[rows] - left.values[rows]
        assert np.ptp(shift) == pytest.approx(0, abs=1e-12)


def test_outcomes_that_are_settled_by_the_band_are_not_asked_within_it():
    bands = np.repeat(np.arange(4), 50)
    everybody = np.ones(200, dtype=bool)
    settled = Outcome("later buy", "auc", (bands > 1).astype(np.float64), everybody)
    amount = Outcome("later spend", "r2", bands * 2.0, everybody)
    assert within_bands((settled, amount), bands) == ()
