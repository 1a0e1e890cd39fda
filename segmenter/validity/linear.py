"""What a linear model reads from numbers per user, out of fold: the ceiling for segments on them.

Ridge regression for amounts and for the many questions of a mean AUC, logistic regression for a
single yes or no; both on standardised columns, at a few strengths of the penalty.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from segmenter.validity.lift import N_FOLDS, fold_numbers
from segmenter.validity.outcomes import Outcome

STRENGTHS = (0.03, 0.3, 3.0)
"""Penalty per training user, in units of a column's spread (logistic: of its information).

The best of the three counts, for every row alike: on Complete Journey, OULAD and Online Retail
they lie within .005 of the best of a fine grid.
"""


def linear_predictions(
    columns: np.ndarray, outcome: Outcome, strengths: Sequence[float], *, seed: int
) -> Iterator[np.ndarray]:
    """Predict each user by a linear model of the users in the other folds.

    Parameters
    ----------
    columns
        float64 [n, F], standardised.
    outcome
        What is predicted.
    strengths
        Of the penalty, per training user.
    seed
        Of the split into folds: that of `out_of_fold_prediction`.

    Yields
    ------
    numpy.ndarray
        For each question of the outcome float64 [strengths, m], a prediction of the m users of
        its population at each strength of the penalty.
    """
    asked = outcome.asked
    if outcome.kind == "auc":
        inside = outcome.population
        yield _logistic(columns[inside], outcome.values[inside], strengths, seed=seed)
    elif all(question.population is asked[0].population for question in asked):
        values = np.stack([question.values for question in asked], axis=1)
        inside = asked[0].population
        yield from _ridge(columns[inside], values[inside], strengths, seed=seed)
    else:
        for question in asked:
            inside = question.population
            yield from _ridge(columns[inside], question.values[inside, None], strengths, seed=seed)


def _ridge(
    columns: np.ndarray, values: np.ndarray, strengths: Sequence[float], *, seed: int
) -> np.ndarray:
    """Ridge predictions [targets, strengths, m] of values [m, targets].

    The products of each fold are made once; those of the other folds are all but its own.
    """
    fold = fold_numbers(len(values), N_FOLDS, seed)
    with_constant = np.hstack([np.ones((len(columns), 1)), columns])
    folds = [np.flatnonzero(fold == number) for number in range(N_FOLDS)]
    grams = np.stack([with_constant[rows].T @ with_constant[rows] for rows in folds])
    moments = np.stack([with_constant[rows].T @ values[rows] for rows in folds])
    penalty = np.diag([0.0, *np.ones(columns.shape[1])])
    predicted = np.empty((values.shape[1], len(strengths), len(values)))
    for rows, gram, moment in zip(
        folds, grams.sum(axis=0) - grams, moments.sum(axis=0) - moments, strict=True
    ):
        n_training = len(values) - len(rows)
        for place, strength in enumerate(strengths):
            solved = np.linalg.solve(gram + strength * n_training * penalty, moment)
            predicted[:, place, rows] = (with_constant[rows] @ solved).T
    return predicted


def _logistic(
    columns: np.ndarray, values: np.ndarray, strengths: Sequence[float], *, seed: int
) -> np.ndarray:
    """Logistic predictions [strengths, m]: log odds of yes."""
    fold = fold_numbers(len(values), N_FOLDS, seed)
    predicted = np.empty((len(strengths), len(values)))
    for number in range(N_FOLDS):
        training, held_out = fold != number, fold == number
        rate = values[training].mean()
        information = training.sum() * rate * (1 - rate)
        for place, strength in enumerate(strengths):
            model = LogisticRegression(C=1 / (strength * information), solver="newton-cholesky")
            model.fit(columns[training], values[training])
            predicted[place, held_out] = model.decision_function(columns[held_out])
    return predicted
