"""Are groups of people treated alike: in segments, and among those whom a list reaches."""

from dataclasses import dataclass

import numpy as np

from segmenter.space.attributes import Attribute

MIN_EXPECTED = 5.0
"""A ratio of rates is told only where at least so many of a group would be expected."""


@dataclass(frozen=True)
class Disparity:
    """How often each group of an attribute is selected.

    Attributes
    ----------
    labels
        Of the groups.
    rates
        float64 [g], share of each group that is selected.
    ratio
        Lowest over highest rate of the groups that are large enough: 1 treats all alike; below
        .8 is what the four-fifths rule calls adverse.
    """

    labels: tuple[str, ...]
    rates: np.ndarray
    ratio: float


def selection_disparity(selected: np.ndarray, attribute: Attribute) -> Disparity:
    """Compare how often groups are selected.

    Parameters
    ----------
    selected
        bool [n], such as the members of a segment or the first tenth of a look-alike list.
    attribute
        Of the same users.

    References
    ----------
    U.S. Equal Employment Opportunity Commission, "Uniform guidelines on employee selection
    procedures", 1978 (the four-fifths rule).
    """
    counts = np.bincount(attribute.codes, minlength=len(attribute.labels))
    rates = np.bincount(attribute.codes, selected, minlength=len(counts)) / counts
    compared = rates[counts * selected.mean() >= MIN_EXPECTED]
    alike = len(compared) < 2 or compared.max() == 0
    ratio = 1.0 if alike else float(compared.min() / compared.max())
    return Disparity(attribute.labels, rates, ratio)


def segment_disparities(segments: np.ndarray, attribute: Attribute) -> dict[int, Disparity]:
    """Disparity of each segment int64 [n], ascending."""
    return {
        label: selection_disparity(segments == label, attribute)
        for label in np.unique(segments).tolist()
    }


def shared_information(segments: np.ndarray, attribute: Attribute) -> float:
    """Share of what there is to know of an attribute that segments tell.

    Parameters
    ----------
    segments
        int64 [n].
    attribute
        Of the same users.

    Returns
    -------
    float
        Mutual information over the attribute's entropy, in [0, 1], less what independent segments
        of these sizes share by chance.

    References
    ----------
    Theil, "On the estimation of relationships involving qualitative variables", 1970; Miller,
    "Note on the bias of information estimates", 1955.
    """
    _, place = np.unique(segments, return_inverse=True)
    joint = np.zeros((int(place.max()) + 1, len(attribute.labels)))
    np.add.at(joint, (place, attribute.codes), 1.0)
    chance = (joint.shape[0] - 1) * (joint.shape[1] - 1) / (2 * len(place))
    joint /= len(place)
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    some = joint > 0
    shared = float((joint[some] * np.log(joint[some] / product[some])).sum())
    shares = joint.sum(axis=0)
    entropy = -float((shares * np.log(shares)).sum())
    return float(np.clip((shared - chance) / entropy, 0.0, 1.0))
