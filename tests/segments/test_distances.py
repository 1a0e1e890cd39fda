"""Distances to prototypes: exact, and of each row whatever the other rows and their layout are."""

import numpy as np
from hypothesis import given, settings, strategies as st

from segmenter.segments.distances import nearest, squared_distances


def random_pair(
    seed: int, n_centroids: int, n_dimensions: int, *, offset: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Users float32 [30, d] and centroids float64 [k, d], with the same offset."""
    generator = np.random.default_rng(seed)
    users = (offset + generator.standard_normal((30, n_dimensions))).astype(np.float32)
    return users, offset + generator.standard_normal((n_centroids, n_dimensions))


pairs = st.builds(
    random_pair,
    st.integers(0, 10_000),
    st.integers(1, 9),
    st.integers(1, 40),
    offset=st.sampled_from([0.0, 1e4]),
)


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_distances_are_sums_of_squared_differences(pair: tuple[np.ndarray, np.ndarray]) -> None:
    users, centroids = pair
    found = squared_distances(users, centroids)
    assert found.dtype == np.float64
    expected = [[sum((user - place) ** 2) for place in centroids] for user in users.astype(float)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(nearest(users, centroids), found.argmin(axis=1))


@settings(max_examples=80, deadline=None)
@given(pairs, st.lists(st.integers(0, 29), min_size=1, max_size=10))
def test_neither_other_rows_nor_their_layout_in_memory_change_a_bit(
    pair: tuple[np.ndarray, np.ndarray], rows: list[int]
) -> None:
    users, centroids = pair
    together = squared_distances(users, centroids)
    np.testing.assert_array_equal(squared_distances(users[rows], centroids), together[rows])
    np.testing.assert_array_equal(
        squared_distances(users[rows[:1]], centroids), together[rows[:1]]
    )
    column_by_column = squared_distances(np.asfortranarray(users), np.asfortranarray(centroids))
    np.testing.assert_array_equal(column_by_column, together)
    np.testing.assert_array_equal(squared_distances(users[::-2], centroids), together[::-2])


def test_of_centroids_at_one_distance_the_first_is_nearest() -> None:
    centroids = np.array([[3.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert nearest(np.zeros((2, 2), np.float32), centroids).tolist() == [1, 1]


def test_nobody_has_no_distances() -> None:
    assert squared_distances(np.empty((0, 3), np.float32), np.ones((4, 3))).shape == (0, 4)
