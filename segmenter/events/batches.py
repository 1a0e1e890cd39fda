"""Ragged batches: the one form in which events reach the network.

What lives here: `EventBatch` (flat tensors plus lengths) and `SequenceReader`, which gathers the
histories of any users at any as-of time from a store without a loop over users. What the network
computes from a batch is not known here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from segmenter.events.vocabulary import Vocabulary

if TYPE_CHECKING:
    from segmenter.events.store import EventStore  # which brings polars along


@dataclass(frozen=True)
class EventBatch:
    """Histories of B users with E events in all, laid end to end in time order.

    Attributes
    ----------
    times
        int64 [E], microseconds since the epoch, UTC.
    codes
        Per categorical field int64 [E] of model codes.
    numbers
        Per numeric field float32 [E]; NaN is missing.
    visits
        int64 [E] of ids that change where a visit (session or order) changes, or None.
    lengths
        int64 [B], events per user.
    as_of
        int64 [B], microseconds; recency and windows are relative to it.
    """

    times: Tensor
    codes: dict[str, Tensor]
    numbers: dict[str, Tensor]
    visits: Tensor | None
    lengths: Tensor
    as_of: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def owner(self) -> Tensor:
        """int64 [E]: the row in the batch that each event belongs to."""
        rows = torch.arange(len(self.lengths), device=self.lengths.device)
        return torch.repeat_interleave(rows, self.lengths)

    @cached_property
    def starts(self) -> Tensor:
        """int64 [B]: position of each user's first event."""
        return torch.cumsum(self.lengths, 0) - self.lengths

    def take(self, events: Tensor, lengths: Tensor) -> "EventBatch":
        """Keep some events, given in order, of which each user has `lengths`."""
        return EventBatch(
            times=self.times[events],
            codes={name: codes[events] for name, codes in self.codes.items()},
            numbers={name: numbers[events] for name, numbers in self.numbers.items()},
            visits=None if self.visits is None else self.visits[events],
            lengths=lengths,
            as_of=self.as_of,
        )

    def tail(self, n_events: int) -> "EventBatch":
        """Keep the last `n_events` events of each user; itself where nobody has more."""
        if len(self.times) <= n_events or not (self.lengths > n_events).any():
            return self
        lengths = self.lengths.clamp(max=n_events)
        return self.take(ragged_range(self.starts + self.lengths - lengths, lengths), lengths)

    def to(self, device: torch.device, *, non_blocking: bool = False) -> "EventBatch":
        """Move every tensor to a device."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=non_blocking)

        return EventBatch(
            times=move(self.times),
            codes={name: move(codes) for name, codes in self.codes.items()},
            numbers={name: move(numbers) for name, numbers in self.numbers.items()},
            visits=None if self.visits is None else move(self.visits),
            lengths=move(self.lengths),
            as_of=move(self.as_of),
        )


def ragged_range(starts: Tensor, lengths: Tensor) -> Tensor:
    """Positions ``starts[i], starts[i] + 1, ...`` for `lengths[i]` steps each, end to end."""
    total = torch.cumsum(lengths, 0)
    shift = torch.repeat_interleave(starts - (total - lengths), lengths)
    return shift + torch.arange(len(shift), device=starts.device)


def history_ends(store: "EventStore", users: np.ndarray, as_of: np.ndarray | int) -> np.ndarray:
    """Event position after the last event at or before `as_of`, for each user.

    A bisection over all users at once: about 20 reads per user however long the histories.

    Parameters
    ----------
    store
        The events.
    users
        int64 [B] rows of the store.
    as_of
        int64 [B] or one time, microseconds.

    Returns
    -------
    numpy.ndarray
        int64 [B]; equals ``offsets[users]`` for a user without any such event.
    """
    low = np.asarray(store.offsets)[users]
    high = np.asarray(store.offsets)[users + 1]
    bound = np.broadcast_to(np.asarray(as_of, dtype=np.int64), low.shape)
    while (open_ := low < high).any():
        middle = (low + high) // 2
        probe = np.minimum(middle, store.n_events - 1)
        before = open_ & (np.asarray(store.times[probe]) <= bound)
        low = np.where(before, middle + 1, low)
        high = np.where(open_ & ~before, middle, high)
    return low


def users_until(store: "EventStore", as_of: int) -> np.ndarray:
    """Rows of the users with an event at or before `as_of` (microseconds), int64 ascending."""
    ends = history_ends(store, np.arange(store.n_users), as_of)
    return np.flatnonzero(ends > np.asarray(store.offsets[:-1]))


class SequenceReader:
    """Reads histories from a store in a model's codes.

    Parameters
    ----------
    store
        The events.
    vocabulary
        The values that the model knows; other values become "other", absent fields "missing".
    """

    def __init__(self, store: "EventStore", vocabulary: Vocabulary) -> None:
        self.store = store
        self.vocabulary = vocabulary
        self._translations = {
            name: vocabulary.translation(name, store.vocabulary(name))
            for name in vocabulary.categorical
            if name in store.categorical
        }

    def ends(self, users: np.ndarray, as_of: np.ndarray | int) -> np.ndarray:
        """See `history_ends`."""
        return history_ends(self.store, users, as_of)

    def between(self, starts: np.ndarray, ends: np.ndarray, as_of: np.ndarray) -> EventBatch:
        """Gather the events at positions ``starts[i]:ends[i]`` of each user into one batch."""
        lengths = ends - starts
        shift = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        events = shift + np.arange(len(shift))
        missing = np.zeros(len(events), dtype=np.int64)
        codes = {
            name: self._translations[name][self.store.codes(name)[events]]
            if name in self._translations
            else missing
            for name in self.vocabulary.categorical
        }
        nothing = np.full(len(events), np.nan, dtype=np.float32)
        numbers = {
            name: self.store.numbers(name)[events].astype(np.float32)
            if name in self.store.numeric
            else nothing
            for name in self.vocabulary.numeric
        }
        grouping = self.vocabulary.grouping
        visits = (
            self.store.codes(grouping)[events].astype(np.int64)
            if grouping is not None and grouping in self.store.categorical
            else None
        )
        return EventBatch(
            times=torch.from_numpy(np.asarray(self.store.times[events])),
            codes={name: torch.from_numpy(array) for name, array in codes.items()},
            numbers={name: torch.from_numpy(array) for name, array in numbers.items()},
            visits=None if visits is None else torch.from_numpy(visits),
            lengths=torch.from_numpy(lengths),
            as_of=torch.from_numpy(np.asarray(as_of, dtype=np.int64)),
        )

    def histories(self, users: np.ndarray, as_of: np.ndarray | int) -> EventBatch:
        """Everything that the users did at or before `as_of`."""
        bound = np.broadcast_to(np.asarray(as_of, dtype=np.int64), users.shape).copy()
        return self.between(self.store.offsets[users], self.ends(users, bound), bound)

    def batches(
        self, users: np.ndarray, *, as_of: int, max_events: int, max_users: int = 4096
    ) -> Iterator[tuple[np.ndarray, EventBatch]]:
        """Histories of many users in batches of similar length.

        Parameters
        ----------
        users
            int64 rows of the store.
        as_of
            Microseconds.
        max_events, max_users
            Budget of one batch, in events as if each history were as long as the batch's longest:
            what is padded takes no more memory either. A single longer history makes a batch of
            its own.

        Yields
        ------
        tuple
            Positions in `users` (int64) and their batch.
        """
        starts = np.asarray(self.store.offsets)[users]
        ends = self.ends(users, as_of)
        order = np.argsort(ends - starts, kind="stable")
        for rows in _split_ascending((ends - starts)[order], max_events, max_users):
            chosen = order[rows]
            bound = np.full(len(chosen), as_of, dtype=np.int64)
            yield chosen, self.between(starts[chosen], ends[chosen], bound)


def split_by_budget(lengths: np.ndarray, max_events: int, max_users: int) -> list[slice]:
    """Cut consecutive users into runs of at most `max_events` events and `max_users` users."""
    runs, start, total = [], 0, np.concatenate([[0], np.cumsum(lengths)])
    while start < len(lengths):
        stop = int(np.searchsorted(total, total[start] + max_events, side="right")) - 1
        stop = max(start + 1, min(stop, start + max_users, len(lengths)))
        runs.append(slice(start, stop))
        start = stop
    return runs


def _split_ascending(lengths: np.ndarray, max_events: int, max_users: int) -> list[slice]:
    """Cut users of ascending length into runs of at most `max_events` events when padded."""
    runs, start = [], 0
    while start < len(lengths):
        longest = lengths[start : start + max_users]
        padded = longest * np.arange(1, len(longest) + 1)
        stop = start + max(1, int(np.searchsorted(padded, max_events, side="right")))
        runs.append(slice(start, stop))
        start = stop
    return runs


def batch_from_lists(
    vocabulary: Vocabulary,
    columns: Mapping[str, Sequence[Sequence[Any] | None]],
    as_of: Sequence[int],
) -> EventBatch:
    """Build a batch from parallel lists, as they arrive from outside a store.

    Parameters
    ----------
    vocabulary
        The values that the model knows.
    columns
        Field name to one list per user; ``"time"`` holds microseconds since the epoch and rules
        the lengths; fields that are absent or None are missing. Order need not be by time.
    as_of
        Per user, microseconds; later events are left out.

    Returns
    -------
    EventBatch
        Each user's events at or before the user's as-of time, in time order.

    Raises
    ------
    ValueError
        If a list is not as long as the user's list of times.
    """
    times = [np.asarray(row, dtype=np.int64) for row in columns["time"]]
    lengths = np.array([len(row) for row in times], dtype=np.int64)
    owner = np.repeat(np.arange(len(times)), lengths)
    flat_times = np.concatenate(times) if times else np.zeros(0, dtype=np.int64)
    order = np.lexsort((flat_times, owner))
    bound = np.asarray(as_of, dtype=np.int64)
    order = order[flat_times[order] <= bound[owner[order]]]

    def flatten(name: str) -> list[Any] | None:
        rows = columns.get(name)
        if rows is None:
            return None
        flat: list[Any] = []
        for row, length in zip(rows, lengths, strict=True):
            values = [None] * length if row is None else list(row)
            if len(values) != length:
                message = f"list {name!r} holds {len(values)} values for {length} times"
                raise ValueError(message)
            flat.extend(values)
        return flat

    def codes(name: str) -> Tensor:
        flat = flatten(name)
        encoded = [0] * len(owner) if flat is None else vocabulary.encode(name, flat)
        return torch.from_numpy(np.asarray(encoded, dtype=np.int64)[order])

    def numbers(name: str) -> Tensor:
        flat = flatten(name)
        plain = [np.nan if flat is None or value is None else value for value in flat or owner]
        return torch.from_numpy(np.asarray(plain, dtype=np.float32)[order])

    visits = flatten(vocabulary.grouping) if vocabulary.grouping else None
    distinct = {text: code for code, text in enumerate(dict.fromkeys(visits or []))}
    return EventBatch(
        times=torch.from_numpy(flat_times[order]),
        codes={name: codes(name) for name in vocabulary.categorical},
        numbers={name: numbers(name) for name in vocabulary.numeric},
        visits=None
        if visits is None
        else torch.from_numpy(np.array([distinct[v] for v in visits], dtype=np.int64)[order]),
        lengths=torch.from_numpy(np.bincount(owner[order], minlength=len(times))),
        as_of=torch.from_numpy(bound.copy()),
    )
