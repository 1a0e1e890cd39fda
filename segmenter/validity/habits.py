"""How users go about it, in a few plain numbers: how much, how regularly, when, and what."""

import numpy as np

from segmenter.events.store import EventStore
from segmenter.validity.window import DAY_US, EventWindow, windows

MIN_EVENTS = 5
"""Events of a user that a share needs."""
SAME_GAP = 0.1
"""Gaps that differ from the user's median by less than this part of it are as regular as it."""
HOUR_US = DAY_US // 24
NIGHT_ENDS = 5
"""Hour, UTC: the night is from midnight until then."""
VALUE_FIELDS = ("item", "category", "event")
"""The first of them that the store has is the one whose values are counted."""


def user_habits(store: EventStore, users: np.ndarray, *, until: int) -> dict[str, np.ndarray]:
    """Habits of users, from their events before a time.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    until
        Microseconds; events at or after it are not read.

    Returns
    -------
    dict
        Name to float64 [n]; NaN where a user has too few events to tell.
    """
    blocks = [_block_habits(block, store, until) for block in windows(store, users, end=until)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _block_habits(block: EventWindow, store: EventStore, until: int) -> dict[str, np.ndarray]:
    events, days = block.total(), block.active_days()
    enough = events >= MIN_EVENTS
    field = next(name for name in VALUE_FIELDS if name in store.categorical)
    distinct, commonest = _values(block, block.codes(field))
    night = block.mean(block.times % DAY_US // HOUR_US < NIGHT_ENDS)
    habits = {
        "events": events,
        "active days": days,
        "events per active day": events / np.maximum(days, 1),
        "days since last event": (until - block.greatest(block.times)) / DAY_US,
        "share of regular gaps": np.where(enough, _regularity(block), np.nan),
        "share of the commonest value": np.where(enough, commonest, np.nan),
        "distinct values": distinct,
        "share of events at night": np.where(enough, night, np.nan),
    }
    if "value" in store.numeric:
        values = block.numbers("value")
        known = np.isfinite(values)
        n_known = np.maximum(block.total(known), 1)
        habits["share of negative values"] = np.where(
            enough, block.total(known & (values < 0)) / n_known, np.nan
        )
        habits["median value"] = medians(values[known], block.owner[known], block.n_users)
    return habits


def _values(block: EventWindow, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values per user, and the share of the commonest, float64 [n] each."""
    width = int(codes.max(initial=0)) + 1
    pairs, counts = np.unique(block.owner * width + codes, return_counts=True)
    owner = pairs // width
    distinct = np.bincount(owner, minlength=block.n_users).astype(np.float64)
    most = np.zeros(block.n_users)
    np.maximum.at(most, owner, counts)
    return distinct, most / np.maximum(block.total(), 1)


def _regularity(block: EventWindow) -> np.ndarray:
    """Share of each user's gaps that are nearly its median gap, float64 [n]; 0 without gaps.

    Gaps of nothing (events of one moment, as of one basket) are no rhythm and are left out.
    """
    gaps = np.diff(block.times, prepend=0).astype(np.float64)
    inside = ~block.is_first & (gaps > 0)
    gaps, owner = gaps[inside], block.owner[inside]
    middle = medians(gaps, owner, block.n_users)
    near = np.abs(gaps - middle[owner]) < SAME_GAP * middle[owner]
    n_gaps = np.bincount(owner, minlength=block.n_users)
    share = np.bincount(owner, near, block.n_users) / np.maximum(n_gaps, 1)
    return np.where(n_gaps >= MIN_EVENTS, share, 0.0)


def medians(values: np.ndarray, owner: np.ndarray, n_users: int) -> np.ndarray:
    """Lower median of each user's values, float64 [n_users]; NaN without any.

    Parameters
    ----------
    values, owner
        float64 and int64 [E]; owners ascend.
    n_users
        Users in all.
    """
    ordered = values[np.lexsort((values, owner))]
    counts = np.bincount(owner, minlength=n_users)
    starts = np.cumsum(counts) - counts
    result = np.full(n_users, np.nan)
    some = counts > 0
    result[some] = ordered[(starts + (counts - 1) // 2)[some]]
    return result
