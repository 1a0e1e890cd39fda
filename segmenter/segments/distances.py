"""Distances of users to a few prototypes, the same for a user alone and in any batch."""

import numpy as np

CHUNK_CELLS = 4_000_000
"""Greatest number of doubles in one block of differences (32 MB)."""


def squared_distances(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Squared distance of each point to each centroid, row by row independent of other rows.

    Parameters
    ----------
    points
        float [n, d].
    centroids
        float64 [k, d].

    Returns
    -------
    numpy.ndarray
        float64 [n, k].
    """
    result = np.empty((len(points), len(centroids)))
    size = max(1, CHUNK_CELLS // max(centroids.size, 1))
    for start in range(0, len(points), size):
        block = points[start : start + size, None, :].astype(np.float64) - centroids
        result[start : start + size] = np.square(block, out=block).sum(axis=2)
    return result


def nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Place of the nearest centroid of each point, int64 [n]; the first where several are."""
    return squared_distances(points, centroids).argmin(axis=1)
