"""Drift: exact tests, distances without bias, and samples that change along the way alone."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import mahalanobis
from scipy.stats import energy_distance

from segmenter.errors import SpaceError
from segmenter.space.drift import drift_by_segment, measure_drift
from segmenter.space.resampling import (
    centroid_statistics,
    energy_statistics,
    holm,
    p_value,
    relabellings,
    some_rows,
)
from segmenter.space.toward import adherence, movement, sample_toward
from segmenter.space.whitening import fit_whitening
from tests.space.clouds import affine, cloud, seeds

numbers = st.lists(st.floats(-50, 50).map(lambda x: round(x, 3)), min_size=2, max_size=20)


@settings(max_examples=60)
@given(numbers, numbers)
def test_the_energy_statistic_is_scipys_squared(one, other) -> None:
    points = np.array([*one, *other])[:, None]
    labels = (np.arange(len(points)) < len(one))[None]
    found = energy_statistics(points, labels)[0]
    assert found == pytest.approx(energy_distance(one, other) ** 2, abs=1e-6)
    expected = (np.mean(one) - np.mean(other)) ** 2
    assert centroid_statistics(points, labels)[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("statistic", [centroid_statistics, energy_statistics])
def test_a_permutation_test_is_exact_on_exchangeable_data(statistic) -> None:
    """With every relabelling of six users the p-value of a random truth is uniform."""
    points = np.random.default_rng(0).standard_normal((6, 2))
    labels = np.array(
        [[row in chosen for row in range(6)] for chosen in combinations(range(6), 2)]
    )
    p_values = [
        p_value(statistic(points, np.roll(labels, -truth, axis=0))) for truth in range(len(labels))
    ]
    np.testing.assert_allclose(sorted(p_values), np.arange(1, 16) / 15)


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 600))
def test_relabellings_keep_the_sizes_and_begin_with_the_truth(n_group, n_other, n_more) -> None:
    found = np.vstack([*relabellings(n_group, n_other, n_permutations=n_more, seed=0)])
    assert found.shape == (1 + n_more, n_group + n_other)
    assert (found.sum(axis=1) == n_group).all()
    assert found[0].tolist() == [True] * n_group + [False] * n_other


def test_false_alarms_are_as_rare_as_promised() -> None:
    alarms = np.zeros(2)
    for seed in range(200):
        crowd = np.random.default_rng(seed).standard_t(4, (60, 3))
        (labels,) = relabellings(25, 35, n_permutations=39, seed=seed)
        alarms += [
            p_value(statistic(crowd, labels)) <= 0.1
            for statistic in (centroid_statistics, energy_statistics)
        ]
    # Of 200 at 10 %: outside once in a thousand times.
    assert ((alarms >= 7) & (alarms <= 35)).all()


@settings(max_examples=60)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values) -> None:
    """A hypothesis falls at the level at which every set that it belongs to falls."""
    n_tests = len(p_values)
    sets = [s for size in range(1, n_tests + 1) for s in combinations(range(n_tests), size)]
    expected = [
        max(min(len(s) * min(p_values[i] for i in s), 1.0) for s in sets if test in s)
        for test in range(n_tests)
    ]
    np.testing.assert_allclose(holm(np.array(p_values)), expected)


@settings(max_examples=12)
@given(seeds, seeds)
def test_drift_is_blind_to_the_coordinates(seed, other) -> None:
    group, target = cloud(seed), cloud(seed)[::-1] + 0.3
    linear, offset = affine(other)
    one = measure_drift(group, target)
    two = measure_drift(group @ linear + offset, target @ linear + offset)
    assert (one.distance_p, one.energy_p) == (two.distance_p, two.energy_p)
    assert one.distance.value == pytest.approx(two.distance.value, rel=1e-6, abs=1e-6)
    assert one.energy.high == pytest.approx(two.energy.high, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(one.step @ linear, two.step, atol=1e-7)


def test_the_distance_of_large_groups_is_that_of_mahalanobis() -> None:
    generator = np.random.default_rng(0)
    group, target = generator.standard_normal((2, 4000, 3)) * [3, 1, 0.2]
    group += [0.6, 0, 0.1]
    pooled = np.linalg.inv(np.cov(np.vstack([group, target]).T))
    expected = mahalanobis(group.mean(axis=0), target.mean(axis=0), pooled)
    found = measure_drift(group, target)
    assert found.distance.value == pytest.approx(expected, rel=0.01)
    assert found.distance.low < expected < found.distance.high
    assert found.distance_p == found.energy_p == 1 / 200


@pytest.mark.parametrize("n_users", [40, 400])
def test_groups_that_are_one_have_no_distance_whatever_their_size(n_users) -> None:
    energies, distances = [], []
    for seed in range(25):
        sides = np.random.default_rng(seed).standard_normal((2, n_users, 4))
        found = measure_drift(sides[0], sides[1], seed=seed)
        energies.append(found.energy.value)
        distances.append(found.distance.low)
    assert abs(np.mean(energies)) < 2.5 * np.std(energies) / 5
    assert np.mean(np.array(distances) == 0) > 0.8


def test_only_the_segment_that_moved_is_called_moved_among_many_small_ones() -> None:
    """Thirteen tests at once, and segments with fewer users than there are dimensions."""
    generator = np.random.default_rng(1)
    segments = np.repeat(np.arange(14), [40] * 13 + [5])
    centres = 5 * generator.standard_normal((14, 50))[segments]
    group, target = centres + generator.standard_normal((2, len(segments), 50))
    group[segments == 3] += 0.6
    found = drift_by_segment(group, target, group_segments=segments, target_segments=segments)
    assert [one.segment for one in found] == list(range(14))
    moved = [one.segment for one in found if one.p is not None and one.p <= 0.05]
    assert moved == [3]
    assert found[13].drift is None
    assert sum(one.group_share for one in found) == pytest.approx(1)


@settings(max_examples=30)
@given(seeds, st.floats(-0.5, 1.5), st.floats(0, 1))
def test_what_is_local_is_held_fixed_on_the_way_to_the_target(seed, amount, spread) -> None:
    group, target = cloud(seed), cloud(seed)[:30] + 1
    whitening = fit_whitening(np.vstack([group, target]))
    options = {"whitening": whitening, "n_points": 40, "spread": spread, "seed": seed}
    stay = sample_toward(group, target, amount=0, **options)
    moved = sample_toward(group, target, amount=amount, **options)
    line = target.mean(axis=0) - group.mean(axis=0)
    np.testing.assert_allclose(moved - stay, np.tile(amount * line, (40, 1)), atol=1e-8)
    places = adherence(
        np.stack([group.mean(axis=0), target.mean(axis=0)]), group, target, whitening=whitening
    )
    np.testing.assert_allclose(places, [0, 1], atol=1e-8)


def test_samples_keep_the_mean_and_the_spread_of_the_group() -> None:
    group, target = cloud(0), cloud(0) + 2
    whitening = fit_whitening(np.vstack([group, target]))
    for spread in (0.0, 0.5):
        points = sample_toward(
            group, target, whitening=whitening, amount=0, n_points=40_000, spread=spread
        )
        scale = np.sqrt(np.diag(np.cov(group.T)))
        np.testing.assert_allclose(
            points.mean(axis=0), group.mean(axis=0), atol=0.03 * scale.max()
        )
        expected = np.cov(group.T, ddof=0)
        np.testing.assert_allclose(np.cov(points.T), expected, atol=0.05 * expected.max())


def test_a_movement_is_told_apart_into_toward_and_aside() -> None:
    generator = np.random.default_rng(0)
    crowd = generator.standard_normal((3000, 4))
    before, target = crowd[:1000], crowd[1000:2000] + np.array([4, 0, 0, 0])
    now = crowd[2000:] + np.array([1, 0.5, 0, 0])
    whitening = fit_whitening(crowd)
    found = movement(before, now, target, whitening=whitening)
    assert found.toward.low < 1 < found.toward.high
    assert found.aside.value == pytest.approx(0.5, abs=0.1)
    assert found.change.value == pytest.approx(found.now.value - found.before.value)
    assert found.change.high < 0


def test_small_or_equal_groups_are_refused_and_large_ones_sampled() -> None:
    crowd = cloud(0)
    with pytest.raises(SpaceError, match="found 19 in the target"):
        measure_drift(crowd, crowd[:19])
    with pytest.raises(SpaceError, match="same centroid"):
        adherence(crowd, crowd, crowd, whitening=fit_whitening(crowd))
    chosen = some_rows(crowd, 7, seed=0)
    assert len(np.unique(chosen, axis=0)) == 7
    assert (chosen[:, None] == crowd).all(axis=2).any(axis=1).all()
