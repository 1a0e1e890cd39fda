"""Toward a target: a group that comes closer and stays itself otherwise.

In whitened coordinates everything across the line from the group to the target is uncorrelated
with the line. That part, what is local about the group, is held fixed; only the way along the
line is gone.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.errors import SpaceError
from segmenter.space.resampling import resampled_centroids
from segmenter.space.whitening import Whitening
from segmenter.validity.lift import Interval, interval


@dataclass(frozen=True)
class Movement:
    """How a group has moved with respect to a target, in spreads of the crowd.

    Attributes
    ----------
    before, now
        Distance of the group's centroid to the target's, then and now.
    change
        Now less before: below 0 it came closer.
    toward
        Part of the movement that led to the target.
    aside
        Length of the part that led elsewhere.
    """

    before: Interval
    now: Interval
    change: Interval
    toward: Interval
    aside: Interval


def movement(
    before: np.ndarray, now: np.ndarray, target: np.ndarray, *, whitening: Whitening, seed: int = 0
) -> Movement:
    """How a group moved between two times.

    Parameters
    ----------
    before, now
        float [n, d] and [m, d], the group's users then and now; they need not be the same.
    target
        float [l, d].
    whitening
        Of the crowd.
    seed
        Of the resampled users.
    """
    start, end, aim = (
        resampled_centroids(whitening(points), seed=seed + place)
        for place, points in enumerate((before, now, target))
    )
    line, gone = aim - start, end - start
    far, near = np.linalg.norm(line, axis=1), np.linalg.norm(aim - end, axis=1)
    toward = np.einsum("bk,bk->b", gone, line) / np.maximum(far, np.finfo(float).tiny)
    aside = np.sqrt(np.maximum((gone**2).sum(axis=1) - toward**2, 0))
    parts = (interval(figures) for figures in (far, near, near - far, toward, aside))
    return Movement(*parts)


def adherence(
    points: np.ndarray, group: np.ndarray, target: np.ndarray, *, whitening: Whitening
) -> np.ndarray:
    """How far points float [n, d] lie on the way: 0 at the group's centroid, 1 at the target's."""
    start, line = _line(group, target, whitening)
    return (whitening(points) - start) @ line / (line @ line)


def sample_toward(
    group: np.ndarray,
    target: np.ndarray,
    *,
    whitening: Whitening,
    amount: float,
    n_points: int,
    spread: float = 0.2,
    seed: int = 0,
) -> np.ndarray:
    """Points like those of a group, a part of the way to a target.

    Parameters
    ----------
    group, target
        float [n, d] and [m, d].
    whitening
        Of the crowd.
    amount
        0 stays, 1 goes all the way.
    n_points
        How many.
    spread
        Of the noise around the users that the points are drawn from, in spreads of the group: 0
        repeats users. The points as a whole keep the group's mean and covariance.
    seed
        Of the draw; with the same seed only the way along the line differs between amounts.

    Returns
    -------
    numpy.ndarray
        float64 [n_points, d].

    Raises
    ------
    SpaceError
        If the group and the target have one centroid.

    References
    ----------
    Silverman and Young, "The bootstrap: to smooth or not to smooth?", 1987 (the shrunken smoothed
    bootstrap).
    """
    start, line = _line(group, target, whitening)
    generator = np.random.default_rng(seed)
    centred = whitening(group) - start
    drawn = centred[generator.integers(0, len(centred), n_points)]
    # A random mixture of users has the group's covariance, however few users there are.
    mixture = generator.standard_normal((n_points, len(centred))) / np.sqrt(len(centred))
    local = (drawn + spread * mixture @ centred) / np.sqrt(1 + spread**2)
    return whitening.back(start + local + amount * line)


def _line(
    group: np.ndarray, target: np.ndarray, whitening: Whitening
) -> tuple[np.ndarray, np.ndarray]:
    """The group's centroid and the step to the target's, whitened."""
    start, end = whitening(group).mean(axis=0), whitening(target).mean(axis=0)
    if np.allclose(start, end, rtol=0, atol=1e-9):
        message = "there is no way from a group to a target with the same centroid; take another"
        raise SpaceError(message)
    return start, end - start
