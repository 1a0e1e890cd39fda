"""Macro segments: published segments that lie near each other, in a few groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segmenter.segments.distances import nearest, squared_distances
from segmenter.segments.ward import ward_tree

FEWEST, MOST = 4, 8
"""Macro segments, where there are more segments than that: what a person keeps in mind."""


@dataclass(frozen=True)
class Groups:
    """Which macro segment each segment belongs to.

    Attributes
    ----------
    label
        int64 [k], macro 0..g-1 of each segment.
    reason
        Why there are so many, in words.
    """

    label: np.ndarray
    reason: str


def group_segments(prototypes: np.ndarray, users: np.ndarray) -> Groups:
    """Join segments from the bottom up, and stop before the union that costs most.

    Of four to eight groups (of few segments, half as many to all but one) the number is taken
    after which the next union costs most, compared with the union before it.

    Parameters
    ----------
    prototypes
        float64 [k, d], one per segment.
    users
        int [k], their members.

    References
    ----------
    Ward, "Hierarchical grouping to optimize an objective function", 1963; the rule is Mojena's
    stopping by the largest relative step, "Hierarchical grouping methods and stopping rules:
    an evaluation", The Computer Journal 20 (1977).
    """
    tree, n_segments = ward_tree(prototypes, np.maximum(users, 1)), len(prototypes)
    fewest = max(1, min(FEWEST, n_segments // 2))
    most = max(1, min(MOST, n_segments - 1))
    steps = {
        n_groups: float(tree.costs[n_groups - 2] / max(tree.costs[n_groups - 1], 1e-12))
        for n_groups in range(max(fewest, 2), most + 1)
    }
    if not steps:
        return Groups(tree.cut(1), f"one macro segment: there are only {n_segments} segments")
    best = max(steps, key=lambda n_groups: steps[n_groups])
    reason = (
        f"{best} macro segments: of {fewest} to {most} groups, this is where one union more costs "
        f"most, {steps[best]:.1f} times the union before it"
    )
    return Groups(tree.cut(best), reason)


def join_macros(
    ids: Sequence[int],
    prototypes: np.ndarray,
    *,
    before: Mapping[int, int],
    split_from: Mapping[int, int],
    next_id: int,
) -> dict[int, int]:
    """Macro segments of a refit: whoever goes on stays; who is new joins the nearest.

    Parameters
    ----------
    ids
        The k segments of the refit.
    prototypes
        float64 [k, d].
    before
        Segment of the parent to its macro segment.
    split_from
        New segments to the one that they split from, whose macro segment they share.
    next_id
        Of a macro segment that appears: where new segments lie farther from all macro segments
        than any segment does from its own.

    Returns
    -------
    dict
        Segment id to macro id.
    """
    known = {number: before[number] for number in ids if number in before}
    known |= {
        number: before[split_from[number]]
        for number in ids
        if number not in known and split_from.get(number) in before
    }
    new = [place for place, number in enumerate(ids) if number not in known]
    if not known or not new:
        return known or dict.fromkeys(ids, next_id)
    macros = sorted(set(known.values()))
    owners = np.array([known.get(number, 0) for number in ids])
    middles = np.stack([prototypes[owners == macro].mean(axis=0) for macro in macros])
    squares = squared_distances(prototypes, middles)
    own = [squares[place, macros.index(known[n])] for place, n in enumerate(ids) if n in known]
    for place in new:
        far = squares[place].min() > max(own) > 0
        known[ids[place]] = next_id if far else macros[int(squares[place].argmin())]
    return known


def macro_of_points(points: np.ndarray, half: np.ndarray, *, n_groups: int) -> np.ndarray:
    """Macro group of each user by prototypes that half of the users gave, int64 [n].

    Parameters
    ----------
    points
        float [n, d].
    half
        float64 [k, d].
    n_groups
        Macro segments.
    """
    place = nearest(points, half)
    users = np.bincount(place, minlength=len(half))
    tree = ward_tree(half, np.maximum(users, 1))
    return tree.cut(min(n_groups, len(half)))[place]
