"""Look-alikes: from a seed list to everybody ranked, with what each reach may be expected to find.

A ranking that returns the heaviest users, or those who did it before, proves nothing: controls are
ranked beside it, and a seed list from which nothing can be read is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segmenter.errors import SeedError
from segmenter.space.neighbors import score_rows, top
from segmenter.space.reach import REACHES, Landing, balanced_order, landing, lift_at
from segmenter.space.seed_models import (
    Method,
    fit_likeness,
    folds,
    held_out_similarity,
    methods_for,
)
from segmenter.validity.lift import Interval

MIN_SEEDS = 10
"""Two seeds for each fold; fewer leave the interval of any lift as wide as the figure."""
MIN_SEPARATION = 0.55
"""Below it practice calls a seed list unusable, whatever its interval."""
MAX_FIT_USERS = 20_000
"""More of the crowd, or of the seeds, are sampled where something is learned or tested."""


@dataclass(frozen=True)
class ReachPoint:
    """One point of the similarity x reach curve.

    Attributes
    ----------
    reach
        Share of the eligible users.
    n_users
        So many they are.
    similarity
        Of the last of them: 0 is the mean user, 1 the mean seed.
    lift
        Hidden seeds found there, over what chance finds.
    """

    reach: float
    n_users: int
    similarity: float
    lift: Interval


@dataclass(frozen=True)
class Control:
    """What another ranking finds of the same seeds.

    Attributes
    ----------
    name
        Of the control.
    separation
        Chance that a seed is ranked before one of the crowd.
    lifts
        At the reaches of the curve.
    """

    name: str
    separation: Interval
    lifts: tuple[Interval, ...]


@dataclass(frozen=True)
class LookAlikes:
    """Everybody eligible, those most like the seeds first.

    Attributes
    ----------
    rows
        int64 [m].
    similarity
        float64 [m]; it descends unless the ranking is balanced.
    method
        The reading that held-out seeds favoured.
    separation
        Of that method: chance that a held-out seed is ranked before one of the crowd.
    candidates
        Separation of each method that competed.
    curve
        Expected lift at each reach.
    controls
        The same for other rankings.
    n_seeds
        Seeds that were learned from.
    n_excluded
        Users who are neither ranked nor seeds.
    """

    rows: np.ndarray
    similarity: np.ndarray
    method: Method
    separation: Interval
    candidates: dict[str, float]
    curve: tuple[ReachPoint, ...]
    controls: tuple[Control, ...]
    n_seeds: int
    n_excluded: int


@dataclass(frozen=True)
class _Trial:
    """Seeds and a sample of the crowd on which readings are learned and tested."""

    rows: np.ndarray
    is_seed: np.ndarray
    fold: np.ndarray
    group: np.ndarray

    def land(self, similarity: np.ndarray) -> Landing:
        """Where the seeds land by a similarity of the sample."""
        return landing(similarity, self.is_seed, fold=self.fold, group=self.group)


def look_alikes(
    vectors: np.ndarray,
    seeds: np.ndarray,
    *,
    controls: Mapping[str, np.ndarray] | None = None,
    already: np.ndarray | None = None,
    balance: np.ndarray | None = None,
    seed: int = 0,
) -> LookAlikes:
    """Rank everybody by likeness to a seed list.

    Parameters
    ----------
    vectors
        float [n, d]; may be memory-mapped.
    seeds
        int64 rows of the seed list; they are not ranked themselves.
    controls
        Name to float [n] of other rankings, higher first: volume alone, how often it was bought
        before, a score from demographics. None compares with nothing.
    already
        Prospecting: bool [n] of users who do already what the seeds are known for. They are not
        ranked, and seeds among them are not learned from.
    balance
        int64 [n], group of each user: every reach then has each group's share of those eligible.
    seed
        Of folds and samples.

    Raises
    ------
    SeedError
        If there are fewer than `MIN_SEEDS` seeds or as few others, or held-out seeds do not stand
        out from the crowd: the list is not distinctive and its look-alikes would be anybody.
    SpaceError
        If the vectors are not finite or all the same.
    """
    group = np.zeros(len(vectors), dtype=np.int64) if balance is None else balance
    is_seed, eligible = _sides(len(vectors), seeds, already)
    trial = _trial(is_seed, eligible, group, seed=seed)
    sample = np.asarray(vectors[trial.rows], dtype=np.float64)
    landings = {
        method: trial.land(held_out_similarity(sample, trial.is_seed, method=method, seed=seed))
        for method in methods_for(int(trial.is_seed.sum()))
    }
    separations = {method: one.separation() for method, one in landings.items()}
    best = max(separations, key=lambda method: separations[method].value)
    _require_distinctive(separations[best], int(trial.is_seed.sum()))
    likeness = fit_likeness(sample, trial.is_seed, method=best)
    similarity = score_rows(vectors, likeness.weights, metric="dot") + likeness.offset
    order = similarity if balance is None else _balanced(similarity, group, eligible)
    rows = top(order, share=1.0, allowed=eligible).rows
    return LookAlikes(
        rows=rows,
        similarity=similarity[rows].astype(np.float64),
        method=best,
        separation=separations[best],
        candidates={method: one.value for method, one in separations.items()},
        curve=_curve(similarity[rows], landings[best]),
        controls=_controls(controls or {}, trial),
        n_seeds=int(is_seed.sum()),
        n_excluded=len(vectors) - len(np.unique(seeds)) - len(rows),
    )


def _sides(
    n_users: int, seeds: np.ndarray, already: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Who is learned from and who is ranked, bool [n] each."""
    listed = np.zeros(n_users, dtype=bool)
    listed[seeds] = True
    new = np.ones(n_users, dtype=bool) if already is None else ~already
    is_seed, eligible = listed & new, ~listed & new
    for found, what in ((is_seed, "seeds"), (eligible, "other users")):
        if found.sum() < MIN_SEEDS:
            aside = "" if already is None else " once those who did it already are set aside"
            message = (
                f"look-alikes need at least {MIN_SEEDS} {what}; found {int(found.sum())}{aside}; "
                "give a longer list or a wider crowd"
            )
            raise SeedError(message)
    return is_seed, eligible


