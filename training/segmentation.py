"""From a trained network to published segments: embed, seek, assign everybody, describe."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from segmenter.audience_model import BATCH_EVENTS, BATCH_USERS
from segmenter.autoencoder.activity import distinct_values, sum_by_owner
from segmenter.autoencoder.config import DAY_US
from segmenter.events.batches import EventBatch, SequenceReader
from segmenter.events.vocabulary import FIRST, Vocabulary
from segmenter.segments.assignment import Assignment, PrototypeAssigner
from segmenter.segments.density import BETWEEN, DensitySettings, Leaves, find_leaves
from segmenter.segments.hierarchy import Hierarchy
from segmenter.segments.layout import user_map
from segmenter.segments.profiles import describe_segments
from segmenter.segments.prototypes import SizeLimits, core_agreement, make_prototypes
from segmenter.segments.rules import PlainFacts, with_rules
from segmenter.segments.segment import Segment
from segmenter.segments.stability import with_stability
from segmenter.terminal import ProgressCallback
from training.selection import Choice

TOTAL_VALUE = "total value"
N_STEPS = 3


@dataclass(frozen=True)
class Segmentation:
    """Segments of the training users and everything needed to assign others.

    Attributes
    ----------
    choice
        Every way of cutting the space that was tried, the published one and its space.
    assigner, segments
        Parts of the model.
    leaves
        The dense cores that the segments were made of.
    map_xy
        float32 [n_fit, 2], the users of the fit on a map for the eye.
    assignment
        Segment of each training user, by the very assigner that will serve.
    agreement
        Share of core members who are in the segment of most of their core.
    facts
        What the training users did, in plain words.
    levels
        Macro and micro segments, once they were made.
    """

    choice: Choice
    assigner: PrototypeAssigner
    segments: tuple[Segment, ...]
    leaves: Leaves
    map_xy: np.ndarray
    assignment: Assignment
    agreement: float
    facts: PlainFacts
    levels: Hierarchy | None = None


def fit_segments(
    embeddings: np.ndarray,
    reader: SequenceReader,
    users: np.ndarray,
    *,
    as_of: int,
    choice: Choice,
    seed: int,
    progress: ProgressCallback | None = None,
) -> Segmentation:
    """Make the segments of the chosen level, assign everybody, name and explain each segment.

    Parameters
    ----------
    embeddings
        float32 [n, D] of the training users.
    reader, users
        Their events: rows of the store, int64 [n].
    as_of
        End of the training period in microseconds.
    choice
        The level, from `training.selection.choose_level`, or what a refit continues.
    seed
        Of layouts and starts.
    progress
        Told of (steps done, steps in all).

    Raises
    ------
    FitError
        If there are no users, or training diverged.
    """
    tell = progress or (lambda _done, _total: None)
    space, settings = choice.projection(embeddings), DensitySettings()
    leaves = choice.leaves or find_leaves(space, settings=settings, seed=seed)
    fitted = space[leaves.rows]
    tell(1, N_STEPS)
    assigner = choice.assigner
    if assigner is None:
        prototypes = make_prototypes(
            fitted, leaves, n_segments=choice.level.n_asked, limits=SizeLimits(), seed=seed
        )
        assigner = PrototypeAssigner.fit(prototypes, space)
    assignment = assigner.assign(space)
    map_xy = user_map(fitted, n_neighbors=settings.n_neighbors, seed=seed)
    tell(2, N_STEPS)
    facts = user_facts(reader, users, as_of=as_of)
    label = assignment.segment_id[leaves.rows]
    segments = describe_segments(
        assignment.segment_id,
        facts.presence,
        facts.tokens,
        levels=facts.levels,
        core=np.bincount(label[leaves.labels != BETWEEN]),
    )
    segments = with_rules(segments, assignment.segment_id, facts, seed=seed)
    owners = None if choice.assigner is None else assigner.segment_ids
    segments = with_stability(
        segments, assignment.segment_id, space, halves=choice.halves, owners=owners
    )
    tell(N_STEPS, N_STEPS)
    return Segmentation(
        choice,
        assigner,
        segments,
        leaves,
        map_xy,
        assignment,
        core_agreement(label, leaves),
        facts,
    )


def described_fields(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Fields whose values explain a segment: items only where a log has no category."""
    has_category = "category" in vocabulary.values
    return tuple(name for name in vocabulary.categorical if not (name == "item" and has_category))


def user_facts(reader: SequenceReader, users: np.ndarray, *, as_of: int) -> PlainFacts:
    """Collect what users did at or before `as_of`, in batches.

    Parameters
    ----------
    reader
        The events in the model's codes.
    users
        int64 rows of the store [n].
    as_of
        Microseconds.
    """
    vocabulary = reader.vocabulary
    fields = described_fields(vocabulary)
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    starts = np.cumsum([0, *(vocabulary.size(name) - FIRST for name in fields)])
    names = ["events", "active days", "days since last event"]
    names += [TOTAL_VALUE] if "value" in vocabulary.numeric else []
    levels = {name: np.zeros(len(users)) for name in names}
    for places, batch in reader.batches(
        users, as_of=as_of, max_events=BATCH_EVENTS, max_users=BATCH_USERS
    ):
        for start, name in zip(starts, fields, strict=False):
            owner, code, _ = distinct_values(batch, name, vocabulary.size(name))
            known = code >= FIRST
            rows.append(places[owner[known].numpy()])
            columns.append(start + code[known].numpy() - FIRST)
        for name, value in batch_levels(batch, names).items():
            levels[name][places] = value
    shape = (len(users), int(starts[-1]))
    cells = (np.concatenate(rows), np.concatenate(columns))
    presence = sparse.csr_matrix((np.ones(len(cells[0]), dtype=bool), cells), shape=shape)
    tokens = [(name, text) for name in fields for text in vocabulary.values[name]]
    return PlainFacts(presence, tokens, levels)


def batch_levels(batch: EventBatch, names: list[str]) -> dict[str, np.ndarray]:
    """Activity, recency and total value of each user of a batch, float64 [B] each."""
    owner, n_users = batch.owner, len(batch)
    days = batch.times // DAY_US
    new_day = torch.ones_like(days, dtype=torch.bool)
    new_day[1:] = (days[1:] != days[:-1]) | (owner[1:] != owner[:-1])
    last = batch.times[(batch.starts + batch.lengths - 1).clamp(min=0)]
    values = {
        "events": batch.lengths,
        "active days": sum_by_owner(new_day, owner, n_users),
        "days since last event": (batch.as_of - last).double() / DAY_US,
    }
    if TOTAL_VALUE in names:
        value = torch.nan_to_num(batch.numbers["value"])
        values[TOTAL_VALUE] = sum_by_owner(value, owner, n_users)
    return {name: value.double().numpy() for name, value in values.items()}
