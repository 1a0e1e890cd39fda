"""Crowds of vectors that the tests of the geometry share."""

import numpy as np
from hypothesis import strategies as st


def cloud(seed: int, n_rows: int = 60, n_dimensions: int = 5) -> np.ndarray:
    """A skewed, correlated, off-centre crowd float64 [n, d]."""
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((n_dimensions, n_dimensions))
    plain = generator.standard_normal((n_rows, n_dimensions))
    plain[:, 0] = np.exp(plain[:, 0])
    return plain @ mixing + 10 * generator.standard_normal(n_dimensions)


def affine(seed: int, n_dimensions: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A well-conditioned linear map [d, d] and an offset [d]."""
    generator = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(generator.standard_normal((n_dimensions, n_dimensions)))
    back, _ = np.linalg.qr(generator.standard_normal((n_dimensions, n_dimensions)))
    stretch = np.exp(generator.uniform(-1, 1, n_dimensions))
    return (turn * stretch) @ back, 5 * generator.standard_normal(n_dimensions)


seeds = st.integers(0, 10_000)
clouds = st.builds(cloud, seeds, st.integers(20, 120), st.integers(2, 8))
