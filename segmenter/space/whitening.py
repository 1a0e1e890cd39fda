"""Coordinates in which the crowd has unit spread in every direction.

Directions, drift and look-alikes are measured there: a step counts by how unusual it is, not by
the units in which an encoder happens to write. What is decoded stays in the original coordinates,
so every whitening can be undone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segmenter.errors import SpaceError

BLOCK_ROWS = 16_384
"""Rows that are in memory at once: 4 MB of 64 float32."""
FLAT = 1e-9
"""A direction with less than this share of the widest one's variance holds nobody apart."""


@dataclass(frozen=True)
class Whitening:
    """An affine map to whitened coordinates, and back.

    Attributes
    ----------
    mean
        float64 [d], the middle of the crowd.
    axes
        float64 [d, k], its principal directions, orthonormal, the widest first.
    scales
        float64 [k], by which the coordinate along each is divided.
    """

    mean: np.ndarray
    axes: np.ndarray
    scales: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Whitened coordinates float64 [n, k] of points float [n, d]."""
        return self.step(np.asarray(points, dtype=np.float64) - self.mean)

    def step(self, steps: np.ndarray) -> np.ndarray:
        """Steps float64 [.., k] between whitened points, of steps between points, [.., d]."""
        return np.asarray(steps, dtype=np.float64) @ (self.axes / self.scales)

    def back(self, whitened: np.ndarray) -> np.ndarray:
        """Points float64 [n, d] of whitened coordinates float [n, k]."""
        return self.back_step(whitened) + self.mean

    def back_step(self, steps: np.ndarray) -> np.ndarray:
        """Steps float64 [.., d] between points, of steps between whitened points, [.., k]."""
        return np.asarray(steps) @ (self.axes * self.scales).T

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything there is to save."""
        return {"mean": self.mean, "axes": self.axes, "scales": self.scales}


def fit_whitening(vectors: np.ndarray, *, shrinkage: float = 0.0, power: float = 1.0) -> Whitening:
    """Learn to whiten from a crowd.

    Parameters
    ----------
    vectors
        float [n, d], n at least 2; may be memory-mapped, and is read twice by blocks.
    shrinkage
        In [0, 1]: part of each direction's variance that is replaced by the mean variance. At 0
        distances do not change under any invertible affine map of the vectors; above it, thin
        directions are blown up less.
    power
        In [0, 1]: 1 whitens, 0 only turns and centres.

    Raises
    ------
    SpaceError
        If there are fewer than two vectors, some are not finite, or all are the same.

    References
    ----------
    Kessy, Lewin, Strimmer, "Optimal whitening and decorrelation", 2018 (PCA whitening); Ledoit
    and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004 (the
    target of the shrinkage).
    """
    mean, covariance = moments(vectors)
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[::-1], axes[:, ::-1]
    spread = variances > FLAT * max(variances[0], 0.0)
    if not spread.any():
        message = f"embeddings must differ; found {len(vectors):,} at one place"
        raise SpaceError(message)
    kept = variances[spread]
    shrunk = (1 - shrinkage) * kept + shrinkage * kept.mean()
    return Whitening(mean, axes[:, spread].copy(), shrunk ** (power / 2))


def moments(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean float64 [d] and covariance float64 [d, d] of vectors, read by blocks.

    Raises
    ------
    SpaceError
        If there are fewer than two vectors, or some are not finite.
    """
    if vectors.ndim != 2 or len(vectors) < 2:
        message = f"embeddings must be a table of at least two vectors; found {vectors.shape}"
        raise SpaceError(message)
    mean = sum(block.sum(axis=0) for block in _blocks(vectors)) / len(vectors)
    if not np.isfinite(mean).all():
        message = "embeddings must be finite numbers; found NaN or infinity; leave those rows out"
        raise SpaceError(message)
    products = np.zeros((vectors.shape[1], vectors.shape[1]))
    for block in _blocks(vectors):
        centred = block - mean
        products += centred.T @ centred
    return mean, products / (len(vectors) - 1)


def _blocks(vectors: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(vectors), BLOCK_ROWS):
        yield vectors[start : start + BLOCK_ROWS].astype(np.float64)
