"""Values to model indices, learned on the events before the training as-of time and never after.

What lives here: which values of each categorical field the model knows, and the translation from
texts or store codes to model codes. An event store has its own complete dictionary; a model knows
the most frequent part of it and keeps that part in its bundle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from segmenter.errors import FitError

if TYPE_CHECKING:
    from segmenter.events.store import EventStore  # which brings polars along

MISSING = 0
"""Model code of an absent value."""
OTHER = 1
"""Model code of a value that the vocabulary does not hold."""
FIRST = 2
"""Model code of the first known value, in a vocabulary that never grew the most frequent one."""

GROUPING = ("session", "order")
"""Columns whose values only say which events belong together; they are never embedded."""
NEVER_MODEL_INPUT = ("consent", *GROUPING)


@dataclass(frozen=True)
class Vocabulary:
    """The values that a model knows.

    Attributes
    ----------
    values
        For each categorical field its known texts; text ``i`` has model code ``i + 2``.
    numeric
        Names of the numeric fields.
    grouping
        The column that marks visits, or None when visits are cut at pauses.
    """

    values: dict[str, tuple[str, ...]]
    numeric: tuple[str, ...]
    grouping: str | None = None

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical fields."""
        return tuple(self.values)

    @cached_property
    def _codes(self) -> dict[str, dict[str, int]]:
        """Model code of each known text, per field."""
        return {
            name: {text: code for code, text in enumerate(texts, start=FIRST)}
            for name, texts in self.values.items()
        }

    def size(self, name: str) -> int:
        """Count of model codes of a field: missing, other and each known value."""
        return len(self.values[name]) + FIRST

    def label(self, name: str, code: int) -> str:
        """Text of one model code, for people."""
        if code < FIRST:
            return ("(none)", "(other)")[code]
        return self.values[name][code - FIRST]

    def translation(self, name: str, texts: Sequence[str]) -> np.ndarray:
        """Model codes for a store's codes.

        Parameters
        ----------
        name
            A categorical field.
        texts
            The store's vocabulary: store code ``c`` stands for ``texts[c - 1]``, 0 for missing.

        Returns
        -------
        numpy.ndarray
            int64 of shape ``(len(texts) + 1,)``; entry ``c`` is the model code of code ``c``.
        """
        known = self._codes[name]
        codes = [MISSING, *(known.get(text, OTHER) for text in texts)]
        return np.asarray(codes, dtype=np.int64)

    def encode(self, name: str, texts: Iterable[str | None]) -> list[int]:
        """Model codes of texts that come from outside a store; None is missing."""
        known = self._codes[name]
        return [MISSING if text is None else known.get(text, OTHER) for text in texts]

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle."""
        return {
            "values": {name: list(texts) for name, texts in self.values.items()},
            "numeric": list(self.numeric),
            "grouping": self.grouping,
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Vocabulary":
        """Inverse of `to_json`."""
        return cls(
            values={name: tuple(texts) for name, texts in plain["values"].items()},
            numeric=tuple(plain["numeric"]),
            grouping=plain["grouping"],
        )


def fit_vocabulary(store: "EventStore", *, as_of: int, limits: dict[str, int]) -> Vocabulary:
    """Learn the most frequent values of each categorical field.

    Parameters
    ----------
    store
        The events.
    as_of
        Only events at or before this time count, in microseconds since the epoch.
    limits
        Greatest number of values per field; the key ``"extra"`` holds for all other fields.

    Returns
    -------
    Vocabulary
        Values in descending frequency, ties by text; the event type first, then the fields from
        coarse to fine, the order in which an event is decoded. Fields without two different
        states carry no information and are left out, except the event type; so are numeric and
        grouping fields that first occur later.
    """
    values = _frequent_values(store, as_of=as_of, limits=limits)
    ordered = sorted(values, key=lambda name: (name != "event", len(values[name]), name))
    values = {name: values[name] for name in ordered}
    numeric = tuple(name for name in store.numeric if occurs(store, name, as_of=as_of))
    columns = (name for name in GROUPING if name in store.categorical)
    grouping = next((name for name in columns if occurs(store, name, as_of=as_of)), None)
    return Vocabulary(values=values, numeric=numeric, grouping=grouping)


def grow_vocabulary(
    known: Vocabulary, store: "EventStore", *, as_of: int, limits: dict[str, int]
) -> Vocabulary:
    """Learn what a store holds beyond a known vocabulary, and renumber nothing.

    Parameters
    ----------
    known
        The vocabulary of an earlier model.
    store, as_of, limits
        See `fit_vocabulary`.

    Returns
    -------
    Vocabulary
        Each known value keeps its code. Behind them stand the most frequent new values, as far as
        the limit of their field has room. New fields, chosen as in `fit_vocabulary`, stand behind
        the known ones. Values and fields that the store lacks stay, and visits are marked as
        before. So only the first values of a field are sure to be in descending frequency.

    Raises
    ------
    FitError
        If a field was text and is numbers now, or the other way round.
    """
    changed = (set(known.values) & set(store.numeric)) | (
        set(known.numeric) & set(store.categorical)
    )
    if changed:
        message = (
            "a field must stay text or stay numbers; changed its kind: "
            f"{', '.join(sorted(changed))} of {store.path}; "
            "ingest it as before, or train without --from"
        )
        raise FitError(message)
    values = dict(known.values)
    found = _frequent_values(store, as_of=as_of, limits=limits, known=known)
    for name in sorted(found, key=lambda name: (len(found[name]), name)):
        values[name] = (*values.get(name, ()), *found[name])
    numeric = (
        name
        for name in store.numeric
        if name not in known.numeric and occurs(store, name, as_of=as_of)
    )
    return Vocabulary(values, (*known.numeric, *numeric), known.grouping)


def _frequent_values(
    store: "EventStore", *, as_of: int, limits: dict[str, int], known: Vocabulary | None = None
) -> dict[str, tuple[str, ...]]:
    """Per field the most frequent values that are not known yet, as far as there is room."""
    values = {}
    for name in store.categorical:
        if name in NEVER_MODEL_INPUT:
            continue
        counts = value_counts(store, name, as_of=as_of)
        texts = store.vocabulary(name)
        present = list(np.flatnonzero(counts[1:]) + 1)
        present.sort(key=lambda code: (-counts[code], texts[code - 1]))
        states = len(present) + int(counts[0] > 0)
        before = known.values.get(name) if known else None
        if states > 1 or name == "event" or before is not None:
            taken = set(before or ())
            fresh = [texts[code - 1] for code in present if texts[code - 1] not in taken]
            room = max(0, limits.get(name, limits["extra"]) - len(taken))
            values[name] = tuple(fresh[:room])
    return values


def occurs(store: "EventStore", name: str, *, as_of: int) -> bool:
    """Whether a field has any value at or before `as_of`."""
    column = store.numbers(name) if name in store.numeric else store.codes(name)
    for start in range(0, len(column), CHUNK_EVENTS):
        chunk = slice(start, start + CHUNK_EVENTS)
        values = np.asarray(column[chunk])[np.asarray(store.times[chunk]) <= as_of]
        if (~np.isnan(values) if name in store.numeric else values > 0).any():
            return True
    return False


def value_counts(store: "EventStore", name: str, *, as_of: int) -> np.ndarray:
    """Events per store code at or before `as_of`.

    Returns
    -------
    numpy.ndarray
        int64 of shape ``(len(store.vocabulary(name)) + 1,)``; entry 0 counts missing values.
    """
    codes, times = store.codes(name), store.times
    counts = np.zeros(len(store.vocabulary(name)) + 1, dtype=np.int64)
    for start in range(0, len(codes), CHUNK_EVENTS):
        chunk = slice(start, start + CHUNK_EVENTS)
        inside = np.asarray(codes[chunk])[np.asarray(times[chunk]) <= as_of]
        counts += np.bincount(inside, minlength=len(counts))
    return counts


def known_counts(
    vocabulary: Vocabulary, store: "EventStore", *, as_of: int
) -> dict[str, np.ndarray]:
    """Events per model code of each categorical field at or before `as_of`, int64 [V] each."""
    n_events = int(value_counts(store, "event", as_of=as_of).sum())
    counts = {}
    for name in vocabulary.categorical:
        counts[name] = np.zeros(vocabulary.size(name), dtype=np.int64)
        if name in store.categorical:
            codes = vocabulary.translation(name, store.vocabulary(name))
            np.add.at(counts[name], codes, value_counts(store, name, as_of=as_of))
        else:
            counts[name][MISSING] = n_events
    return counts


CHUNK_EVENTS = 4_000_000
"""Events read at a time, so that memory does not grow with the store."""
