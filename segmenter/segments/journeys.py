"""Typical journeys: what comes after what, what surrounds an event, and users without identity.

Arrays of events in, figures out. Users are the unit: each counts alike, whatever it does how
often, so that a robot makes no transition typical.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.stats import norm

from segmenter.segments.profiles import CONFIDENCE

DAY_US = 86_400_000_000
MAX_STEPS = 7
"""Days of a journey that are shown, the newest."""
MAX_LABELS = 4
"""Things of a day that are shown, the most frequent."""


@dataclass(frozen=True)
class Step:
    """A day of a journey.

    Attributes
    ----------
    day
        Days after the first day shown.
    things
        What was done, and how often; the most frequent first.
    n_more
        Events of that day beside them.
    """

    day: int
    things: tuple[tuple[str, int], ...]
    n_more: int

    @property
    def text(self) -> str:
        """The day as printed, such as ``day 3: view shoes x4, purchase shoes``."""
        told = [f"{label} x{n}" if n > 1 else label for label, n in self.things]
        return f"day {self.day}: {', '.join(told)}{f' and {self.n_more} more' * (self.n_more > 0)}"


@dataclass(frozen=True)
class Journey:
    """The newest days of a user, without identity: no id, no time of day, no rare value.

    Attributes
    ----------
    steps
        The oldest first.
    """

    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain form, with the texts for other readers."""
        return {"steps": [asdict(step) | {"text": step.text} for step in self.steps]}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            tuple(
                Step(step["day"], tuple((label, n) for label, n in step["things"]), step["n_more"])
                for step in plain["steps"]
            )
        )


def coarse_journey(times: np.ndarray, labels: Sequence[str]) -> Journey:
    """The newest active days of one user.

    Parameters
    ----------
    times
        int64 [e], microseconds, ascending.
    labels
        What each event was, e texts.
    """
    days = times // DAY_US
    shown = np.unique(days)[-MAX_STEPS:]
    steps = []
    for day in shown.tolist():
        counts = Counter(labels[place] for place in np.flatnonzero(days == day).tolist())
        things = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        n_more = sum(n for _, n in things[MAX_LABELS:])
        steps.append(Step(int(day - shown[0]), tuple(things[:MAX_LABELS]), n_more))
    return Journey(tuple(steps))


