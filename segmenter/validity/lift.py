"""How well groups of users predict what the users do later, with honest intervals.

A user's prediction is the smoothed mean of the user's group over the other users' outcomes, so
many tiny groups do not win by themselves. Intervals resample users. All scores of a validation
share one set of resampled users, so that differences between segmentations are paired.
"""

from dataclasses import dataclass

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
    fold = np.empty(len(values), dtype=np.int64)
    splits = KFold(folds, shuffle=True, random_state=seed).split(values)
    for number, (_, held_out) in enumerate(splits):
        fold[held_out] = number
    n_groups = int(group.max()) + 1
    cell, shape = group * folds + fold, (n_groups, folds)
    sums = np.bincount(cell, values, minlength=n_groups * folds).reshape(shape)
    counts = np.bincount(cell, minlength=n_groups * folds).reshape(shape)
    other_sums = sums.sum(axis=1, keepdims=True) - sums
    other_counts = counts.sum(axis=1, keepdims=True) - counts
    overall = other_sums.sum(axis=0) / other_counts.sum(axis=0)
    predicted = (other_sums + prior * overall) / (other_counts + prior)
    return predicted[group, fold]


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


def scores(outcome: Outcome, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Score a prediction under each column of user weights.

    Parameters
    ----------
    outcome
        Its kind, values and population rule.
    predicted
        float64 [m], a prediction for each user of the outcome's population.
    weights
        float64 [n, d] over all users, as from `resampled_users`.

    Returns
    -------
    numpy.ndarray
        float64 [d]: R2, at most 1, 0 for the mean; or the area under the ROC curve, .5 by chance.
        NaN where a sample has no spread.
    """
    values, inside = outcome.values[outcome.population], weights[outcome.population]
    score = r2_scores if outcome.kind == "r2" else auc_scores
    return score(values, predicted, inside)


def r2_scores(values: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficient of determination under each column of weights [m, d], float64 [d]."""
    centred = values - values.mean()
    parts = np.stack([np.ones(len(values)), centred, centred**2, (values - predicted) ** 2])
    users, total, squares, residual = parts @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = squares - total**2 / users
        # What is left of equal values is rounding, not spread.
        return np.where(spread > NO_SPREAD * squares, 1 - residual / spread, np.nan)


def auc_scores(values: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve under each column of weights [m, d], float64 [d]; ties count half.

    The weights are first summed over users with the same prediction, of whom there are many.
    """
    levels, level = np.unique(predicted, return_inverse=True)
    shape = (len(levels), len(values))
    users = np.arange(len(values))
    positive = sparse.csr_matrix((values, (level, users)), shape=shape) @ weights
    negative = sparse.csr_matrix((1 - values, (level, users)), shape=shape) @ weights
    below = np.cumsum(negative, axis=0) - negative / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (positive * below).sum(axis=0) / (positive.sum(axis=0) * negative.sum(axis=0))


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
