"""Prototypes of micro segments: the dense cores inside one segment, as far as halves confirm them.

A segment in one piece keeps one micro segment. Of several divisions the finest is taken whose
every part comes out again when half of the members make it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segmenter.segments.anchored import HOLD, settle_anchored
from segmenter.segments.density import BETWEEN, Leaves
from segmenter.segments.distances import nearest
from segmenter.segments.prototypes import SizeLimits, middles_of, settle
from segmenter.segments.segment import UNSTABLE
from segmenter.segments.stability import best_overlaps
from segmenter.segments.ward import group_middles, ward_tree

MICRO_LIMITS = SizeLimits(users=20, share=0.002)
"""Smallest micro segment, of the users of the fit."""
MAX_MICROS = 6
"""Parts of one segment: more than a person compares."""
N_SPLITS = 2
"""Times that the members are split into halves."""


@dataclass(frozen=True)
class Parts:
    """Micro prototypes of one segment.

    Attributes
    ----------
    prototypes
        float64 [m, d], the largest part first; of a refit in the order of the parent's.
    stability
        float64 [m] in [0, 1]: mean overlap (Jaccard) with the nearest part that half of the
        members give; 1 of a segment in one piece.
    """

    prototypes: np.ndarray
    stability: np.ndarray


def find_parts(points: np.ndarray, cores: np.ndarray, *, smallest: int, seed: int) -> Parts:
    """Divide the members of a segment along their dense cores.

    Parameters
    ----------
    points
        float64 [n, d], the members among the users of the fit; at least one.
    cores
        int [n], leaf of each, or `BETWEEN`.
    smallest
        Users in the smallest part.
    seed
        Of the halves.

    References
    ----------
    Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics & Data
    Analysis 52 (2007): below .5 a cluster dissolves.
    """
    whole = Parts(points.mean(axis=0, keepdims=True), np.ones(1))
    most = min(MAX_MICROS, len(points) // smallest)
    for n_parts in range(most, 1, -1):
        prototypes = _parted(points, cores, n_parts=n_parts)
        if prototypes is None:
            continue
        label = nearest(points, prototypes)
        sizes = np.bincount(label, minlength=n_parts)
        if sizes.min() < smallest:
            continue
        halves = [
            _parted(points[half], cores[half], n_parts=n_parts)
            for half in _halves(len(points), seed=seed)
        ]
        stability = _confirmed(points, label, halves, n_parts=n_parts)
        if stability.min() >= UNSTABLE:
            order = np.argsort(-sizes, kind="stable")
            return Parts(prototypes[order], stability[order])
    return whole


def keep_parts(points: np.ndarray, start: np.ndarray, *, smallest: int, seed: int) -> Parts:
    """Let the parent's parts of a segment go on among today's members.

    Parameters
    ----------
    points
        float64 [n, d], the members among the users of the fit.
    start
        float64 [m, d], the parent's prototypes.
    smallest
        Users in the smallest part; smaller ones end, one stays in any case.
    seed
        Of the halves.

    Returns
    -------
    Parts
        One for each of `start`; a row of NaN stands for a part that ends.
    """
    going = np.arange(len(start))
    while len(going) > 1:
        sizes = np.bincount(nearest(points, start[going]), minlength=len(going))
        if sizes.min() >= smallest:
            break
        going = np.delete(going, sizes.argmin())
    hold = np.full(len(going), HOLD)
    prototypes = np.full(start.shape, np.nan)
    prototypes[going] = settled = settle_anchored(points, start[going], hold=hold)
    halves = [
        settle_anchored(points[half], start[going], hold=hold)
        for half in _halves(len(points), seed=seed)
    ]
    stability = np.full(len(start), np.nan)
    label = nearest(points, settled)
    stability[going] = _confirmed(points, label, halves, n_parts=len(going))
    return Parts(prototypes, stability)


def _parted(points: np.ndarray, cores: np.ndarray, *, n_parts: int) -> np.ndarray | None:
    """Prototypes of so many parts, float64 [n_parts, d]; None where there are fewer cores."""
    inside, label = np.unique(cores[cores != BETWEEN], return_inverse=True)
    if len(inside) < n_parts:
        return None
    compact = np.full(len(cores), BETWEEN)
    compact[cores != BETWEEN] = label
    leaves = Leaves(np.arange(len(points)), compact, np.zeros(len(inside)))
    middles, users = middles_of(points, leaves)
    if len(middles) < n_parts:
        return None
    group = ward_tree(middles, users).cut(n_parts)
    return settle(points, group_middles(middles, users, group))


def _halves(n_users: int, *, seed: int) -> list[np.ndarray]:
    """Rows of both halves of each split; none of a single user."""
    halves = []
    for split in range(N_SPLITS if n_users > 1 else 0):
        order = np.random.default_rng((seed, split)).permutation(n_users)
        halves += [np.sort(order[::2]), np.sort(order[1::2])]
    return halves


def _confirmed(
    points: np.ndarray, label: np.ndarray, halves: Sequence[np.ndarray | None], *, n_parts: int
) -> np.ndarray:
    """Mean overlap of each part with the nearest that a half gives; 0 where a half gives none."""
    if not halves:
        return np.ones(n_parts)
    found = [
        np.zeros(n_parts)
        if half is None
        else best_overlaps(label, range(n_parts), nearest(points, half))
        for half in halves
    ]
    return np.mean(found, axis=0)
