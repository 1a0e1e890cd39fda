"""A proof that what is made from a store before a time sees nothing of what comes after it."""

from collections.abc import Callable

import numpy as np

from segmenter.errors import FitError
from segmenter.events.contract import GROUPING
from segmenter.events.store import EventStore

COUNTED_OVER_ALL = ("summaries", "vocabulary_sizes", "files", "log")
"""Parts of a store's manifest that later events took part in."""


class PastStore(EventStore):
    """A store without its events at or after a time; every user keeps the row.

    Fields, codes, vocabularies and their counts are those of a log that ends there, and the
    manifest has nothing that was counted over the whole. Kept in memory: made for proofs and
    tests, not for work.

    Parameters
    ----------
    store
        The whole store.
    until
        First time that is left out, microseconds.
    """

    def __init__(self, store: EventStore, *, until: int) -> None:
        whole = {key: said for key, said in store.manifest.items() if key not in COUNTED_OVER_ALL}
        super().__init__(store.path, whole)
        self._whole = store
        self._kept = np.flatnonzero(np.asarray(store.times) < until)
        self.n_events = len(self._kept)
        self.offsets = np.searchsorted(self._kept, np.asarray(store.offsets))
        self.times = np.asarray(store.times)[self._kept]
        self.newest = int(self.times.max(initial=self.oldest))
        codes = {name: np.asarray(store.codes(name))[self._kept] for name in store.categorical}
        used = {name: seen for name, seen in codes.items() if name == "event" or seen.any()}
        self._order = {name: self._in_order(name, seen) for name, seen in used.items()}
        self._codes = {name: self._renumbered(name, seen) for name, seen in used.items()}
        numbers = {name: np.asarray(store.numbers(name))[self._kept] for name in store.numeric}
        self._numbers = {name: seen for name, seen in numbers.items() if not np.isnan(seen).all()}
        self.categorical, self.numeric = tuple(self._codes), tuple(self._numbers)

    def codes(self, name: str) -> np.ndarray:
        """See `EventStore.codes`."""
        if name == "consent":
            return np.asarray(self._whole.codes(name))[self._kept]
        self._check(name, self.categorical)
        return self._codes[name]

    def numbers(self, name: str) -> np.ndarray:
        """See `EventStore.numbers`."""
        self._check(name, self.numeric)
        return self._numbers[name]

    def vocabulary(self, name: str) -> list[str]:
        """See `EventStore.vocabulary`."""
        values = self._whole.vocabulary(name)
        return values if name == "consent" else [values[row] for row in self._order[name]]

    def vocabulary_counts(self, name: str) -> np.ndarray:
        """See `EventStore.vocabulary_counts`."""
        codes = self.codes(name)
        return np.bincount(codes, minlength=len(self._order[name]) + 1)[1:]

    def _in_order(self, name: str, codes: np.ndarray) -> np.ndarray:
        """Rows of the whole vocabulary that the past holds, in the order of a store's own."""
        texts = np.array(self._whole.vocabulary(name), dtype=np.str_)
        counts = np.bincount(codes, minlength=len(texts) + 1)[1:]
        seen = np.flatnonzero(counts)
        # Values that only group a user's events keep the order in which they were met.
        return seen if name in GROUPING else seen[np.lexsort((texts[seen], -counts[seen]))]

    def _renumbered(self, name: str, codes: np.ndarray) -> np.ndarray:
        order = self._order[name]
        number = np.zeros(len(self._whole.vocabulary(name)) + 1, dtype=np.int32)
        number[order + 1] = np.arange(1, len(order) + 1)
        return number[codes]


def check_blind(
    build: Callable[[EventStore], np.ndarray], store: EventStore, *, until: int, what: str
) -> None:
    """Prove that a result does not depend on events at or after a time.

    The result is made twice, from the store and from the store without those events, and must be
    equal to the last bit.

    Parameters
    ----------
    build
        Makes the result from a store.
    store
        The store, with later events.
    until
        The time, microseconds.
    what
        Names the result in the error.

    Raises
    ------
    FitError
        If the two differ: later events reached the result.
    """
    with_later, without = build(store), build(PastStore(store, until=until))
    if not np.array_equal(with_later, without, equal_nan=with_later.dtype.kind == "f"):
        message = f"{what} depends on events at or after the cut: later behaviour leaked into it"
        raise FitError(message)
