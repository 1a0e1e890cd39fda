"""What is odd about the users who belong to no segment: robots, testers, resellers, or nothing.

Each habit of theirs is held against everybody else's. Nobody is accused: a habit is told with the
share of the others who have it, too.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

EXTREME = 0.01
"""A habit is odd beyond what this share of the others has."""
MIN_SHARE = 0.05
MIN_USERS = 3
"""Fewer outsiders, or a smaller share of them, make no sentence."""
MIN_SCORE = 1.96
N_TOLD = 6
ABOVE, BELOW = "above", "below"
MEANINGS = {
    ("events", ABOVE): "robots, resellers or shared accounts",
    ("events per active day", ABOVE): "robots, or tests of an afternoon",
    ("share of regular gaps", ABOVE): "robots and monitoring",
    ("share of the commonest value", ABOVE): "testers and monitoring: one thing again and again",
    ("distinct values", ABOVE): "crawlers, who go through everything",
    ("share of events at night", ABOVE): "robots, or another time zone",
    ("share of negative values", ABOVE): "returns: resellers, or misuse",
    ("median value", ABOVE): "resellers or companies",
    ("median value", BELOW): "testers, who spend nothing",
}
"""What a habit often stands for; the reader decides."""


@dataclass(frozen=True)
class Oddity:
    """A habit that many outsiders and few others have.

    Attributes
    ----------
    habit
        Its name.
    side
        ``"above"`` or ``"below"``.
    bound
        Beyond which it is odd.
    here, elsewhere
        Share of the outsiders, and of the others, beyond it.
    log_odds
        Between the two, of counts topped up with one half.
    n_users
        Outsiders beyond it.
    medians
        Of the outsiders and of the others.
    meaning
        What it often stands for; empty where nothing is known.
    """

    habit: str
    side: str
    bound: float
    here: float
    elsewhere: float
    log_odds: float
    n_users: int
    medians: tuple[float, float]
    meaning: str = ""

    @property
    def text(self) -> str:
        """The oddity as printed, such as ``events above 4,120: 45 % of them, others 1.0 %``."""
        shares = f"{self.here:.0%} of them, others {self.elsewhere:.1%}"
        hint = f" ({self.meaning})" if self.meaning else ""
        bound = f"{self.bound:.0%}" if self.habit.startswith("share") else f"{self.bound:,.4g}"
        return f"{self.habit} {self.side} {bound}: {shares}{hint}"


@dataclass(frozen=True)
class Outsiders:
    """Users who belong to no segment.

    Attributes
    ----------
    n_users, share
        How many, and of all users.
    oddities
        The one that most of them have first.
    explained
        Share of them that has at least one of the oddities.
    """

    n_users: int
    share: float
    oddities: tuple[Oddity, ...]
    explained: float

    @property
    def text(self) -> str:
        """How many, and how many of them have something odd to be seen."""
        told = f"{self.n_users:,} users ({self.share:.1%}) belong to no segment"
        if not self.oddities:
            return f"{told}; no habit sets them apart from the others"
        return f"{told}; {self.explained:.0%} of them have an odd habit"

    def to_json(self) -> dict[str, Any]:
        """Plain form, with the texts for other readers."""
        oddities = [asdict(one) | {"text": one.text} for one in self.oddities]
        return asdict(self) | {"oddities": oddities, "text": self.text}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        oddities = []
        for item in plain["oddities"]:
            values = {name: value for name, value in item.items() if name != "text"}
            oddities.append(Oddity(**{**values, "medians": tuple(item["medians"])}))
        return cls(plain["n_users"], plain["share"], tuple(oddities), plain["explained"])


def describe_outsiders(habits: Mapping[str, np.ndarray], is_outside: np.ndarray) -> Outsiders:
    """Say what is odd about some users.

    Parameters
    ----------
    habits
        Name to float64 [n], NaN where a user has too few events to tell.
    is_outside
        bool [n], the users asked about.
    """
    n_users = int(is_outside.sum())
    share = n_users / max(len(is_outside), 1)
    found = [
        oddity
        for name, values in habits.items()
        for side in (ABOVE, BELOW)
        if (oddity := _oddity(name, side, values=values, is_outside=is_outside)) is not None
    ]
    found.sort(key=lambda one: (-one.here, one.habit))
    told = tuple(found[:N_TOLD])
    odd = np.zeros(len(is_outside), dtype=bool)
    for one in told:
        odd |= _beyond(habits[one.habit], one.side, one.bound)
    explained = float(odd[is_outside].mean()) if n_users else 0.0
    return Outsiders(n_users, share, told, explained)


def _beyond(values: np.ndarray, side: str, bound: float) -> np.ndarray:
    """Who is beyond a bound, bool [n]; nobody of whom nothing is known."""
    return values > bound if side == ABOVE else values < bound


def _oddity(name: str, side: str, *, values: np.ndarray, is_outside: np.ndarray) -> Oddity | None:
    """One side of one habit; None where it says nothing."""
    known = np.isfinite(values)
    here, others = values[known & is_outside], values[known & ~is_outside]
    if len(here) < MIN_USERS or not len(others):
        return None
    low, high = np.quantile(others, [EXTREME, 1 - EXTREME]).tolist()
    if low == high:  # nobody else differs, as of the hour where a log tells days alone
        return None
    bound = high if side == ABOVE else low
    odd_here, odd_others = (int(_beyond(part, side, bound).sum()) for part in (here, others))
    n_here, n_others = int(is_outside.sum()), len(others)
    topped = np.array([odd_here, n_here - odd_here, odd_others, n_others - odd_others]) + 0.5
    log_odds = float(np.log(topped[0] / topped[1]) - np.log(topped[2] / topped[3]))
    score = log_odds / float(np.sqrt((1 / topped).sum()))
    share = odd_here / n_here
    if odd_here < MIN_USERS or share < MIN_SHARE or score < MIN_SCORE:
        return None
    return Oddity(
        habit=name,
        side=side,
        bound=bound,
        here=share,
        elsewhere=odd_others / n_others,
        log_odds=log_odds,
        n_users=odd_here,
        medians=(float(np.median(here)), float(np.median(others))),
        meaning=MEANINGS.get((name, side), ""),
    )
