"""Can a classifier tell generated from real users? The two-sample test, and its use as a weight.

References
----------
Lopez-Paz, Oquab: "Revisiting Classifier Two-Sample Tests", ICLR 2017. Grover et al.: "Bias
Correction of Learned Generative Models using Likelihood-Free Importance Weighting", NeurIPS 2019.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

N_FOLDS, N_FAMILY_FOLDS = 5, 3
"""Of the whole test, and of the quick one on one family of features."""
MAX_USERS = 1_000
"""Users of each kind that a classifier is shown; more cost time and change little."""
MAX_WEIGHT = 20.0
"""A weight above this many times the mean is cut: one lucky journey must not stand for many."""
MIN_EFFECTIVE_SHARE = 0.2
"""A correction that leaves less than this part of the journeys effective is not made."""


def told_apart(
    real: np.ndarray, generated: np.ndarray, *, seed: int, n_folds: int = N_FOLDS
) -> float:
    """How well real and generated users are told apart, out of fold: 0.5 not at all, 1 always.

    Parameters
    ----------
    real, generated
        float64 [n, p] and [m, p]; as many are taken of each.
    seed
        Of sample, folds and trees.
    n_folds
        Each user is judged by trees of the other folds.
    """
    a, b = _balanced(real, generated, seed=seed)
    known, truth = np.vstack([a, b]), np.repeat([0, 1], [len(a), len(b)])
    return float(roc_auc_score(truth, _out_of_fold(known, truth, seed=seed, n_folds=n_folds)))


def _balanced(
    real: np.ndarray, generated: np.ndarray, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """As many of both, drawn by lot."""
    generator = np.random.default_rng(seed)
    n = min(len(real), len(generated), MAX_USERS)
    return (
        real[generator.permutation(len(real))[:n]],
        generated[generator.permutation(len(generated))[:n]],
    )


def fit_trees(
    values: np.ndarray, truth: np.ndarray, *, seed: int
) -> HistGradientBoostingClassifier:
    """The classifier of every test here: boosted trees for a few hundred users.

    Parameters
    ----------
    values
        float64 [n, p]; NaN where nothing is known.
    truth
        int or bool [n], two classes.
    seed
        Of the features that a tree may look at.
    """
    trees = HistGradientBoostingClassifier(
        max_iter=100,
        max_leaf_nodes=15,
        learning_rate=0.08,
        min_samples_leaf=10,
        max_features=0.8,
        early_stopping=False,
        random_state=seed,
    )
    unknown = np.isnan(values).all(axis=0)  # the trees cannot bin such a column
    return trees.fit(np.where(unknown, 0.0, values), truth)


def _out_of_fold(
    known: np.ndarray, truth: np.ndarray, *, seed: int, n_folds: int = N_FOLDS
) -> np.ndarray:
    """Probability of being generated, float64 [n], each by trees that did not see the user."""
    chances = np.zeros(len(truth))
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    for fitted, held in folds.split(known, truth):
        trees = fit_trees(known[fitted], truth[fitted], seed=seed)
        chances[held] = trees.predict_proba(known[held])[:, 1]
    return chances


@dataclass(frozen=True)
class Correction:
    """Which journeys to keep so that the rest looks more like real users.

    Attributes
    ----------
    rows
        int64, journeys kept, ascending.
    n_effective
        Of the candidates: the number of equally weighted ones that would vary as much.
    n_candidates
        Journeys to choose from.
    applied
        False where too few are effective; then the first candidates are kept as they are.
    """

    rows: np.ndarray
    n_effective: float
    n_candidates: int
    applied: bool

    @property
    def effective_share(self) -> float:
        """Effective part of the candidates, in [0, 1]."""
        return self.n_effective / self.n_candidates


def correct(real: np.ndarray, candidates: np.ndarray, *, n: int, seed: int) -> Correction:
    """Resample journeys by how much likelier real users are to look like them.

    Parameters
    ----------
    real
        float64 [r, p], features of real users.
    candidates
        float64 [m, p], of generated ones, several times as many as are wanted.
    n
        Journeys to keep.
    seed
        Of folds, trees and the lot.

    Notes
    -----
    Every candidate is weighted by trees that saw neither it nor its fold, with probabilities
    calibrated on them; journeys are kept without replacement, so none comes twice.
    """
    known = np.vstack([real, candidates])
    truth = np.repeat([0, 1], [len(real), len(candidates)])
    scores = np.clip(_out_of_fold(known, truth, seed=seed), 1e-6, 1 - 1e-6)
    logit = np.log(scores / (1 - scores))[:, None]
    calibrated = LogisticRegression(C=1e3).fit(logit, truth)
    weights = np.exp(-calibrated.decision_function(logit[len(real) :]))
    weights = np.minimum(weights / weights.mean(), MAX_WEIGHT)
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    if effective < MIN_EFFECTIVE_SHARE * len(candidates):
        return Correction(np.arange(n), effective, len(candidates), applied=False)
    lot = np.random.default_rng(seed).gumbel(size=len(candidates)) + np.log(weights)
    rows = np.sort(np.argsort(-lot, kind="stable")[:n])
    return Correction(rows, effective, len(candidates), applied=True)
