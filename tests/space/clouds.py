"""Crowds of vectors that the tests of the geometry share."""

import numpy as np
import polars as pl
from hypothesis import strategies as st

from segmenter.space.latent_space import LatentSpace

N_USERS = 600


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


def people(seed: int = 0) -> LatentSpace:
    """Users whose age and spend show in their vectors, and what is known of them."""
    generator = np.random.default_rng(seed)
    old = generator.random(N_USERS) < 0.4
    vectors = generator.standard_normal((N_USERS, 5)).astype(np.float32)
    vectors[:, 0] += 2 * old
    spend = np.round(np.exp(vectors[:, 1] + 0.2 * generator.standard_normal(N_USERS)), 3)
    metadata = pl.DataFrame(
        {
            "age": np.where(old, "65+", "19-24"),
            "spend": spend,
            "segment_id": (vectors[:, 2] > 0).astype(str),
            "known": pl.Series(generator.random(N_USERS) < 0.5),
        }
    ).with_columns(age=pl.when(pl.int_range(pl.len()) % 10 != 0).then("age"))
    ids = pl.Series([f"u{row}" for row in range(N_USERS)])
    return LatentSpace(ids, vectors, metadata)
