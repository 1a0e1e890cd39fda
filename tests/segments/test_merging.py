"""Ward trees over weighted groups: scipy's, had every user stood at the centroid of its group."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.cluster.hierarchy import cut_tree, fcluster, is_valid_linkage, linkage
from sklearn.metrics import adjusted_rand_score

from segmenter.segments.merging import (
    absorb_small,
    cut,
    group_centroids,
    ward_costs,
    ward_tree,
)


def random_groups(seed: int, n_groups: int, n_dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroids float64 [n, d] and sizes int64 [n], from one user to fifty."""
    generator = np.random.default_rng(seed)
    centroids = generator.standard_normal((n_groups, n_dimensions))
    return centroids, generator.integers(1, 51, n_groups)


groups = st.builds(random_groups, st.integers(0, 10_000), st.integers(2, 25), st.integers(1, 6))


def sum_of_squares(points: np.ndarray) -> float:
    """Squared distances from the mean, summed."""
    return float(np.square(points - points.mean(axis=0)).sum())


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    return adjusted_rand_score(one, other) == 1


def users_counter(sizes: np.ndarray):
    """Users per group if nobody changes sides."""
    return lambda group: np.bincount(group, weights=sizes).astype(int)


@settings(max_examples=60, deadline=None)
@given(groups)
def test_the_tree_is_scipys_over_repeated_points(group: tuple[np.ndarray, np.ndarray]) -> None:
    centroids, sizes = group
    tree = ward_tree(centroids, sizes)
    assert is_valid_linkage(tree)
    # Scipy starts with the copies of one point, at height 0.
    scipys = linkage(np.repeat(centroids, sizes, axis=0), method="ward")[-(len(sizes) - 1) :]
    np.testing.assert_allclose(tree[:, 2], scipys[:, 2], rtol=1e-6)
    assert tree[-1, 3] == len(sizes)


@settings(max_examples=60, deadline=None)
@given(groups, st.data())
def test_a_cut_is_scipys(group: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    centroids, sizes = group
    n_groups = data.draw(st.integers(1, len(sizes)))
    found = cut(ward_tree(centroids, sizes), n_groups)
    repeated = linkage(np.repeat(centroids, sizes, axis=0), method="ward")
    of_users = fcluster(repeated, n_groups, criterion="maxclust")
    assert len(np.unique(of_users)) == n_groups
    assert same_partition(np.repeat(found, sizes), of_users)


@settings(max_examples=60, deadline=None)
@given(groups)
def test_cuts_are_numbered_in_the_order_of_the_leaves_and_nested(
    group: tuple[np.ndarray, np.ndarray],
) -> None:
    tree = ward_tree(*group)
    coarser = np.zeros(len(tree) + 1, dtype=np.int64)
    for n_groups in range(1, len(tree) + 2):
        finer = cut(tree, n_groups)
        assert list(dict.fromkeys(finer.tolist())) == list(range(n_groups))
        assert same_partition(finer, cut_tree(tree, n_groups)[:, 0])
        assert len({*zip(finer.tolist(), coarser.tolist(), strict=True)}) == n_groups
        coarser = finer


def test_one_group_has_no_tree_and_one_cut() -> None:
    tree = ward_tree(np.zeros((1, 3)), np.array([5]))
    assert tree.shape == (0, 4)
    assert cut(tree, 1).tolist() == [0]


def test_groups_in_one_place_merge_at_height_zero() -> None:
    tree = ward_tree(np.ones((4, 2)), np.array([3, 1, 4, 1]))
    assert is_valid_linkage(tree)
    assert not tree[:, 2].any()
    assert tree[-1, 3] == 4


def test_a_tree_leaves_its_input_as_it_was() -> None:
    centroids, sizes = random_groups(0, 9, 3)
    before = centroids.copy(), sizes.copy()
    ward_tree(centroids, sizes)
    np.testing.assert_array_equal(centroids, before[0])
    np.testing.assert_array_equal(sizes, before[1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 20))
def test_a_merger_costs_twice_the_growth_of_the_squares_within(
    seed: int, n_first: int, n_second: int
) -> None:
    generator = np.random.default_rng(seed)
    first, second = generator.random((n_first, 3)), 1 + generator.random((n_second, 3))
    cost = ward_costs(
        first.mean(axis=0),
        n_first,
        others=second.mean(axis=0)[None],
        sizes=np.array([n_second]),
    )
    together = sum_of_squares(np.concatenate([first, second]))
    growth = together - sum_of_squares(first) - sum_of_squares(second)
    np.testing.assert_allclose(cost, 2 * growth)


@settings(max_examples=40, deadline=None)
@given(groups, st.integers(1, 6))
def test_centroids_of_groups_are_weighted_means(
    group: tuple[np.ndarray, np.ndarray], n_groups: int
) -> None:
    centroids, sizes = group
    of_leaf = np.arange(len(sizes)) % min(n_groups, len(sizes))
    places, weights = group_centroids(of_leaf, centroids, sizes)
    for number in range(of_leaf.max() + 1):
        inside = of_leaf == number
        assert weights[number] == sizes[inside].sum()
        np.testing.assert_allclose(
            places[number], np.average(centroids[inside], axis=0, weights=sizes[inside])
        )


@settings(max_examples=60, deadline=None)
@given(groups, st.data(), st.integers(1, 200))
def test_absorbing_leaves_no_small_group_and_splits_none(
    group: tuple[np.ndarray, np.ndarray], data: st.DataObject, min_users: int
) -> None:
    centroids, sizes = group
    before = cut(ward_tree(centroids, sizes), data.draw(st.integers(1, len(sizes))))
    count_users = users_counter(sizes)
    after = absorb_small(before, centroids, sizes, count_users=count_users, min_users=min_users)
    users = count_users(after)
    assert len(users) == 1 or users.min() >= min_users
    assert list(dict.fromkeys(after.tolist())) == list(range(len(users)))
    assert len({*zip(before.tolist(), after.tolist(), strict=True)}) == before.max() + 1
    if count_users(before).min() >= min_users:
        np.testing.assert_array_equal(after, before)


def test_a_small_group_joins_the_one_that_it_disturbs_least() -> None:
    centroids = np.array([[0.0], [3.0], [5.0]])
    sizes = np.array([100, 2, 100])
    after = absorb_small(
        np.arange(3), centroids, sizes, count_users=users_counter(sizes), min_users=10
    )
    assert after.tolist() == [0, 1, 1]


def test_users_are_counted_anew_after_each_merger() -> None:
    """A group that the count calls small again goes on merging."""
    asked: list[list[int]] = []

    def count_users(group: np.ndarray) -> np.ndarray:
        asked.append(group.tolist())
        return np.array([50, 5, 5, 5])[: group.max() + 1]

    after = absorb_small(
        np.arange(4),
        np.arange(4.0)[:, None],
        np.full(4, 10),
        count_users=count_users,
        min_users=10,
    )
    assert after.tolist() == [0, 0, 0, 0]
    assert [max(group) for group in asked] == [3, 2, 1]


@pytest.mark.parametrize("n_groups", [1, 3, 6])
def test_heavier_groups_stay_apart_longer(n_groups: int) -> None:
    """Six pairs at equal gaps: the pairs of light groups merge before those of heavy ones."""
    places = np.repeat(10.0 * np.arange(6), 2) + np.tile([0.0, 1.0], 6)
    sizes = np.repeat([1, 2, 4, 8, 16, 32], 2)
    found = cut(ward_tree(places[:, None], sizes), 12 - n_groups)
    together = found[::2] == found[1::2]
    assert together.tolist() == [True] * n_groups + [False] * (6 - n_groups)
