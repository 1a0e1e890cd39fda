"""The density of users: where it is fitted, what it draws, when it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import multivariate_normal

from segmenter.errors import SpaceError
from segmenter.generation.density import _log_likelihood, fit_density


def crowd(n: int = 400, *, seed: int = 0) -> np.ndarray:
    """Three groups of different spread on a plane of eight dimensions."""
    generator = np.random.default_rng(seed)
    centres = np.zeros((3, 8))
    centres[:, :2] = [[0, 0], [12, 0], [0, 12]]
    group = generator.integers(0, 3, n)
    noise = generator.normal(size=(n, 8)) * np.array([1, 0.5, *[0.05] * 6])
    return (centres[group] + noise * (1 + group[:, None])).astype(np.float32)


def test_points_lie_like_users() -> None:
    users = crowd()
    points = fit_density(users, seed=0).draw(4_000, generator=np.random.default_rng(0))
    spread = users.std(axis=0)
    assert (np.abs(points.mean(axis=0) - users.mean(axis=0)) < 0.15 * spread).all()
    assert np.allclose(points.std(axis=0) / spread, 1, atol=0.2)


def test_points_off_the_data_are_told() -> None:
    users = crowd()
    density = fit_density(users, seed=0)
    assert density.off_data(users).mean() <= 0.02
    assert density.off_data(users + 30.0).all()


@settings(max_examples=3)
@given(seed=st.integers(0, 1000))
def test_the_same_seed_draws_the_same_points(seed: int) -> None:
    users = crowd(120)
    first, second = (
        fit_density(users, seed=seed).draw(7, generator=np.random.default_rng(seed)) for _ in "12"
    )
    assert (first == second).all()


def test_the_likelihood_is_that_of_a_mixture() -> None:
    generator = np.random.default_rng(0)
    means = generator.normal(size=(3, 2))
    factors = np.linalg.cholesky(np.stack([np.eye(2) * size for size in (0.5, 1.0, 2.0)]))
    points = generator.normal(size=(20, 2))
    each = [
        multivariate_normal(mean, factor @ factor.T).pdf(points)
        for mean, factor in zip(means, factors, strict=True)
    ]
    expected = np.log(np.mean(each, axis=0)).mean()
    assert _log_likelihood(points, means, factors) == pytest.approx(expected)


def test_a_density_is_moved_and_scaled_with_its_users() -> None:
    users = crowd(200).astype(np.float64)
    plain, moved = fit_density(users, seed=0), fit_density(5 * users + 3, seed=0)
    points = plain.draw(50, generator=np.random.default_rng(1))
    others = moved.draw(50, generator=np.random.default_rng(1))
    assert np.allclose(5 * points + 3, others, atol=1e-6)


def test_fewer_than_fifty_users_have_no_density() -> None:
    with pytest.raises(SpaceError, match="at least 50 users; found 49"):
        fit_density(crowd(49), seed=0)
