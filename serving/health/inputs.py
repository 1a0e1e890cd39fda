"""Drift of the inputs: every field of an event store, before a time and since.

Users are the unit: each counts alike however many events there are of it, so that a robot moves
nothing. Of many users a sample is read.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from segmenter.events.batches import users_until
from segmenter.events.contract import GROUPING
from segmenter.events.store import EventStore
from segmenter.space.shifts import Shift, number_shift, value_shift
from segmenter.validity.window import DAY_US, EventWindow, windows

MAX_USERS = 20_000
"""Users who are read on either side; more say the same."""
MAX_VALUES = 50
"""Values of a field that are told apart, the most frequent of both sides; others are one."""
MAX_EVENTS = 8
"""Events of a user whose numbers are read, drawn by lot."""
MIN_USERS = 20
"""Users with the field on either side, below which nothing is said."""
HOUR_US = DAY_US // 24
HOUR, WEEKDAY, GAP = "hour of day", "day of week", "hours between events"
MISSING, OTHER = "(missing)", "(other)"
N_TOLD = 3


@dataclass(frozen=True)
class Span:
    """Events of a store in a span of time.

    Attributes
    ----------
    store
        The events.
    start, end
        Microseconds, ``start <= time < end``; no start reads from the first event.
    """

    store: EventStore
    start: int | None
    end: int


@dataclass(frozen=True)
class ValueChange:
    """How much a value's share of an average user's events changed."""

    value: str
    old: float
    new: float


@dataclass(frozen=True)
class InputDrift:
    """What became of one field.

    Attributes
    ----------
    field
        Its name; the hour, the weekday and the gap between events are fields too.
    n_old, n_new
        Users read.
    shift
        How far the sides are apart.
    changes
        Values whose share changed most; none of a number.
    """

    field: str
    n_old: int
    n_new: int
    shift: Shift
    changes: tuple[ValueChange, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return asdict(self)


def spans(
    old: EventStore, new: EventStore, *, old_as_of: int, new_as_of: int
) -> tuple[Span, Span]:
    """What is compared: everything until the old time, and what came since.

    Where nothing came since (the new time is not later, or the store ends before), the whole
    history until the new time stands for the new side.
    """
    since = old_as_of + 1 if new.newest > old_as_of and new_as_of > old_as_of else None
    return Span(old, None, old_as_of + 1), Span(new, since, new_as_of + 1)


def input_drifts(old: Span, new: Span, *, seed: int) -> tuple[InputDrift, ...]:
    """Compare every field that both stores have.

    Parameters
    ----------
    old, new
        See `spans`.
    seed
        Of the users and events that are drawn.

    Returns
    -------
    tuple of InputDrift
        Fields with values, then hour and weekday, then numbers; without those that too few users
        have.
    """
    chosen = tuple(_some_users(span, seed=(seed, side)) for side, span in enumerate((old, new)))
    both = [
        name
        for name in old.store.categorical
        if name in new.store.categorical and name not in GROUPING
    ]
    numbers = [name for name in old.store.numeric if name in new.store.numeric]
    found = [_values(name, (old, new), chosen) for name in both]
    found += [_clock(name, (old, new), chosen) for name in (HOUR, WEEKDAY)]
    found += [_numbers(name, (old, new), chosen, seed=seed) for name in (*numbers, GAP)]
    return tuple(drift for drift in found if drift is not None)


def _some_users(span: Span, *, seed: tuple[int, int]) -> np.ndarray:
    """Rows of users who may have events in the span, int64."""
    users = users_until(span.store, span.end - 1)
    if len(users) <= MAX_USERS:
        return users
    return np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))


def _blocks(span: Span, users: np.ndarray) -> Iterator[EventWindow]:
    yield from windows(span.store, users, start=span.start, end=span.end)


def _weights(block: EventWindow) -> np.ndarray:
    """Weight of each event, so that every user counts once, float64 [E]."""
    return (1 / np.maximum(block.total(), 1))[block.owner]


def _values(
    name: str, sides: tuple[Span, Span], chosen: tuple[np.ndarray, ...]
) -> InputDrift | None:
    """Drift of a field with values: frequent ones, others, and missing."""
    counted = [_shares(name, span, users) for span, users in zip(sides, chosen, strict=True)]
    (old, n_old), (new, n_new) = counted
    weight = {
        text: old.get(text, 0.0) / max(n_old, 1) + new.get(text, 0.0) / max(n_new, 1)
        for text in (old | new)
    }
    known = sorted(weight, key=lambda text: (-weight[text], text))
    kept = [text for text in known if text != MISSING][:MAX_VALUES]
    rows = [MISSING, OTHER, *kept]
    table = np.array([_folded(side, rows) for side in (old, new)])
    if min(n_old, n_new) < MIN_USERS or table[:, 1:].sum(axis=1).min() == 0:
        return None
    shares = table / table.sum(axis=1, keepdims=True)
    order = np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")[:N_TOLD]
    changes = tuple(
        ValueChange(rows[place], float(shares[0, place]), float(shares[1, place]))
        for place in order
        if shares[0, place] != shares[1, place]
    )
    return InputDrift(name, n_old, n_new, value_shift(*table), changes)


def _shares(name: str, span: Span, users: np.ndarray) -> tuple[dict[str, float], int]:
    """Weight of each value over users, and how many users there are."""
    texts = [MISSING, *span.store.vocabulary(name)]
    weights, n_users = np.zeros(len(texts)), 0
    for block in _blocks(span, users):
        weights += np.bincount(block.codes(name), _weights(block), minlength=len(texts))
        n_users += int((block.total() > 0).sum())
    return {texts[code]: float(weights[code]) for code in np.flatnonzero(weights)}, n_users


def _folded(side: dict[str, float], rows: list[str]) -> list[float]:
    """Weights in the order of `rows`, what is not among them under `OTHER`."""
    named = [side.get(text, 0.0) for text in rows]
    named[rows.index(OTHER)] = sum(side.values()) - sum(side.get(text, 0.0) for text in rows)
    return [max(weight, 0.0) for weight in named]


def _clock(
    name: str, sides: tuple[Span, Span], chosen: tuple[np.ndarray, ...]
) -> InputDrift | None:
    """Drift of the hour or the weekday, UTC."""
    n_bins = 24 if name == HOUR else 7
    tables, counts = [], []
    for span, users in zip(sides, chosen, strict=True):
        weights, n_users = np.zeros(n_bins), 0
        for block in _blocks(span, users):
            # The first day of the epoch was a Thursday; weekday 0 is Monday.
            place = block.times // HOUR_US if name == HOUR else block.times // DAY_US + 3
            weights += np.bincount(place % n_bins, _weights(block), minlength=n_bins)
            n_users += int((block.total() > 0).sum())
        tables.append(weights)
        counts.append(n_users)
    if min(counts) < MIN_USERS:
        return None
    return InputDrift(name, counts[0], counts[1], value_shift(*tables))


def _numbers(
    name: str, sides: tuple[Span, Span], chosen: tuple[np.ndarray, ...], *, seed: int
) -> InputDrift | None:
    """Drift of a number, from a few events of each user."""
    samples, counts = [], []
    for side, (span, users) in enumerate(zip(sides, chosen, strict=True)):
        generator, values, n_users = np.random.default_rng((seed, side)), [], 0
        for block in _blocks(span, users):
            owner, numbers = _told(name, block)
            drawn = _few_each(owner, generator)
            values.append(numbers[drawn])
            n_users += len(np.unique(owner))
        samples.append(np.concatenate(values))
        counts.append(n_users)
    if min(counts) < MIN_USERS:
        return None
    return InputDrift(name, counts[0], counts[1], number_shift(*samples))


def _told(name: str, block: EventWindow) -> tuple[np.ndarray, np.ndarray]:
    """User and number of each event that has one: int64 [e], float64 [e]."""
    if name == GAP:
        inside = ~block.is_first
        return block.owner[inside], np.diff(block.times, prepend=0)[inside] / HOUR_US
    numbers = block.numbers(name)
    known = np.isfinite(numbers)
    return block.owner[known], numbers[known]


def _few_each(owner: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Places of at most `MAX_EVENTS` rows of each owner, drawn by lot; `owner` ascends."""
    order = np.lexsort((generator.random(len(owner)), owner))
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    starts = np.repeat(first, np.diff(np.append(first, len(owner))))
    return order[np.arange(len(owner)) - starts < MAX_EVENTS]
