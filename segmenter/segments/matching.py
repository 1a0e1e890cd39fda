"""Old and new segments: which one goes on under which id, and where everybody went.

An id is carried by a segment that holds the same people or stands in the same place; the pairs
are chosen all at once, so that no segment takes another's heir. Ids of segments that nobody goes
on from are never given again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.distances import squared_distances

MAJORITY = 0.5
"""A segment comes from, or went into, another if more than this share of its users did."""
SIZE_CHANGE = 0.2
"""Growth or loss of a segment's share of all users, relative, that is more than a shift of the
border: on Complete Journey two halves of the users differ by .1 to .2 in a segment of 5 %."""
UNKNOWN = 0
"""Stands for the segment of a user whom the parent did not know."""
KEPT, GROWN, SHRUNK, MOVED = "kept", "grown", "shrunk", "moved"
SPLIT, MERGED, APPEARED, GONE = "split", "merged", "appeared", "gone"


@dataclass(frozen=True)
class Users:
    """Everybody of a refit, by the parent and by the refit.

    Attributes
    ----------
    then
        int [n], the parent's segment as of the parent's time; `UNKNOWN` of newer users.
    today
        int [n], the parent's segment on all that is known today.
    """

    then: np.ndarray
    today: np.ndarray


@dataclass(frozen=True)
class Flow:
    """Users who went from a segment of the parent to one of the refit.

    Attributes
    ----------
    old_id, new_id
        None where the segment appeared, or is gone.
    kind
        ``kept``, ``grown``, ``shrunk`` (the same id), ``split``, ``merged``, ``moved`` (two ids),
        ``appeared`` or ``gone`` (one id).
    users
        Today, by both models on the same events. Where nobody is in the place of an old segment
        any more: how many of the parent's went over into another, or all of them.
    """

    old_id: int | None
    new_id: int | None
    kind: str
    users: int


def match_ids(
    parent: PrototypeAssigner,
    prototypes: np.ndarray,
    label: np.ndarray,
    *,
    users: Users,
    next_id: int,
) -> np.ndarray:
    """An id for each new segment: that of the old one that it continues, or a new one.

    A pair may be matched if the new prototype lies within the reach of the old one (where 95 % of
    its users are), or most of its known users were there. Of all such pairs the set is chosen
    that has most in common: members (Jaccard, today or then, the greater) plus nearness (1 in the
    same place, 0 at the end of the reach).

    Parameters
    ----------
    parent
        Old prototypes, ids and reaches.
    prototypes
        float64 [k, d] in the same coordinates.
    label
        int64 [n], place 0..k-1 of each user among the new prototypes.
    users
        The same users by the parent.
    next_id
        Smallest id that was never given.

    Returns
    -------
    numpy.ndarray
        int32 [k].

    References
    ----------
    Kuhn, "The Hungarian method for the assignment problem", 1955.
    """
    old, n_new = parent.segment_ids, len(prototypes)
    today, then = (_table(old, labels, label, n_new=n_new) for labels in (users.today, users.then))
    reach = (
        np.sqrt(squared_distances(parent.prototypes, prototypes)) / parent.novelty_limits[:, None]
    )
    from_there = then > MAJORITY * np.maximum(then.sum(axis=0), 1)
    common = np.maximum(_jaccard(today), _jaccard(then)) + np.maximum(1 - reach, 0)
    common = np.where((reach <= 1) | from_there, common, 0)
    pairs = linear_sum_assignment(common, maximize=True)
    ids = np.zeros(n_new, dtype=np.int32)
    for one, other in zip(*pairs, strict=True):
        if common[one, other] > 0:
            ids[other] = old[one]
    ids[ids == 0] = np.arange(next_id, next_id + int((ids == 0).sum()))
    return ids


def trace_flow(
    sizes: Mapping[int, int],
    new_id: np.ndarray,
    *,
    users: Users,
    split_from: Mapping[int, int],
) -> tuple[Flow, ...]:
    """Who went where, a row per pair of segments.

    Each user of today is counted once, beside what is told of segments that nobody goes on from.

    Parameters
    ----------
    sizes
        Users of each segment of the parent, as it published them.
    new_id
        int [n], segment of each user by the refit.
    users
        The same users by the parent.
    split_from
        New ids to the old id that they split from, as far as the fit knows.

    Returns
    -------
    tuple of Flow
        Ids that stay first, then crossings, then what appeared and what is gone.
    """
    new, counts = np.unique(new_id, return_counts=True)
    share = dict(zip(new.tolist(), (counts / len(new_id)).tolist(), strict=True))
    sources = {
        number: split_from.get(number) or _source(number, new_id, users)
        for number in share
        if number not in sizes
    }
    n_old = max(sum(sizes.values()), 1)
    stays, crossings, ends = [], [], []
    for number in sorted(share):
        here = new_id == number
        if number not in sizes and sources[number] is None:
            ends.append(Flow(None, number, APPEARED, int(here.sum())))
            continue
        for origin, count in zip(*np.unique(users.today[here], return_counts=True), strict=True):
            old, n_users = int(origin), int(count)
            if old == number:
                kind = _size_kind(share[number], sizes[number] / n_old)
                stays.append(Flow(number, number, kind, n_users))
                continue
            crossed = _crossing(old, number, new_id, users=users, sources=sources, kept=share)
            crossings.append(Flow(old, number, crossed, n_users))
    merged = {flow.old_id for flow in crossings if flow.kind == MERGED}
    lost = [number for number in sizes if number not in share and number not in merged]
    ends += [_end(number, sizes[number], new_id, users=users) for number in sorted(lost)]
    return (*stays, *crossings, *ends)


def kept_share(new_id: np.ndarray, users: Users) -> float:
    """Share of the parent's users who are in the same segment by both models, on all of today.

    1 where there is no such user.
    """
    known = users.then != UNKNOWN
    return float((users.today[known] == new_id[known]).mean()) if known.any() else 1.0


def _table(ids: np.ndarray, labels: np.ndarray, place: np.ndarray, *, n_new: int) -> np.ndarray:
    """Users by old id and new place, int64 [k_old, n_new]; unknown users are left out."""
    return np.stack([np.bincount(place[labels == number], minlength=n_new) for number in ids])


def _jaccard(table: np.ndarray) -> np.ndarray:
    """Members in common over members of either, float64 [k_old, k_new]."""
    either = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    return table / np.maximum(either, 1)


def _source(number: int, new_id: np.ndarray, users: Users) -> int | None:
    """The old segment that most users of a new one were in; None if most were in no single one."""
    then = users.then[new_id == number]
    ids, counts = np.unique(then[then != UNKNOWN], return_counts=True)
    if len(ids) == 0 or counts.max() <= MAJORITY * len(then):
        return None
    return int(ids[counts.argmax()])


def _end(number: int, size: int, new_id: np.ndarray, *, users: Users) -> Flow:
    """What became of an old segment in whose place nobody is: where most went, or gone."""
    heirs, counts = np.unique(new_id[users.then == number], return_counts=True)
    if len(heirs) and counts.max() > MAJORITY * size:
        return Flow(number, int(heirs[counts.argmax()]), MERGED, int(counts.max()))
    return Flow(number, None, GONE, size)


def _size_kind(share: float, before: float) -> str:
    """Kept, grown or shrunk, by the share of all users."""
    change = share / max(before, 1e-12) - 1
    return GROWN if change > SIZE_CHANGE else SHRUNK if change < -SIZE_CHANGE else KEPT


def _crossing(
    old: int,
    number: int,
    new_id: np.ndarray,
    *,
    users: Users,
    sources: Mapping[int, int | None],
    kept: Mapping[int, float],
) -> str:
    """What it means that users of one segment are in another."""
    if sources.get(number) == old:
        return SPLIT
    if old not in kept:
        inside = (users.then if (users.then == old).any() else users.today) == old
        if (new_id[inside] == number).mean() > MAJORITY:
            return MERGED
    return MOVED
