"""From a trained network to published segments: embed, seek, assign everybody, describe."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from segmenter.audience_model import BATCH_EVENTS, BATCH_USERS
from segmenter.autoencoder.config import DAY_US
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.autoencoder.profile import distinct_values, sum_by_owner
from segmenter.errors import FitError
from segmenter.events.batches import EventBatch, SequenceReader
from segmenter.events.vocabulary import FIRST, Vocabulary
from segmenter.segments.assignment import NO_SEGMENT, Assignment, VoteAssigner
from segmenter.segments.density import DensityResult, DensitySettings, find_segments
from segmenter.segments.profiles import describe_segments
from segmenter.segments.projection import Projection, fit_projection
from segmenter.segments.segment import Segment
from segmenter.terminal import ProgressCallback
from training.config import TrainConfig

TOTAL_VALUE = "total value"
MIN_AGREEMENT = 0.95
"""Share of core members that the assigner must give back to their own segment."""


@dataclass(frozen=True)
class Segmentation:
    """Segments of the training users and everything needed to assign others.

    Attributes
    ----------
    projection, assigner, segments
        Parts of the model.
    density
        How the segments were found, with the map of the fit sample.
    assignment
        Segment of each training user, by the very assigner that will serve.
    agreement
        Share of core members whom the assigner gives back to their own segment.
    """

    projection: Projection
    assigner: VoteAssigner
    segments: tuple[Segment, ...]
    density: DensityResult
    assignment: Assignment
    agreement: float


def fit_segments(
    embeddings: np.ndarray,
    reader: SequenceReader,
    users: np.ndarray,
    *,
    as_of: int,
    network: SequenceAutoencoder,
    config: TrainConfig,
    progress: ProgressCallback | None = None,
) -> Segmentation:
    """Seek segments in the embeddings, assign everybody, name and explain each segment.

    Parameters
    ----------
    embeddings
        float32 [n, D] of the training users.
    reader, users
        Their events: rows of the store, int64 [n].
    as_of
        End of the training period in microseconds.
    network
        Supplies the sizes of the two parts.
    config
        Settings.
    progress
        Told of (steps done, steps in all).

    Raises
    ------
    FitError
        If the users carry no segment, or the assigner disagrees with its own training labels.
    """
    projection = fit_projection(
        embeddings,
        n_forecast=network.config.forecast_dimensions,
        taste_weight=config.taste_weight,
        taste_components=config.taste_components,
    )
    space = projection(embeddings)
    settings = DensitySettings(n_segments=config.n_segments)
    density = find_segments(space, settings=settings, seed=config.seed, progress=progress)
    labels = np.full(len(space), NO_SEGMENT, dtype=np.int32)
    labels[density.fit_rows] = density.segment_labels
    assigner = VoteAssigner.fit(space, labels, seed=config.seed)
    agreement = assigner.training_agreement(space, labels)
    if agreement < MIN_AGREEMENT:
        message = (
            f"the assigner gives back only {agreement:.1%} of the core members to their own "
            "segment; the segments are too thin to be served: lower n_segments"
        )
        raise FitError(message)
    assignment = assigner.assign(space)
    facts = user_facts(reader, users, as_of=as_of)
    segments = describe_segments(
        assignment.segment_id,
        facts.presence,
        facts.tokens,
        levels=facts.levels,
        core=np.bincount(labels[labels != NO_SEGMENT]),
    )
    return Segmentation(projection, assigner, segments, density, assignment, agreement)


@dataclass(frozen=True)
class UserFacts:
    """Plain facts about users, for names and reasons.

    Attributes
    ----------
    presence
        bool CSR [n, T]: the user did it at least once.
    tokens
        (field, value) of each column.
    levels
        Number name to float64 [n].
    """

    presence: sparse.csr_matrix
    tokens: list[tuple[str, str]]
    levels: dict[str, np.ndarray]


def described_fields(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Fields whose values explain a segment: items only where a log has no category."""
    has_category = "category" in vocabulary.values
    return tuple(name for name in vocabulary.categorical if not (name == "item" and has_category))


def user_facts(reader: SequenceReader, users: np.ndarray, *, as_of: int) -> UserFacts:
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
    return UserFacts(presence, tokens, levels)


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
