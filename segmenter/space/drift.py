"""Drift: how far a group of users is from a target, and whether by more than chance.

Two numbers: the distance between centroids in whitened coordinates, which has a direction, and
the energy distance, which sees any change of shape. Both are corrected for what groups of their
size show by chance, so that they can be compared between groups of any size. Users are the unit
that is resampled, never events.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from segmenter.errors import SpaceError
from segmenter.space.resampling import (
    N_DRAWS,
    N_PERMUTATIONS,
    centroid_statistics,
    energy_statistics,
    holm,
    p_value,
    relabellings,
    resampled_centroids,
    some_rows,
)
from segmenter.space.whitening import Whitening, fit_whitening
from segmenter.validity.lift import Interval, interval, resampled_users

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
MIN_GROUP = 20
"""Users on either side."""
SMALL = 0.05
"""A p-value above it is not asked for more exactly."""
PERMUTATIONS_PER_TEST = 100
"""So that the smallest p-value, times all the tests that it is corrected for, is .01."""
MAX_USERS = 10_000
"""Of more users on a side a sample is measured; its interval is narrow enough for any decision."""
MAX_PAIRED_USERS = 1_000
"""The same for the energy distance, whose work is quadratic."""


@dataclass(frozen=True)
class Drift:
    """How a group differs from a target.

    Attributes
    ----------
    n_group, n_target
        Users on either side.
    distance
        Between the centroids in whitened coordinates, in spreads of the crowd, less what groups
        of this size show by chance; with its interval over users.
    distance_p
        Chance of such a distance if the groups were one.
    energy
        Energy distance in the same coordinates, without bias: around 0 for groups that are one.
    energy_p
        Chance of such an energy distance if the groups were one.
    step
        float64 [d], from the target's centroid to the group's, in the embedding's coordinates.
    """

    n_group: int
    n_target: int
    distance: Interval
    distance_p: float
    energy: Interval
    energy_p: float
    step: np.ndarray


@dataclass(frozen=True)
class SegmentDrift:
    """How a group differs from a target inside one segment.

    Attributes
    ----------
    segment
        Its label.
    group_share, target_share
        Part of the group and of the target that is in the segment.
    drift
        Inside the segment; None where either side has too few users in it.
    p
        The smaller p-value of the segment, for all segments and both statistics at once (Holm).
    """

    segment: int | str
    group_share: float
    target_share: float
    drift: Drift | None
    p: float | None


def measure_drift(
    group: np.ndarray,
    target: np.ndarray,
    *,
    whitening: Whitening | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> Drift:
    """Compare a group with a target.

    Parameters
    ----------
    group, target
        float [n, d] and [m, d]; nobody may be in both.
    whitening
        Of a crowd to which both belong alike; None whitens by the two together, which tells
        nothing where they have hardly more users than dimensions. It must not favour one of
        them, or the p-values are not what they say.
    n_permutations
        Relabellings where `N_PERMUTATIONS` do not settle that the groups are alike.
    seed
        Of relabellings, resampled users and samples.

    Raises
    ------
    SpaceError
        If a side is smaller than `MIN_GROUP`, not finite, or all are the same.

    References
    ----------
    Hotelling, "The generalization of Student's ratio", 1931 (the whitened distance); Szekely and
    Rizzo, "Energy statistics", 2013.
    """
    for what, side in (("group", group), ("target", target)):
        if len(side) < MIN_GROUP:
            message = (
                f"drift needs at least {MIN_GROUP} users on either side; found {len(side)} in the "
                f"{what}: widen it"
            )
            raise SpaceError(message)
    few = [some_rows(side, MAX_USERS, seed=seed) for side in (group, target)]
    if whitening is None:
        whitening = fit_whitening(np.vstack(few))
    sides = [whitening(side) for side in few]
    paired = [some_rows(side, MAX_PAIRED_USERS, seed=seed) for side in sides]
    return Drift(
        n_group=len(group),
        n_target=len(target),
        distance=_distance(sides[0], sides[1], seed=seed),
        distance_p=_chance(centroid_statistics, sides, n_permutations=n_permutations, seed=seed),
        energy=_energy(paired[0], paired[1], seed=seed),
        energy_p=_chance(energy_statistics, paired, n_permutations=n_permutations, seed=seed),
        step=group.mean(axis=0, dtype=np.float64) - target.mean(axis=0, dtype=np.float64),
    )


def _chance(
    statistic: Statistic, sides: list[np.ndarray], *, n_permutations: int, seed: int
) -> float:
    """P-value of a statistic by relabelling; more relabellings where the first find it small."""
    points, sizes = np.vstack(sides), (len(sides[0]), len(sides[1]))
    first = p_value(
        statistic(points, next(relabellings(*sizes, n_permutations=N_PERMUTATIONS, seed=seed)))
    )
    if first > SMALL or n_permutations <= N_PERMUTATIONS:
        return first
    batches = relabellings(*sizes, n_permutations=n_permutations, seed=seed)
    return p_value(np.concatenate([statistic(points, labels) for labels in batches]))


def _distance(group: np.ndarray, target: np.ndarray, *, seed: int) -> Interval:
    """Whitened distance between centroids, less its bias; resampling adds the bias once more."""
    chance = sum(float(side.var(axis=0, ddof=1).sum()) / len(side) for side in (group, target))
    apart = resampled_centroids(group, seed=seed) - resampled_centroids(target, seed=seed + 1)
    squares = (apart**2).sum(axis=1)
    squares -= np.where(np.arange(len(squares)) == 0, chance, 2 * chance)
    return interval(np.sqrt(np.maximum(squares, 0)))


def _energy(group: np.ndarray, target: np.ndarray, *, seed: int) -> Interval:
    """Energy distance without pairs of a user with itself, of everybody and of resampled users."""
    one = resampled_users(len(group), n_draws=N_DRAWS, seed=seed)
    other = resampled_users(len(target), n_draws=N_DRAWS, seed=seed + 1)
    across = _mean_pair(cdist(group, target), one, other) / (len(group) * len(target))
    inside = [
        _mean_pair(cdist(side, side), weights, weights)
        / (len(side) ** 2 - (weights**2).sum(axis=0))
        for side, weights in ((group, one), (target, other))
    ]
    return interval(2 * across - inside[0] - inside[1])


def _mean_pair(distances: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sum of the distances of all pairs under each column of weights, float64 [1 + draws]."""
    return np.einsum("nb,nb->b", one, distances @ other)


