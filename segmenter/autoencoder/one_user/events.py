"""One user's events as plain arrays, in a model's codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segmenter.events.vocabulary import FIRST, MISSING, OTHER, Vocabulary


@dataclass(frozen=True)
class UserEvents:
    """E events of one user in time order.

    Attributes
    ----------
    times
        int64 [E], microseconds since the epoch, UTC.
    codes
        int64 [K, E] of the K categorical fields; each field has its own range, see `FieldCoder`.
    numbers
        float32 [N, E] of the N numeric fields; NaN is missing.
    visits
        Session or order of each event; None where visits are cut at pauses.
    """

    times: np.ndarray
    codes: np.ndarray
    numbers: np.ndarray
    visits: list[str | None] | None

    def __len__(self) -> int:
        return len(self.times)

    def tail(self, n_events: int) -> "UserEvents":
        """The last `n_events` of them."""
        if len(self) <= n_events:
            return self
        visits = None if self.visits is None else self.visits[-n_events:]
        newest = slice(-n_events, None)
        return UserEvents(
            self.times[newest], self.codes[:, newest], self.numbers[:, newest], visits
        )

    def visit_starts(self, pause_us: int) -> np.ndarray:
        """Whether each event opens a visit: the first, after a pause, or a new session; bool."""
        changed = np.ones(len(self), dtype=bool)
        if self.visits is None:
            changed[1:] = self.times[1:] - self.times[:-1] > pause_us
        else:
            pairs = zip(self.visits[1:], self.visits, strict=False)
            changed[1:] = [later != before for later, before in pairs]
        return changed


class FieldCoder:
    """Turns values into codes that are different between fields, so that one table serves all.

    Parameters
    ----------
    vocabulary
        The model's fields.

    Attributes
    ----------
    starts
        int64 [K], first code of each categorical field: that of missing values.
    field_of
        int64 [V], field of each code.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        sizes = [vocabulary.size(name) for name in vocabulary.categorical]
        self.starts = np.cumsum([0, *sizes])[:-1]
        self.field_of = np.repeat(np.arange(len(sizes)), sizes)
        self._codes = [
            {None: MISSING + start}
            | {text: code + start for code, text in enumerate(vocabulary.values[name], FIRST)}
            for name, start in zip(vocabulary.categorical, self.starts.tolist(), strict=True)
        ]

    def events(
        self, columns: Mapping[str, Sequence[Any] | None], *, as_of: int | None = None
    ) -> UserEvents:
        """Events from parallel lists, as `segmenter.events.batches.batch_from_lists` reads them.

        Parameters
        ----------
        columns
            Field name to values; ``"time"`` in microseconds, in any order.
        as_of
            Later events are left out; None keeps all.
        """
        times = np.asarray(columns["time"], dtype=np.int64)
        vocabulary, n_events = self.vocabulary, len(times)
        nothing = [None] * n_events
        codes = np.empty((len(self._codes), n_events), dtype=np.int64)
        for field, name in enumerate(vocabulary.categorical):
            known, other = self._codes[field], OTHER + int(self.starts[field])
            codes[field] = [known.get(text, other) for text in columns.get(name) or nothing]
        numbers = np.array(
            [columns.get(name) or nothing for name in vocabulary.numeric], dtype=np.float32
        ).reshape(len(vocabulary.numeric), n_events)
        visits = None
        if vocabulary.grouping is not None and columns.get(vocabulary.grouping) is not None:
            visits = list(columns[vocabulary.grouping] or ())
        events = UserEvents(times, codes, numbers, visits)
        return _in_order(events, as_of)


def _in_order(events: UserEvents, as_of: int | None) -> UserEvents:
    """In time order, up to a time."""
    times = events.times
    is_ordered = bool((times[1:] >= times[:-1]).all())
    if is_ordered and (as_of is None or not len(times) or times[-1] <= as_of):
        return events
    order = np.argsort(times, kind="stable")
    if as_of is not None:
        order = order[: int(np.searchsorted(times[order], as_of, side="right"))]
    visits = None if events.visits is None else [events.visits[place] for place in order.tolist()]
    return UserEvents(times[order], events.codes[:, order], events.numbers[:, order], visits)
