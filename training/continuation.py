"""Segments of a refit: those of the parent, as far as the new data bear them out.

The parent's coordinates are kept, its prototypes move a little, and everybody is placed by both
models, so that what changed is told of each user: by the refit, or by what the user did.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import adjusted_rand_score

from segmenter.audience_model import AudienceModel
from segmenter.events.batches import history_ends
from segmenter.events.store import EventStore
from segmenter.files import atomic_file
from segmenter.segments.anchored import HOLD, Anchored, anchored_prototypes, settle_anchored
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.density import DensitySettings, find_leaves
from segmenter.segments.distances import nearest
from segmenter.segments.lineage import carry_names
from segmenter.segments.matching import (
    APPEARED,
    KEPT,
    MOVED as MOVED_KIND,
    UNKNOWN,
    Flow,
    Users,
    kept_share,
    match_ids,
    trace_flow,
)
from segmenter.segments.prototypes import SizeLimits
from training.inner_slice import InnerSlice
from training.refit_report import SegmentFlow
from training.segmentation import Segmentation
from training.selection import N_SPLITS, PLAIN, Choice, Level

MOVED = "moved.parquet"
"""In a job's folder: who is in another segment than at the parent's time, and why."""
BY_REFIT, BY_BEHAVIOR = "refit", "behavior"


@dataclass(frozen=True)
class Continuation:
    """The parent's segments among the users of a refit.

    Attributes
    ----------
    choice
        The parent's coordinates and what speaks for them today, with the assigner of the refit.
    users
        Everybody by the parent.
    anchored
        What became of the prototypes.
    split_from
        New ids to the id that they split from.
    """

    choice: Choice
    users: Users
    anchored: Anchored
    split_from: dict[int, int]


def place_by_parent(
    parent: AudienceModel, store: EventStore, users: np.ndarray, *, as_of: int
) -> tuple[Users, np.ndarray]:
    """Segments that the parent gives, at its own time and today.

    Parameters
    ----------
    parent
        The earlier model.
    store, users
        The newer store and the rows of its users, int64 [n].
    as_of
        Today, in microseconds.

    Returns
    -------
    tuple
        Everybody by the parent, and the coordinates of those that it knew, float64 [m, d], as
        they were then.
    """
    since = parent.trained_as_of
    known = history_ends(store, users, since) > np.asarray(store.offsets)[users]
    then = np.full(len(users), UNKNOWN, dtype=np.int32)
    before = parent.embed(store, users[known], as_of=since)
    then[known] = parent.assign(before).segment_id
    today = parent.assign(parent.embed(store, users, as_of=as_of)).segment_id
    return Users(then, today), parent.projection(before).astype(np.float64)


def continue_segments(
    parent: AudienceModel,
    embeddings: np.ndarray,
    placed: tuple[Users, np.ndarray],
    *,
    earlier: InnerSlice | None,
    seed: int,
) -> Continuation:
    """Settle the parent's segments among today's users and find out which ids they carry.

    Parameters
    ----------
    parent
        The earlier model.
    embeddings
        float32 [n, D] of today's users, by the refitted network.
    placed
        The same users by the parent, from `place_by_parent`.
    earlier
        What validity is measured on; None where there is nothing.
    seed
        Of layouts and halves.

    Raises
    ------
    FitError
        If there are no users, or training diverged.
    """
    users, before = placed
    space = parent.projection(embeddings)
    leaves = find_leaves(space, settings=DensitySettings(), seed=seed)
    points = space[leaves.rows].astype(np.float64)
    found = anchored_prototypes(
        points,
        leaves,
        parent.assigner,
        before=before,
        limits=SizeLimits(),
        locks=parent.lineage.locks,
    )
    label, next_id = nearest(space, found.prototypes), parent.lineage.next_id
    ids = match_ids(parent.assigner, found.prototypes, label, users=users, next_id=next_id)
    ids = _held_together(ids, found, parent, next_id=next_id)
    fitted = PrototypeAssigner.fit(found.prototypes, space)
    order = np.argsort(ids, kind="stable")
    assigner = PrototypeAssigner(found.prototypes[order], ids[order], fitted.novelty_limits[order])
    halves = _halves(found, points, seed=seed)
    splits = [tuple(half[order] for half in pair) for pair in halves]
    level = _level(parent, assigner, points, splits=splits)
    if earlier is not None:
        then = assigner.assign(parent.projection(earlier.embeddings)).segment_id
        level = replace(level, validity=float(earlier.validity(then, seed=seed)[0]), behind=0.0)
    choice = Choice((level,), parent.projection, leaves, assigner, sum(splits, start=()))
    return Continuation(choice, users, found, found.split_from(parent.assigner, ids))


def with_carried_names(segmentation: Segmentation, parent: AudienceModel) -> Segmentation:
    """The segments under the names of the parent, where these hold still."""
    return replace(segmentation, segments=carry_names(segmentation.segments, parent.segments))


def segment_flow(
    found: Continuation, segment_id: np.ndarray, parent: AudienceModel
) -> SegmentFlow:
    """Who went where.

    Parameters
    ----------
    found
        The segments of the refit.
    segment_id
        int32 [n] of today's users, by the refit.
    parent
        The earlier model.
    """
    users = found.users
    sizes = {segment.id: segment.n_users for segment in parent.segments}
    known = users.then != UNKNOWN
    stayed = (users.then == segment_id)[known].mean() if known.any() else 1.0
    behavior = (users.then == users.today)[known].mean() if known.any() else 1.0
    return SegmentFlow(
        n_known=int(known.sum()),
        n_new=int((~known).sum()),
        kept_share=kept_share(segment_id, users),
        stayed_share=float(stayed),
        behavior_share=float(behavior),
        flow=trace_flow(sizes, segment_id, users=users, split_from=found.split_from),
        departures=found.anchored.departures,
        behavior=behavior_flow(users),
    )


def behavior_flow(users: Users) -> tuple[Flow, ...]:
    """Where users went by what they did, all by the parent: at its time, and on today's events."""
    pairs, counts = np.unique(np.stack([users.then, users.today]), axis=1, return_counts=True)
    return tuple(
        Flow(
            old_id=None if then == UNKNOWN else then,
            new_id=today,
            kind=APPEARED if then == UNKNOWN else KEPT if then == today else MOVED_KIND,
            users=n_users,
        )
        for (then, today), n_users in zip(pairs.T.tolist(), counts.tolist(), strict=True)
    )


