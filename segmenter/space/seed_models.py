"""Who is like a seed list: three linear readings of an embedding, and how each is tested.

Every reading is a direction, so that ranking millions is one product. Which of them reads a seed
list best is asked of seeds that it was not shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from segmenter.space.whitening import Whitening, fit_whitening

Method = Literal["centroid", "discriminant", "classifier"]
N_FOLDS = 5
FEW_SEEDS = 50
"""Up to so many the centroid alone is asked: with 25 seeds it is ahead of every fitted reading."""
MANY_SEEDS = 100
"""From so many on it no longer competes."""
SHRINKAGE = 0.1
"""Of the covariance that the discriminant divides by; .05 to .2 do equally well."""
STRENGTH = 0.5
"""Of the classifier's penalty, per user and unit of mean variance."""


@dataclass(frozen=True)
class Likeness:
    """A direction along which users become more like the seeds.

    Attributes
    ----------
    method
        How it was found.
    weights
        float64 [d]. Similarity is the product with a vector, plus `offset`.
    offset
        0 is then the mean user of the crowd, 1 the mean seed.
    """

    method: Method
    weights: np.ndarray
    offset: float

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Similarity float64 [n] of vectors float [n, d]."""
        return np.asarray(vectors, dtype=np.float64) @ self.weights + self.offset


def methods_for(n_seeds: int) -> tuple[Method, ...]:
    """The readings that compete for a seed list of this length."""
    if n_seeds <= FEW_SEEDS:
        return ("centroid",)
    if n_seeds < MANY_SEEDS:
        return ("centroid", "discriminant", "classifier")
    return ("discriminant", "classifier")


def fit_likeness(vectors: np.ndarray, is_seed: np.ndarray, *, method: Method) -> Likeness:
    """Learn what sets seeds apart from the crowd.

    Parameters
    ----------
    vectors
        float [n, d], seeds and crowd.
    is_seed
        bool [n].
    method
        ``centroid``: from the crowd's mean to that of the seeds, in coordinates whose spread is
        tempered to its square root. ``discriminant``: the same in whitened coordinates (Fisher's).
        ``classifier``: logistic regression in the tempered coordinates, both sides weighing alike.

    Raises
    ------
    SpaceError
        If the vectors are not finite or all the same.

    References
    ----------
    Fisher, "The use of multiple measurements in taxonomic problems", 1936; deWet and Ou, "Finding
    users who act alike", KDD 2019 (similarity for few seeds, a classifier for many).
    """
    power, shrinkage = (1.0, SHRINKAGE) if method == "discriminant" else (0.5, 0.0)
    whitening = fit_whitening(vectors, power=power, shrinkage=shrinkage)
    points = whitening(vectors)
    if method == "classifier":
        step = _logistic(points, is_seed)
    else:
        step = points[is_seed].mean(axis=0) - points[~is_seed].mean(axis=0)
    return _scaled(method, whitening, step, points=points, is_seed=is_seed)


def _logistic(points: np.ndarray, is_seed: np.ndarray) -> np.ndarray:
    """Weights of a penalised logistic regression."""
    scale = np.sqrt(points.var(axis=0).mean())
    model = LogisticRegression(
        C=1 / (STRENGTH * len(points)), class_weight="balanced", solver="newton-cholesky"
    )
    return model.fit(points / scale, is_seed).coef_[0]


def _scaled(
    method: Method,
    whitening: Whitening,
    step: np.ndarray,
    *,
    points: np.ndarray,
    is_seed: np.ndarray,
) -> Likeness:
    """A step in whitened coordinates as a reading of vectors, with the crowd at 0, seeds at 1."""
    read = points @ step
    crowd, seeds = read[~is_seed].mean(), read[is_seed].mean()
    width = seeds - crowd if seeds > crowd else 1.0
    weights = (whitening.axes / whitening.scales) @ step / width
    return Likeness(method, weights, float(-crowd / width - whitening.mean @ weights))


def folds(is_seed: np.ndarray, *, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of seeds and crowd alike: rows to learn from, rows to test on."""
    splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(is_seed)), is_seed)


def held_out_similarity(
    vectors: np.ndarray, is_seed: np.ndarray, *, method: Method, seed: int
) -> np.ndarray:
    """Similarity of everybody as read by a likeness that was learned from the other folds.

    Parameters
    ----------
    vectors
        float [n, d], seeds and crowd.
    is_seed
        bool [n], at least `N_FOLDS` on either side.
    method
        As in `fit_likeness`.
    seed
        Of the split into folds; equal for methods that are to be compared.

    Returns
    -------
    numpy.ndarray
        float64 [n].
    """
    similarity = np.empty(len(vectors))
    for training, test in folds(is_seed, seed=seed):
        likeness = fit_likeness(vectors[training], is_seed[training], method=method)
        similarity[test] = likeness(vectors[test])
    return similarity
