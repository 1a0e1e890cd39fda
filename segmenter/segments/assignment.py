"""Everybody to a segment: the vote of the nearest core members in the space of the segments.

Nothing of the clustering is needed here, so serving starts without it. One answer per point: the
segment, the strength and the second-best segment of a user never depend on who else is asked.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from segmenter.errors import BundleError, FitError
from segmenter.segments.neighbors import NearestReferences

NO_SEGMENT = -1
"""Stands for "between the cores" in labels and for "there is none" in second segments."""

N_NEIGHBORS = 15
MAX_REFERENCES = 20_000

BLOCK_ROWS = 20_000
"""Users who vote at once, so that the memory of an assignment does not grow with its users."""

NOVELTY_PERCENTILE = 95.0
"""Users farther out than this share of their own segment's users begin to count as novel."""

SPREAD_FLOOR = 1e-4
"""Smallest novelty limit relative to the spread of the references: where a segment is many copies
of one point, rounding of an embedding must not look like novelty."""


@dataclass(frozen=True)
class Assignment:
    """Segments of n users.

    Attributes
    ----------
    segment_id
        int32 [n].
    strength
        float32 [n] in [0, 1], higher is surer: the share of the neighbours' vote that went to the
        segment, less where the user is farther from its neighbours than the segment's users are.
    second_segment_id
        int32 [n], the runner-up; `NO_SEGMENT` where the model has a single segment.
    """

    segment_id: np.ndarray
    strength: np.ndarray
    second_segment_id: np.ndarray


def tally(codes: np.ndarray, weights: np.ndarray, n_segments: int) -> np.ndarray:
    """Sum votes per segment.

    Parameters
    ----------
    codes
        int64 [n, k], the segment code 0..n_segments-1 that each neighbour votes for.
    weights
        float64 [n, k].
    n_segments
        Number of segments.

    Returns
    -------
    numpy.ndarray
        float64 [n, n_segments].
    """
    cells = codes + np.arange(len(codes))[:, None] * n_segments
    votes = np.bincount(cells.ravel(), weights.ravel(), minlength=len(codes) * n_segments)
    return votes.reshape(len(codes), n_segments)


def inverse_distance(distances: np.ndarray) -> np.ndarray:
    """Weights that decide the vote: 1/d, and exact matches alone where there are any.

    Parameters
    ----------
    distances
        float64 [n, k].
    """
    exact = distances == 0
    weights = np.divide(1.0, distances, out=exact.astype(np.float64), where=~exact)
    return np.where(exact.any(axis=1, keepdims=True), exact, weights)


def softened_distance(distances: np.ndarray) -> np.ndarray:
    """Weights that tell how sure the vote is: 1/(d + mean d), so that no neighbour decides alone.

    Under 1/d a core member would be certain because it meets itself.

    Parameters
    ----------
    distances
        float64 [n, k].
    """
    softened = distances + distances.mean(axis=1, keepdims=True)
    return 1 / np.where(softened > 0, softened, 1.0)


