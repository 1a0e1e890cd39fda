"""The map of a library: two dimensions to look at, and never to measure on."""

from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT, EDGE = 1000.0, 620.0, 30.0
COLUMNS, ROWS = 14, 9
"""One thumbnail stands for each cell of such a grid that has pictures."""


@dataclass(frozen=True)
class MapView:
    """Where pictures stand.

    Attributes
    ----------
    points
        float64 [n, 2], in a box of `WIDTH` by `HEIGHT`.
    shown
        int64, rows that a thumbnail is shown of.
    share
        Part of the vectors' variance that the two dimensions hold.
    """

    points: np.ndarray
    shown: np.ndarray
    share: float


def lay_out(vectors: np.ndarray) -> MapView:
    """Place pictures by their first two principal components.

    Parameters
    ----------
    vectors
        float [n, d].

    References
    ----------
    Pearson, "On lines and planes of closest fit to systems of points in space", 1901.
    """
    centred = np.asarray(vectors, np.float64) - vectors.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred)
    flat = centred @ axes[:, ::-1][:, :2]
    if flat.shape[1] < 2:
        flat = np.hstack([flat, np.zeros((len(flat), 2 - flat.shape[1]))])
    low, high = flat.min(axis=0), flat.max(axis=0)
    way = (flat - low) / np.where(high > low, high - low, 1.0)
    points = EDGE + way * (np.array([WIDTH, HEIGHT]) - 2 * EDGE)
    cells = np.minimum((way * [COLUMNS, ROWS]).astype(np.int64), [COLUMNS - 1, ROWS - 1])
    middles = (cells + 0.5) / [COLUMNS, ROWS]
    order = np.argsort(np.linalg.norm(way - middles, axis=1), kind="stable")
    _, first = np.unique(cells[order] @ [1, COLUMNS], return_index=True)
    share = float(variances[-2:].sum() / max(variances.sum(), np.finfo(float).tiny))
    return MapView(points.round(1), order[first], share)
