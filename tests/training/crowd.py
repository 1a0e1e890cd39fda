"""Users placed without a network: what they did, in a few plain columns that mean the same later.

The first columns say how much (they stand in for the forecast part), the others what (taste).
"""

from dataclasses import dataclass

import numpy as np

from segmenter.events.samples import EVENT_TYPES, N_CATEGORIES
from segmenter.events.store import EventStore
from segmenter.validity.window import DAY_US, EventWindow, windows
from training.inner_slice import InnerSlice, inner_slice

CATEGORIES = tuple(f"category {number}" for number in range(N_CATEGORIES))
RECENT_DAYS = (7, 28)
N_FORECAST = len(EVENT_TYPES) + len(RECENT_DAYS) + 1
START_US = int(np.datetime64("2025-01-01", "us").astype(np.int64))
CUT, AS_OF = START_US + 30 * DAY_US, START_US + 45 * DAY_US
"""The planted users are known for sixty days: a month, a slice of two weeks, and what is later."""


@dataclass(frozen=True)
class Crowd:
    """Users with an event by a time, as they were then.

    Attributes
    ----------
    users
        int64 [n] rows of the store.
    embeddings
        float32 [n, D], the first `N_FORECAST` columns say how much.
    """

    users: np.ndarray
    embeddings: np.ndarray


def crowd_at(store: EventStore, as_of: int) -> Crowd:
    """Everybody with an event at or before a time; later events are not read."""
    (everything,) = windows(store, np.arange(store.n_users), end=as_of + 1)
    users = np.flatnonzero(everything.total() > 0)
    (block,) = windows(store, users, end=as_of + 1)
    n_events = block.total()[:, None]
    types, categories = (
        np.column_stack([block.total(_texts(block, store, name) == value) for value in values])
        for name, values in (("event", EVENT_TYPES), ("category", CATEGORIES))
    )
    recent = [block.total(as_of - block.times < days * DAY_US) for days in RECENT_DAYS]
    value = block.total(np.nan_to_num(block.numbers("value")))
    much = np.log1p(np.column_stack([types, *recent, value]))
    what = np.sqrt(np.hstack([types, categories]) / n_events)
    return Crowd(users, np.hstack([much, what]).astype(np.float32))


def _texts(block: EventWindow, store: EventStore, name: str) -> np.ndarray:
    """Value of a field of each event, whatever its code."""
    return np.array(["", *store.vocabulary(name)])[block.codes(name)]


def slice_of(store: EventStore, *, seed: int = 0) -> InnerSlice:
    """The slice after `CUT`, of the users known by then."""
    then = crowd_at(store, CUT)
    found = inner_slice(store, then.users, then.embeddings, cut=CUT, end=AS_OF, seed=seed)
    assert found is not None
    return found
