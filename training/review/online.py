"""Whether a user who is asked about alone, from outside, gets the answer of the batch."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from segmenter.audience_model import AudienceModel
from segmenter.events.batches import history_ends
from segmenter.events.store import EventStore
from training.review.slices import Slice

N_USERS = 100
MAX_EVENTS = 2_000
"""Longer histories are passed over: as lists of texts they take long to write out."""


@dataclass(frozen=True)
class OnlineCheck:
    """Users asked about one at a time.

    Attributes
    ----------
    n_users
        How many.
    error
        Largest difference of a coordinate from the batch.
    n_moved
        Users who got another segment than in the batch.
    ms_per_user
        Median processor time of one answer, milliseconds.
    """

    n_users: int
    error: float
    n_moved: int
    ms_per_user: float


def check_online(model: AudienceModel, part: Slice, embeddings: np.ndarray) -> OnlineCheck:
    """Ask about some users of a slice one at a time.

    Parameters
    ----------
    model
        The model.
    part
        The slice.
    embeddings
        float32 [n, D] of its users, from the batch.
    """
    store = part.store
    lengths = history_ends(store, part.users, part.as_of) - np.asarray(store.offsets)[part.users]
    short = np.flatnonzero(lengths <= MAX_EVENTS)
    generator = np.random.default_rng(part.seed)
    chosen = generator.choice(short, min(N_USERS, len(short)), replace=False)
    lists = history_lists(store, model, part.users[chosen], as_of=part.as_of)
    batch = model.assign(embeddings[chosen]).segment_id
    errors, moved, times = [0.0], 0, [0.0]
    for place, row in enumerate(chosen):
        columns = {name: [values[place]] for name, values in lists.items()}
        start = time.process_time()
        vector = model.embed_batch(model.batch_of(columns, as_of=[part.as_of]))
        segment = model.assign(vector).segment_id[0]
        times.append(time.process_time() - start)
        errors.append(float(np.abs(vector[0] - embeddings[row]).max()))
        moved += int(segment != batch[place])
    return OnlineCheck(len(chosen), max(errors), moved, 1000 * float(np.median(times[1:] or [0])))


def history_lists(
    store: EventStore, model: AudienceModel, users: np.ndarray, *, as_of: int
) -> dict[str, list[list[Any]]]:
    """Histories of users of a store as a caller from outside would send them.

    Returns
    -------
    dict
        Field to one list per user, as `AudienceModel.batch_of` takes them.
    """
    vocabulary = model.network.vocabulary
    starts = np.asarray(store.offsets)[users]
    spans = list(zip(starts, history_ends(store, users, as_of), strict=True))
    lists: dict[str, list[list[Any]]] = {
        "time": [np.asarray(store.times[start:end]).tolist() for start, end in spans]
    }
    for name in vocabulary.categorical:
        if name in store.categorical:
            values, codes = [None, *store.vocabulary(name)], store.codes(name)
            lists[name] = [[values[code] for code in codes[start:end]] for start, end in spans]
    for name in vocabulary.numeric:
        if name in store.numeric:
            numbers = store.numbers(name)
            lists[name] = [
                [None if np.isnan(number) else float(number) for number in numbers[start:end]]
                for start, end in spans
            ]
    grouping = vocabulary.grouping
    if grouping is not None and grouping in store.categorical:
        visits = store.codes(grouping)
        lists[grouping] = [[str(code) for code in visits[start:end]] for start, end in spans]
    return lists
