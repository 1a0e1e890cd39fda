"""A spectrum of real members between two poles: one thing changes, the rest stays as it was.

Members near a straight line between the poles change in everything at once. Here each step is the
member at a quantile of the axis whose remainder, the axis taken away, is nearest to an anchor's.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.errors import SpaceError
from segmenter.space.neighbors import nearest_rows

SPAN = (0.02, 0.98)
"""Quantiles of the axis at which a spectrum begins and ends."""


@dataclass(frozen=True)
class Spectrum:
    """Members from one pole to the other.

    Attributes
    ----------
    rows
        int64 [s], each once.
    positions
        float64 [s], on the axis, in spreads of the crowd around its mean.
    largest_step
        Of the positions, as a share of the way from the first to the last: 1 / (s - 1) is even.
    range_used
        Share of the crowd's range on the axis that the spectrum covers.
    apart
        Mean distance of the remainders to the anchor's, as a share of that of random members.
    """

    rows: np.ndarray
    positions: np.ndarray
    largest_step: float
    range_used: float
    apart: float


def anchored_spectrum(
    vectors: np.ndarray, axis: np.ndarray, *, anchor: int | None = None, n_steps: int = 11
) -> Spectrum:
    """Pick members at even quantiles of an axis that are otherwise like one of them.

    Parameters
    ----------
    vectors
        float [n, d].
    axis
        float [d], from one pole to the other.
    anchor
        Row of the member that the others shall be like; None takes the most ordinary one.
    n_steps
        Members to pick, at least 2.

    Raises
    ------
    SpaceError
        If there are fewer members than steps, or the axis has no length or no spread.
    """
    if not 2 <= n_steps <= len(vectors):
        message = f"a spectrum needs 2 steps or more and a member for each; found {n_steps} steps"
        raise SpaceError(message)
    points = np.asarray(vectors, np.float64)
    positions, remainders = along(points, axis)
    if anchor is None:
        anchor = int(np.argmin(np.linalg.norm(remainders, axis=1)))
    distances = np.linalg.norm(remainders - remainders[anchor], axis=1)
    order = np.argsort(positions, kind="stable")
    half = max(len(points) // (2 * n_steps), 1)
    free = np.ones(len(points), dtype=bool)
    chosen: list[int] = []
    for place in np.linspace(SPAN[0], SPAN[1], n_steps) * (len(points) - 1):
        window = order[max(round(place) - half, 0) : round(place) + half + 1]
        window = window[free[window]] if free[window].any() else order[free[order]]
        best = int(window[np.argmin(distances[window])])
        free[best] = False
        chosen.append(best)
    rows = np.array(chosen)
    rows = rows[np.argsort(positions[rows], kind="stable")]
    return _measured(rows, positions, distances)


def along(vectors: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where members lie on an axis, in spreads of the crowd, and what is left without it.

    Everything that goes along with the position is taken away: an axis from words is not quite
    the one on which the members differ, and what it misses would pin the position down again.

    Parameters
    ----------
    vectors
        float [n, d].
    axis
        float [d].

    Returns
    -------
    tuple
        float64 [n], 0 on average and of spread 1, and float64 [n, d], uncorrelated with it.

    Raises
    ------
    SpaceError
        If the axis has no length, or all members lie at one place of it.
    """
    length = float(np.linalg.norm(axis))
    points = np.asarray(vectors, np.float64)
    unit = np.asarray(axis, np.float64) / (length or 1.0)
    centred = points - points.mean(axis=0)
    raw = centred @ unit
    spread = float(raw.std())
    if length == 0 or spread == 0:
        message = "an axis must tell members apart; all lie at one place of it: take other poles"
        raise SpaceError(message)
    positions = raw / spread
    slopes = positions @ centred / len(points)
    return positions, centred - positions[:, None] * slopes


def random_spectrum(
    vectors: np.ndarray, axis: np.ndarray, *, n_steps: int = 11, seed: int = 0
) -> Spectrum:
    """The control: as many random members, in random order; as `anchored_spectrum`."""
    positions, remainders = along(np.asarray(vectors, np.float64), axis)
    rows = np.random.default_rng(seed).permutation(len(vectors))[:n_steps]
    distances = np.linalg.norm(remainders, axis=1)
    return _measured(rows, positions, distances)


def _measured(rows: np.ndarray, positions: np.ndarray, distances: np.ndarray) -> Spectrum:
    found = positions[rows]
    reached = float(found.max() - found.min())
    whole = float(positions.max() - positions.min())
    return Spectrum(
        rows=rows,
        positions=found,
        largest_step=float(np.abs(np.diff(found)).max() / reached) if reached else 1.0,
        range_used=reached / whole,
        apart=float(distances[rows].mean() / max(distances.mean(), np.finfo(float).tiny)),
    )


def nearest_members(vectors: np.ndarray, points: np.ndarray, *, without: np.ndarray) -> np.ndarray:
    """The member nearest to each point, int64 [m], but not the one that it was moved from.

    Parameters
    ----------
    vectors
        float [n, d].
    points
        float [m, d].
    without
        int64 [m], row that each point was moved from.
    """
    rows, _ = nearest_rows(vectors, points, k=2)
    return np.where(rows[:, 0] == without, rows[:, 1], rows[:, 0])
