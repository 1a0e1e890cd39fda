"""Merging and splitting segments by hand: which prototypes, ids and parents come of it.

A merged segment keeps the prototypes of its parts, so that its members are exactly theirs. The
parts of a split segment stand in the middle of two groups of its micro segments; a few users at
the border may come from or go to a neighbour, which is counted before anything is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segmenter.errors import ConfigError
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.hierarchy import Hierarchy
from segmenter.segments.segment import Segment
from segmenter.segments.ward import group_middles, ward_tree

MERGE, SPLIT = "merge", "split"


@dataclass(frozen=True)
class Regrouping:
    """What a merge or a split makes of a model's segments.

    Attributes
    ----------
    kind
        `MERGE` or `SPLIT`.
    old, new
        Ids that end, and ids that begin.
    assigner
        Assigns to the new ones.
    macro_of, segment_of
        Of the levels, with the new ids; None of a model without levels.
    users
        New id to its members among the users of the fit, by what the model says of itself.
    """

    kind: str
    old: tuple[int, ...]
    new: tuple[int, ...]
    assigner: PrototypeAssigner
    macro_of: Mapping[int, int] | None
    segment_of: Mapping[int, int] | None
    users: Mapping[int, int]

    def with_limits(self, space: np.ndarray) -> "Regrouping":
        """The same with novelty limits that the users of the fit tell, float32 [n, S]."""
        assigner = self.assigner
        fitted = PrototypeAssigner.fit(assigner.prototypes, space).novelty_limits
        is_new = np.isin(assigner.segment_ids, self.new) & (self.kind == SPLIT)
        limits = np.where(is_new, fitted, assigner.novelty_limits)
        known = PrototypeAssigner(assigner.prototypes, assigner.segment_ids, limits)
        return replace(self, assigner=known)


def merge_segments(
    assigner: PrototypeAssigner,
    segments: Sequence[Segment],
    levels: Hierarchy | None,
    *,
    ids: tuple[int, int],
    next_id: int,
) -> Regrouping:
    """Make one segment of two.

    Parameters
    ----------
    assigner, segments, levels
        Of the model.
    ids
        The two segments.
    next_id
        Id of what comes of them.

    Raises
    ------
    ConfigError
        If there is no such segment, or both are the same.
    """
    users = _users(segments, ids)
    if len(set(ids)) < len(ids):
        message = f"a merge needs two segments; found {ids[0]} twice"
        raise ConfigError(message)
    inside = np.isin(assigner.segment_ids, ids)
    renamed = np.where(inside, next_id, assigner.segment_ids)
    # The new segment last: equal ids stand side by side.
    order = np.argsort(inside, kind="stable")
    merged = PrototypeAssigner(
        assigner.prototypes[order], renamed[order], assigner.novelty_limits[order]
    )
    larger = max(ids, key=lambda number: users[number])
    macro_of, segment_of = None, None
    if levels is not None:
        macro_of = {**_without(levels.macro_of, ids), next_id: levels.macro_of[larger]}
        segment_of = {
            micro: next_id if parent in ids else parent
            for micro, parent in levels.segment_of.items()
        }
    total = {next_id: sum(users.values())}
    return Regrouping(MERGE, ids, (next_id,), merged, macro_of, segment_of, total)


def split_segment(
    assigner: PrototypeAssigner,
    segments: Sequence[Segment],
    levels: Hierarchy | None,
    *,
    number: int,
    next_id: int,
) -> Regrouping:
    """Make two segments of one, along its micro segments.

    Parameters
    ----------
    assigner, segments, levels
        Of the model.
    number
        The segment.
    next_id
        Id of the larger part; the other takes the next one.

    Raises
    ------
    ConfigError
        If there is no such segment, or it has no micro segments to split along.
    """
    _users(segments, (number,))
    micros = [] if levels is None else _micros_of(levels, number)
    if levels is None or len(micros) < 2:
        found = "no levels" if levels is None else "one micro segment: it is in one piece"
        message = f"a split needs two micro segments of segment {number}; found {found}"
        raise ConfigError(message)
    places = np.array([place for place, _ in micros])
    users = np.array([max(item.n_users, 1) for _, item in micros], dtype=np.float64)
    group = ward_tree(levels.prototypes[places], users).cut(2)
    middles = group_middles(levels.prototypes[places], users, group)
    order = np.argsort(-np.bincount(group, users), kind="stable")
    new = (next_id, next_id + 1)
    rank = np.argsort(order)
    heir = {item.id: new[rank[group[row]]] for row, (_, item) in enumerate(micros)}
    keep = assigner.segment_ids != number
    limit = float(assigner.novelty_limits[~keep].max())
    parted = PrototypeAssigner(
        np.vstack([assigner.prototypes[keep], middles[order]]),
        np.append(assigner.segment_ids[keep], new),
        np.append(assigner.novelty_limits[keep], [limit, limit]),
    )
    above = dict.fromkeys(new, levels.macro_of[number])
    macro_of = {**_without(levels.macro_of, (number,)), **above}
    segment_of = {**levels.segment_of, **heir}
    sizes = {one: sum(item.n_users for _, item in micros if heir[item.id] == one) for one in new}
    return Regrouping(SPLIT, (number,), new, parted, macro_of, segment_of, sizes)


def _micros_of(levels: Hierarchy, number: int) -> list[tuple[int, Segment]]:
    """Place and description of each micro segment of a segment."""
    return [
        (place, item)
        for place, item in enumerate(levels.micros)
        if levels.segment_of[item.id] == number
    ]


def _users(segments: Sequence[Segment], ids: Sequence[int]) -> dict[int, int]:
    """Members of some segments."""
    known = {item.id: item.n_users for item in segments}
    missing = [number for number in ids if number not in known]
    if missing:
        message = f"there is no segment {missing[0]}; found {', '.join(map(str, sorted(known)))}"
        raise ConfigError(message)
    return {number: known[number] for number in ids}


def _without(parents: Mapping[int, int], ids: Sequence[int]) -> dict[int, int]:
    return {number: parent for number, parent in parents.items() if number not in ids}
