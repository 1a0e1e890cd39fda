"""Exact search: every vector is looked at, block by block, so a file may be larger than memory.

An audience query asks for the nearest one to ten of a hundred users, thousands at least: there a
scan is faster than any index, exact, filterable and the same every time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segmenter.errors import SpaceError
from segmenter.segments.distances import squared_distances
from segmenter.space.whitening import BLOCK_ROWS

BLOCK_POINTS = 256
"""Points whose distances to a block of rows are in memory at once: 32 MB."""
Metric = Literal["cosine", "dot", "euclidean"]


@dataclass(frozen=True)
class Ranking:
    """Some rows of a table of vectors, the best first.

    Attributes
    ----------
    rows
        int64 [k].
    scores
        float64 [k], descending; rows of equal score ascend.
    """

    rows: np.ndarray
    scores: np.ndarray


def score_rows(vectors: np.ndarray, query: np.ndarray, *, metric: Metric = "cosine") -> np.ndarray:
    """Score of every vector for one query; higher is nearer.

    Parameters
    ----------
    vectors
        float [n, d]; may be memory-mapped, and is read once by blocks.
    query
        float [d].
    metric
        ``dot`` (inner product), ``cosine`` in [-1, 1] (0 for a vector of length 0), or
        ``euclidean`` (minus the distance).

    Returns
    -------
    numpy.ndarray
        float32 [n].

    Raises
    ------
    SpaceError
        If the query has another length than the vectors.
    """
    if query.shape != vectors.shape[1:]:
        message = (
            f"a query must have the shape {vectors.shape[1:]} of one vector; found {query.shape}"
        )
        raise SpaceError(message)
    score = _scorer(query, metric)
    scores = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        scores[start:stop] = score(vectors[start:stop])
    return scores


def _scorer(query: np.ndarray, metric: Metric) -> Callable[[np.ndarray], np.ndarray]:
    """The score of a block [m, d] for a query."""
    if metric == "euclidean":
        place = query.astype(np.float64)[None]
        return lambda block: -np.sqrt(squared_distances(block, place)[:, 0])
    towards = query.astype(np.float32)
    if metric == "dot":
        return lambda block: block @ towards
    length = float(np.linalg.norm(query))
    unit = (query / length).astype(np.float32) if length else towards

    def cosine(block: np.ndarray) -> np.ndarray:
        lengths = np.sqrt(np.einsum("nd,nd->n", block, block))
        return np.divide(block @ unit, lengths, out=np.zeros(len(block)), where=lengths > 0)

    return cosine


def top(
    scores: np.ndarray,
    *,
    k: int | None = None,
    share: float | None = None,
    allowed: np.ndarray | None = None,
) -> Ranking:
    """The best rows by score.

    Parameters
    ----------
    scores
        float [n], higher is better.
    k
        How many rows; fewer where fewer are allowed.
    share
        Or which part of the allowed rows, in (0, 1]; at least one.
    allowed
        bool [n], who may be among them; None allows everybody.

    Raises
    ------
    SpaceError
        If neither or both of `k` and `share` are given, one is out of range, or nobody is
        allowed.
    """
    rows = np.arange(len(scores)) if allowed is None else np.flatnonzero(allowed)
    wanted = min(_wanted(len(rows), k, share), len(rows))
    found = scores if allowed is None else scores[rows]
    if wanted < len(rows):
        # Everything above the last place's score, and of its equals the first rows.
        last = np.partition(found, len(found) - wanted)[len(found) - wanted]
        above = np.flatnonzero(found > last)
        equal = np.flatnonzero(found == last)[: wanted - len(above)]
        chosen = np.concatenate([above, equal])
    else:
        chosen = np.arange(len(rows))
    best = chosen[np.lexsort((chosen, -found[chosen]))]
    return Ranking(rows[best], found[best].astype(np.float64))


def _wanted(n_allowed: int, k: int | None, share: float | None) -> int:
    """How many rows are asked for."""
    if n_allowed == 0:
        message = "a search must leave somebody to find; the filters leave nobody: widen them"
        raise SpaceError(message)
    if share is not None and k is None and 0 < share <= 1:
        return max(round(share * n_allowed), 1)
    if k is not None and share is None and k >= 1:
        return k
    message = (
        "a search must ask for a number of at least 1 or for a share in (0, 1]; "
        f"found k={k}, share={share}"
    )
    raise SpaceError(message)


def nearest_rows(
    vectors: np.ndarray, points: np.ndarray, *, k: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest vectors of each of several points.

    Parameters
    ----------
    vectors
        float [n, d]; may be memory-mapped, and is read once by blocks.
    points
        float [q, d].
    k
        Vectors per point; fewer where fewer are allowed.
    allowed
        bool [n]; None allows everybody.

    Returns
    -------
    tuple
        Rows int64 [q, k] and distances float64 [q, k], ascending; of rows at one distance the
        first comes first.

    Raises
    ------
    SpaceError
        If `k` is below 1 or nobody is allowed.
    """
    candidates = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    wanted = min(_wanted(len(candidates), k, None), len(candidates))
    parts = [
        _nearest(vectors, points[start : start + BLOCK_POINTS], candidates, k=wanted)
        for start in range(0, max(len(points), 1), BLOCK_POINTS)
    ]
    return np.vstack([rows for rows, _ in parts]), np.sqrt(np.vstack([far for _, far in parts]))


def _nearest(
    vectors: np.ndarray, points: np.ndarray, candidates: np.ndarray, *, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and squared distances of the nearest candidates of a few points."""
    places = np.asarray(points, dtype=np.float64)
    rows = np.empty((len(places), 0), dtype=np.int64)
    squares = np.empty((len(places), 0))
    for start in range(0, len(candidates), BLOCK_ROWS):
        block = candidates[start : start + BLOCK_ROWS]
        found = squared_distances(vectors[block], places).T
        squares = np.hstack([squares, found])
        rows = np.hstack([rows, np.broadcast_to(block, found.shape)])
        best = _smallest(squares, min(k, squares.shape[1]))
        squares = np.take_along_axis(squares, best, axis=1)
        rows = np.take_along_axis(rows, best, axis=1)
    return rows, squares


def _smallest(values: np.ndarray, k: int) -> np.ndarray:
    """Places of the k smallest of each row [q, m], ascending; the first of equals first."""
    if k == values.shape[1]:
        return np.argsort(values, axis=1, kind="stable")
    places = np.sort(np.argpartition(values, k - 1, axis=1)[:, :k], axis=1)
    last = np.take_along_axis(values, places, axis=1).max(axis=1, keepdims=True)
    for row in np.flatnonzero((values <= last).sum(axis=1) > k):  # equals at the border
        places[row] = np.sort(np.argsort(values[row], kind="stable")[:k])
    order = np.argsort(np.take_along_axis(values, places, axis=1), axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1)
