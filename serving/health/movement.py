"""Who went where between two scored populations: sizes, adds, drops and volatility of segments."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.segments.matching import UNKNOWN, Flow, Users, trace_flow
from serving.health.scored import PART_USERS, Scored

ADDED, DROPPED = "added", "dropped"
"""Kinds of flow of users whom one side alone has in a segment."""


@dataclass(frozen=True)
class SegmentMovement:
    """One segment at both times.

    Attributes
    ----------
    id, name
        Of the segment; the newer name where both have it.
    old_users, new_users
        In it, at either time.
    old_share, new_share
        Of all users with a segment.
    joined, left
        Users of both sides who came from, or went to, another segment.
    added, dropped
        Users in it whom the other side has in no segment.
    volatility
        Of the users of both sides who are in it at either time, the share that is not at both.
    """

    id: int
    name: str
    old_users: int
    new_users: int
    old_share: float
    new_share: float
    joined: int
    left: int
    added: int
    dropped: int
    volatility: float

    @property
    def change(self) -> float:
        """Relative change of the share; infinite of a segment that had nobody."""
        if self.old_share == 0:
            return 0.0 if self.new_share == 0 else math.inf
        return self.new_share / self.old_share - 1


@dataclass(frozen=True)
class Movement:
    """Everybody at both times.

    Attributes
    ----------
    n_old, n_new, n_both
        Users with a segment at either time, and at both.
    kept_share
        Of those of both, the share in the segment of the same id; 1 where there are none.
    segments
        Every segment of either side, by id.
    flow
        A row per pair of segments, in the kinds of a refit, then who was added and dropped.
    """

    n_old: int
    n_new: int
    n_both: int
    kept_share: float
    segments: tuple[SegmentMovement, ...]
    flow: tuple[Flow, ...]


def measure_movement(old: Scored, new: Scored) -> Movement:
    """Compare the segments of two populations, user by user.

    Parameters
    ----------
    old, new
        Scores of an earlier and of a later time.
    """
    table = crossings(old, new)
    names = old.names | new.names
    return movement_of(table, names)


def crossings(old: Scored, new: Scored) -> dict[tuple[int, int], int]:
    """Users by old and new segment id; `UNKNOWN` stands for no segment on that side.

    Both folders are read in parts by a hash of the user id, so that memory does not grow with
    them.
    """
    most = max(int(side.manifest["users"]) for side in (old, new))
    n_parts = max(1, math.ceil(most / PART_USERS))
    table: dict[tuple[int, int], int] = {}
    for part in range(n_parts):
        then, now = (side.part(part, n_parts, columns=("segment_id",)) for side in (old, new))
        pairs = then.join(now, on="user_id", how="full", suffix="_new")
        ids = pl.col("segment_id", "segment_id_new").fill_null(UNKNOWN)
        counted = pairs.select(ids).group_by("segment_id", "segment_id_new").len()
        for first, second, n_users in counted.rows():
            table[first, second] = table.get((first, second), 0) + n_users
    return table


def movement_of(table: Mapping[tuple[int, int], int], names: Mapping[int, str]) -> Movement:
    """The movement that a table of crossings tells; see `crossings`."""
    both = {pair: n for pair, n in table.items() if UNKNOWN not in pair}
    n_both = sum(both.values())
    n_old, n_new = (sum(n for pair, n in table.items() if pair[side]) for side in (0, 1))
    kept = sum(n for (first, second), n in both.items() if first == second)
    ids = sorted({number for pair in table for number in pair if number} | set(names))
    segments = tuple(_segment(number, table, names, totals=(n_old, n_new)) for number in ids)
    ends = [
        Flow(first or None, second or None, DROPPED if first else ADDED, n)
        for (first, second), n in sorted(table.items())
        if UNKNOWN in (first, second)
    ]
    flow = (*_flow(both), *ends)
    return Movement(n_old, n_new, n_both, kept / n_both if n_both else 1.0, segments, flow)


def _segment(
    number: int,
    table: Mapping[tuple[int, int], int],
    names: Mapping[int, str],
    *,
    totals: tuple[int, int],
) -> SegmentMovement:
    """One segment of a table of crossings."""
    stayed = table.get((number, number), 0)
    left = sum(n for (one, other), n in table.items() if one == number != other and other)
    joined = sum(n for (one, other), n in table.items() if other == number != one and one)
    dropped, added = table.get((number, UNKNOWN), 0), table.get((UNKNOWN, number), 0)
    old_users, new_users = stayed + left + dropped, stayed + joined + added
    either = stayed + left + joined
    return SegmentMovement(
        id=number,
        name=names.get(number, f"Segment {number}"),
        old_users=old_users,
        new_users=new_users,
        old_share=old_users / max(totals[0], 1),
        new_share=new_users / max(totals[1], 1),
        joined=joined,
        left=left,
        added=added,
        dropped=dropped,
        volatility=1 - stayed / either if either else 0.0,
    )


def _flow(both: Mapping[tuple[int, int], int]) -> tuple[Flow, ...]:
    """Where the users of both sides went, in the kinds that a refit tells."""
    if not both:
        return ()
    pairs = np.array(list(both), dtype=np.int32)
    then, now = np.repeat(pairs, list(both.values()), axis=0).T
    numbers, counts = np.unique(then, return_counts=True)
    sizes = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    return trace_flow(sizes, now, users=Users(then, then), split_from={})