class VoteAssigner:
    """Assigns by a distance-weighted vote of the nearest core members.

    Parameters
    ----------
    reference
        float32 [m, d], core members.
    labels
        int32 [m], their segments, positive.
    novelty_limits
        float64 [n_segments] in the order of the segment ids: the distance to the farthest voting
        neighbour that 95 % of the segment's users keep within. None measures it on the reference
        and on `others`.
    others
        float32 [n, d], users of the fit who have no vote.
    n_neighbors
        Voters per user; all of the reference where it has fewer.

    Raises
    ------
    FitError
        If there is no reference, or the parts do not fit together.
    """

    def __init__(
        self,
        reference: np.ndarray,
        labels: np.ndarray,
        *,
        novelty_limits: np.ndarray | None = None,
        others: np.ndarray | None = None,
        n_neighbors: int = N_NEIGHBORS,
    ) -> None:
        _check_core(reference, labels, n_neighbors)
        self._neighbors = NearestReferences(reference)
        self.labels = labels.astype(np.int32)
        self.segment_ids, self._codes = np.unique(self.labels, return_inverse=True)
        self.n_neighbors = n_neighbors
        self._centroids = np.stack(
            [self.reference[self.labels == i].mean(0, np.float64) for i in self.segment_ids]
        )
        if novelty_limits is None:
            novelty_limits = self._measured_limits(others)
        self.novelty_limits = np.asarray(novelty_limits, dtype=np.float64)
        n_segments, found = len(self.segment_ids), self.novelty_limits
        if found.shape != (n_segments,) or not (np.isfinite(found) & (found > 0)).all():
            message = (
                f"each of {n_segments} segments must have a positive novelty limit; found "
                f"{found.tolist()}"
            )
            raise FitError(message)

    @classmethod
    def fit(
        cls,
        space: np.ndarray,
        labels: np.ndarray,
        *,
        seed: int,
        max_references: int = MAX_REFERENCES,
        n_neighbors: int = N_NEIGHBORS,
    ) -> Self:
        """An assigner whose idea of novelty comes from everybody, not from the dense cores alone.

        Parameters
        ----------
        space
            float32 [n, d] of all users of the fit.
        labels
            int32 [n], the segment of core members, `NO_SEGMENT` for everybody else.
        seed
            Of the draw of references.
        max_references
            References kept; each segment keeps its share, drawn at random.
        n_neighbors
            Voters per user.

        Raises
        ------
        FitError
            If no user is a core member.
        """
        core = np.flatnonzero(labels != NO_SEGMENT)
        kept = core[_stratified_draw(labels[core], max_references, seed)]
        others = np.delete(space, kept, axis=0)
        return cls(space[kept], labels[kept], others=others, n_neighbors=n_neighbors)

    @property
    def reference(self) -> np.ndarray:
        """The core members that vote, float32 [m, d]."""
        return self._neighbors.points

    def assign(self, space: np.ndarray) -> Assignment:
        """Segment, strength and second-best segment of each user.

        Parameters
        ----------
        space
            float32 [n, d], the users in the space of the reference.

        Returns
        -------
        Assignment
            Row by row the same whatever the other rows are.

        Raises
        ------
        ValueError
            If `space` has another width than the reference, or holds NaN or an infinity.
        """
        self._check(space)
        starts = range(0, max(len(space), 1), BLOCK_ROWS)
        blocks = [self._assign_block(space[start : start + BLOCK_ROWS]) for start in starts]
        return Assignment(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))

    def leave_one_out_agreement(self) -> float:
        """Share of references whose own segment wins the vote of the other references.

        Returns
        -------
        float
            In [0, 1], higher is better; 1 where there is nobody else to ask.
        """
        if len(self.reference) < 2:
            return 1.0
        return float((self._winners(*self._other_neighbors()) == self._codes).mean())

    def training_agreement(self, space: np.ndarray, labels: np.ndarray) -> float:
        """Share of core members whom the assigner gives back to their own segment.

        Parameters
        ----------
        space
            float32 [n, d] of the users of the fit.
        labels
            int32 [n], their labels; users with `NO_SEGMENT` are left out.

        Returns
        -------
        float
            In [0, 1]; 1 where every core member is a reference and no two share one place.
        """
        core = labels != NO_SEGMENT
        return float((self.assign(space[core]).segment_id == labels[core]).mean())

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for a bundle; `from_arrays` gives back an equal assigner."""
        return {
            "reference": self.reference,
            "labels": self.labels,
            "novelty_limits": self.novelty_limits,
            "n_neighbors": np.array([self.n_neighbors], dtype=np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild an assigner from `arrays`.

        Raises
        ------
        BundleError
            If an array is missing or the arrays do not fit together.
        """
        try:
            return cls(
                arrays["reference"],
                arrays["labels"],
                novelty_limits=arrays["novelty_limits"],
                n_neighbors=int(arrays["n_neighbors"][0]),
            )
        except (KeyError, IndexError, ValueError, FitError) as error:
            message = f"the assigner's arrays do not fit together: {error}"
            raise BundleError(message) from error

    def _check(self, space: np.ndarray) -> None:
        """Refuse points that have no place in the space of the reference."""
        if space.ndim != 2 or space.shape[1] != self.reference.shape[1]:
            message = f"users must have {self.reference.shape[1]} coordinates; found {space.shape}"
            raise ValueError(message)
        if not np.isfinite(space).all():
            message = "users must have finite coordinates; found NaN or an infinity"
            raise ValueError(message)

    def _assign_block(self, space: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Segment ids, strengths and second segment ids of users who are asked at once."""
        n_neighbors = min(self.n_neighbors, len(self.reference))
        indices, distances = self._neighbors.query(space, n_neighbors)
        first = self._winners(indices, distances)
        shares = self._shares(indices, distances)
        strength = shares[np.arange(len(space)), first] * self._familiarity(first, distances)
        second = self._runners_up(space, first, shares)
        return self.segment_ids[first], strength.astype(np.float32), second

    def _other_neighbors(self) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours of each reference among the others: indices and distances [m, k]."""
        n_points = len(self.reference)
        n_asked = min(self.n_neighbors + 1, n_points)
        indices, distances = self._neighbors.query(self.reference, n_asked)
        if n_points == 1:
            return indices, distances
        own = indices == np.arange(n_points)[:, None]
        # A point among more copies of itself than were asked for is not in its own list.
        own[~own.any(axis=1), -1] = True
        shape = (n_points, n_asked - 1)
        return indices[~own].reshape(shape), distances[~own].reshape(shape)

    def _winners(self, indices: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Code of the segment with the most votes; the smaller id at a tie."""
        votes = tally(self._codes[indices], inverse_distance(distances), len(self.segment_ids))
        return votes.argmax(axis=1)

    def _shares(self, indices: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Share of the softened vote of each segment, float64 [n, n_segments]."""
        votes = tally(self._codes[indices], softened_distance(distances), len(self.segment_ids))
        return votes / votes.sum(axis=1, keepdims=True)

    def _measured_limits(self, others: np.ndarray | None) -> np.ndarray:
        """Novelty limit of each segment over the references and others, float64 [n_segments]."""
        indices, distances = self._other_neighbors()
        winners, farthest = self._winners(indices, distances), distances[:, -1]
        if others is not None:
            indices, distances = self._neighbors.query(others, indices.shape[1])
            winners = np.concatenate([winners, self._winners(indices, distances)])
            farthest = np.concatenate([farthest, distances[:, -1]])
        spread = np.sqrt(self.reference.var(axis=0, dtype=np.float64).sum())
        floor = max(SPREAD_FLOOR * spread, float(np.finfo(np.float32).eps))
        limits = np.full(len(self.segment_ids), np.percentile(farthest, NOVELTY_PERCENTILE))
        for code in np.unique(winners):
            limits[code] = np.percentile(farthest[winners == code], NOVELTY_PERCENTILE)
        return np.maximum(limits, floor)

    def _familiarity(self, first: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """1 within the segment's novelty limit, falling as limit / distance beyond it."""
        limit = self.novelty_limits[first]
        return limit / np.maximum(distances[:, -1], limit)

    def _runners_up(self, space: np.ndarray, first: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Segment with the next most votes, else with the next nearest centroid, int32 [n]."""
        if len(self.segment_ids) == 1:
            return np.full(len(space), NO_SEGMENT, dtype=np.int32)
        others = shares.copy()
        others[np.arange(len(others)), first] = -1.0
        second = others.argmax(axis=1)
        unvoted = np.flatnonzero(others.max(axis=1, initial=-1.0) <= 0)
        places = space[unvoted].astype(np.float64)
        gaps = np.stack([np.square(places - at).sum(axis=1) for at in self._centroids], axis=1)
        gaps[np.arange(len(unvoted)), first[unvoted]] = np.inf
        second[unvoted] = gaps.argmin(axis=1)
        return self.segment_ids[second]


def _check_core(reference: np.ndarray, labels: np.ndarray, n_neighbors: int) -> None:
    """Refuse core members that cannot vote."""
    if reference.ndim != 2 or labels.shape != reference.shape[:1] or not reference.size:
        message = (
            "an assigner needs core members with coordinates and one label each; found reference "
            f"of shape {reference.shape} and labels of shape {labels.shape}"
        )
        raise FitError(message)
    if not np.isfinite(reference).all():
        message = "core members must have finite coordinates; found NaN or an infinity"
        raise FitError(message)
    if labels.dtype.kind not in "iu" or labels.min() < 1:
        message = f"labels must be integers from 1; found {labels.dtype} from {labels.min()}"
        raise FitError(message)
    if n_neighbors < 1:
        message = f"n_neighbors must be at least 1; found {n_neighbors}"
        raise FitError(message)


def _stratified_draw(labels: np.ndarray, n_wanted: int, seed: int) -> np.ndarray:
    """Sorted positions of at most about `n_wanted` members, each segment with its share.

    A segment keeps at least `N_NEIGHBORS` members, so that it can win a vote.
    """
    if len(labels) <= n_wanted:
        return np.arange(len(labels))
    generator = np.random.default_rng(seed)
    kept = []
    for segment in np.unique(labels):
        members = np.flatnonzero(labels == segment)
        quota = max(N_NEIGHBORS, int(n_wanted * len(members) / len(labels)))
        kept.append(generator.permutation(members)[:quota])
    return np.sort(np.concatenate(kept))
