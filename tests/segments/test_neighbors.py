"""Nearest references: exact in double precision, whatever single precision loses on the way."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import cKDTree

from segmenter.segments.neighbors import (
    BLOCK_ROWS,
    SPARE_CANDIDATES,
    NearestReferences,
    product_error,
)
from tests.segments.reference import nearest

LARGEST = float(np.finfo(np.float32).max)

Cloud = Callable[[np.random.Generator, int, int], np.ndarray]

CLOUDS: dict[str, Cloud] = {
    "round": lambda draw, n, d: draw.standard_normal((n, d)),
    "on a grid, with ties": lambda draw, n, d: draw.integers(-2, 3, (n, d)),
    "far from the origin": lambda draw, n, d: 1e5 + draw.standard_normal((n, d)),
    "heavy-tailed": lambda draw, n, d: np.exp(4 * draw.standard_normal((n, d))),
    "in two far piles": lambda draw, n, d: (
        1e4 * draw.integers(0, 2, (n, 1)) + 1e-3 * draw.standard_normal((n, d))
    ),
    "mostly one point": lambda draw, n, d: (
        draw.standard_normal((n, d)) * (draw.random((n, 1)) < 0.3)
    ),
    "partly out of all proportion": lambda draw, n, d: (
        draw.standard_normal((n, d)) * np.where(draw.random((n, 1)) < 0.3, 1e15, 1)
    ),
}
"""Users as they come, and as they must not come: the answer is exact for each."""


def cloud(kind: str, shape: tuple[int, int], *, seed: int, magnitude: int = 0) -> np.ndarray:
    """Users float32 of the given shape; powers of ten beyond single precision are clipped."""
    generator = np.random.default_rng(seed)
    users = CLOUDS[kind](generator, *shape) * 10.0**magnitude
    return users.clip(-LARGEST, LARGEST).astype(np.float32)


clouds = st.builds(
    cloud,
    st.sampled_from(sorted(CLOUDS)),
    st.tuples(st.integers(60, 600), st.integers(1, 12)),
    seed=st.integers(0, 10_000),
    magnitude=st.sampled_from([0, 0, 0, -42, -30, -18, 5, 17, 20, 34]),
)


def assert_nearest(points: np.ndarray, queries: np.ndarray, n_neighbors: int) -> None:
    """The index and distance of each neighbour are those of the slow computation, to the bit."""
    indices, distances = NearestReferences(points).query(queries, n_neighbors)
    expected_indices, expected_distances = nearest(points, queries, n_neighbors)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_array_equal(distances, expected_distances)


@settings(max_examples=150, deadline=None)
@given(clouds, st.integers(1, 40))
def test_neighbors_are_those_of_all_differences_in_double_precision(
    users: np.ndarray, n_neighbors: int
) -> None:
    points, queries = users[20:], users[:40]
    assert_nearest(points, queries, min(n_neighbors, len(points)))


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(16, 40), st.integers(1, 4)),
        elements=st.floats(-LARGEST, LARGEST, width=32),
    ),
    st.integers(1, 4),
)
def test_any_finite_numbers_have_exact_neighbors(users: np.ndarray, n_neighbors: int) -> None:
    assert_nearest(users, users, n_neighbors)


@settings(max_examples=60, deadline=None)
@given(clouds, st.data())
def test_a_user_alone_has_the_answer_of_the_batch(users: np.ndarray, data: st.DataObject) -> None:
    near = NearestReferences(users[30:])
    indices, distances = near.query(users, 15)
    asked = np.array(data.draw(st.lists(st.integers(0, len(users) - 1), min_size=1, max_size=8)))
    for some in (asked[:1], asked):
        alone = near.query(users[some], 15)
        np.testing.assert_array_equal(alone[0], indices[some])
        np.testing.assert_array_equal(alone[1], distances[some])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 20))
def test_distances_agree_with_scipys_tree(seed: int, n_dimensions: int, n_neighbors: int) -> None:
    users = cloud("round", (400, n_dimensions), seed=seed)
    points, queries = users[:300], users[300:]
    _, distances = NearestReferences(points).query(queries, n_neighbors)
    expected, _ = cKDTree(points.astype(np.float64)).query(
        queries.astype(np.float64), list(range(1, n_neighbors + 1))
    )
    np.testing.assert_allclose(distances, expected, rtol=1e-12)


def test_of_points_at_one_distance_the_first_ones_are_taken() -> None:
    points = np.tile(np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float32), (50, 1))
    indices, distances = NearestReferences(points).query(np.zeros((3, 2), np.float32), 15)
    np.testing.assert_array_equal(indices, np.broadcast_to(np.arange(15), (3, 15)))
    assert (distances == 1).all()


def test_points_are_told_apart_where_single_precision_products_can_not() -> None:
    generator = np.random.default_rng(0)
    points = (3000 + generator.standard_normal((400, 8))).astype(np.float32)
    points[:5] -= 6000  # the mean of all points is no help to the rest
    queries = points[5:60] + np.float32(0.01)
    squares = (points**2).sum(1) - 2 * queries @ points.T + (queries**2).sum(1)[:, None]
    by_products = squares.argsort(axis=1, kind="stable")[:, :5]
    exact, _ = nearest(points, queries, 5)
    assert (by_products != exact).any(axis=1).mean() > 0.5
    assert_nearest(points, queries, 5)


def test_a_batch_longer_than_one_block_is_answered_row_by_row() -> None:
    users = cloud("round", (2 * BLOCK_ROWS + 70, 5), seed=1)
    assert_nearest(users[:70], users, 6)
    indices, distances = NearestReferences(users).query(users, 1)
    np.testing.assert_array_equal(indices[:, 0], np.arange(len(users)))
    assert not distances.any()


@pytest.mark.parametrize("n_points", [1, 2, 15, 15 + SPARE_CANDIDATES, 16 + SPARE_CANDIDATES])
def test_all_points_can_be_asked_for_where_there_are_few(n_points: int) -> None:
    users = cloud("round", (n_points + 10, 3), seed=2)
    assert_nearest(users[:n_points], users, min(15, n_points))
    assert len(NearestReferences(users[:n_points])) == n_points


def test_nobody_asked_is_nobody_answered() -> None:
    near = NearestReferences(cloud("round", (100, 3), seed=3))
    indices, distances = near.query(np.empty((0, 3), np.float32), 4)
    assert indices.shape == distances.shape == (0, 4)


def test_a_user_out_of_all_proportion_has_neighbors_too() -> None:
    """Its products overflow to NaN, which sorts behind the padding of the last group."""
    users = cloud("round", (251, 4), seed=5) * 20
    far = np.array([[1, -1, 1, -1], [1e-3, 2, 3, -1]], dtype=np.float32) * np.float32(1e38)
    assert_nearest(users, far, 5)


class CountingReferences(NearestReferences):
    """Counts the differences that are taken in double precision."""

    n_differences = 0

    def _closest(
        self, queries: np.ndarray, candidates: np.ndarray, n_neighbors: int
    ) -> tuple[np.ndarray, np.ndarray]:
        self.n_differences += candidates.size
        return super()._closest(queries, candidates, n_neighbors)


@pytest.mark.parametrize("outlier", [1, 1e3, 1e12])
def test_one_far_point_makes_no_work_for_users_who_are_not_near_it(outlier: float) -> None:
    users = cloud("round", (3000, 10), seed=4)
    users[0] *= outlier
    near = CountingReferences(users[:2000])
    near.query(users[2000:], 15)
    assert near.n_differences == 1000 * (15 + SPARE_CANDIDATES)
    assert_nearest(users[:2000], users[2000:2100], 15)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 64),
    st.tuples(st.floats(-20, 17), st.floats(-20, 17)),
)
def test_rounding_of_products_stays_within_its_bound(
    seed: int, n_dimensions: int, scales: tuple[float, float]
) -> None:
    generator = np.random.default_rng(seed)
    first, second = (
        (10.0**scale * generator.standard_normal((50, n_dimensions))).astype(np.float32)
        for scale in scales
    )
    lengths = np.linalg.norm(first.astype(np.float64), axis=1)
    exact = np.square(first.astype(np.float64) - second).sum(axis=1)
    products = (-2 * first * second).sum(axis=1) + np.square(second).sum(axis=1)
    reach = lengths + np.linalg.norm(second.astype(np.float64), axis=1)
    error = np.abs(products.astype(np.float64) + lengths**2 - exact)
    assert (error <= product_error(reach, n_dimensions)).all()
