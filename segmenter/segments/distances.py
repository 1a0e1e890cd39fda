"""Distances of users to a few prototypes, the same for a user alone and in any batch."""

import numpy as np
from scipy.spatial.distance import cdist


def squared_distances(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Squared distance of each point to each centroid, row by row independent of other rows.

    Parameters
    ----------
    points
        float [n, d], in any memory order.
    centroids
        float64 [k, d].

    Returns
    -------
    numpy.ndarray
        float64 [n, k]. Differences are squared and added up one coordinate after the other; a
        matrix product would be faster, but rounds by how the rows are blocked.
    """
    return cdist(points, centroids, "sqeuclidean")


def nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Place of the nearest centroid of each point, int64 [n]; the first where several are."""
    return squared_distances(points, centroids).argmin(axis=1)