def write_moved(path: Path, ids: pl.Series, *, users: Users, segment_id: np.ndarray) -> None:
    """Write who is in another segment than at the parent's time, and what moved them.

    Parameters
    ----------
    path
        A Parquet file: ``user_id``, ``old_segment_id``, ``new_segment_id`` and ``moved_by``:
        ``behavior`` where the parent itself would place the user elsewhere today, else ``refit``.
    ids
        Of the users, text [n].
    users
        By the parent.
    segment_id
        int32 [n], by the refit.
    """
    moved = (users.then != UNKNOWN) & (users.then != segment_id)
    cause = np.where(users.then != users.today, BY_BEHAVIOR, BY_REFIT)
    table = pl.DataFrame(
        {
            "user_id": ids,
            "old_segment_id": users.then.astype(np.int32),
            "new_segment_id": segment_id.astype(np.int32),
            "moved_by": cause,
        }
    )
    with atomic_file(path) as temporary:
        table.filter(pl.Series(moved)).write_parquet(temporary)


def _held_together(
    ids: np.ndarray, found: Anchored, parent: AudienceModel, *, next_id: int
) -> np.ndarray:
    """The ids, all parts of a segment that a person merged under its own."""
    owners = np.where(found.origins >= 0, parent.assigner.segment_ids[found.origins], UNKNOWN)
    together = list(parent.lineage.locks.together)
    part = np.isin(owners, together)
    held = np.where(part, owners, ids).astype(np.int32)
    stray = np.flatnonzero(np.isin(held, together) & ~part)
    held[stray] = max(next_id, int(ids.max()) + 1) + np.arange(len(stray))
    return held


def _halves(found: Anchored, points: np.ndarray, *, seed: int) -> list[tuple[np.ndarray, ...]]:
    """Prototypes that two halves of the users settle, for each split; none of a handful."""
    hold, splits = np.where(found.origins >= 0, HOLD, 0), []
    for split in range(N_SPLITS if len(points) > 1 else 0):
        order = np.random.default_rng((seed, split)).permutation(len(points))
        halves = (np.sort(order[::2]), np.sort(order[1::2]))
        splits.append(
            tuple(settle_anchored(points[half], found.prototypes, hold=hold) for half in halves)
        )
    return splits


def _level(
    parent: AudienceModel,
    assigner: PrototypeAssigner,
    points: np.ndarray,
    *,
    splits: list[tuple[np.ndarray, ...]],
) -> Level:
    """The level that the parent published, with the stability of the anchored settling."""
    owners = assigner.segment_ids
    labels = [[owners[nearest(points, half)] for half in halves] for halves in splits]
    sizes = np.unique(owners[nearest(points, assigner.prototypes)], return_counts=True)[1]
    agreed = [adjusted_rand_score(*pair) for pair in labels]
    return Level(
        taste_weight=float(parent.training.get("taste_weight", 0.0)),
        metric=str(parent.training.get("metric", PLAIN)),
        n_asked=len(parent.segments),
        n_segments=len(assigner.ids),
        validity=None,
        behind=None,
        stability=float(np.mean(agreed)) if agreed else 1.0,
        smallest=int(sizes.min()),
        chosen=True,
    )