def _trial(is_seed: np.ndarray, eligible: np.ndarray, group: np.ndarray, *, seed: int) -> _Trial:
    """Sample both sides and split them into folds."""
    generator = np.random.default_rng(seed)
    sampled = [
        generator.permutation(np.flatnonzero(side))[:MAX_FIT_USERS] for side in (is_seed, eligible)
    ]
    rows = np.sort(np.concatenate(sampled))
    fold = np.empty(len(rows), dtype=np.int64)
    for number, (_, test) in enumerate(folds(is_seed[rows], seed=seed)):
        fold[test] = number
    return _Trial(rows, is_seed[rows], fold, group[rows])


def _require_distinctive(separation: Interval, n_seeds: int) -> None:
    """Refuse a seed list whose held-out part does not stand out."""
    if separation.low > 0.5 and separation.value >= MIN_SEPARATION:
        return
    message = (
        f"the seed list is not distinctive: {n_seeds} seeds, held out a fifth at a time, are "
        f"ranked before others in {separation.value:.0%} of pairs ({separation.low:.0%} to "
        f"{separation.high:.0%}), where chance has 50% and {MIN_SEPARATION:.0%} is the least that "
        "is of use; its look-alikes would be anybody: choose seeds by one thing that they did"
    )
    raise SeedError(message)


def _balanced(similarity: np.ndarray, group: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """Standing inside the own group among those eligible."""
    order = np.zeros(len(similarity))
    order[eligible] = balanced_order(similarity[eligible], group[eligible])
    return order


def _curve(ranked: np.ndarray, where: Landing) -> tuple[ReachPoint, ...]:
    """Lift at each reach, with the least similarity down to there."""
    points = []
    for reach in REACHES:
        n_users = max(round(reach * len(ranked)), 1)
        lowest = float(ranked[:n_users].min())
        points.append(ReachPoint(reach, n_users, lowest, lift_at(where, reach)))
    return tuple(points)


def _controls(controls: Mapping[str, np.ndarray], trial: _Trial) -> tuple[Control, ...]:
    """Where the same seeds land by other rankings."""
    landed = {name: trial.land(scores[trial.rows]) for name, scores in controls.items()}
    return tuple(
        Control(name, where.separation(), tuple(lift_at(where, reach) for reach in REACHES))
        for name, where in landed.items()
    )
