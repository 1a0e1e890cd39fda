"""What embeddings tell of an attribute: asked before anything is claimed that rests on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segmenter.space.attributes import Attribute
from segmenter.space.probes import linear_reading
from segmenter.validity.lift import auc

MIN_AUC = 0.75
"""A value that is told from the others less surely than in three of four pairs is not readable."""
MIN_R = 0.5
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
    vectors: np.ndarray, attribute: Attribute, *, seed: int = 0
) -> Readability:
    """Measure how well a linear reading tells an attribute.

    Parameters
    ----------
    vectors
        float [n, d].
    attribute
        Of the same users.
    seed
        Of the folds.

    References
    ----------
    Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
    """
    wanted, predicted = linear_reading(vectors, attribute, seed=seed)
    if attribute.is_number:
        spread = predicted[:, 0].std() > 0
        figure = float(np.corrcoef(wanted[:, 0], predicted[:, 0])[0, 1]) if spread else 0.0
        return Readability(attribute.name, True, figure, {}, len(vectors))  # noqa: FBT003 - a field
    by_value = {
        label: auc(wanted[:, place], predicted[:, place])[0]
        for place, label in enumerate(attribute.labels)
        if MIN_OF_A_VALUE <= wanted[:, place].sum() <= len(wanted) - MIN_OF_A_VALUE
    }
    figure = float(np.mean(list(by_value.values()))) if by_value else 0.5
    return Readability(attribute.name, False, figure, by_value, len(vectors))  # noqa: FBT003
