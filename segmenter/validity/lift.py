"""How well groups of users predict what the users do later, with honest intervals.

A user's prediction is the smoothed mean of the user's group over the other users' outcomes, so
many tiny groups do not win by themselves. Intervals resample users. All scores of a validation
share one set of resampled users, so that differences between segmentations are paired. The scores
of whole rows are put together in `segmenter.validity.scoring`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.stats import binomtest
from sklearn.model_selection import KFold

from segmenter.validity.outcomes import Outcome

N_FOLDS = 5
PRIOR = 10.0
"""Users of average outcome that each group is topped up with."""
N_DRAWS = 500
CONFIDENCE = 0.9
NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Interval:
    """A figure and where it lies when other users had been observed.

    Attributes
    ----------
    value
        Of the users as they are.
    low, high
        Ends of the bootstrap interval over users.
    """

    value: float
    low: float
    high: float


def out_of_fold_prediction(
    labels: np.ndarray,
    values: np.ndarray,
    *,
    folds: int = N_FOLDS,
    prior: float = PRIOR,
    seed: int = 0,
) -> np.ndarray:
    """Predict each user by the smoothed mean of the user's group over the other folds.

    Parameters
    ----------
    labels
        int or text [n], the group of each user; users without one share a label of their own.
    values
        float64 [n], what is predicted.
    folds
        Parts of the users, of which one at a time is predicted from the others.
    prior
        Users with the other folds' overall mean that each group is topped up with.
    seed
        Of the split into folds.

    Returns
    -------
    numpy.ndarray
        float64 [n]. A group that the other folds do not hold is predicted by their overall mean.
    """
    _, group = np.unique(labels, return_inverse=True)
    return group_prediction(group, values, folds=folds, prior=prior, seed=seed)


def group_prediction(
    group: np.ndarray,
    values: np.ndarray,
    *,
    folds: int = N_FOLDS,
    prior: float = PRIOR,
    seed: int = 0,
) -> np.ndarray:
    """The same as `out_of_fold_prediction` for groups that are numbered from 0, int64 [n]."""
    fold = fold_numbers(len(values), folds, seed)
    n_groups = int(group.max()) + 1
    cell, shape = group * folds + fold, (n_groups, folds)
    sums = np.bincount(cell, values, minlength=n_groups * folds).reshape(shape)
    counts = np.bincount(cell, minlength=n_groups * folds).reshape(shape)
    other_sums = sums.sum(axis=1, keepdims=True) - sums
    other_counts = counts.sum(axis=1, keepdims=True) - counts
    overall = other_sums.sum(axis=0) / other_counts.sum(axis=0)
    predicted = (other_sums + prior * overall) / (other_counts + prior)
    return predicted[group, fold]


@lru_cache(maxsize=1024)
def fold_numbers(n_users: int, folds: int, seed: int) -> np.ndarray:
    """The fold that each of so many users is held out in, int64 [n], read-only."""
    fold = np.empty(n_users, dtype=np.int64)
    splits = KFold(folds, shuffle=True, random_state=seed).split(fold)
    for number, (_, held_out) in enumerate(splits):
        fold[held_out] = number
    fold.setflags(write=False)
    return fold


def resampled_users(n_users: int, *, n_draws: int = N_DRAWS, seed: int) -> np.ndarray:
    """How often each user is drawn in each bootstrap sample.

    Returns
    -------
    numpy.ndarray
        float64 [n_users, 1 + n_draws]; the first column holds everybody once.
    """
    generator = np.random.default_rng(seed)
    weights = np.ones((n_users, 1 + n_draws), dtype=np.float64)
    for draw in range(1, 1 + n_draws):
        chosen = generator.integers(0, n_users, n_users)
        weights[:, draw] = np.bincount(chosen, minlength=n_users)
    return weights


def r2_scores(values: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficient of determination under each column of weights [m, d], float64 [d]."""
    centred = values - values.mean()
    parts = np.stack([np.ones(len(values)), centred, centred**2, (values - predicted) ** 2])
    users, total, squares, residual = parts @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = squares - total**2 / users
        # What is left of equal values is rounding, not spread.
        return np.where(spread > NO_SPREAD * squares, 1 - residual / spread, np.nan)


