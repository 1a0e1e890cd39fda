"""Paths: their ends are their ends, their steps are even, the graph keeps them on the data."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import SpaceError
from segmenter.space.paths import (
    density_percentile,
    find_path,
    graph_line,
    neighbor_profile,
    straight_line,
)
from tests.space.clouds import cloud, seeds


def ring(n_users: int = 600, *, noise: float = 0.05) -> np.ndarray:
    """Users on half a circle: the straight line between its ends is empty."""
    generator = np.random.default_rng(0)
    angle = np.sort(generator.uniform(0, np.pi, n_users))
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return circle + noise * generator.standard_normal((n_users, 2))


@settings(max_examples=60)
@given(seeds, st.integers(1, 12), st.floats(0.4, 5))
def test_a_paths_ends_are_its_ends_and_its_steps_are_even(seed, n_steps, bend) -> None:
    """The profile grows by any power along the line: most of it may fall into one stretch."""
    start, end = cloud(seed, n_rows=2)

    def profile(points: np.ndarray) -> np.ndarray:
        along = (points - start) @ (end - start) / ((end - start) @ (end - start))
        return np.clip(along, 0, 1)[:, None] ** bend * np.array([3.0, -1.0])

    found = find_path(straight_line(start, end, n_points=501), profile, n_steps=n_steps)
    np.testing.assert_array_equal(found.points[0], straight_line(start, end)[0])
    np.testing.assert_array_equal(found.points[-1], straight_line(start, end)[-1])
    assert found.points.shape == (n_steps + 1, len(start))
    assert found.progress[[0, -1]] == pytest.approx([0, 1])
    assert found.monotonicity == pytest.approx(1)
    assert found.detour == pytest.approx(1, abs=1e-6)
    assert found.largest_step == pytest.approx(1 / n_steps, abs=0.03)


def test_equal_steps_of_coordinates_would_not_have_been_even() -> None:
    line = straight_line(np.zeros(1), np.ones(1), n_points=2001)

    def profile(points: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-40 * (points - 0.5)))

    plain = profile(straight_line(np.zeros(1), np.ones(1), n_points=6))
    assert np.diff(plain, axis=0).max() > 0.9
    assert find_path(line, profile, n_steps=5).largest_step < 0.22


def test_what_goes_back_and_forth_is_passed_over() -> None:
    line = straight_line(np.zeros(1), np.ones(1), n_points=2001)

    def profile(points: np.ndarray) -> np.ndarray:
        return points + 0.2 * np.sin(9 * points)

    assert (np.diff(profile(line)[:, 0]) < 0).any()
    found = find_path(line, profile, n_steps=8)
    assert found.monotonicity == pytest.approx(1)
    assert found.largest_step < 0.15


def test_the_graph_goes_around_what_is_empty() -> None:
    users = ring()
    start, end = np.array([1.0, 0.0]), np.array([-1.0, 0.0])
    straight, around = straight_line(start, end), graph_line(users, start, end)
    np.testing.assert_array_equal(around[[0, -1]], [start, end])
    steps = np.linalg.norm(np.diff(around, axis=0), axis=1)
    assert steps.max() < 2 * np.median(steps)
    radius = np.linalg.norm(around, axis=1)
    assert np.abs(radius - 1).max() < 0.15
    assert density_percentile(users, straight)[30:35].max() == 0
    assert np.median(density_percentile(users, around)) > 0.3


@settings(max_examples=20)
@given(seeds)
def test_the_way_back_is_the_same_way(seed) -> None:
    users = cloud(seed, 80, 3)
    there = graph_line(users, users[0], users[1], n_neighbors=12)
    back = graph_line(users, users[1], users[0], n_neighbors=12)
    np.testing.assert_allclose(there, back[::-1], atol=1e-9)


def test_parts_that_nothing_joins_have_no_graph_path() -> None:
    parts = np.vstack([cloud(0), cloud(0) + 1e4])
    with pytest.raises(SpaceError, match="each joined to 3, leads"):
        graph_line(parts, parts[0], parts[-1], n_neighbors=3)


def test_a_profile_by_neighbours_changes_little_by_little_and_is_the_user_at_a_user() -> None:
    users = ring()
    profile = neighbor_profile(users, users)
    line = graph_line(users, users[0], users[-1], n_points=2001)
    seen = profile(line)
    assert np.linalg.norm(np.diff(seen, axis=0), axis=1).max() < 0.02
    assert np.abs(profile(users[100:101]) - users[100]).max() < 0.1
    found = find_path(line, profile, n_steps=5)
    assert found.monotonicity >= 0.97
    assert found.largest_step <= 0.33


def test_density_is_a_rank_among_users() -> None:
    users = np.random.default_rng(0).standard_normal((2000, 3))
    of_users = density_percentile(users, users + 1e-9)
    assert abs(of_users.mean() - 0.5) < 0.1
    middle, far = density_percentile(users, np.array([[0.0, 0, 0], [50, 0, 0]]))
    assert middle > 0.6
    assert far == 0


def test_a_path_to_nowhere_or_of_nothing_is_refused() -> None:
    line = straight_line(np.zeros(2), np.ones(2))
    with pytest.raises(SpaceError, match="both ends have the same profile"):
        find_path(line, lambda points: 0 * points, n_steps=3)
    with pytest.raises(SpaceError, match="at least one step; found 0"):
        find_path(line, lambda points: points, n_steps=0)
