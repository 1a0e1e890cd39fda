"""How firmly each user belongs to a segment: four groups that together are everybody.

The rule is learned once, from the users of a fit, and asks for nothing but an assignment, so that
a user has the same group in training, in a batch and alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from segmenter.segments.assignment import Assignment, PrototypeAssigner

CORE, VOTED, SECOND, OUTSIDER = "core", "voted", "second", "outsider"
GROUPS = (CORE, VOTED, SECOND, OUTSIDER)
"""Near the middle of the segment; nearer to it than to any other; almost as near to the second
choice; farther out than any segment reaches."""
CLOSE_CALL = 0.5
"""Strength below which the second choice is almost as good."""
PRIOR_USERS = 20.0
"""Users of a segment whose median counts as much as that of all segments."""
TINY = 1e-9
"""Stands in for a distance of nothing."""


@dataclass(frozen=True)
class CoverageRule:
    """Which group a user is in.

    Attributes
    ----------
    outside
        Segment id to the novelty above which a user belongs to no segment.
    core
        Segment id to the novelty up to which a user counts as core.
    """

    outside: Mapping[int, float]
    core: Mapping[int, float]

    def groups(self, assignment: Assignment) -> np.ndarray:
        """Place in `GROUPS` of each user, int8 [n].

        Parameters
        ----------
        assignment
            Of n users, by the model of this rule.
        """
        novelty = assignment.novelty.astype(np.float64)
        is_outside = novelty > _limits(self.outside, assignment.segment_id)
        is_core = novelty <= _limits(self.core, assignment.segment_id)
        tests = [is_outside, assignment.strength < CLOSE_CALL, is_core]
        chosen = [GROUPS.index(group) for group in (OUTSIDER, SECOND, CORE)]
        return np.select(tests, chosen, default=GROUPS.index(VOTED)).astype(np.int8)

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle."""
        return {
            name: {str(number): limit for number, limit in limits.items()}
            for name, limits in vars(self).items()
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            **{
                name: {int(number): float(limit) for number, limit in plain[name].items()}
                for name in ("outside", "core")
            }
        )


@dataclass(frozen=True)
class GroupCounts:
    """Users in each group."""

    core: int
    voted: int
    second: int
    outsider: int

    def to_json(self) -> dict[str, int]:
        """Plain form."""
        return asdict(self)


def fit_coverage(
    assignment: Assignment,
    assigner: PrototypeAssigner,
    *,
    rows: np.ndarray,
    in_core: np.ndarray,
    outsider_share: float,
) -> CoverageRule:
    """Learn the rule from the users of a fit.

    Parameters
    ----------
    assignment
        Of the n users.
    assigner
        That assigned them.
    rows
        int64 [m], those of them in whom dense cores were sought.
    in_core
        bool [m], who of these stands in a dense core. As many of a segment count as core as stand
        in its dense cores: those nearest to its middle.
    outsider_share
        Share of the users who shall belong to no segment, in [0, 1): those farthest out, beside
        the median of their segment. Outsiders among the users of the fit stretch the outer
        percentiles of a segment, and hardly its median.
    """
    segment, novelty = assignment.segment_id, assignment.novelty.astype(np.float64)
    reach = dict(zip(assigner.segment_ids.tolist(), assigner.novelty_limits.tolist(), strict=True))
    fitted = np.zeros(len(segment), dtype=bool)
    fitted[rows] = True
    core_share = np.zeros(len(segment))
    core_share[rows] = in_core
    members = {int(number): segment == number for number in np.unique(segment)}
    core = {
        number: float(np.quantile(novelty[inside], core_share[inside & fitted].mean()))
        for number, inside in members.items()
        if (inside & fitted).any()
    }
    middles = {
        number: float(np.median(novelty[inside])) * reach[number]
        for number, inside in members.items()
    }
    usual = float(np.median(list(middles.values())))
    units = {
        number: max(_drawn(middle, usual, int(members[number].sum())) / reach[number], TINY)
        for number, middle in middles.items()
    }
    cut = float(np.quantile(novelty / _limits(units, segment), 1 - outsider_share))
    return CoverageRule({number: cut * unit for number, unit in units.items()}, core)


def _drawn(middle: float, usual: float, n_users: int) -> float:
    """A segment's median distance, drawn to the usual one the more the fewer users it has."""
    weight = n_users / (n_users + PRIOR_USERS)
    return float(middle**weight * usual ** (1 - weight))


def _limits(limits: Mapping[int, float], segment_id: np.ndarray) -> np.ndarray:
    """The limit of each user's segment, float64 [n]; of an unknown segment the usual one."""
    usual = float(np.mean(list(limits.values()))) if limits else 1.0
    ids, place = np.unique(segment_id, return_inverse=True)
    return np.array([limits.get(int(number), usual) for number in ids], dtype=np.float64)[place]


def count_groups(groups: np.ndarray, segment_id: np.ndarray) -> dict[int, GroupCounts]:
    """Users in each group of each segment.

    Parameters
    ----------
    groups, segment_id
        int [n] each, of the same users.
    """
    counted = {}
    for number in np.unique(segment_id):
        users = np.bincount(groups[segment_id == number], minlength=len(GROUPS))
        counted[int(number)] = GroupCounts(*users.tolist())
    return counted


def added(counts: Mapping[int, GroupCounts]) -> GroupCounts:
    """Users in each group of all segments together."""
    columns = zip(*(vars(one).values() for one in counts.values()), strict=True)
    return GroupCounts(*(sum(column) for column in columns)) if counts else GroupCounts(0, 0, 0, 0)
