"""Tests by relabelling, the two statistics of drift on which they rest, and resampled centroids.

If two groups are alike, which of their users belongs to which is arbitrary: the share of random
relabellings under which a statistic is at least as large is an exact p-value, whatever the shape
of the crowd.
"""

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist

from segmenter.validity.lift import resampled_users

N_DRAWS = 200
N_PERMUTATIONS = 199
BATCH = 1 + N_PERMUTATIONS


def relabellings(
    n_group: int, n_other: int, *, n_permutations: int, seed: int
) -> Iterator[np.ndarray]:
    """Who belongs to the group, as it is and under random relabellings.

    Yields
    ------
    numpy.ndarray
        bool [b, n_group + n_other], in batches of which all but the last have `BATCH` rows; the
        first row of the first is the truth: the group comes first.
    """
    generator = np.random.default_rng(seed)
    truth = np.arange(n_group + n_other) < n_group
    labels = [truth]
    for _ in range(n_permutations):
        if len(labels) == BATCH:
            yield np.stack(labels)
            labels = []
        labels.append(generator.permutation(truth))
    yield np.stack(labels)


def p_value(statistics: np.ndarray) -> float:
    """Share of relabellings whose statistic is at least that of the truth, which comes first.

    References
    ----------
    Phipson and Smyth, "Permutation p-values should never be zero", 2010: the truth is one of the
    relabellings.
    """
    return float((statistics >= statistics[0] * (1 - 1e-12)).mean())


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values float64 [m] for any number of tests at once.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p_values, kind="stable")
    n_left = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(n_left * p_values[order]), 1.0)
    return adjusted


def centroid_statistics(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Squared distance between the centroids of two groups, under each labelling.

    Parameters
    ----------
    points
        float64 [n, k], whitened.
    labels
        bool [b, n], who belongs to the group.
    """
    return ((_contrast(labels) @ points) ** 2).sum(axis=1)


def energy_statistics(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Energy distance between two groups, under each labelling; 0 if they are one.

    Parameters
    ----------
    points
        float64 [n, k].
    labels
        bool [b, n], who belongs to the group.

    References
    ----------
    Szekely and Rizzo, "Energy statistics: a class of statistics based on distances", 2013:
    2 E|X - Y| - E|X - X'| - E|Y - Y'|.
    """
    contrast = _contrast(labels)
    return -np.einsum("bn,bn->b", contrast @ cdist(points, points), contrast)


def _contrast(labels: np.ndarray) -> np.ndarray:
    """Weights float64 [b, n] whose product with points is the difference of the group means."""
    n_group = labels.sum(axis=1, keepdims=True)
    return np.where(labels, 1 / n_group, -1 / (labels.shape[1] - n_group))


def resampled_centroids(points: np.ndarray, *, seed: int) -> np.ndarray:
    """Centroid of everybody, then of each bootstrap sample of users, float64 [1 + draws, k]."""
    weights = resampled_users(len(points), n_draws=N_DRAWS, seed=seed)
    return weights.T @ points / len(points)


def some_rows(points: np.ndarray, n_rows: int, *, seed: int) -> np.ndarray:
    """All rows, or so many of them drawn without replacement where there are more."""
    if len(points) <= n_rows:
        return points
    chosen = np.random.default_rng(seed).permutation(len(points))[:n_rows]
    return points[np.sort(chosen)]
