"""What separates targets from the others inside groups, and what is local about the groups.

A difference between the targets and everybody mixes two things: what makes a target, and which
groups the targets come from. Inside each group the second cannot enter.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.errors import SpaceError

MIN_SIDE = 5
"""Targets, and others, that a group needs to have a say in the axis."""
N_BINS = 10
"""Places on the axis at which groups are matched."""
MIN_MATCHED = 3
"""Members that every group needs at a place for it to count."""
NOTHING = 1e-9


@dataclass(frozen=True)
class Cells:
    """Means of groups and of their targets under each weighting of the members.

    Attributes
    ----------
    groups
        float64 [b, g, d], of everybody.
    targets, others
        float64 [b, u, d], of the targets and of the others in the groups that have both.
    """

    groups: np.ndarray
    targets: np.ndarray
    others: np.ndarray

    @property
    def axes(self) -> np.ndarray:
        """The axis of each weighting, float64 [b, d], of unit length: every group counts alike."""
        steps = (self.targets - self.others).mean(axis=1)
        lengths = np.linalg.norm(steps, axis=1, keepdims=True)
        return steps / np.maximum(lengths, np.finfo(float).tiny)


def cell_means(
    points: np.ndarray,
    codes: np.ndarray,
    sides: tuple[np.ndarray, np.ndarray],
    *,
    weights: np.ndarray,
) -> Cells:
    """Means of groups, of their targets and of their others.

    Parameters
    ----------
    points
        float64 [n, d].
    codes
        int64 [n], group of each, from 0.
    sides
        Targets and others, bool [n] each; who is in neither counts for the group alone.
    weights
        float64 [n, b], as from `resampled_users`.

    Raises
    ------
    SpaceError
        If no group has `MIN_SIDE` of both.
    """
    names = range(int(codes.max()) + 1)
    usable = [
        group
        for group in names
        if min(int((side & (codes == group)).sum()) for side in sides) >= MIN_SIDE
    ]
    if not usable:
        message = (
            f"an axis inside groups needs {MIN_SIDE} targets and {MIN_SIDE} others in at least "
            "one group; none has: flag more of them, or take coarser groups"
        )
        raise SpaceError(message)
    return Cells(
        np.stack([_means(points, codes == group, weights) for group in names], axis=1),
        np.stack([_means(points, sides[0] & (codes == one), weights) for one in usable], axis=1),
        np.stack([_means(points, sides[1] & (codes == one), weights) for one in usable], axis=1),
    )


def _means(points: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means float64 [b, d] of some points; one that is never drawn has the plain mean."""
    some = weights[chosen]
    total = some.sum(axis=0)
    some = np.where(total > 0, some, 1.0)
    return some.T @ points[chosen] / some.sum(axis=0)[:, None]


def within_group_axis(
    points: np.ndarray, codes: np.ndarray, targets: np.ndarray, *, others: np.ndarray | None = None
) -> np.ndarray:
    """The axis from the others to the targets, averaged over groups, float64 [d] of unit length.

    Parameters
    ----------
    points
        float [n, d].
    codes
        int64 [n], group of each, from 0.
    targets
        bool [n].
    others
        bool [n]; None takes everybody else.

    Raises
    ------
    SpaceError
        If no group has enough of both.
    """
    sides = targets, ~targets if others is None else others
    plain = np.asarray(points, np.float64)
    return cell_means(plain, codes, sides, weights=np.ones((len(plain), 1))).axes[0]


def matched_basis(points: np.ndarray, codes: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """What is local: differences between groups among members at the same places of an axis.

    Parameters
    ----------
    points
        float [n, d].
    codes
        int64 [n], group of each, from 0.
    axis
        float64 [d], of unit length.

    Returns
    -------
    numpy.ndarray
        float64 [r, d], orthonormal rows at right angles to the axis, r at most the groups less
        one. Where no place of the axis has members of every group, r is 0.

    References
    ----------
    Rosenbaum and Rubin, "Reducing bias in observational studies using subclassification on the
    propensity score", 1984, with the position on the axis in place of the score.
    """
    plain = np.asarray(points, np.float64)
    positions = plain @ axis
    n_groups = int(codes.max()) + 1
    edges = np.quantile(positions, np.linspace(0, 1, N_BINS + 1)[1:-1])
    places = np.digitize(positions, edges)
    total = np.zeros((n_groups, plain.shape[1]))
    for place in range(N_BINS):
        cells = [plain[(places == place) & (codes == group)] for group in range(n_groups)]
        smallest = min(len(cell) for cell in cells)
        if smallest >= MIN_MATCHED:
            total += smallest * np.stack([cell.mean(axis=0) for cell in cells])
    apart = total - total.mean(axis=0)
    apart -= np.outer(apart @ axis, axis)
    _, sizes, rows = np.linalg.svd(apart, full_matrices=False)
    kept = sizes > NOTHING * max(float(np.abs(total).max()), NOTHING)
    return rows[kept][: n_groups - 1]


def without(steps: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Steps float64 [.., d] without what lies in the orthonormal rows of a basis [r, d]."""
    return steps - (steps @ basis.T) @ basis
