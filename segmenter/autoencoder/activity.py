"""What histories add up to: the sums from which the profile is made.

In double precision, so that the order in which they are added does not matter: features that are
alike to the last digit share a place on the quantile scale, and rounding must not tear them apart.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from segmenter.autoencoder.config import DAY_US
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import Vocabulary

VISIT_PAUSE_US = 30 * 60 * 1_000_000
"""A pause of half an hour starts a new visit where the log names no session."""
HOUR_BAND_US = DAY_US // 8


@dataclass(frozen=True)
class NumberSums:
    """One numeric field of B users; all float64 [B].

    Attributes
    ----------
    known
        Events that have the field.
    total
        Sum of its values.
    deviations
        Sum of squared deviations from the user's mean.
    greatest
        Greatest value, where missing ones count as 0; minus infinity without events.
    """

    known: Tensor
    total: Tensor
    deviations: Tensor
    greatest: Tensor


@dataclass(frozen=True)
class ValueCounts:
    """Distinct known or other values of one field; missing values are no values.

    Attributes
    ----------
    owner, code
        int64 [D], sorted by owner and code.
    count
        float32 [D], events.
    """

    owner: Tensor
    code: Tensor
    count: Tensor


@dataclass(frozen=True)
class Activity:
    """Sums of the histories of B users.

    Attributes
    ----------
    n_events, n_days, n_visits
        float64 [B]: events, days with events, visits.
    first, last
        int64 [B], microseconds; of users without events, the as-of time.
    greatest_gap
        float64 [B], microseconds between two consecutive events.
    hours, weekdays
        float32 [B, 8] and [B, 7]: events by three hours of the day and by day of the week.
    numbers
        Per numeric field.
    values
        Per categorical field.
    """

    n_events: Tensor
    n_days: Tensor
    n_visits: Tensor
    first: Tensor
    last: Tensor
    greatest_gap: Tensor
    hours: Tensor
    weekdays: Tensor
    numbers: dict[str, NumberSums]
    values: dict[str, ValueCounts]

    def __len__(self) -> int:
        return len(self.n_events)


@dataclass(frozen=True)
class Recent:
    """Sums over R look-back windows of B users.

    Attributes
    ----------
    as_of
        int64 [B], microseconds; where the windows end.
    n_events
        float64 [R, B].
    totals
        Per numeric field the sum of its values, float64 [R, B].
    """

    as_of: Tensor
    n_events: Tensor
    totals: dict[str, Tensor]


def sum_by_owner(values: Tensor, owner: Tensor, n_owners: int) -> Tensor:
    """Sums of `values` [E] per owner, float32 [n_owners]."""
    return torch.zeros(n_owners, device=values.device).index_add_(0, owner, values.float())


def counts_by_owner(kinds: Tensor, n_kinds: int, *, owner: Tensor, n_owners: int) -> Tensor:
    """How many events of each kind (int64 [E]) an owner has, float32 [n_owners, n_kinds]."""
    counts = torch.bincount(owner * n_kinds + kinds, minlength=n_owners * n_kinds)
    return counts.view(n_owners, n_kinds).float()


def distinct_values(batch: EventBatch, name: str, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct known or other values of one field per user.

    Returns
    -------
    tuple of Tensor
        Owner int64 [D], model code int64 [D] and count float32 [D], sorted by owner and code.
        Missing values are no values.
    """
    codes = batch.codes[name]
    present = codes > 0
    keys, counts = torch.unique(
        batch.owner[present] * size + codes[present], sorted=True, return_counts=True
    )
    return keys // size, keys % size, counts.float()


def visit_starts(batch: EventBatch) -> Tensor:
    """Whether each event [E] opens a visit: first of its user, after a pause, or a new session."""
    if len(batch.times) == 0:
        return torch.zeros(0, dtype=torch.bool, device=batch.times.device)
    changed = torch.ones_like(batch.times, dtype=torch.bool)
    if batch.visits is None:
        changed[1:] = (batch.times[1:] - batch.times[:-1]) > VISIT_PAUSE_US
    else:
        changed[1:] = batch.visits[1:] != batch.visits[:-1]
    return changed if len(batch) == 1 else changed | first_events(batch)