def auc(
    values: np.ndarray, predicted: np.ndarray, strata: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Area under the ROC curve, and what each user's weight does to it.

    Parameters
    ----------
    values
        float64 [m] of 0 and 1.
    predicted
        float64 [m].
    strata
        int [m]: only users of the same stratum are compared with each other; None compares all.

    Returns
    -------
    tuple
        The share of pairs of a yes and a no in which the yes has the higher prediction, ties
        count half: .5 by chance, NaN without a pair. And float64 [m], its derivative by the
        users' weights, which sums to 0: a bootstrap sample with weights w has, to first order,
        the area plus the sum of w times the derivative.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver
    operating characteristic curves", 1988: the derivative is made of their placement values.
    """
    stratum = np.zeros(len(values), dtype=np.int64) if strata is None else strata
    order = np.argsort(predicted)
    order = order[np.argsort(stratum[order], kind="stable")]
    yes, stratum_of, said = values[order], stratum[order], predicted[order]
    starts = np.diff(stratum_of, prepend=stratum_of[:1] - 1) != 0
    level = np.cumsum(starts | (np.diff(said, prepend=np.nan) != 0)) - 1
    part = np.cumsum(starts) - 1
    n_yes, n_no = np.bincount(part, yes), np.bincount(part, 1 - yes)
    pairs = (n_yes * n_no).sum()
    if pairs == 0:
        return float("nan"), np.zeros(len(values))
    no_below = _below(1 - yes, level) - (np.cumsum(n_no) - n_no)[part]
    yes_above = n_yes[part] - (_below(yes, level) - (np.cumsum(n_yes) - n_yes)[part])
    area = float((yes * no_below).sum() / pairs)
    won = np.where(yes > 0, no_below - area * n_no[part], yes_above - area * n_yes[part])
    derivative = np.empty(len(values))
    derivative[order] = won / pairs
    return area, derivative


def _below(counted: np.ndarray, level: np.ndarray) -> np.ndarray:
    """How many of the counted stand at lower levels, and half of those at the same, [m]."""
    at = np.bincount(level, counted)
    return (np.cumsum(at) - at / 2)[level]


def interval(figures: np.ndarray, *, confidence: float = CONFIDENCE) -> Interval:
    """The first figure with the bootstrap interval that the others span."""
    tail = (1 - confidence) / 2
    drawn = figures[1:][np.isfinite(figures[1:])]
    ends = drawn if len(drawn) else figures[:1]
    low, high = np.quantile(ends, [tail, 1 - tail])
    return Interval(float(figures[0]), float(low), float(high))


def group_lifts(
    outcome: Outcome, groups: np.ndarray, weights: np.ndarray
) -> list[Interval | None]:
    """Mean of an outcome in each group relative to that of all users, in its natural unit.

    Parameters
    ----------
    outcome
        The outcome.
    groups
        int64 [n], group number 0..k-1 of each user.
    weights
        float64 [n, d], as from `resampled_users`.

    Returns
    -------
    list of Interval or None
        Above 1 is more than usual; None for a group without users in the population. Intervals
        of amounts resample users; those of rates are Wilson's, since a resample of nobody's yes
        is always nobody's.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    inside = outcome.population
    group, amounts = groups[inside], outcome.amounts[inside]
    n_groups, users = int(groups.max()) + 1, np.arange(len(group))
    member = sparse.csr_matrix((np.ones(len(group)), (group, users)), shape=(n_groups, len(group)))
    counts = np.bincount(group, minlength=n_groups)
    if outcome.kind == "auc":
        positives = np.bincount(group, amounts, minlength=n_groups).astype(np.int64)
        return [
            _rate_lift(int(n_yes), int(n_users), amounts.mean()) if n_users else None
            for n_yes, n_users in zip(positives, counts, strict=True)
        ]
    drawn = weights[inside]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (member @ (amounts[:, None] * drawn)) / (member @ drawn)
        lifts = means / ((amounts @ drawn) / drawn.sum(axis=0))
    return [interval(lifts[place]) if counts[place] else None for place in range(n_groups)]


def _rate_lift(n_yes: int, n_users: int, overall: float) -> Interval:
    """Wilson's interval of a rate, relative to the overall rate."""
    rate = binomtest(n_yes, n_users).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(n_yes / n_users / overall, rate.low / overall, rate.high / overall)
