"""Reading what users did in a span of time, a bounded number of events at a time.

What lives here: the one gate through which outcomes and baselines read a store. Baselines open it
with an end and outcomes with a start, so that neither sees the other's side of the cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segmenter.events.store import EventStore

DAY_US = 86_400_000_000
MAX_EVENTS = 2_000_000
"""Events of one block: a few dozen MB of temporary arrays."""


@dataclass(frozen=True)
class EventWindow:
    """Events of consecutive users inside a span of time.

    Attributes
    ----------
    n_users
        Users of this block, with or without events.
    owner
        int64 [E], ascending: the user of each event, 0..n_users-1.
    """

    n_users: int
    owner: np.ndarray
    _store: EventStore
    _positions: np.ndarray

    @cached_property
    def times(self) -> np.ndarray:
        """int64 [E], microseconds since the epoch, ascending for each user."""
        return np.asarray(self._store.times[self._positions])

    def codes(self, name: str) -> np.ndarray:
        """int32 [E], codes of a categorical field; 0 is missing."""
        return np.asarray(self._store.codes(name)[self._positions])

    def numbers(self, name: str) -> np.ndarray:
        """float64 [E], values of a numeric field; NaN is missing."""
        return np.asarray(self._store.numbers(name)[self._positions])

    def holds(self, name: str, codes: np.ndarray) -> np.ndarray:
        """Whether each user has an event with each of some codes [V], bool [n_users, V]."""
        found = self.codes(name)
        place = np.zeros(max(found.max(initial=0), codes.max(initial=0)) + 1, dtype=np.int64)
        place[codes] = np.arange(1, len(codes) + 1)
        # Column 0 takes the values that are not asked for.
        held = np.zeros((self.n_users, len(codes) + 1), dtype=bool)
        held[self.owner, place[found]] = True
        return held[:, 1:]

    @cached_property
    def is_first(self) -> np.ndarray:
        """Bool [E], whether an event is its user's first in the window."""
        return np.diff(self.owner, prepend=-1) != 0

    def total(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Sum of `weights` [E] per user, or the number of events, float64 [n_users]."""
        return np.bincount(self.owner, weights, minlength=self.n_users).astype(np.float64)

    def mean(self, weights: np.ndarray) -> np.ndarray:
        """Mean of `weights` [E] per user, float64 [n_users]; 0 without events."""
        return self.total(weights) / np.maximum(self.total(), 1)

    def greatest(self, values: np.ndarray) -> np.ndarray:
        """Greatest of `values` [E] per user, float64 [n_users]; 0 without events."""
        result = np.zeros(self.n_users)
        starts = np.flatnonzero(self.is_first)
        if len(starts):
            result[self.owner[starts]] = np.maximum.reduceat(values, starts)
        return result

    def active_days(self) -> np.ndarray:
        """Days with an event per user, UTC, float64 [n_users]."""
        return self.total(self.is_first | (np.diff(self.times // DAY_US, prepend=-1) != 0))


def windows(
    store: EventStore,
    users: np.ndarray,
    *,
    start: int | None = None,
    end: int,
    max_events: int = MAX_EVENTS,
) -> Iterator[EventWindow]:
    """Read the events of users with ``start <= time < end``.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    start, end
        Microseconds since the epoch; no start reads from the first event.
    max_events
        Events that are looked at at a time; a single longer history makes a block of its own.

    Yields
    ------
    EventWindow
        Blocks of consecutive `users`; together they hold each user once.
    """
    offsets = np.asarray(store.offsets)
    first, lengths = offsets[users], np.diff(offsets)[users]
    budget = np.cumsum(lengths) // max_events
    edges = np.flatnonzero(np.diff(budget)) + 1
    for rows in np.split(np.arange(len(users)), edges):
        owner = np.repeat(np.arange(len(rows)), lengths[rows])
        before = np.cumsum(lengths[rows]) - lengths[rows]
        positions = np.arange(len(owner)) + (first[rows] - before)[owner]
        times = store.times[positions]
        inside = times < end if start is None else (times >= start) & (times < end)
        yield EventWindow(len(rows), owner[inside], store, positions[inside])


def value_counts(
    store: EventStore, users: np.ndarray, name: str, *, start: int | None = None, end: int
) -> np.ndarray:
    """Events with each value of a field in a span of time.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    name
        A categorical field.
    start, end
        As in `windows`.

    Returns
    -------
    numpy.ndarray
        int64 [V], in the order of the vocabulary. A count of the store's own would tell of events
        outside the span.
    """
    n_codes = len(store.vocabulary(name)) + 1
    counts = np.zeros(n_codes, dtype=np.int64)
    for block in windows(store, users, start=start, end=end):
        counts += np.bincount(block.codes(name), minlength=n_codes)
    return counts[1:]


def commonest(texts: list[str], counts: np.ndarray, n_most: int) -> np.ndarray:
    """Places of the values that were seen, the most frequent first, by text where equal.

    Parameters
    ----------
    texts
        The V values.
    counts
        int64 [V].
    n_most
        Greatest number of places.
    """
    seen = np.flatnonzero(counts)
    names = np.array([texts[place] for place in seen], dtype=np.str_)
    return seen[np.lexsort((names, -counts[seen]))][:n_most]
