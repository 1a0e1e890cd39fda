"""How far each of several groups is from targets that all of them share, and which differ.

The distance is measured on the axis that separates targets from others inside groups. A raw
distance between centroids also counts what is merely local about a group; it is given as the
control. Every interval estimates everything anew, the axis too.

Resampling does not see one error: what is local about a group may leak into the axis. Attributes
whose share in every group is known show how large that error is, since a group's place on *their*
axes can be held against the truth (Schuemie et al., "Interpreting observational studies: why
empirical calibration is needed to correct p-values", 2014).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segmenter.errors import SpaceError
from segmenter.space.within import cell_means, matched_basis, within_group_axis, without
from segmenter.validity.lift import Interval, interval, resampled_users

MIN_GROUP = 10
N_DRAWS = 200
CONFIDENCE_Z = 1.96
WARN_TARGETS = 20
"""A group with fewer targets hardly has a say in the axis."""


@dataclass(frozen=True)
class GroupPlace:
    """One group.

    Attributes
    ----------
    name
        Of the group.
    n_members, n_targets
        Members, and targets among them.
    drift
        From the group's mean to the targets' on the axis, in spreads of a group's members.
    kept
        Distance to the targets' centroid without what is local, less what groups of this size
        show by chance. What is local about a group of few members is itself uncertain; then look
        at the drift, which has no such bias.
    raw
        Distance to the targets' centroid as it is: the control.
    """

    name: str
    n_members: int
    n_targets: int
    drift: Interval
    kept: float
    raw: float


@dataclass(frozen=True)
class GroupDifference:
    """Two groups compared.

    Attributes
    ----------
    one, other
        Names.
    difference
        Drift of the one less that of the other, with its interval over members.
    margin
        What the difference must exceed to be called one: the error over members and that of what
        is local together.
    different
        Whether it does.
    """

    one: str
    other: str
    difference: Interval
    margin: float
    different: bool


@dataclass(frozen=True)
class GroupDrift:
    """The drift of all groups.

    Attributes
    ----------
    groups
        The farthest first.
    differences
        Every pair.
    local_error
        Standard error of a difference between two groups that comes from what is local, in the
        unit of the drift; None where no known attribute could tell.
    n_controls
        Attributes that told.
    order_stability
        Share of resamples in which the order of the groups is the same.
    axis
        float64 [d], of unit length, toward the targets.
    basis
        float64 [r, d], what is local.
    target
        float64 [d], centroid of the targets, every group alike.
    spread
        Of a group's members on the axis: the unit of the drift.
    """

    groups: tuple[GroupPlace, ...]
    differences: tuple[GroupDifference, ...]
    local_error: float | None
    n_controls: int
    order_stability: float
    axis: np.ndarray
    basis: np.ndarray
    target: np.ndarray
    spread: float


def measure_group_drift(
    points: np.ndarray,
    groups: np.ndarray,
    targets: np.ndarray,
    *,
    others: np.ndarray | None = None,
    controls: Sequence[np.ndarray] = (),
    units: np.ndarray | None = None,
    seed: int = 0,
) -> GroupDrift:
    """Compare groups by their distance to targets.

    Parameters
    ----------
    points
        float [n, d].
    groups
        Text [n].
    targets
        bool [n], members of any group that the groups are compared with.
    others
        bool [n], members that are known to be no targets; None takes everybody else.
    controls
        float64 [n] each: known attributes, 0 and 1 or numbers, none of which is a name for the
        groups or the targets; NaN where not known.
    units
        [n], what members belong together, such as a campaign: they are drawn together.
    seed
        Of the draws.

    Raises
    ------
    SpaceError
        If there are fewer than two groups, one has fewer than `MIN_GROUP` members, or no group
        has enough targets and others.
    """
    plain = np.asarray(points, np.float64)
    names, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    counts = np.bincount(codes)
    if len(names) < 2 or counts.min() < MIN_GROUP:
        message = (
            f"drift needs two groups or more of at least {MIN_GROUP} members; found "
            f"{', '.join(f'{name}: {n}' for name, n in zip(names, counts, strict=True))}"
        )
        raise SpaceError(message)
    sides = targets, ~targets if others is None else others
    cells = cell_means(plain, codes, sides, weights=_drawn(codes, units, seed=seed))
    axes, centroids = cells.axes, cells.targets.mean(axis=1)
    spread = _spread(plain, codes, axes[0])
    drift = np.einsum("bgd,bd->bg", centroids[:, None] - cells.groups, axes) / spread
    basis = matched_basis(plain, codes, axes[0])
    kept = _kept(plain, codes, sides[0], basis=basis)
    told = np.array(_control_errors(plain, codes, _complete(controls, codes)))
    local = float(np.sqrt(max(told.mean(), 0.0))) if len(told) else None
    places = [
        GroupPlace(
            name=str(name),
            n_members=int(counts[code]),
            n_targets=int((targets & (codes == code)).sum()),
            drift=interval(drift[:, code]),
            kept=float(kept[code]),
            raw=float(np.linalg.norm(centroids[0] - cells.groups[0, code])),
        )
        for code, name in enumerate(names)
    ]
    orders = np.argsort(drift, axis=1)
    return GroupDrift(
        groups=tuple(sorted(places, key=lambda place: -place.drift.value)),
        differences=_differences(names, drift, local),
        local_error=local,
        n_controls=len(told),
        order_stability=float((orders[1:] == orders[0]).all(axis=1).mean()),
        axis=axes[0],
        basis=basis,
        target=centroids[0],
        spread=spread,
    )


def _drawn(codes: np.ndarray, units: np.ndarray | None, *, seed: int) -> np.ndarray:
    """Weights float64 [n, 1 + draws]: units drawn with replacement, everybody in the first."""
    if units is None:
        return resampled_users(len(codes), n_draws=N_DRAWS, seed=seed)
    _, unit = np.unique(units, return_inverse=True)
    return resampled_users(int(unit.max()) + 1, n_draws=N_DRAWS, seed=seed)[unit]


def _spread(points: np.ndarray, codes: np.ndarray, axis: np.ndarray) -> float:
    """Spread of a group's members on an axis, every group alike."""
    positions = points @ axis
    spreads = [float(positions[codes == code].var()) for code in range(int(codes.max()) + 1)]
    return float(np.sqrt(max(np.mean(spreads), np.finfo(float).tiny)))


