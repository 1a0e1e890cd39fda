"""What the network learns from: histories that end at several cuts, and the windows after them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from segmenter.autoencoder.config import DAY_US
from segmenter.errors import FitError
from segmenter.events.batches import (
    EventBatch,
    SequenceReader,
    history_ends,
    split_by_budget,
)
from segmenter.events.holdout import is_held_out
from segmenter.events.store import EventStore
from training.config import TrainConfig

WINDOW_SHARE = 0.26
"""Coming window as a share of the observed time, where none is given."""
MAX_WINDOW_DAYS = 90.0
FIRST_CUT_SHARE = 0.33
"""Observed time before the first cut: histories shorter than this say too little."""
MAX_TIMES = 1_000_000
"""Events whose times tell the start of the observed time; more are sampled evenly."""
MIN_HISTORIES = 50
POOL_BATCHES = 64
"""Batches that are filled by length together: little padding, yet a different mix each pass."""


MAX_PADDING = 0.1
"""Share of a pass's recurrent steps that may carry no event."""


@dataclass(frozen=True)
class Histories:
    """Histories to learn from, as positions in the store.

    Attributes
    ----------
    users, starts, ends, window_ends, cuts
        int64 [S]: store row, first event, event after the cut, event after the window, and the
        cut itself in microseconds.
    window_days
        Length of the window; 0 when there is no time after any cut to learn from.
    validation
        bool [S], true for histories of held-out users.
    """

    users: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    window_ends: np.ndarray
    cuts: np.ndarray
    window_days: float
    validation: np.ndarray

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class HistoryBatch:
    """A history per user and, unless nothing comes after, the window that followed.

    Attributes
    ----------
    rows
        int64 [B], which of the `Histories` these are.
    history, window
        Their events.
    """

    rows: np.ndarray
    history: EventBatch
    window: EventBatch | None

    def to(self, device: torch.device, *, non_blocking: bool = False) -> "HistoryBatch":
        """Move every tensor to a device."""
        history = self.history.to(device, non_blocking=non_blocking)
        window = self.window and self.window.to(device, non_blocking=non_blocking)
        return HistoryBatch(self.rows, history, window)


