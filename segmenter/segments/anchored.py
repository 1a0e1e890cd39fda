"""Segments of a refit: the parent's prototypes, moved a little, unless the new data refute them.

A fit from scratch cuts the same continuum elsewhere each time, and whoever uses a segment loses
it. So a refit keeps what the parent published. What departs has a reason that is told: a prototype
without users vanishes, two that came together merge, one whose users fell apart splits, and dense
cores where nobody was appear. Where the parent's users are known, what they showed already is no
reason. Which id a prototype carries afterwards is the business of `matching`.
"""

from dataclasses import dataclass, replace

import numpy as np

from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.density import BETWEEN, Leaves
from segmenter.segments.distances import nearest, squared_distances
from segmenter.segments.lineage import NO_LOCKS, Locks
from segmenter.segments.prototypes import MAX_ROUNDS, SizeLimits, means, split_in_two

HOLD = 2.0
"""How often the parent's prototype counts beside the middle of its users today. Complete Journey,
a quarter later: of the users, 81 % keep their segment with 0, 95 % with 1, 96 % with 2 and 97 %
with 4, at a mean squared distance from the prototypes 1.02, 1.04, 1.06 and 1.08 times the free
one; left in place it would be 1.13."""
APART = 4.5
"""Least distance between the middles of two parts, in standard deviations of a part along the line
between them. Two halves of a normal cloud are 2.6 apart, of an even one 3.5."""
IN_ONE_PIECE = 3.5
"""Two segments whose users are less apart than this have no gap between them."""
TOGETHER = 0.5
"""Two prototypes merge when there is no gap, and their users' middles are nearer to each other
than this share of the parent's distance. Neighbours in a continuum have no gap either, but stay
where they are: on Complete Journey no pair came nearer than .89 in a quarter."""
FOREIGN_SHARE = 0.5
"""A core lies outside the parent's segments if more of its users than this do; of the parent's own
users 5 % did."""
GROWTH = 3.0
"""A place is new if it has more than this times the share of users that it had."""
TINY = 1e-12
"""Stands in for a distance of nothing in a denominator."""


@dataclass(frozen=True)
class Departure:
    """Why a refit left its parent at one place.

    Attributes
    ----------
    kind
        ``"vanish"``, ``"merge"``, ``"split"`` or ``"appear"``.
    ids
        Segments of the parent that it is about; none of what appeared.
    reason
        In words, with the figures that decided.
    """

    kind: str
    ids: tuple[int, ...]
    reason: str

    @property
    def text(self) -> str:
        """As printed, such as ``vanish 7: 3 users in its reach; ...``."""
        about = "".join(f" {number}" for number in self.ids)
        return f"{self.kind}{about}: {self.reason}"


@dataclass(frozen=True)
class Anchored:
    """Prototypes of a refit.

    Attributes
    ----------
    prototypes
        float64 [k, d].
    origins
        int64 [k], the place of each among the parent's; -1 of a new one.
    sources
        int64 [k], the place of the parent's segment that a new one split from; -1 of all others.
    departures
        Why it is not the parent's list.
    """

    prototypes: np.ndarray
    origins: np.ndarray
    sources: np.ndarray
    departures: tuple[Departure, ...]

    def split_from(self, parent: PrototypeAssigner, ids: np.ndarray) -> dict[int, int]:
        """New ids, of `ids` [k], to the parent's id that they split from."""
        pairs = zip(ids, self.sources, strict=True)
        return {int(new): int(parent.segment_ids[old]) for new, old in pairs if old >= 0}

    def without(self, place: int, why: Departure) -> "Anchored":
        """The same without one prototype."""
        left = np.arange(len(self.prototypes)) != place
        departures = (*self.departures, why)
        return Anchored(self.prototypes[left], self.origins[left], self.sources[left], departures)

    def with_new(self, prototype: np.ndarray, why: Departure, *, source: int = -1) -> "Anchored":
        """The same with one prototype more, float64 [d]."""
        return Anchored(
            np.vstack([self.prototypes, prototype]),
            np.append(self.origins, -1),
            np.append(self.sources, source),
            (*self.departures, why),
        )


def anchored_prototypes(
    points: np.ndarray,
    leaves: Leaves,
    parent: PrototypeAssigner,
    *,
    before: np.ndarray | None,
    limits: SizeLimits,
    locks: Locks = NO_LOCKS,
) -> Anchored:
    """Settle the parent's prototypes among today's users, with justified departures.

    Parameters
    ----------
    points
        float64 [n_fit, d], the users of the fit in the parent's coordinates.
    leaves
        Their dense cores.
    parent
        What the parent assigns by.
    before
        float64 [m, d], the parent's users as they were then; None where they are not known.
    limits
        Smallest segment.
    locks
        What a person put together or apart.
    """
    smallest, n_parent = limits.smallest(len(points)), len(parent.prototypes)
    state = Anchored(parent.prototypes, np.arange(n_parent), np.full(n_parent, -1), ())
    crowd = _Crowd(points, leaves, before, smallest, locks)
    for step in (_appear, _vanish, _merge, _split):
        state = step(crowd, parent, state)
    settled = settle_anchored(points, state.prototypes, hold=np.where(state.origins >= 0, HOLD, 0))
    return replace(state, prototypes=settled)