def _kept(
    points: np.ndarray, codes: np.ndarray, targets: np.ndarray, *, basis: np.ndarray
) -> np.ndarray:
    """Distance of each group to the targets without what is local, less its bias, float64 [g]."""
    left = without(points, basis)
    inside = [left[codes == code] for code in range(int(codes.max()) + 1)]
    aimed = [left[(codes == code) & targets] for code in range(len(inside))]
    aimed = [side for side in aimed if len(side)]
    return np.array([corrected_distance(side, aimed) for side in inside])


def corrected_distance(group: np.ndarray, targets: Sequence[np.ndarray]) -> float:
    """Distance of a group's mean to the mean of several target means, less what is chance.

    Parameters
    ----------
    group
        float64 [n, d].
    targets
        float64 [m, d] each; every one counts alike.

    Returns
    -------
    float
        0 where the distance is no larger than what groups of these sizes show by chance.
    """
    centroid = np.mean([side.mean(axis=0) for side in targets], axis=0)
    chance = sum(_variance_of_mean(side) for side in targets) / len(targets) ** 2
    square = float(((centroid - group.mean(axis=0)) ** 2).sum())
    return float(np.sqrt(max(square - _variance_of_mean(group) - chance, 0.0)))


def _variance_of_mean(points: np.ndarray) -> float:
    """Expected squared distance of the mean of such points to the true one."""
    if len(points) < 2:
        return 0.0
    return float(points.var(axis=0, ddof=1).sum()) / len(points)


def _complete(controls: Sequence[np.ndarray], codes: np.ndarray) -> np.ndarray:
    """Attributes float64 [n, c] that are known in every group and vary; gaps at their mean."""
    kept = []
    for values in controls:
        known = np.isfinite(values)
        if len(np.unique(codes[known])) == int(codes.max()) + 1 and values[known].std() > 0:
            kept.append(np.where(known, values, values[known].mean()))
    return np.stack(kept, axis=1) if kept else np.empty((len(codes), 0))


def _control_errors(points: np.ndarray, codes: np.ndarray, known: np.ndarray) -> list[float]:
    """Squared error of differences between groups on the axis of each known attribute.

    What all attributes together explain inside groups is taken off first: what then is left
    between groups has no cause but what is local. In the unit of the drift, less what comes from
    the members that happen to be there.
    """
    members = [codes == code for code in range(int(codes.max()) + 1)]
    inside = known - _group_means(known, codes)
    found = []
    for column in range(known.shape[1]):
        try:
            axis = within_group_axis(points, codes, known[:, column] > known[:, column].mean())
        except SpaceError:  # groups with too few on either side say nothing
            continue
        positions = points @ axis / _spread(points, codes, axis)
        centred = positions - _group_means(positions[:, None], codes)[:, 0]
        slopes, *_ = np.linalg.lstsq(inside, centred, rcond=None)
        left = positions - known @ slopes
        means = np.array([left[one].mean() for one in members])
        chance = np.mean([left[one].var(ddof=1) / one.sum() for one in members])
        found.append(float(2 * (means.var(ddof=1) - chance)))
    return found


def _group_means(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean of each member's group, float64 [n, c]."""
    sums = np.zeros((int(codes.max()) + 1, values.shape[1]))
    np.add.at(sums, codes, values)
    return (sums / np.bincount(codes)[:, None])[codes]


def _differences(
    names: np.ndarray, drift: np.ndarray, local: float | None
) -> tuple[GroupDifference, ...]:
    found = []
    for one in range(len(names)):
        for other in range(one + 1, len(names)):
            apart = drift[:, one] - drift[:, other]
            error = float(np.hypot(apart[1:].std(), local or 0.0))
            margin = CONFIDENCE_Z * error
            found.append(
                GroupDifference(
                    one=str(names[one]),
                    other=str(names[other]),
                    difference=interval(apart),
                    margin=margin,
                    different=bool(abs(apart[0]) > margin),
                )
            )
    return tuple(found)