def observed_from(store: EventStore, as_of: int) -> int:
    """Start of the observed time in microseconds: the 0.1 % quantile of the event times.

    A quantile, so that one stray event of 1970 does not stretch the period. Only events at or
    before `as_of` are looked at, and which of them does not depend on later ones.

    Raises
    ------
    FitError
        If there is none.
    """
    starts = np.asarray(store.offsets[:-1])
    lengths = history_ends(store, np.arange(store.n_users), as_of) - starts
    before = np.cumsum(lengths) - lengths
    n_events = int(lengths.sum())
    if n_events == 0:
        message = "no event at or before the as-of time; pass a later --until"
        raise FitError(message)
    chosen = np.arange(0, n_events, max(1, n_events // MAX_TIMES))
    owner = np.searchsorted(before, chosen, side="right") - 1
    times = np.asarray(store.times[starts[owner] + chosen - before[owner]])
    return int(np.quantile(times, 0.001))


def plan_histories(
    store: EventStore, reader: SequenceReader, config: TrainConfig, *, as_of: int
) -> Histories:
    """Choose cuts inside the training period and the users who have a history before each.

    Parameters
    ----------
    store, reader
        The events.
    config
        Cuts, window and limits.
    as_of
        End of the training period in microseconds; no later event is read.

    Returns
    -------
    Histories
        At most ``config.max_histories``, in a stable order.

    Raises
    ------
    FitError
        If there is no event at or before `as_of`, or the window asked for leaves none before it.
    """
    cuts, window = choose_cuts(observed_from(store, as_of), as_of, config)
    everybody = np.arange(store.n_users)
    starts = np.asarray(store.offsets[:-1])
    columns = []
    for cut in cuts:
        ends, window_ends = reader.ends(everybody, cut), reader.ends(everybody, cut + window)
        columns.append([everybody, starts, ends, window_ends, np.full(len(everybody), cut)])
    users, begin, end, window_end, cut_of = np.concatenate(columns, axis=1)
    enough = end - begin >= config.min_events
    if enough.sum() < MIN_HISTORIES:
        enough = end > begin
    chosen = np.flatnonzero(enough)
    if len(chosen) > config.max_histories:
        generator = np.random.default_rng(config.seed)
        chosen = np.sort(generator.choice(chosen, config.max_histories, replace=False))
    held_out = is_held_out(store, config.validation_share)[users[chosen]]
    if held_out.all():  # a handful of users: better learned from than judged on
        held_out[:] = False
    return Histories(
        users[chosen],
        begin[chosen],
        end[chosen],
        window_end[chosen],
        cut_of[chosen],
        window / DAY_US,
        held_out,
    )


def choose_cuts(oldest: int, as_of: int, config: TrainConfig) -> tuple[list[int], int]:
    """Times at which histories end, and the length of the window after each.

    Parameters
    ----------
    oldest, as_of
        The observed time, microseconds.
    config
        Number of cuts and length of the window.

    Returns
    -------
    tuple
        Ascending cuts, each at least a window before `as_of`, and the window in microseconds.
        Where there is no time to spare the only cut is `as_of` and the window is 0.

    Raises
    ------
    FitError
        If the window that was asked for is as long as the observed time.
    """
    span = as_of - oldest
    asked = config.window_days
    longest = min(span * WINDOW_SHARE, MAX_WINDOW_DAYS * DAY_US)
    window = int(longest if asked is None else asked * DAY_US)
    if asked is not None and window >= span:
        message = (
            f"window_days must be below the {span / DAY_US:.3g} days that are observed; "
            f"found {asked:g}; lower it or leave it out"
        )
        raise FitError(message)
    if window <= 0:
        return [as_of], 0
    last = as_of - window
    first = min(oldest + int(span * FIRST_CUT_SHARE), last)
    return sorted({int(cut) for cut in np.linspace(last, first, config.n_cuts)}), window


@dataclass(frozen=True)
class BatchSizes:
    """Limits of one batch.

    Attributes
    ----------
    users, events
        Greatest number of users, and of events unless one history alone is longer.
    sequence_events
        Length beyond which histories count as equally long: the recurrent layer reads no more.
    """

    users: int
    events: int
    sequence_events: int


class HistoryBatches:
    """Batches of histories of similar length, in an order that depends on seed and pass alone.

    Parameters
    ----------
    reader
        The events in the model's codes.
    histories
        What to learn from.
    chosen
        int64 rows of `histories` that take part.
    sizes
        Of a batch.
    seed
        Together with the pass it fixes the order; None keeps the order of length.
    """

    def __init__(
        self,
        reader: SequenceReader,
        histories: Histories,
        chosen: np.ndarray,
        *,
        sizes: BatchSizes,
        seed: tuple[int, int] | None,
    ) -> None:
        self.reader, self.histories, self.sizes = reader, histories, sizes
        self._plan = self._plan_batches(chosen, sizes, seed)

    def _plan_batches(
        self, chosen: np.ndarray, sizes: BatchSizes, seed: tuple[int, int] | None
    ) -> list[np.ndarray]:
        """Shuffle, sort each pool of batches by length, cut, and shuffle the batches."""
        lengths = self.histories.ends - self.histories.starts
        generator = None if seed is None else np.random.default_rng(seed)
        order = chosen if generator is None else generator.permutation(chosen)
        pool = len(order) if generator is None else sizes.users * POOL_BATCHES
        batches = []
        for start in range(0, len(order), max(pool, 1)):
            rows = order[start : start + pool]
            rows = rows[np.argsort(self._read(rows), kind="stable")]
            runs = split_by_budget(lengths[rows], sizes.events, sizes.users)
            parts = [rows[run] for run in runs]
            if self._padding(parts) > MAX_PADDING:
                parts = [part for run in parts for part in self._split_by_padding(run)]
            batches += parts
        if generator is not None:
            generator.shuffle(batches)
        return batches

    def __len__(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[HistoryBatch]:
        for rows in self._plan:
            yield self.read(rows)

    def whole(self) -> Iterator[HistoryBatch]:
        """The same batches with every event of each history."""
        for rows in self._plan:
            yield self._gather(rows, self.histories.starts[rows])

    def read(self, rows: np.ndarray) -> HistoryBatch:
        """The histories of some rows as one batch: the events that the recurrent layer reads."""
        return self._gather(rows, self.histories.ends[rows] - self._read(rows))

    def _gather(self, rows: np.ndarray, starts: np.ndarray) -> HistoryBatch:
        plan = self.histories
        history = self.reader.between(starts, plan.ends[rows], plan.cuts[rows])
        if plan.window_days == 0:
            return HistoryBatch(rows, history, None)
        window = self.reader.between(plan.ends[rows], plan.window_ends[rows], plan.cuts[rows])
        return HistoryBatch(rows, history, window)

    def padding_share(self) -> float:
        """Share of the recurrent layer's steps that carry no event, in [0, 1]."""
        return self._padding(self._plan)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Events of some histories that the recurrent layer reads, int64."""
        lengths = self.histories.ends[rows] - self.histories.starts[rows]
        return np.minimum(lengths, self.sizes.sequence_events)

    def _padding(self, batches: list[np.ndarray]) -> float:
        steps = sum(int(self._read(rows).max()) * len(rows) for rows in batches)
        return 1 - sum(int(self._read(rows).sum()) for rows in batches) / max(steps, 1)

    def _split_by_padding(self, rows: np.ndarray) -> list[np.ndarray]:
        """Cut histories of ascending length into the fewest runs without much padding."""
        read, runs, start = self._read(rows), [], 0
        total = np.concatenate([[0], np.cumsum(read)])
        while start < len(rows):
            stops = np.arange(start + 1, len(rows) + 1)
            padded = read[stops - 1] * (stops - start)
            fits = total[stops] - total[start] >= (1 - MAX_PADDING) * padded
            stop = int(stops[fits].max())  # a history alone has no padding
            runs.append(rows[start:stop])
            start = stop
        return runs
