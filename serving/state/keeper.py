"""How a kept history grows by events, and what a model makes of it.

The answer is the one for the whole history: the newest events, at least as many as the sequence
branches read, are there as they came, and the profile is made from sums that join.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.activity import VISIT_PAUSE_US, Activity, activity_of, joined, recent_of
from segmenter.autoencoder.config import DAY_US
from segmenter.errors import StateError
from segmenter.events.batches import EventBatch, batch_from_lists
from segmenter.files import digest_of_json
from serving.state.history import KeptHistory, Settled

BLOCK_EVENTS = 64
"""Events that are settled at once, so that few appended events pay for it."""
SEND_ALL = "send the whole history with replace"


class HistoryKeeper:
    """Grows and reads the histories that are kept for one model.

    Parameters
    ----------
    model
        The model.
    max_recent
        Most settled events of a user inside the longest look-back window.

    Attributes
    ----------
    n_newest
        Events that the sequence branches read; so many stay as they came.
    reads
        Digest of everything in the model that settled events depend on: its vocabulary, its
        longest window, `n_newest`.
    """

    def __init__(self, model: AudienceModel, *, max_recent: int) -> None:
        network, self.model, self.max_recent = model.network, model, max_recent
        self.vocabulary = network.vocabulary
        self.recent_days = network.config.recent_days
        self.n_newest = max(network.config.forecast_events, network.config.sequence_events)
        grouping = [self.vocabulary.grouping] if self.vocabulary.grouping else []
        fields = ("time", *self.vocabulary.categorical, *grouping, *self.vocabulary.numeric)
        self.fields = tuple(dict.fromkeys(fields))
        read = [self.vocabulary.to_json(), max(self.recent_days), self.n_newest]
        self.reads = digest_of_json(read)

    def grown(
        self, kept: KeptHistory | None, events: Sequence[dict[str, Any]]
    ) -> tuple[KeptHistory, int]:
        """A history with further events.

        Parameters
        ----------
        kept
            Before; None begins one.
        events
            Checked events in any order. One that equals a kept one in every field that the model
            reads is a repeat of an earlier request; as many as are kept are left out.

        Returns
        -------
        tuple
            The history, in time order (events of one time in the order of their arrival), and
            the number of repeats.

        Raises
        ------
        StateError
            If an event is older than those that are still kept as they came, the history was kept
            for a model that reads otherwise, or too many events fall into the longest window.
        """
        rows = [tuple(event.get(name) for name in self.fields) for event in events]
        before: list[tuple[Any, ...]] = []
        if kept is not None:
            self.check(kept)
            before = list(zip(*(kept.newest[name] for name in self.fields), strict=True))
            if kept.settled is not None and any(row[0] < before[0][0] for row in rows):
                message = (
                    "an appended event must not be older than the newest events that are kept as "
                    f"they came, at least {self.n_newest}; {SEND_ALL}"
                )
                raise StateError(message)
        fresh = _without_repeats(rows, before)
        newest = sorted([*before, *fresh], key=lambda row: row[0])
        settled = None if kept is None else kept.settled
        if len(newest) > self.n_newest + BLOCK_EVENTS:
            old, newest = newest[: -self.n_newest], newest[-self.n_newest :]
            settled = self._settle(settled, old)
        if settled is not None:
            settled = self._pruned(settled, newest[-1][0])
        return KeptHistory(self._columns(newest), settled), len(rows) - len(fresh)

    def check(self, kept: KeptHistory) -> None:
        """Refuse a history that the model cannot go on with.

        Raises
        ------
        StateError
            With the reason.
        """
        missing = [name for name in self.fields if name not in kept.newest]
        if missing:
            message = (
                f"the model in use reads {', '.join(missing)}, which was not kept of this user; "
                f"{SEND_ALL}"
            )
            raise StateError(message)
        if kept.settled is not None and kept.settled.reads != self.reads:
            message = (
                "older events of this user were kept for a model that knows other values or "
                f"looks back otherwise; {SEND_ALL}"
            )
            raise StateError(message)

    def embedding(self, kept: KeptHistory, *, as_of: int) -> np.ndarray:
        """Embedding float32 [1, D] at a time that is not before the newest event."""
        columns = {name: [kept.newest[name]] for name in self.fields}
        with torch.inference_mode():
            newest = batch_from_lists(self.vocabulary, columns, [as_of])
            activity = activity_of(newest, self.vocabulary)
            recent = recent_of(newest, self.vocabulary.numeric, self.recent_days)
            if kept.settled is not None:
                activity = self._joined(kept.settled, activity, self._visit(kept.newest))
                older = _times_and_numbers(kept.settled, as_of)
                recent += recent_of(older, self.vocabulary.numeric, self.recent_days)
            return self.model.embed_sums(activity, recent, newest)

    def _settle(self, settled: Settled | None, rows: list[tuple[Any, ...]]) -> Settled:
        """Add events to the older ones."""
        columns = self._columns(rows)
        plain = {name: [values] for name, values in columns.items()}
        with torch.inference_mode():
            batch = batch_from_lists(self.vocabulary, plain, [rows[-1][0]])
            activity = activity_of(batch, self.vocabulary)
            if settled is not None:
                activity = self._joined(settled, activity, self._visit(columns))
        times = batch.times.numpy()
        numbers = {name: batch.numbers[name].numpy() for name in self.vocabulary.numeric}
        if settled is not None:
            times = np.concatenate([settled.times, times])
            numbers = {
                name: np.concatenate([settled.numbers[name], values])
                for name, values in numbers.items()
            }
        visit = self._visit({name: values[-1:] for name, values in columns.items()})
        return Settled(self.reads, activity, visit, times, numbers)

    def _pruned(self, settled: Settled, newest: int) -> Settled:
        """Without what no window reaches any more at or after the newest event."""
        longest_us = max(self.recent_days) * DAY_US * (1 + 1e-5)  # ages are single precision
        start = int(np.searchsorted(settled.times, newest - int(longest_us)))
        if len(settled.times) - start > self.max_recent:
            message = (
                f"a user must have at most {self.max_recent} older events within "
                f"{max(self.recent_days):g} days; assign from the events themselves instead"
            )
            raise StateError(message)
        if not start:
            return settled
        numbers = {name: values[start:] for name, values in settled.numbers.items()}
        return Settled(
            settled.reads, settled.activity, settled.visit, settled.times[start:], numbers
        )

    def _joined(self, settled: Settled, later: Activity, visit: str | None) -> Activity:
        before = settled.activity
        same = later.first - before.last <= VISIT_PAUSE_US
        if self.vocabulary.grouping is not None:
            same = torch.tensor([settled.visit == visit])
        return joined(before, later, same_visit=same)

    def _visit(self, columns: dict[str, list[Any]]) -> str | None:
        """Session or order of the first of some events."""
        grouping = self.vocabulary.grouping
        return None if grouping is None else columns[grouping][0]

    def _columns(self, rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
        columns = zip(*rows, strict=True)
        return {name: list(values) for name, values in zip(self.fields, columns, strict=True)}


def _without_repeats(
    rows: list[tuple[Any, ...]], before: list[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """The rows, each as often as it comes more often than before."""
    if not rows:
        return []
    earliest = min(row[0] for row in rows)
    known = Counter(row for row in before if row[0] >= earliest)
    fresh = []
    for row in rows:
        if known[row]:
            known[row] -= 1
        else:
            fresh.append(row)
    return fresh


def _times_and_numbers(settled: Settled, as_of: int) -> EventBatch:
    """The settled events that a window may reach, as far as they are known."""
    return EventBatch(
        times=torch.from_numpy(settled.times),
        codes={},
        numbers={name: torch.from_numpy(values) for name, values in settled.numbers.items()},
        visits=None,
        lengths=torch.tensor([len(settled.times)]),
        as_of=torch.tensor([as_of]),
    )
