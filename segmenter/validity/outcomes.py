"""What users did after a cut: the truth that segments made before it are held against.

Only events at or after the cut are read here. What is known of users before it is the business of
`segmenter.validity.baselines`; which kinds of things users turn to, of `segmenter.validity.taste`;
what the log does not tell, of `segmenter.validity.supplied`.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from segmenter.events.store import EventStore
from segmenter.validity.window import EventWindow, commonest, value_counts, windows

MIN_POSITIVES = 30
"""Users on the rarer side of a yes-or-no outcome; fewer say nothing about segments."""
MIN_RATE = 0.02
MAX_TYPES = 64
"""Event types that are looked at, the most frequent first."""
MAX_TYPE_OUTCOMES = 8
"""Of them, so many that tell users apart become outcomes."""
EVERYBODY = "everybody"

Kind = Literal["r2", "auc", "mean auc"]


@dataclass(frozen=True)
class Outcome:
    """One thing that is known of users later.

    Attributes
    ----------
    name
        What it is, in domain words.
    kind
        How a prediction of it is scored: ``"r2"`` of an amount, ``"auc"`` of a yes or no,
        ``"mean auc"`` of several questions, whose scores are averaged.
    values
        float64 [n], one per user; 0 or 1 where `kind` is ``"auc"``; where it is ``"mean auc"``
        the number of the user's answers that are yes.
    population
        bool [n], the users for whom the question makes sense.
    population_name
        Who these users are.
    logged
        Whether `values` are ``log(1 + amount)``.
    parts
        The questions of a ``"mean auc"``, each a yes or no among its own population.
    """

    name: str
    kind: Kind
    values: np.ndarray
    population: np.ndarray
    population_name: str = EVERYBODY
    logged: bool = False
    parts: tuple["Outcome", ...] = ()

    @property
    def asked(self) -> tuple["Outcome", ...]:
        """The questions that are predicted one by one: the parts, or the outcome itself."""
        return self.parts or (self,)

    @property
    def amounts(self) -> np.ndarray:
        """float64 [n], the outcome in its natural unit."""
        return np.expm1(self.values) if self.logged else self.values

    def among(self, population: np.ndarray, *, name: str) -> "Outcome":
        """The same outcome asked of fewer users; parts that then hardly vary are left out."""
        parts = (part.among(population, name=name) for part in self.parts)
        return replace(
            self,
            population=self.population & population,
            population_name=name,
            parts=tuple(part for part in parts if part.is_telling()),
        )

    def is_telling(self) -> bool:
        """Whether the outcome varies enough among its population to be predicted."""
        if self.kind == "mean auc":
            return len(self.parts) > 0
        values = self.values[self.population]
        if len(values) < 2 * MIN_POSITIVES or np.ptp(values) == 0:
            return False
        if self.kind == "r2":
            return int(np.count_nonzero(values != np.median(values))) >= MIN_POSITIVES
        rare = min(values.sum(), len(values) - values.sum())
        return bool(rare >= max(MIN_POSITIVES, MIN_RATE * len(values)))


def future_outcomes(
    store: EventStore, users: np.ndarray, *, cut: int, end: int | None = None
) -> tuple[Outcome, ...]:
    """What users spent, how active they were and which event types they had, from the cut on.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    cut, end
        Events with ``cut <= time < end`` count, microseconds; no end reads to the newest event.

    Returns
    -------
    tuple of Outcome
        ``later spend`` (log of one plus the sum of values, at least zero; only where the log has
        values), ``later events`` (log of one plus their number) and ``later <type>`` for each
        event type that 2 to 98 % of the users have. Outcomes that hardly vary are left out, so
        that nothing is returned where nobody did anything.
    """
    last = store.newest + 1 if end is None else end
    names = store.vocabulary("event")
    asked = commonest(names, value_counts(store, users, "event", start=cut, end=last), MAX_TYPES)
    blocks = [
        _future_of(block, asked + 1, has_value="value" in store.numeric)
        for block in windows(store, users, start=cut, end=last)
    ]
    spend, events, types = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    everybody = np.ones(len(users), dtype=bool)
    amounts = (
        Outcome("later spend", "r2", np.log1p(np.maximum(spend, 0)), everybody, logged=True),
        Outcome("later events", "r2", np.log1p(events), everybody, logged=True),
    )
    occurrences = (
        Outcome(f"later {names[code]}", "auc", types[:, place].astype(np.float64), everybody)
        for place, code in enumerate(asked)
    )
    telling = [outcome for outcome in occurrences if outcome.is_telling()][:MAX_TYPE_OUTCOMES]
    return (*(outcome for outcome in amounts if outcome.is_telling()), *telling)


def _future_of(
    block: EventWindow, types: np.ndarray, *, has_value: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spend [n], events [n] and whether there are events of each type [n, T] of some users."""
    value = np.nan_to_num(block.numbers("value")) if has_value else np.zeros(len(block.owner))
    return block.total(value), block.total(), block.holds("event", types)
