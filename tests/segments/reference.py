"""Slow and plain computations to compare the segments room with, and users to try it on."""

import numpy as np


def nearest(
    points: np.ndarray, queries: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of the nearest points: all differences, in double precision."""
    differences = points[None].astype(np.float64) - queries[:, None].astype(np.float64)
    squares = np.square(differences).sum(axis=2)
    order = squares.argsort(axis=1, kind="stable")[:, :n_neighbors]
    return order, np.sqrt(np.take_along_axis(squares, order, axis=1))


def planted_blobs(
    sizes: tuple[int, ...], *, n_dimensions: int, spread: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Users in round groups, shuffled: space float32 [n, d] and group int64 [n] from 0."""
    generator = np.random.default_rng(seed)
    centres = 4 * generator.standard_normal((len(sizes), n_dimensions))
    group = generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    noise = spread * generator.standard_normal((len(group), n_dimensions))
    return (centres[group] + noise).astype(np.float32), group