def central_users(points: np.ndarray, n_users: int) -> np.ndarray:
    """Places of the users nearest to the middle of all, the nearest first, int64.

    Parameters
    ----------
    points
        float [n, d].
    n_users
        How many are wanted.
    """
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    apart = ((points - points.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=1)
    return np.argsort(apart, kind="stable")[:n_users]


@dataclass(frozen=True)
class TransitionTally:
    """What comes after what, added up over users.

    Attributes
    ----------
    users
        float64 [G, T], users of each group with an event after one of each type.
    rates
        float64 [G, T, T], sums over them of the share of b among what came next after a.
    squares
        float64 [G, T, T], sums of the squared shares.
    """

    users: np.ndarray
    rates: np.ndarray
    squares: np.ndarray

    def __add__(self, other: "TransitionTally") -> "TransitionTally":
        return TransitionTally(
            self.users + other.users, self.rates + other.rates, self.squares + other.squares
        )


def tally_transitions(
    owner: np.ndarray, types: np.ndarray, group: np.ndarray, *, n_groups: int, n_types: int
) -> TransitionTally:
    """Count what comes after what, each user once.

    Parameters
    ----------
    owner
        int64 [E], ascending: the user of each event, in the order of time.
    types
        int64 [E], type 0..T-1 of each event.
    group
        int64 [n], group 0..G-1 of each user.
    n_groups, n_types
        G and T.
    """
    same = owner[1:] == owner[:-1]
    first, second, user = types[:-1][same], types[1:][same], owner[:-1][same]
    pairs, counts = np.unique((user * n_types + first) * n_types + second, return_counts=True)
    starts, place = np.unique(pairs // n_types, return_inverse=True)
    totals = np.bincount(place, counts, minlength=len(starts))
    share = counts / totals[place] if len(counts) else np.zeros(0)
    cell = group[pairs // n_types**2] * n_types**2 + pairs % n_types**2
    shape = (n_groups, n_types, n_types)
    begun = group[starts // n_types] * n_types + starts % n_types
    rates, squares = (
        np.bincount(cell, weights, n_groups * n_types**2).reshape(shape)
        for weights in (share, share**2)
    )
    users = np.bincount(begun, minlength=n_groups * n_types).reshape(shape[:2])
    return TransitionTally(users.astype(np.float64), rates, squares)


@dataclass(frozen=True)
class Transition:
    """What comes next after an event type in a group, beside everybody else.

    Attributes
    ----------
    before, after
        The two types.
    share
        Mean over users of the share of `after` among what they did next after `before`.
    low, high
        90 % interval over users.
    elsewhere
        The same among all others.
    lift
        The share over that elsewhere; None where it never happens there.
    n_users
        Users of the group who went on after `before`.
    """

    before: str
    after: str
    share: float
    low: float
    high: float
    elsewhere: float
    lift: float | None
    n_users: int


def transitions(
    tally: TransitionTally, group: int, names: Sequence[str], *, min_users: int = 5
) -> tuple[Transition, ...]:
    """The transitions of one group, in the order of the types.

    Parameters
    ----------
    tally
        Of all groups.
    group
        The one asked about; all others are everybody else.
    names
        Of the T types.
    min_users
        A type after which fewer users of the group went on is left out.
    """
    others = [number for number in range(len(tally.users)) if number != group]
    users, users_else = tally.users[group], tally.users[others].sum(axis=0)
    share = tally.rates[group] / np.maximum(users, 1)[:, None]
    elsewhere = tally.rates[others].sum(axis=0) / np.maximum(users_else, 1)[:, None]
    variance = np.maximum(tally.squares[group] / np.maximum(users, 1)[:, None] - share**2, 0)
    half = norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(variance / np.maximum(users - 1, 1)[:, None])
    return tuple(
        Transition(
            before=names[a],
            after=names[b],
            share=float(share[a, b]),
            low=float(max(share[a, b] - half[a, b], 0.0)),
            high=float(min(share[a, b] + half[a, b], 1.0)),
            elsewhere=float(elsewhere[a, b]),
            lift=float(share[a, b] / elsewhere[a, b]) if elsewhere[a, b] > 0 else None,
            n_users=int(users[a]),
        )
        for a in range(len(names))
        for b in range(len(names))
        if users[a] >= min_users and (share[a, b] > 0 or elsewhere[a, b] > 0)
    )


@dataclass(frozen=True)
class AroundTally:
    """Users with each value shortly before and after their first event of a kind.

    Attributes
    ----------
    users
        float64 [G], users with such an event.
    before, after
        float64 [G, V], those of them with the value in the window.
    """

    users: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def __add__(self, other: "AroundTally") -> "AroundTally":
        return AroundTally(
            self.users + other.users, self.before + other.before, self.after + other.after
        )


def tally_around(
    owner: np.ndarray,
    times: np.ndarray,
    values: np.ndarray,
    *,
    is_target: np.ndarray,
    group: np.ndarray,
    shape: tuple[int, int],
    window_us: int,
) -> AroundTally:
    """Count what users do around their first event of a kind.

    Parameters
    ----------
    owner, times
        int64 [E], the user and the time of each event; owners ascend, and times within them.
    values
        int64 [E], value 0..V-1 of each event; -1 is none.
    is_target
        bool [E], the events of the kind.
    group
        int64 [n], group of each user.
    shape
        G and V.
    window_us
        Length of the window on either side, microseconds; what happened at the same moment is on
        neither.
    """
    n_groups, n_values = shape
    hit_owner, place = np.unique(owner[is_target], return_index=True)
    moment = np.full(len(group), np.iinfo(np.int64).min)
    moment[hit_owner] = times[is_target][place]
    has = np.zeros(len(group), dtype=bool)
    has[hit_owner] = True
    gap = np.where(has[owner], times - np.where(has, moment, 0)[owner], 0)
    usable = has[owner] & (values >= 0)
    sides = [
        _user_values(owner[inside], values[inside], group, shape=shape)
        for inside in (
            usable & (gap < 0) & (gap >= -window_us),
            usable & (gap > 0) & (gap <= window_us),
        )
    ]
    users = np.bincount(group[hit_owner], minlength=n_groups).astype(np.float64)
    return AroundTally(users, *(side.reshape(n_groups, n_values) for side in sides))


def tally_values(
    owner: np.ndarray, values: np.ndarray, group: np.ndarray, *, shape: tuple[int, int]
) -> np.ndarray:
    """Users of each group with each value at least once, float64 [G, V].

    Parameters
    ----------
    owner, values
        int64 [E], the user and the value 0..V-1 of each event; -1 is none.
    group
        int64 [n], group of each user.
    shape
        G and V.
    """
    known = values >= 0
    return _user_values(owner[known], values[known], group, shape=shape)


def _user_values(
    owner: np.ndarray, values: np.ndarray, group: np.ndarray, *, shape: tuple[int, int]
) -> np.ndarray:
    n_groups, n_values = shape
    pairs = np.unique(owner * n_values + values)
    cell = group[pairs // n_values] * n_values + pairs % n_values
    return np.bincount(cell, minlength=n_groups * n_values).reshape(shape).astype(np.float64)
