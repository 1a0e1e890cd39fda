"""What groups of users did, read from an event store: the reading side of typical journeys."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from segmenter.errors import ConfigError
from segmenter.events.contract import GROUPING
from segmenter.events.store import EventStore
from segmenter.segments.journeys import (
    DAY_US,
    AroundTally,
    Journey,
    TransitionTally,
    coarse_journey,
    tally_around,
    tally_transitions,
    tally_values,
)
from segmenter.validity.window import EventWindow, windows

MAX_TYPES = 8
"""Event types that are told apart, the most frequent; the others are one."""
MAX_VALUES = 200
"""Values of a field that are told apart, the most frequent."""
MIN_KNOWN = 5
"""Users who must have a value before it is shown of a single one."""
USUAL_SHARE = 0.9
"""An event type with this share of all events goes without saying."""
OTHER = "(other)"


@dataclass(frozen=True)
class Groups:
    """Users of a store in groups.

    Attributes
    ----------
    store
        The events.
    users
        int64 [n], rows of the store.
    group
        int64 [n], group 0..n_groups-1 of each.
    n_groups
        Groups in all.
    until
        Only events before this time are read, microseconds.
    """

    store: EventStore
    users: np.ndarray
    group: np.ndarray
    n_groups: int
    until: int

    @property
    def sizes(self) -> np.ndarray:
        """Users of each group, int64 [n_groups]."""
        return np.bincount(self.group, minlength=self.n_groups)

    def blocks(self) -> Iterator[tuple[EventWindow, np.ndarray]]:
        """Events in blocks of consecutive users, with the users' groups."""
        start = 0
        for block in windows(self.store, self.users, end=self.until):
            yield block, self.group[start : start + block.n_users]
            start += block.n_users


def told_fields(store: EventStore) -> tuple[str, ...]:
    """Fields whose values explain what users did: items only where a log has no category."""
    known = [name for name in store.categorical if name not in GROUPING]
    return tuple(name for name in known if not (name == "item" and "category" in known))


def event_names(store: EventStore) -> tuple[list[str], np.ndarray]:
    """Names of the types told apart, and the place of each code among them, int64 [codes]."""
    names = store.vocabulary("event")
    kept = names if len(names) <= MAX_TYPES else [*names[: MAX_TYPES - 1], OTHER]
    places = np.minimum(np.arange(len(names) + 1) - 1, len(kept) - 1)
    return kept, np.maximum(places, 0)


def transitions_of(groups: Groups) -> tuple[TransitionTally, list[str]]:
    """What comes after what in each group, and the names of the types."""
    names, places = event_names(groups.store)
    tallies = [
        tally_transitions(
            block.owner,
            places[block.codes("event")],
            group,
            n_groups=groups.n_groups,
            n_types=len(names),
        )
        for block, group in groups.blocks()
    ]
    return reduce(add, tallies), names


def values_of(groups: Groups, field: str) -> tuple[np.ndarray, list[str]]:
    """Users of each group with each frequent value, float64 [G, V], and the values."""
    values = groups.store.vocabulary(field)[:MAX_VALUES]
    shape = (groups.n_groups, len(values))
    tallies = [
        tally_values(block.owner, _codes(block, field, len(values)), group, shape=shape)
        for block, group in groups.blocks()
    ]
    return np.sum(tallies, axis=0), values


def around_of(
    groups: Groups, event: str, field: str, *, window_days: float
) -> tuple[AroundTally, list[str]]:
    """What users of each group do before and after their first event of a type.

    Parameters
    ----------
    groups
        The users.
    event
        The type.
    field
        Whose values are counted.
    window_days
        Length of the window on either side.

    Raises
    ------
    ConfigError
        If the store has no such event.
    """
    store = groups.store
    types = store.vocabulary("event")
    if event not in types:
        message = f"the store has no event {event!r}; found {', '.join(types[:12])}"
        raise ConfigError(message)
    code, values = types.index(event) + 1, store.vocabulary(field)[:MAX_VALUES]
    tallies = [
        tally_around(
            block.owner,
            block.times,
            _codes(block, field, len(values)),
            is_target=block.codes("event") == code,
            group=group,
            shape=(groups.n_groups, len(values)),
            window_us=int(window_days * DAY_US),
        )
        for block, group in groups.blocks()
    ]
    return reduce(add, tallies), values


def common_values(groups: Groups) -> dict[str, np.ndarray]:
    """Text of each code of the told fields; empty where it is missing or few users have it."""
    texts, store = {}, groups.store
    for field in told_fields(store):
        counts, values = values_of(groups, field)
        shown = np.full(len(store.vocabulary(field)) + 1, "", dtype=object)
        for place in np.flatnonzero(counts.sum(axis=0) >= MIN_KNOWN):
            shown[place + 1] = values[place]
        texts[field] = shown
    return texts


def journeys_of(
    store: EventStore, users: np.ndarray, *, until: int, texts: dict[str, np.ndarray]
) -> tuple[Journey, ...]:
    """The newest days of some users, without identity.

    Parameters
    ----------
    store, users
        The events, and rows of the store.
    until
        Only events before this time are read, microseconds.
    texts
        From `common_values`: what may be shown.
    """
    counts, found = store.vocabulary_counts("event"), []
    usual = texts["event"][1] if counts[0] >= USUAL_SHARE * store.n_events else None
    for user in users:
        (block,) = windows(store, np.array([user]), end=until)
        parts = zip(*(shown[block.codes(name)] for name, shown in texts.items()), strict=True)
        found.append(coarse_journey(block.times, [_label(told, usual) for told in parts]))
    return tuple(found)


def _label(told: tuple[str, ...], usual: str | None) -> str:
    """What an event is called: its values; a type that goes without saying only where alone."""
    words = [word for word in told if word]
    return " ".join(words[1:] if len(words) > 1 and words[0] == usual else words) or OTHER


def _codes(block: EventWindow, field: str, n_values: int) -> np.ndarray:
    """Value of each event, int64 [E]; -1 where it is missing or too rare."""
    codes = block.codes(field).astype(np.int64) - 1
    return np.where(codes < n_values, codes, -1)
