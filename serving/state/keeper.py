"""How a kept history grows by events, and what a model makes of it.

The answer is the one for the whole history: the newest events, at least as many as the sequence
branches read, are there as they came, and the profile is made from sums that join.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.activity import VISIT_PAUSE_US
from segmenter.autoencoder.config import DAY_US
from segmenter.autoencoder.one_user.events import UserEvents
from segmenter.autoencoder.one_user.sums import HistorySums, joined, recent_of, sums_of
from segmenter.errors import StateError
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
        vocabulary, self.encoder = model.network.vocabulary, model.one_user
        self.max_recent, self.n_newest = max_recent, self.encoder.n_newest
        grouping = [vocabulary.grouping] if vocabulary.grouping else []
        fields = ("time", *vocabulary.categorical, *grouping, *vocabulary.numeric)
        self.fields = tuple(dict.fromkeys(fields))
        longest_days = float(self.encoder.recent_days.max())
        self.reads = digest_of_json([vocabulary.to_json(), longest_days, self.n_newest])

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
        """Embedding float32 [D] at a time that is not before the newest event."""
        newest, settled = self.encoder.coder.events(kept.newest), kept.settled
        sums = sums_of(newest, self.encoder.coder)
        recent = self._recent(newest.times, newest.numbers, as_of)
        if settled is not None:
            sums = self._joined(settled, sums, newest)
            recent += self._recent(settled.times, settled.numbers, as_of)
        return self.encoder.embed_sums(sums, recent, newest, as_of=as_of)

    def _recent(self, times: np.ndarray, numbers: np.ndarray, as_of: int) -> np.ndarray:
        return recent_of(times, numbers, as_of=as_of, recent_days=self.encoder.recent_days)

    def _settle(self, settled: Settled | None, rows: list[tuple[Any, ...]]) -> Settled:
        """Add events to the older ones."""
        events = self.encoder.coder.events(self._columns(rows))
        sums = sums_of(events, self.encoder.coder)
        times, numbers = events.times, events.numbers
        if settled is not None:
            sums = self._joined(settled, sums, events)
            times = np.concatenate([settled.times, times])
            numbers = np.concatenate([settled.numbers, numbers], axis=1)
        visit = None if events.visits is None else events.visits[-1]
        return Settled(self.reads, sums, visit, times, numbers)

    def _pruned(self, settled: Settled, newest: int) -> Settled:
        """Without what no window reaches any more at or after the newest event."""
        longest_days = float(self.encoder.recent_days.max())
        longest_us = int(longest_days * DAY_US * (1 + 1e-5))  # ages are single precision
        start = int(np.searchsorted(settled.times, newest - longest_us))
        if len(settled.times) - start > self.max_recent:
            message = (
                f"a user must have at most {self.max_recent} older events within "
                f"{longest_days:g} days; assign from the events themselves instead"
            )
            raise StateError(message)
        numbers = settled.numbers[:, start:]
        return replace(settled, times=settled.times[start:], numbers=numbers)

    def _joined(self, settled: Settled, sums: HistorySums, later: UserEvents) -> HistorySums:
        """Sums of the older events and later ones."""
        same_visit = sums.first - settled.sums.last <= VISIT_PAUSE_US
        if later.visits is not None:
            same_visit = later.visits[0] == settled.visit
        return joined(settled.sums, sums, same_visit=same_visit)

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
