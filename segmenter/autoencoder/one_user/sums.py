"""What one user's history adds up to: all that the profile needs, in a size that has a bound.

Of two parts of a history, one before the other, `joined` gives the sums of both. What is seen
relative to the as-of time, `recent_of`, needs the events of the longest look-back window.

The sums mean what those of `segmenter.autoencoder.activity` mean.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.autoencoder.activity import HOUR_BAND_US, VISIT_PAUSE_US
from segmenter.autoencoder.config import DAY_US
from segmenter.autoencoder.one_user.events import FieldCoder, UserEvents
from segmenter.autoencoder.profile import MAX_TYPE_COUNTS
from segmenter.events.vocabulary import FIRST, OTHER

KNOWN, TOTAL, DEVIATIONS, GREATEST = range(4)
"""Columns of `HistorySums.numbers`."""


@dataclass(frozen=True)
class HistorySums:
    """Sums of one user's events, of which there is at least one.

    Attributes
    ----------
    n_events, n_days, n_visits
        Events, days with events, visits.
    first, last
        Times of the oldest and the newest event, microseconds.
    greatest_gap
        Longest time between two consecutive events, microseconds.
    hours, weekdays
        int64 [8] and [7]: events by three hours of the day and by day of the week.
    numbers
        float64 [N, 4]: per numeric field the events that have it, their total, the sum of squared
        deviations from their mean, and the greatest value, where missing ones count as 0.
    codes, counts
        int64 [D]: distinct codes of `FieldCoder`, ascending, with their events. Missing values
        are no values.
    """

    n_events: int
    n_days: int
    n_visits: int
    first: int
    last: int
    greatest_gap: int
    hours: np.ndarray
    weekdays: np.ndarray
    numbers: np.ndarray
    codes: np.ndarray
    counts: np.ndarray


def sums_of(events: UserEvents, coder: FieldCoder) -> HistorySums:
    """Sums of some events."""
    times = events.times
    days, gaps = times // DAY_US, times[1:] - times[:-1]
    counts = np.bincount(events.codes.ravel(), minlength=len(coder.field_of))
    counts[coder.starts] = 0
    codes = np.flatnonzero(counts)
    return HistorySums(
        n_events=len(events),
        n_days=1 + int(np.count_nonzero(days[1:] != days[:-1])),
        n_visits=int(np.count_nonzero(events.visit_starts(VISIT_PAUSE_US))),
        first=int(times[0]),
        last=int(times[-1]),
        greatest_gap=int(gaps.max(initial=0)),
        hours=np.bincount(times // HOUR_BAND_US % 8, minlength=8),
        weekdays=np.bincount((days + 3) % 7, minlength=7),
        numbers=_number_sums(events.numbers),
        codes=codes,
        counts=counts[codes],
    )


def joined(earlier: HistorySums, later: HistorySums, *, same_visit: bool) -> HistorySums:
    """Sums of both parts of a history.

    Parameters
    ----------
    earlier, later
        No event of `later` is before one of `earlier`.
    same_visit
        Whether the first event of `later` goes on with the last visit of `earlier`.

    References
    ----------
    Chan, Golub, LeVeque: "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances", 1979, equation 2.1: how deviations add up.
    """
    same_day = earlier.last // DAY_US == later.first // DAY_US
    numbers = earlier.numbers + later.numbers
    means = [
        part.numbers[:, TOTAL] / _at_least_1(part.numbers[:, KNOWN]) for part in (earlier, later)
    ]
    weight = earlier.numbers[:, KNOWN] * later.numbers[:, KNOWN] / _at_least_1(numbers[:, KNOWN])
    numbers[:, DEVIATIONS] += np.square(means[1] - means[0]) * weight
    greatest = np.maximum(earlier.numbers[:, GREATEST], later.numbers[:, GREATEST])
    numbers[:, GREATEST] = greatest
    codes = np.union1d(earlier.codes, later.codes)
    counts = np.zeros(len(codes), dtype=np.int64)
    for part in (earlier, later):
        counts[np.searchsorted(codes, part.codes)] += part.counts
    return HistorySums(
        n_events=earlier.n_events + later.n_events,
        n_days=earlier.n_days + later.n_days - same_day,
        n_visits=earlier.n_visits + later.n_visits - same_visit,
        first=earlier.first,
        last=later.last,
        greatest_gap=max(earlier.greatest_gap, later.greatest_gap, later.first - earlier.last),
        hours=earlier.hours + later.hours,
        weekdays=earlier.weekdays + later.weekdays,
        numbers=numbers,
        codes=codes,
        counts=counts,
    )


def recent_of(
    times: np.ndarray, numbers: np.ndarray, *, as_of: int, recent_days: np.ndarray
) -> np.ndarray:
    """Sums over R look-back windows.

    Parameters
    ----------
    times, numbers
        int64 [E] and float32 [N, E] of at least the events inside the longest window.
    as_of
        Where the windows end, microseconds.
    recent_days
        float32 [R], their lengths.

    Returns
    -------
    numpy.ndarray
        float64 [1 + N, R]: events, and the total of each numeric field.
    """
    ages = ((as_of - times) / DAY_US).astype(np.float32)
    inside = (ages <= recent_days[:, None]).astype(np.float64)
    values = np.where(np.isnan(numbers), 0, numbers).astype(np.float64)
    return np.vstack([inside.sum(axis=1), values @ inside.T])


def features_of(
    sums: HistorySums, recent: np.ndarray, coder: FieldCoder, *, as_of: int
) -> np.ndarray:
    """The features of `segmenter.autoencoder.profile.activity_features`, float32 [F]."""
    n_events = sums.n_events
    span = (sums.last - sums.first) / DAY_US
    numbers = sums.numbers
    mean = numbers[:, TOTAL] / _at_least_1(numbers[:, KNOWN])
    spread = np.sqrt(numbers[:, DEVIATIONS] / _at_least_1(numbers[:, KNOWN]))
    measures = np.column_stack(
        [numbers[:, TOTAL], mean, spread, numbers[:, GREATEST], recent[1:, 1:]]
    )
    plain = [
        n_events,
        (as_of - sums.last) / DAY_US,
        (as_of - sums.first) / DAY_US,
        sums.n_days,
        sums.n_visits,
        span / max(n_events - 1, 1),
        sums.greatest_gap / DAY_US,
    ]
    distinct = np.bincount(coder.field_of[sums.codes], minlength=len(coder.starts)).astype(float)
    kinds = [
        _type_counts(sums, coder, field) if name == "event" else distinct[field : field + 1]
        for field, name in enumerate(coder.vocabulary.categorical)
    ]
    parts = [
        plain,
        recent[0],
        sums.hours / n_events,
        sums.weekdays / n_events,
        measures.ravel(),
        *kinds,
    ]
    return np.concatenate(parts).astype(np.float32)


def _type_counts(sums: HistorySums, coder: FieldCoder, field: int) -> np.ndarray:
    """Events of each of the first types, float64 [types]."""
    n_types = min(coder.vocabulary.size("event") - FIRST, MAX_TYPE_COUNTS)
    counts = np.zeros(FIRST + n_types)
    places = sums.codes - coder.starts[field]
    own = (places >= OTHER) & (places < len(counts))
    counts[places[own]] = sums.counts[own]
    return counts[FIRST:]


def _number_sums(numbers: np.ndarray) -> np.ndarray:
    """Sums of numbers float32 [N, E], see `HistorySums.numbers`."""
    present = ~np.isnan(numbers)
    values = np.where(present, numbers, 0).astype(np.float64)
    known, total = present.sum(axis=1), values.sum(axis=1)
    mean = total / _at_least_1(known)
    deviations = np.square((values - mean[:, None]) * present).sum(axis=1)
    return np.column_stack([known, total, deviations, values.max(axis=1, initial=-np.inf)])


def _at_least_1(counts: np.ndarray) -> np.ndarray:
    return np.maximum(counts, 1)