def drift_by_segment(
    group: np.ndarray,
    target: np.ndarray,
    *,
    group_segments: np.ndarray,
    target_segments: np.ndarray,
    whitening: Whitening | None = None,
    seed: int = 0,
) -> tuple[SegmentDrift, ...]:
    """Compare inside each segment: what happens to one of them hides in the whole.

    Parameters
    ----------
    group, target
        float [n, d] and [m, d].
    group_segments, target_segments
        int64 or text [n] and [m], segment of each user.
    whitening
        As in `measure_drift`; None whitens by all users of both.
    seed
        As in `measure_drift`.

    Returns
    -------
    tuple of SegmentDrift
        Every segment that either side has, ascending.
    """
    if whitening is None:
        whitening = fit_whitening(np.vstack([group, target]))
    sides = ((group, group_segments), (target, target_segments))
    labels = np.union1d(group_segments, target_segments).tolist()
    inside = {
        label: tuple(points[segments == label] for points, segments in sides) for label in labels
    }
    tested = [label for label in labels if min(map(len, inside[label])) >= MIN_GROUP]
    n_permutations = 2 * len(tested) * PERMUTATIONS_PER_TEST - 1
    found: dict[int | str, Drift | None] = dict.fromkeys(labels)
    for label in tested:
        found[label] = measure_drift(
            *inside[label], whitening=whitening, n_permutations=n_permutations, seed=seed
        )
    adjusted = _together(found)
    return tuple(
        SegmentDrift(
            segment=label,
            group_share=float((group_segments == label).mean()),
            target_share=float((target_segments == label).mean()),
            drift=drift,
            p=adjusted.get(label),
        )
        for label, drift in found.items()
    )


def _together(found: dict[int | str, Drift | None]) -> dict[int | str, float]:
    """The smaller of each segment's two p-values, corrected for all of them."""
    tested = {label: drift for label, drift in found.items() if drift is not None}
    raw = [p for drift in tested.values() for p in (drift.distance_p, drift.energy_p)]
    adjusted = holm(np.array(raw)).reshape(-1, 2).min(axis=1)
    return dict(zip(tested, adjusted.tolist(), strict=True))
