"""Bias: how much of an attribute a space and its segments tell, what mends it, and at what cost.

To leave an attribute out of the input does not leave it out of the space: it is measured here, in
what comes out. Two remedies: erase it from the vectors, or weigh the users so that segments and
attribute are independent.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from segmenter.errors import SpaceError
from segmenter.space.attributes import Attribute
from segmenter.space.disparity import segment_disparities, shared_information
from segmenter.space.erasure import Eraser, fit_eraser
from segmenter.space.probes import linear_probe, tree_probe


@dataclass(frozen=True)
class BiasFigures:
    """How much of an attribute is told.

    Attributes
    ----------
    linear_r2, tree_r2
        What a straight and a curved model read from the embedding: 0 is nothing.
    shared_information
        What the segments tell of it, in [0, 1].
    worst_ratio
        Lowest ratio of the groups' rates over all segments: 1 treats all alike.
    outcomes
        What a straight model reads of each outcome that the space is for.
    """

    linear_r2: float
    tree_r2: float
    shared_information: float
    worst_ratio: float
    outcomes: Mapping[str, float]


@dataclass(frozen=True)
class Erasure:
    """An attribute before and after it was erased.

    Attributes
    ----------
    attribute
        Its name.
    before, after
        The figures.
    eraser
        What erases it.
    moved
        How far the vectors moved, as a share of their spread (root mean square).
    segment_agreement
        Adjusted Rand index of the segments before and after: 1 if nobody changed.
    segments
        int64 [n], before.
    """

    attribute: str
    before: BiasFigures
    after: BiasFigures
    eraser: Eraser
    moved: float
    segment_agreement: float
    segments: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts, without the eraser's arrays."""
        plain = {"attribute": self.attribute, "dimensions_erased": self.eraser.rank}
        plain |= {"before": asdict(self.before), "after": asdict(self.after)}
        return plain | {"moved": self.moved, "segment_agreement": self.segment_agreement}


def measure_bias(
    vectors: np.ndarray,
    attribute: Attribute,
    segments: np.ndarray,
    *,
    outcomes: Mapping[str, Attribute] | None = None,
    seed: int = 0,
) -> BiasFigures:
    """Measure how much of an attribute embeddings and segments tell.

    Parameters
    ----------
    vectors
        float [n, d].
    attribute
        Of the same users.
    segments
        int64 [n].
    outcomes
        What the space is for, by name: read by the same probe, to show what a remedy costs.
    seed
        Of folds and samples.
    """
    disparities = segment_disparities(segments, attribute).values()
    return BiasFigures(
        linear_r2=linear_probe(vectors, attribute, seed=seed),
        tree_r2=tree_probe(vectors, attribute, seed=seed),
        shared_information=shared_information(segments, attribute),
        worst_ratio=min(one.ratio for one in disparities),
        outcomes={
            name: linear_probe(vectors, outcome, seed=seed)
            for name, outcome in (outcomes or {}).items()
        },
    )


def erase_attribute(
    vectors: np.ndarray,
    attribute: Attribute,
    assign: Callable[[np.ndarray], np.ndarray],
    *,
    outcomes: Mapping[str, Attribute] | None = None,
    seed: int = 0,
) -> Erasure:
    """Erase an attribute from a space and show what that changes.

    Parameters
    ----------
    vectors
        float [n, d].
    attribute
        Of the same users.
    assign
        Vectors float64 [n, d] to segments int64 [n]; asked before and after.
    outcomes
        As in `measure_bias`.
    seed
        Of folds and samples.

    Raises
    ------
    SpaceError
        If the vectors are not finite or all the same.
    """
    eraser = fit_eraser(vectors, attribute.targets)
    erased = eraser(vectors)
    segments, segments_after = assign(np.asarray(vectors, np.float64)), assign(erased)
    spread = np.sqrt(((vectors - vectors.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=1).mean())
    return Erasure(
        attribute=attribute.name,
        before=measure_bias(vectors, attribute, segments, outcomes=outcomes, seed=seed),
        after=measure_bias(erased, attribute, segments_after, outcomes=outcomes, seed=seed),
        eraser=eraser,
        moved=float(np.sqrt(((erased - vectors) ** 2).sum(axis=1).mean()) / spread),
        segment_agreement=float(adjusted_rand_score(segments, segments_after)),
        segments=segments,
    )


def balancing_weights(segments: np.ndarray, attribute: Attribute) -> np.ndarray:
    """Weights of users under which segments and an attribute are independent.

    Parameters
    ----------
    segments
        int64 [n].
    attribute
        Of the same users.

    Returns
    -------
    numpy.ndarray
        float64 [n], 1 on average. Shares of segments and of groups stay what they are.

    Raises
    ------
    SpaceError
        If a segment has nobody of some group: no weight can mend that.

    References
    ----------
    Kamiran and Calders, "Data preprocessing techniques for classification without
    discrimination", 2012 (reweighing).
    """
    names, place = np.unique(segments, return_inverse=True)
    joint = np.zeros((len(names), len(attribute.labels)))
    np.add.at(joint, (place, attribute.codes), 1.0)
    if (joint == 0).any():
        segment, group = np.argwhere(joint == 0)[0]
        message = (
            f"segment {names[segment]} has nobody with {attribute.name} "
            f"{attribute.labels[group]}, so no weights make them independent; use coarser "
            "segments or groups, or erase the attribute"
        )
        raise SpaceError(message)
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0) / len(segments)
    return (expected / joint)[place, attribute.codes]


def effective_sample(weights: np.ndarray) -> float:
    """Users of equal weight that tell as much as these, float64 [n].

    References
    ----------
    Kish, "Survey sampling", 1965.
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def resampled_rows(weights: np.ndarray, n_rows: int, *, seed: int) -> np.ndarray:
    """Rows int64 [n_rows] drawn with replacement in proportion to their weights."""
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(len(weights), n_rows, p=weights / weights.sum()))
