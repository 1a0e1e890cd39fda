"""What a straight and a curved model read from embeddings, out of fold."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from segmenter.space.attributes import Attribute

N_FOLDS = 5
MAX_USERS = 5_000
"""Of more users a sample is probed."""
PENALTIES = np.logspace(0, 4, 9)
TREES = {"max_iter": 60, "max_leaf_nodes": 7, "learning_rate": 0.1, "early_stopping": False}


def linear_probe(vectors: np.ndarray, attribute: Attribute, *, seed: int = 0) -> float:
    """Share of an attribute's variance that ridge regression reads from embeddings.

    Parameters
    ----------
    vectors
        float [n, d].
    attribute
        Of the same users.
    seed
        Of folds and samples.

    Returns
    -------
    float
        R2 on users that the model did not see, over all values of the attribute together: 1 if
        it can be told, around 0 (or below) if it cannot.
    """
    return _r2(*linear_reading(vectors, attribute, seed=seed))


def linear_reading(
    vectors: np.ndarray, attribute: Attribute, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What ridge regression reads of an attribute on users that it did not see.

    Parameters
    ----------
    vectors
        float [n, d].
    attribute
        Of the same users.
    seed
        Of folds and samples.

    Returns
    -------
    tuple
        The attribute's targets and what is read of them, float64 [m, c], of all users or of a
        sample of `MAX_USERS`.
    """
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    return _out_of_fold(model, vectors, (attribute.targets, attribute.targets), seed=seed)


def tree_probe(vectors: np.ndarray, attribute: Attribute, *, seed: int = 0) -> float:
    """Share of an attribute's variance that boosted trees read; as `linear_probe`."""
    if attribute.is_number:
        model: BaseEstimator = HistGradientBoostingRegressor(random_state=seed, **TREES)
        answers = attribute.targets[:, 0]
    else:
        model = HistGradientBoostingClassifier(random_state=seed, **TREES)
        answers = attribute.codes
    return _r2(*_out_of_fold(model, vectors, (answers, attribute.targets), seed=seed))


def _r2(wanted: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the variance of targets [m, c] that a prediction explains."""
    residual = ((wanted - predicted) ** 2).sum()
    return float(1 - residual / ((wanted - wanted.mean(axis=0)) ** 2).sum())


def _out_of_fold(
    model: BaseEstimator,
    vectors: np.ndarray,
    answers_and_targets: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Targets and what a model that is fitted on the answers predicts of them."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MAX_USERS])
    points = np.asarray(vectors[rows], np.float64)
    asked, wanted = (values[rows] for values in answers_and_targets)
    predicted = np.empty_like(wanted)
    splits = KFold(N_FOLDS, shuffle=True, random_state=seed).split(points)
    with threadpool_limits(1, "openmp"):  # threads cost more than they bring on so few users
        for training, test in splits:
            model.fit(points[training], asked[training])
            predicted[test] = _prediction(model, points[test], n_columns=wanted.shape[1])
    return wanted, predicted


def _prediction(model: BaseEstimator, points: np.ndarray, *, n_columns: int) -> np.ndarray:
    """What a fitted model expects of each target, float64 [m, c]."""
    if not isinstance(model, HistGradientBoostingClassifier):
        return model.predict(points).reshape(len(points), n_columns)
    expected = np.zeros((len(points), n_columns))
    expected[:, model.classes_] = model.predict_proba(points)
    return expected