@dataclass(frozen=True)
class _Crowd:
    """The users of a fit, their dense cores, the parent's users, smallest segment and locks."""

    points: np.ndarray
    leaves: Leaves
    before: np.ndarray | None
    smallest: int
    locks: Locks


def settle_anchored(points: np.ndarray, start: np.ndarray, *, hold: np.ndarray) -> np.ndarray:
    """Move each prototype towards the middle of its users, as far as it is let.

    Parameters
    ----------
    points
        float64 [n, d].
    start
        float64 [k, d].
    hold
        float64 [k], how often the start counts beside the middle; with 0 this is Lloyd's method.

    Returns
    -------
    numpy.ndarray
        float64 [k, d].
    """
    prototypes, label = start, nearest(points, start)
    for _ in range(MAX_ROUNDS):
        middles = means(points, label, prototypes)
        prototypes = (hold[:, None] * start + middles) / (hold[:, None] + 1)
        earlier, label = label, nearest(points, prototypes)
        if np.array_equal(label, earlier):
            break
    return prototypes


def _appear(crowd: _Crowd, parent: PrototypeAssigner, state: Anchored) -> Anchored:
    """Add a prototype where dense cores lie outside all segments of the parent."""
    squares = squared_distances(crowd.points, parent.prototypes)
    outside = np.sqrt(squares.min(axis=1)) > parent.novelty_limits[squares.argmin(axis=1)]
    reach = float(np.median(parent.novelty_limits))
    centres: list[np.ndarray] = []
    for leaf in range(crowd.leaves.n_leaves):  # the largest first
        inside = crowd.leaves.labels == leaf
        middle = crowd.points[inside].mean(axis=0)
        near = any(np.linalg.norm(middle - centre) <= reach for centre in centres)
        if outside[inside].mean() > FOREIGN_SHARE and not near:
            centres.append(middle)
    for centre in centres:
        tried = np.vstack([state.prototypes, centre])
        new = (nearest(crowd.points, tried) == len(tried) - 1) & outside
        n_users, then = int(new.sum()), _share_nearest_last(crowd.before, tried)
        if n_users >= crowd.smallest and n_users / len(crowd.points) > GROWTH * then:
            reason = (
                f"{n_users:,} users in dense cores outside all segments, {n_users / len(new):.1%} "
                f"of all; {then:.1%} were there"
            )
            middle = crowd.points[new].mean(axis=0)
            state = state.with_new(middle, Departure("appear", (), reason))
    return state


def _vanish(crowd: _Crowd, parent: PrototypeAssigner, state: Anchored) -> Anchored:
    """Leave out prototypes with hardly anybody in their reach, the emptiest first; one stays."""
    while len(state.prototypes) > 1:
        squares = squared_distances(crowd.points, state.prototypes)
        own, distance = squares.argmin(axis=1), np.sqrt(squares.min(axis=1))
        limit = np.where(state.origins >= 0, parent.novelty_limits[state.origins], np.inf)
        users = np.bincount(own[distance <= limit[own]], minlength=len(state.prototypes))
        place = int(users.argmin())
        if users[place] >= crowd.smallest:
            return state
        about = _ids(parent, state, place)
        reason = f"{users[place]:,} users in its reach; a segment has at least {crowd.smallest:,}"
        state = state.without(place, Departure("vanish", about, reason))
    return state


def _merge(crowd: _Crowd, parent: PrototypeAssigner, state: Anchored) -> Anchored:
    """Join two prototypes of the parent whose users came together, the nearest pair first."""
    while len(state.prototypes) > 1:
        label = nearest(crowd.points, state.prototypes)
        middles = means(crowd.points, label, state.prototypes)
        apart = np.sqrt(squared_distances(middles, middles))
        were = np.sqrt(squared_distances(state.prototypes, state.prototypes))
        known = (state.origins >= 0) & np.isin(np.arange(len(middles)), label)
        ratio = np.where(np.outer(known, known), apart / np.maximum(were, TINY), np.inf)
        ratio[_held_apart(crowd.locks, parent, state)] = np.inf
        one, other = sorted(np.unravel_index(ratio.argmin(), ratio.shape))
        both = np.isin(label, (one, other))
        gap, _ = separation(crowd.points[both], middles[[one, other]])
        if ratio[one, other] >= TOGETHER or gap >= IN_ONE_PIECE:
            return state
        about = (*_ids(parent, state, int(one)), *_ids(parent, state, int(other)))
        reason = (
            f"their users' middles are {apart[one, other]:.3g} apart, the parent's were "
            f"{were[one, other]:.3g}; there is no gap between them ({gap:.1f} standard deviations)"
        )
        joined = state.prototypes.copy()
        joined[one] = crowd.points[both].mean(axis=0)
        why = Departure("merge", about, reason)
        state = replace(state, prototypes=joined).without(int(other), why)
    return state


