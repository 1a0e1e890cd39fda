"""What generation reads of real users besides the model: where they lie, when, how long, how much.

Read from a store once; journeys are then drawn without it.
"""

from dataclasses import dataclass

import numpy as np
import torch

from segmenter.autoencoder.activity import visit_starts
from segmenter.autoencoder.decoder import GAP
from segmenter.autoencoder.event_encoder import gaps_in_seconds
from segmenter.autoencoder.model import Latent, SequenceAutoencoder
from segmenter.events.batches import SequenceReader, history_ends
from segmenter.events.store import EventStore
from segmenter.generation.decoding import DAY_US, HOUR_US, Frames, Scales, stream_chances
from segmenter.generation.numerals import Numerals, clock_of, fit_numerals
from segmenter.space.neighbors import nearest_rows

MAX_SCALE_USERS = 5_000
"""Users whose newest events the scales are learned of; more are taken evenly."""
MAX_COUNTED_USERS, BLOCK_USERS = 50_000, 2_000
"""Users among whom those of each value are counted, and how many are read at a time."""
FRAME_STREAM = 1
"""Keeps the draws of frames apart from those of events."""
FRAME_NEIGHBORS = 10
"""A journey takes its day and length from one of so many nearest users, its hour from another."""


@dataclass(frozen=True)
class Crowd:
    """Real users as generation sees them.

    Attributes
    ----------
    users
        int64 [n], rows of the store.
    embeddings
        float32 [n, d].
    frames
        Of the newest events of each, as many as the decoder learned from.
    scales
        See `Scales`.
    """

    users: np.ndarray
    embeddings: np.ndarray
    frames: Frames
    scales: Scales

    def only(self, chosen: np.ndarray) -> "Crowd":
        """Some of the users, by int64 rows or bool [n]; the scales stay."""
        rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        frames = self.frames.rows(rows)
        return Crowd(self.users[rows], self.embeddings[rows], frames, self.scales)


def read_crowd(
    network: SequenceAutoencoder,
    store: EventStore,
    *,
    users: np.ndarray,
    embeddings: np.ndarray,
    as_of: int,
    scales: Scales | None = None,
) -> Crowd:
    """Read what generation needs of some users.

    Parameters
    ----------
    network
        In whose codes and classes.
    store
        The events.
    users
        int64 [n] rows, each with an event at or before `as_of`.
    embeddings
        float32 [n, d] of them as of then.
    as_of
        Microseconds.
    scales
        Those of other users; None learns them of these.
    """
    ends = history_ends(store, users, as_of)
    starts = np.maximum(store.offsets[users], ends - network.config.sequence_events)
    frames = Frames(
        np.asarray(store.times[starts]), np.asarray(store.times[ends - 1]), ends - starts
    )
    learned = scales or _scales(network, store, starts=starts, ends=ends)
    return Crowd(users, embeddings, frames, learned)


def _scales(
    network: SequenceAutoencoder, store: EventStore, *, starts: np.ndarray, ends: np.ndarray
) -> Scales:
    """What turns classes into times and numbers."""
    step = max(1, -(-len(starts) // MAX_SCALE_USERS))
    first, last = starts[::step], ends[::step]
    as_of = np.asarray(store.times[last - 1])
    batch = SequenceReader(store, network.vocabulary).between(first, last, as_of)
    gaps = gaps_in_seconds(batch)
    later = torch.ones(len(gaps), dtype=torch.bool)
    later[batch.starts] = False
    numerals: dict[str, Numerals] = {
        GAP: fit_numerals(network.numbers[GAP], gaps[later].double().numpy())
    }
    for name, values in batch.numbers.items():
        numerals[name] = fit_numerals(network.numbers[name], values.double().numpy())
    classes = network.numbers[GAP].encode(gaps[later])
    n_classes = network.numbers[GAP].n_classes
    opened = torch.bincount(
        classes, weights=visit_starts(batch)[later].double(), minlength=n_classes
    )
    share = opened / torch.bincount(classes, minlength=n_classes).clamp(min=1)
    counts = _users_per_value(network, store, starts=starts, ends=ends)
    newest = int(store.times[ends - 1].max())
    return Scales(numerals, share.numpy(), clock_of(batch.times.numpy()), newest, counts)


def _users_per_value(
    network: SequenceAutoencoder, store: EventStore, *, starts: np.ndarray, ends: np.ndarray
) -> dict[str, np.ndarray]:
    """Per categorical field int64 [model codes], users who did each among many."""
    vocabulary = network.vocabulary
    reader = SequenceReader(store, vocabulary)
    counts = {name: np.zeros(vocabulary.size(name), np.int64) for name in vocabulary.categorical}
    step = max(1, -(-len(starts) // MAX_COUNTED_USERS))
    first, last = starts[::step], ends[::step]
    for block in range(0, len(first), BLOCK_USERS):
        lot = slice(block, block + BLOCK_USERS)
        batch = reader.between(first[lot], last[lot], np.zeros(len(first[lot]), np.int64))
        for name, codes in batch.codes.items():
            size = vocabulary.size(name)
            pairs = torch.unique(batch.owner * size + codes)
            counts[name] += np.bincount((pairs % size).numpy(), minlength=size)
    return counts


def decoder_input(network: SequenceAutoencoder, embeddings: np.ndarray) -> torch.Tensor:
    """What the decoder reads of embeddings, float32 [n, latent]."""
    joined = torch.from_numpy(np.ascontiguousarray(embeddings, dtype=np.float32))
    forecast, taste = joined.split(
        [network.config.forecast_dimensions, network.config.taste_dimensions], dim=1
    )
    with torch.inference_mode():
        return network.decoder_input(Latent(forecast, taste))


def frames_near(crowd: Crowd, points: np.ndarray, *, seed: int) -> Frames:
    """Begin, end and length for journeys at points, as users around them have them.

    Parameters
    ----------
    crowd
        Real users.
    points
        float [J, d], in the space of the embeddings.
    seed
        Journey j chooses among its neighbours by stream (seed, j) alone.

    Notes
    -----
    Nobody's begin is copied: the day is one neighbour's, the hour another's, and what is finer
    than an hour is drawn evenly.
    """
    rows, _ = nearest_rows(crowd.embeddings, points, k=FRAME_NEIGHBORS)
    chances = stream_chances(np.arange(len(points)), 1, 3, key=(seed, FRAME_STREAM))[:, 0]
    each = np.arange(len(points))
    picked = (chances[:, :2] * rows.shape[1]).astype(np.int64)
    day_of, hour_of = rows[each, picked[:, 0]], rows[each, picked[:, 1]]
    start = crowd.frames.start[day_of] // DAY_US * DAY_US
    start += crowd.frames.start[hour_of] % DAY_US // HOUR_US * HOUR_US
    clock = crowd.scales.clock_us
    if clock < HOUR_US:
        start += (chances[:, 2] * (HOUR_US // clock)).astype(np.int64) * clock
    span = crowd.frames.end[day_of] - crowd.frames.start[day_of]
    return Frames(start, start + span, crowd.frames.length[day_of])
