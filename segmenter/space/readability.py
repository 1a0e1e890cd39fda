"""What embeddings tell of an attribute: asked before anything is claimed that rests on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segmenter.space.attributes import Attribute
from segmenter.space.probes import linear_reading
from segmenter.validity.baselines import quantile_cells
from segmenter.validity.lift import auc

MIN_AUC = 0.75
"""A value that is told from the others less surely than in three of four pairs is not readable."""
MIN_R = 0.5
N_STRATA = 10
SAME_THING = 0.97
"""Where other attributes tell so much of one, it is the same under another name."""
MIN_OF_A_VALUE = 10
"""Of a rarer value nothing is said."""


@dataclass(frozen=True)
class Readability:
    """How well an attribute is read, on users that the reading was not learned from.

    Attributes
    ----------
    name
        Of the attribute.
    is_number
        Whether `figure` is a correlation (chance 0) and not an area under the curve (chance .5).
    figure
        Correlation of a number with what is read; of groups the mean area under the ROC curve.
    by_value
        The same area of each group that is large enough; empty for a number.
    n_users
        Of whom the attribute is known.
    """

    name: str
    is_number: bool
    figure: float
    by_value: Mapping[str, float]
    n_users: int

    @property
    def readable(self) -> bool:
        """Whether an answer may rest on it."""
        return self.figure >= (MIN_R if self.is_number else MIN_AUC)


def measure_readability(
    vectors: np.ndarray, attribute: Attribute, *, beside: np.ndarray | None = None, seed: int = 0
) -> Readability:
    """Measure how well a linear reading tells an attribute.

    Parameters
    ----------
    vectors
        float [n, d].
    attribute
        Of the same users.
    beside
        float64 [n, c], other attributes. What can be told of this one from them is no sight of
        it: only users of whom they say the same are compared. Where they say all there is to
        say, nothing could be seen beyond them, and they are not taken into account.
    seed
        Of the folds.

    References
    ----------
    Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
    """
    wanted, predicted = linear_reading(vectors, attribute, seed=seed)
    if beside is None or beside.shape[1] == 0:
        guessed = np.zeros_like(wanted)
    else:
        guessed = linear_reading(beside, attribute, seed=seed)[1]
    if attribute.is_number:
        figure = _partial(wanted[:, 0], predicted[:, 0], guessed[:, 0])
        return Readability(attribute.name, True, figure, {}, len(vectors))  # noqa: FBT003 - a field
    by_value = {
        label: _beyond(wanted[:, place], predicted[:, place], guessed[:, place])
        for place, label in enumerate(attribute.labels)
        if MIN_OF_A_VALUE <= wanted[:, place].sum() <= len(wanted) - MIN_OF_A_VALUE
    }
    figure = float(np.mean(list(by_value.values()))) if by_value else 0.5
    return Readability(attribute.name, False, figure, by_value, len(vectors))  # noqa: FBT003


def _beyond(wanted: np.ndarray, predicted: np.ndarray, guessed: np.ndarray) -> float:
    """Area under the curve among users for whom the guess is about the same."""
    if np.ptp(guessed) == 0 or auc(wanted, guessed)[0] > SAME_THING:
        return auc(wanted, predicted)[0]
    return auc(wanted, predicted, quantile_cells(guessed, N_STRATA))[0]


def _partial(wanted: np.ndarray, predicted: np.ndarray, guessed: np.ndarray) -> float:
    """Correlation of what is wanted and predicted, without what is guessed."""
    known = np.stack([np.ones(len(guessed)), guessed], axis=1)
    left = [
        values - known @ np.linalg.lstsq(known, values, rcond=None)[0]
        for values in (wanted, predicted)
    ]
    lengths = float(np.linalg.norm(left[0]) * np.linalg.norm(left[1]))
    return float(left[0] @ left[1]) / lengths if lengths > 0 else 0.0