def _held_apart(locks: Locks, parent: PrototypeAssigner, state: Anchored) -> np.ndarray:
    """Pairs that are not merged: parts of one segment, and what a person split, bool [k, k]."""
    ids = np.where(state.origins >= 0, parent.segment_ids[state.origins], 0)
    held = np.equal.outer(ids, ids)
    for pair in locks.apart:
        one, other = pair
        both = np.logical_and.outer(ids == one, ids == other)
        held |= both | both.T
    return held


def _split(crowd: _Crowd, parent: PrototypeAssigner, state: Anchored) -> Anchored:
    """Divide each prototype of the parent whose users fell into two clearly separate parts."""
    label = nearest(crowd.points, state.prototypes)
    then = None if crowd.before is None else nearest(crowd.before, parent.prototypes)
    core = crowd.leaves.labels != BETWEEN
    held = np.isin(parent.segment_ids, list(crowd.locks.together))
    for place in np.flatnonzero((state.origins >= 0) & ~held[state.origins]):
        inside = label == place
        nowhere = np.full((crowd.leaves.n_leaves, crowd.points.shape[1]), np.nan)
        seeds = means(crowd.points[core & inside], crowd.leaves.labels[core & inside], nowhere)
        parts = split_in_two(crowd.points[inside], seeds[np.isfinite(seeds).all(axis=1)])
        if parts is None:
            continue
        apart, users = separation(crowd.points[inside], parts)
        own = None if crowd.before is None else crowd.before[then == state.origins[place]]
        if apart < APART or users < crowd.smallest or _was_apart(own, parts, crowd.smallest):
            continue
        reason = (
            f"its users fell into two parts {apart:.1f} standard deviations apart, the smaller "
            f"has {users:,}; a cloud in one piece has up to 3.5"
        )
        moved = np.linalg.norm(parts - state.prototypes[place], axis=1)
        prototypes = state.prototypes.copy()
        prototypes[place] = parts[moved.argmin()]
        why = Departure("split", _ids(parent, state, int(place)), reason)
        source = int(state.origins[place])
        state = replace(state, prototypes=prototypes)
        state = state.with_new(parts[moved.argmax()], why, source=source)
    return state


def _share_nearest_last(points: np.ndarray | None, prototypes: np.ndarray) -> float:
    """Share of points whose nearest prototype is the last one; 0 of no points."""
    if points is None or not len(points):
        return 0.0
    return float((nearest(points, prototypes) == len(prototypes) - 1).mean())


def _was_apart(own: np.ndarray | None, parts: np.ndarray, smallest: int) -> bool:
    """Whether the parent's users of a segment fell into the same parts already."""
    if own is None:
        return False
    apart, users = separation(own, parts)
    return apart >= APART and users >= smallest


def separation(points: np.ndarray, parts: np.ndarray) -> tuple[float, int]:
    """How clearly points fall into two parts.

    Parameters
    ----------
    points
        float64 [n, d].
    parts
        float64 [2, d], the middles that decide who belongs to which part.

    Returns
    -------
    tuple
        Distance of the parts' means along the line between `parts`, in standard deviations of a
        part (pooled); and the points in the smaller part. 0 where a part has fewer than two.

    References
    ----------
    Ashman, Bird, Zepf, "Detecting bimodality in astronomical datasets", 1994, equation 4.
    """
    label = nearest(points, parts) if len(points) else np.zeros(0, dtype=np.int64)
    users = int(np.bincount(label, minlength=2).min())
    if users < 2:
        return 0.0, users
    line = parts[1] - parts[0]
    along = points @ (line / max(float(np.linalg.norm(line)), TINY))
    one, other = along[label == 0], along[label == 1]
    pooled = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2)
    return float(abs(one.mean() - other.mean()) / max(float(pooled), TINY)), users


def _ids(parent: PrototypeAssigner, state: Anchored, place: int) -> tuple[int, ...]:
    """The parent's id of a prototype, if it has one."""
    origin = int(state.origins[place])
    return (int(parent.segment_ids[origin]),) if origin >= 0 else ()
