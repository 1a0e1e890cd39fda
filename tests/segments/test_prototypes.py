"""Prototypes: groups of cores that settle among everybody, none too small, the largest first."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from segmenter.segments.density import BETWEEN, Leaves
from segmenter.segments.distances import nearest
from segmenter.segments.prototypes import (
    MAX_ROUNDS,
    SizeLimits,
    core_agreement,
    make_prototypes,
    settle,
)
from tests.segments.reference import planted_blobs

ANY_SIZE = SizeLimits(users=1, share=0.0)


def leaves_of(labels: np.ndarray) -> Leaves:
    """Leaves with these members; labels are 0, 1, .. and `BETWEEN`."""
    return Leaves(np.arange(len(labels)), labels.astype(np.int32), np.full(labels.max() + 1, 0.5))


def random_fit(seed: int, n_users: int, n_leaves: int) -> tuple[np.ndarray, Leaves]:
    """Users of a fit float32 [n, 3] whose leaves are the surroundings of a few of them."""
    generator = np.random.default_rng(seed)
    fitted = generator.standard_normal((n_users, 3)).astype(np.float32)
    label = nearest(fitted, fitted[:n_leaves].astype(np.float64))
    label[n_leaves:][generator.random(n_users - n_leaves) < 0.4] = BETWEEN
    return fitted, leaves_of(label)


size_limits = st.builds(
    SizeLimits, users=st.integers(1, 40), share=st.sampled_from([0.0, 0.05, 0.3])
)
fits = st.builds(random_fit, st.integers(0, 10_000), st.integers(30, 200), st.integers(1, 20))


@settings(max_examples=60, deadline=None)
@given(fits, st.integers(1, 12), size_limits)
def test_no_segment_is_smaller_than_allowed_and_the_largest_comes_first(
    fit: tuple[np.ndarray, Leaves], n_segments: int, limits: SizeLimits
) -> None:
    fitted, leaves = fit
    prototypes = make_prototypes(fitted, leaves, n_segments=n_segments, limits=limits, seed=0)
    assert prototypes.dtype == np.float64
    assert np.isfinite(prototypes).all()
    assert 1 <= len(prototypes) <= min(n_segments, leaves.n_leaves)
    users = np.bincount(nearest(fitted, prototypes), minlength=len(prototypes))
    assert len(users) == 1 or users.min() >= limits.smallest(len(fitted))
    assert (np.diff(users) <= 0).all()
    again = make_prototypes(fitted, leaves, n_segments=n_segments, limits=limits, seed=0)
    np.testing.assert_array_equal(again, prototypes)


@pytest.mark.parametrize("n_leaves_each", [1, 4])
def test_planted_groups_are_found_from_pieces_of_them(n_leaves_each: int) -> None:
    fitted, group = planted_blobs((300, 200, 100, 60), n_dimensions=6, spread=0.4, seed=1)
    generator = np.random.default_rng(1)
    label = group * n_leaves_each + generator.integers(0, n_leaves_each, len(group))
    label[generator.random(len(group)) < 0.5] = BETWEEN
    prototypes = make_prototypes(
        fitted, leaves_of(label), n_segments=4, limits=SizeLimits(), seed=0
    )
    np.testing.assert_array_equal(nearest(fitted, prototypes), group)
    for number, prototype in enumerate(prototypes):
        np.testing.assert_allclose(prototype, fitted[group == number].mean(axis=0), atol=1e-5)


def test_cores_weigh_by_the_users_around_them() -> None:
    """Of two near cores with many users and two less near ones with few, the few are merged."""
    places = np.repeat([0.0, 3.0, 10.0, 11.5], [30, 30, 400, 400])
    noise = 0.01 * np.random.default_rng(2).standard_normal((len(places), 1))
    fitted = (places[:, None] + noise).astype(np.float32)
    label = np.full(len(places), BETWEEN)
    for leaf, first in enumerate([0, 30, 60, 460]):
        label[first : first + 20] = leaf
    three = make_prototypes(fitted, leaves_of(label), n_segments=3, limits=ANY_SIZE, seed=0)
    np.testing.assert_allclose(np.sort(three[:, 0]), [1.5, 10, 11.5], atol=0.01)


def test_a_group_that_is_too_small_joins_the_others() -> None:
    fitted, group = planted_blobs((200, 150, 8), n_dimensions=4, spread=0.3, seed=6)
    prototypes = make_prototypes(
        fitted, leaves_of(group), n_segments=3, limits=SizeLimits(), seed=0
    )
    large = group < 2
    np.testing.assert_array_equal(nearest(fitted, prototypes)[large], group[large])
    assert len(prototypes) == 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_prototype_is_the_middle_of_its_users(seed: int) -> None:
    fitted, leaves = random_fit(seed, 150, 12)
    prototypes = make_prototypes(fitted, leaves, n_segments=4, limits=ANY_SIZE, seed=0)
    segment = nearest(fitted, prototypes)
    means = [fitted[segment == number].mean(axis=0, dtype=np.float64) for number in range(4)]
    np.testing.assert_allclose(prototypes, means)


def test_there_are_no_more_segments_than_cores() -> None:
    fitted, leaves = random_fit(3, 200, 3)
    prototypes = make_prototypes(fitted, leaves, n_segments=10, limits=ANY_SIZE, seed=0)
    assert len(prototypes) == 3


def test_cores_in_one_place_are_one_segment() -> None:
    places = np.array([[0, 0.1, 1], [0, 1, 0.3], [1, 0, 0.7]], dtype=np.float32)
    fitted = np.repeat(places, [60, 40, 30], axis=0)
    own = np.concatenate([np.arange(60) % 4, 4 + np.arange(40) % 3, 7 + np.arange(30) % 3])
    mixed = np.random.default_rng(0).integers(0, 9, 130)
    for label in (own, mixed):
        prototypes = make_prototypes(
            fitted, leaves_of(label), n_segments=10, limits=SizeLimits(), seed=0
        )
        np.testing.assert_allclose(prototypes, places, atol=1e-12)


@pytest.mark.parametrize("n_users", [1, 2, 40])
def test_one_place_is_one_segment(n_users: int) -> None:
    fitted = np.full((n_users, 3), 0.1, np.float32)
    label = np.arange(n_users) % 2
    prototypes = make_prototypes(
        fitted, leaves_of(label), n_segments=5, limits=SizeLimits(), seed=0
    )
    np.testing.assert_allclose(prototypes, fitted[:1], rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 120), st.integers(1, 6))
def test_settling_is_lloyds_algorithm(seed: int, n_users: int, n_centroids: int) -> None:
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((n_users, 2))
    start = points[:n_centroids]
    theirs = KMeans(n_centroids, init=start, n_init=1, max_iter=MAX_ROUNDS, tol=0)
    theirs.fit(points)
    ours = settle(points, start)
    if theirs.n_iter_ < MAX_ROUNDS:
        np.testing.assert_allclose(ours, theirs.cluster_centers_, atol=1e-9)
        np.testing.assert_array_equal(settle(points, ours), ours)
    spread = [np.square(points - at[nearest(points, at)]).sum() for at in (start, ours)]
    assert spread[1] <= spread[0]


def test_a_centroid_without_users_stays() -> None:
    points = np.random.default_rng(4).standard_normal((50, 2))
    settled = settle(points, np.array([[0.0, 0.0], [100.0, 100.0]]))
    np.testing.assert_allclose(settled, [points.mean(axis=0), [100, 100]])


@settings(max_examples=60, deadline=None)
@given(fits, st.integers(1, 6), st.integers(0, 10_000))
def test_agreement_is_the_share_in_the_segment_of_most_of_their_core(
    fit: tuple[np.ndarray, Leaves], n_segments: int, seed: int
) -> None:
    _, leaves = fit
    segment = np.random.default_rng(seed).integers(1, n_segments + 1, len(leaves.rows))
    kept = n_core = 0
    for leaf in range(leaves.n_leaves):
        theirs = segment[leaves.labels == leaf].tolist()
        n_core += len(theirs)
        kept += max(theirs.count(number) for number in set(theirs))
    assert core_agreement(segment, leaves) == pytest.approx(kept / n_core)
    assert core_agreement(leaves.labels, leaves) == 1


def test_other_starts_find_planted_groups_too() -> None:
    fitted, group = planted_blobs((80, 70, 60), n_dimensions=5, spread=0.3, seed=5)
    label = group * 3 + np.arange(len(group)) % 3
    for seed in (0, 1, 2):
        prototypes = make_prototypes(
            fitted, leaves_of(label), n_segments=3, limits=SizeLimits(), seed=seed
        )
        assert adjusted_rand_score(group, nearest(fitted, prototypes)) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**7))
def test_size_limits_leave_room_for_five_segments(n_users: int) -> None:
    smallest = SizeLimits().smallest(n_users)
    assert smallest >= max(1, 0.005 * n_users, min(20, n_users // 5))
    assert smallest * 5 <= max(5, n_users)