def first_events(batch: EventBatch) -> Tensor:
    """Whether each event [E] is the first of its user."""
    first = torch.zeros_like(batch.times, dtype=torch.bool)
    first[batch.starts[batch.lengths > 0]] = True
    return first


def ages_in_days(batch: EventBatch) -> Tensor:
    """Age of each event at the as-of time, float32 [E] days."""
    return (batch.as_of[batch.owner] - batch.times).double().div(DAY_US).float()


def activity_of(batch: EventBatch, vocabulary: Vocabulary) -> Activity:
    """Sums of whole histories."""
    owner, n_users, times = batch.owner, len(batch), batch.times
    first = first_events(batch)
    days = times // DAY_US
    gaps = torch.zeros_like(times)
    new_day = first.clone()
    gaps[1:] = times[1:] - times[:-1]
    gaps[first] = 0
    new_day[1:] |= days[1:] != days[:-1]
    n_days, n_visits = ragged_sums([new_day, visit_starts(batch)], batch)
    bands = times // HOUR_BAND_US % 8
    weekdays = (days + 3) % 7  # 1970-01-01 was a Thursday
    return Activity(
        n_events=batch.lengths.double(),
        n_days=n_days,
        n_visits=n_visits,
        first=_at(batch, batch.starts),
        last=_at(batch, batch.starts + batch.lengths - 1),
        greatest_gap=_greatest(gaps, batch).clamp(min=0),
        hours=counts_by_owner(bands, 8, owner=owner, n_owners=n_users),
        weekdays=counts_by_owner(weekdays, 7, owner=owner, n_owners=n_users),
        numbers={name: _number_sums(batch, name) for name in vocabulary.numeric},
        values=values_of(batch, vocabulary),
    )


def values_of(batch: EventBatch, vocabulary: Vocabulary) -> dict[str, ValueCounts]:
    """Distinct values of every categorical field."""
    return {
        name: ValueCounts(*distinct_values(batch, name, vocabulary.size(name)))
        for name in vocabulary.categorical
    }


def recent_of(
    batch: EventBatch, numeric: tuple[str, ...], recent_days: tuple[float, ...]
) -> Recent:
    """Sums over look-back windows.

    Parameters
    ----------
    batch
        At least the events that are not older than the longest window; only their times and
        numbers are read.
    numeric
        Numeric fields.
    recent_days
        Lengths of the R windows.
    """
    ages, n_windows = ages_in_days(batch), len(recent_days)
    inside = [ages <= days for days in recent_days]
    values = [torch.nan_to_num(batch.numbers[name]) for name in numeric]
    sums = ragged_sums([*inside, *(value * near for value in values for near in inside)], batch)
    parts = sums.split(n_windows)
    return Recent(batch.as_of, parts[0], dict(zip(numeric, parts[1:], strict=True)))


def ragged_sums(columns: list[Tensor], batch: EventBatch) -> Tensor:
    """Sums of columns [E] over the events of each user, float64 [n_columns, B]."""
    stacked = torch.stack([column.double() for column in columns], dim=1)
    return torch.segment_reduce(stacked, "sum", lengths=batch.lengths, axis=0, unsafe=True).T


def _greatest(values: Tensor, batch: EventBatch) -> Tensor:
    """Greatest of values [E] of each user, float64 [B]; minus infinity without events."""
    return torch.segment_reduce(
        values.double(), "max", lengths=batch.lengths, initial=-torch.inf, unsafe=True
    )


def _at(batch: EventBatch, places: Tensor) -> Tensor:
    """Times of events, int64 [B]; the as-of time of users without any."""
    if not len(batch.times):
        return batch.as_of
    times = batch.times[places.clamp(0, len(batch.times) - 1)]
    return torch.where(batch.lengths > 0, times, batch.as_of)


def _number_sums(batch: EventBatch, name: str) -> NumberSums:
    """In double precision, so that the order of the sums does not matter."""
    present = ~torch.isnan(batch.numbers[name])
    value = torch.nan_to_num(batch.numbers[name]).double()
    known, total = ragged_sums([present, value], batch)
    mean = total / known.clamp(min=1)
    (deviations,) = ragged_sums([((value - mean[batch.owner]) * present).square()], batch)
    return NumberSums(known, total, deviations, _greatest(value, batch))
