"""Segments of embeddings that come without a model, refitted where a space has changed."""

from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

Assign = Callable[[np.ndarray], np.ndarray]
"""Vectors float64 [n, d] of the same users to segments int64 [n]."""
N_STARTS = 3


def settled_segments(vectors: np.ndarray, *, n_segments: int, seed: int) -> Assign:
    """Segments by KMeans, and how they settle in a changed copy of the space.

    Parameters
    ----------
    vectors
        float [n, d].
    n_segments
        How many.
    seed
        Of the start.

    Returns
    -------
    callable
        Changed vectors of the same users to segments: the segments' members give the centroids,
        which then settle among all. A segment keeps its number.
    """
    with threadpool_limits(1, "openmp"):
        label = KMeans(n_segments, n_init=N_STARTS, random_state=seed).fit_predict(vectors)

    def assign(changed: np.ndarray) -> np.ndarray:
        centroids = np.stack([changed[label == one].mean(axis=0) for one in np.unique(label)])
        with threadpool_limits(1, "openmp"):
            return KMeans(len(centroids), init=centroids, n_init=1).fit_predict(changed)

    return assign
