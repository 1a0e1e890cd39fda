"""Scores equal scikit-learn's, predictions never see their own user, intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import norm
from sklearn.metrics import r2_score, roc_auc_score

from segmenter.validity.lift import (
    CONFIDENCE,
    auc,
    group_lifts,
    interval,
    out_of_fold_prediction,
    r2_scores,
    resampled_users,
)
from segmenter.validity.outcomes import Outcome
from tests.validity.reference import slow_out_of_fold

SEEDS = st.integers(0, 10_000)


def outcome_of(values, *, kind="r2", population=None, logged=False):
    everybody = np.ones(len(values), dtype=bool)
    inside = everybody if population is None else population
    return Outcome("later", kind, np.asarray(values, dtype=np.float64), inside, logged=logged)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n=st.integers(5, 80))
def test_r2_equals_scikit_learn_under_any_weights(seed, n):
    generator = np.random.default_rng(seed)
    values = generator.normal(generator.normal(0, 100), 1, n)
    predicted = values + generator.normal(0, 1, n)
    weights = generator.integers(0, 4, (n, 6)).astype(np.float64) + 0.1
    expected = [r2_score(values, predicted, sample_weight=column) for column in weights.T]
    np.testing.assert_allclose(r2_scores(values, predicted, weights), expected, rtol=1e-6)


def yes_and_no(generator, n, n_levels=9):
    """Occurrences with at least one of each kind, and predictions with ties."""
    values = np.concatenate([[0.0, 1.0], generator.integers(0, 2, n - 2)])
    return values, generator.integers(0, n_levels, n) / n_levels


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n=st.integers(4, 80), n_levels=st.integers(1, 30))
def test_auc_equals_scikit_learn_with_ties(seed, n, n_levels):
    values, predicted = yes_and_no(np.random.default_rng(seed), n, n_levels)
    area, derivative = auc(values, predicted)
    assert area == pytest.approx(roc_auc_score(values, predicted))
    assert derivative.sum() == pytest.approx(0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, n=st.integers(4, 50))
def test_the_derivative_of_auc_is_that_of_scikit_learns_weighted_area(seed, n):
    generator = np.random.default_rng(seed)
    values, predicted = yes_and_no(generator, n)
    _, derivative = auc(values, predicted)
    user, step = int(generator.integers(n)), 1e-5
    sides = []
    for change in (step, -step):
        weights = np.ones(n)
        weights[user] += change
        sides.append(roc_auc_score(values, predicted, sample_weight=weights))
    assert derivative[user] == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, n=st.integers(4, 50), n_strata=st.integers(1, 8))
def test_inside_strata_auc_counts_the_pairs_of_each_stratum(seed, n, n_strata):
    generator = np.random.default_rng(seed)
    values, predicted = yes_and_no(generator, n)
    strata = generator.integers(0, n_strata, n)
    pairs = [
        (predicted[yes] > predicted[no]) + 0.5 * (predicted[yes] == predicted[no])
        for yes in np.flatnonzero(values == 1)
        for no in np.flatnonzero(values == 0)
        if strata[yes] == strata[no]
    ]
    area, derivative = auc(values, predicted, strata)
    assert area == pytest.approx(np.mean(pairs)) if pairs else np.isnan(area)
    assert derivative.sum() == pytest.approx(0, abs=1e-12)


def test_bootstrap_areas_to_first_order_spread_as_exact_ones_do():
    generator = np.random.default_rng(2)
    values = (np.arange(400) < 40).astype(np.float64)
    predicted = np.round(values + generator.normal(0, 1.2, 400), 1)
    weights = resampled_users(400, n_draws=300, seed=3)[:, 1:]
    area, derivative = auc(values, predicted)
    exact = np.array([roc_auc_score(values, predicted, sample_weight=w) for w in weights.T])
    linear = area + derivative @ weights
    assert np.corrcoef(exact, linear)[0, 1] > 0.98
    assert linear.std() == pytest.approx(exact.std(), rel=0.05)


def test_what_has_no_spread_has_no_score():
    weights = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    values = np.array([0.0, 1.0, 1.0])
    assert np.isnan(r2_scores(values, values * 0, weights)).tolist() == [False, True]
    area, derivative = auc(np.ones(3), values)
    assert np.isnan(area)
    assert derivative.tolist() == [0.0] * 3


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, n=st.integers(5, 90), n_groups=st.integers(1, 20), text=st.booleans())
def test_predictions_equal_a_slow_loop(*, seed, n, n_groups, text):
    generator = np.random.default_rng(seed)
    labels = generator.integers(-1, n_groups, n)
    values = generator.normal(3, 2, n)
    given_labels = np.array([f"segment {label}" for label in labels]) if text else labels
    predicted = out_of_fold_prediction(given_labels, values, seed=seed)
    np.testing.assert_allclose(predicted, slow_out_of_fold(labels, values, seed=seed))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, change=st.floats(-1e3, 1e3))
def test_no_user_is_predicted_from_the_users_own_outcome(seed, change):
    generator = np.random.default_rng(seed)
    labels, values = generator.integers(0, 5, 60), generator.normal(0, 1, 60)
    user = int(generator.integers(60))
    changed = values.copy()
    changed[user] += change
    one = out_of_fold_prediction(labels, values)
    other = out_of_fold_prediction(labels, changed)
    assert one[user] == pytest.approx(other[user], abs=1e-9)


def test_many_tiny_groups_do_not_win_by_themselves():
    values = np.random.default_rng(1).normal(0, 1, 400)
    everybody = np.ones((400, 1))
    for n_groups in (20, 200, 400):
        labels = np.random.default_rng(2).integers(0, n_groups, 400)
        (score,) = r2_scores(values, out_of_fold_prediction(labels, values), everybody)
        assert score < 0.02


def test_resampled_sets_hold_as_many_users_and_are_repeatable():
    weights = resampled_users(70, n_draws=25, seed=4)
    assert weights.shape == (70, 26)
    assert (weights[:, 0] == 1).all()
    assert (weights.sum(axis=0) == 70).all()
    assert len({column.tobytes() for column in weights.T}) == 26
    assert np.array_equal(weights, resampled_users(70, n_draws=25, seed=4))
    assert not np.array_equal(weights, resampled_users(70, n_draws=25, seed=5))


def coverage(truth: float, figures_of, n_samples: int = 200) -> float:
    """Share of samples whose interval holds the truth."""
    spans = [interval(figures_of(np.random.default_rng(seed))) for seed in range(n_samples)]
    return float(np.mean([span.low <= truth <= span.high for span in spans]))


def test_intervals_of_r2_hold_the_truth_as_often_as_they_say():
    # y = x + noise of equal variance, predicted by x: R2 is one half.
    def figures(generator):
        x, noise = generator.normal(0, 1, (2, 250))
        return r2_scores(x + noise, x, resampled_users(250, n_draws=150, seed=7))

    assert abs(coverage(0.5, figures) - CONFIDENCE) < 0.07


def test_intervals_of_a_paired_difference_of_aucs_hold_the_truth_as_often_as_they_say():
    # A normal shift of d between the two kinds gives an AUC of norm.cdf(d / sqrt(2)).
    truth = norm.cdf(1 / 2**0.5) - norm.cdf(1 / 2)

    def figures(generator):
        kind = np.arange(300) % 2.0
        sharp = kind + generator.normal(0, 1, 300)
        blunt = sharp + generator.normal(0, 1, 300)
        weights = resampled_users(300, n_draws=150, seed=8)
        (one, by_one), (other, by_other) = auc(kind, sharp), auc(kind, blunt)
        return one - other + (by_one - by_other) @ weights

    assert abs(coverage(truth, figures) - CONFIDENCE) < 0.07


def test_an_interval_ignores_samples_that_have_no_score():
    span = interval(np.array([0.5, np.nan, 0.4, 0.6]), confidence=1.0)
    assert (span.value, span.low, span.high) == (0.5, 0.4, 0.6)
    alone = interval(np.array([0.5, np.nan]))
    assert (alone.value, alone.low, alone.high) == (0.5, 0.5, 0.5)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(["r2", "auc"]))
def test_lifts_average_to_one_over_the_users_of_the_population(seed, kind):
    generator = np.random.default_rng(seed)
    groups, population = generator.integers(0, 4, 200), generator.random(200) < 0.8
    groups[population & (groups == 2)] = 1
    groups[0], population[0] = 4, True
    values = (generator.random(200) < 0.3).astype(np.float64)
    amounts = values if kind == "auc" else np.log1p(generator.lognormal(0, 1, 200))
    outcome = outcome_of(amounts, kind=kind, population=population, logged=kind == "r2")
    lifts = group_lifts(outcome, groups, resampled_users(200, n_draws=50, seed=seed))
    assert lifts[2] is None
    sizes = np.bincount(groups[population], minlength=5)
    told = sum(n * lift.value for n, lift in zip(sizes, lifts, strict=True) if lift is not None)
    assert told / sizes.sum() == pytest.approx(1)
    assert all(lift.low <= lift.value <= lift.high for lift in lifts if lift is not None)


def test_the_interval_of_a_rate_is_wilsons():
    groups, values = np.repeat([0, 1], [40, 60]), np.zeros(100)
    values[:10] = 1
    first, second = group_lifts(outcome_of(values, kind="auc"), groups, np.ones((100, 1)))
    z, n, rate = norm.ppf(0.5 + CONFIDENCE / 2), 40, 0.25
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    assert (first.low, first.high) == pytest.approx(((centre - half) / 0.1, (centre + half) / 0.1))
    assert second.value == 0
    assert second.high > 0, "nobody of sixty said yes, and yet the rate may be above nought"


def test_a_group_that_the_other_folds_lack_is_predicted_by_their_mean():
    values = np.arange(10, dtype=np.float64)
    labels = np.array([1] + [0] * 9)
    predicted = out_of_fold_prediction(labels, values)
    assert predicted[0] == pytest.approx(slow_out_of_fold(labels, values)[0])
