"""Outcomes of taste: which kinds of things users turn to, rather than how much they do.

Everybody who is active does most of what there is to do, so activity alone predicts most later
occurrences. Adoption asks about what it does not: which of the kinds of things that a user has
never touched the user takes up next. That needs a look at both sides of the cut; what comes from
before it only settles who is asked.
"""

import math
from dataclasses import dataclass

import numpy as np

from segmenter.events.store import EventStore
from segmenter.validity.outcomes import Outcome
from segmenter.validity.window import commonest, value_counts, windows

MAX_ITEMS = 200
"""Items count as kinds of things where a log has no category and no more items than this."""
MAX_FOUND = {"category": math.inf, "item": MAX_ITEMS}
MAX_KINDS = 500
"""Kinds that are looked at, the most frequent first."""
ADOPTION_RATES = (0.05, 0.30)
"""Share of adopters among those who had not touched a kind: rarer is chance, commoner activity."""
NEWCOMERS = "who had not touched it"
NAMES = {"category": "category", "item": "item", "event": "event type"}


@dataclass(frozen=True)
class Touched:
    """Which kinds of things users touched on either side of a cut.

    Attributes
    ----------
    field
        The field whose values are the kinds.
    kinds
        Texts of the V kinds.
    before, after
        bool [n, V].
    """

    field: str
    kinds: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray


def taste_kinds(store: EventStore, users: np.ndarray, *, end: int) -> tuple[str, np.ndarray]:
    """What says which kind of thing an event was about.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    end
        Only events before this time have a say, microseconds.

    Returns
    -------
    field : str
        ``"category"`` where there is one, else ``"item"`` where items are few, else ``"event"``.
    codes : numpy.ndarray
        int64 [V], codes of its values, the most frequent first.
    """
    fields = [name for name in ("category", "item") if name in store.categorical]
    for field in (*fields, "event"):
        counts = value_counts(store, users, field, end=end)
        n_kinds = np.count_nonzero(counts)
        if field == "event" or 0 < n_kinds <= MAX_FOUND[field]:
            break
    return field, 1 + commonest(store.vocabulary(field), counts, MAX_KINDS)


def touched(store: EventStore, users: np.ndarray, *, cut: int, end: int) -> Touched:
    """Read which kinds of things users touched before a cut and from it on.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    cut, end
        Events before `cut`, and those with ``cut <= time < end``, microseconds.
    """
    field, codes = taste_kinds(store, users, end=end)
    texts = store.vocabulary(field)
    before, after = (
        np.concatenate([block.holds(field, codes) for block in blocks])
        for blocks in (
            windows(store, users, end=cut),
            windows(store, users, start=cut, end=end),
        )
    )
    return Touched(field, tuple(texts[code - 1] for code in codes), before, after)


def later_kinds(seen: Touched) -> Outcome | None:
    """Whether users touch each kind of thing after the cut: mean AUC over the kinds.

    Returns
    -------
    Outcome or None
        Over the kinds that 2 to 98 % of the users touch; None without such a kind, or where kinds
        are the event types, which are outcomes of their own.
    """
    everybody = np.ones(len(seen.after), dtype=bool)
    parts = [
        Outcome(f"later {kind}", "auc", seen.after[:, place].astype(np.float64), everybody)
        for place, kind in enumerate(seen.kinds)
    ]
    plural = {"category": "categories", "item": "items"}
    if seen.field not in plural:
        return None
    return _joined(f"later {plural[seen.field]}", parts)


def adoption(seen: Touched) -> Outcome | None:
    """Which kinds of things users take up that they had never touched: mean AUC over the kinds.

    Returns
    -------
    Outcome or None
        For each kind, asked of the users who had not touched it before the cut; over the kinds
        with 5 to 30 % adopters among them. None without such a kind.
    """
    low, high = ADOPTION_RATES
    parts = []
    for place, kind in enumerate(seen.kinds):
        new = ~seen.before[:, place]
        taken_up = seen.after[:, place].astype(np.float64)
        if new.any() and low <= taken_up[new].mean() <= high:
            parts.append(Outcome(f"adoption of {kind}", "auc", taken_up, new, NEWCOMERS))
    return _joined(f"adoption of a new {NAMES[seen.field]}", parts)


def _joined(name: str, parts: list[Outcome]) -> Outcome | None:
    """One outcome from the questions that can be predicted."""
    telling = tuple(part for part in parts if part.is_telling())
    if not telling:
        return None
    answers = np.sum([part.values * part.population for part in telling], axis=0)
    population = np.any([part.population for part in telling], axis=0)
    return Outcome(name, "mean auc", answers, population, parts=telling)


def taste_outcomes(
    store: EventStore, users: np.ndarray, *, cut: int, end: int
) -> tuple[Outcome, ...]:
    """Later kinds of things, and new ones, as far as the log tells enough of them.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    cut, end
        The time after the cut that counts, microseconds.
    """
    seen = touched(store, users, cut=cut, end=end)
    return tuple(made for made in (later_kinds(seen), adoption(seen)) if made is not None)
