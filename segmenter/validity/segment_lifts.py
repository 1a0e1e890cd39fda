"""What the members of each segment did later, and what tenths of all users did."""

from collections.abc import Sequence

import numpy as np

from segmenter.validity.lift import (
    Interval,
    group_lifts,
    interval,
    out_of_fold_prediction,
)
from segmenter.validity.outcomes import Outcome
from segmenter.validity.rows import Lift, LiftCurve, SegmentValidity

N_TENTHS = 10


def segment_lifts(
    labels: np.ndarray, outcomes: Sequence[Outcome], weights: np.ndarray, *, seed: int
) -> tuple[SegmentValidity, ...]:
    """Size, mean, out-of-fold expectation and lift of each segment on each outcome.

    Parameters
    ----------
    labels
        int64 [n]; negative is no segment, which is not listed.
    outcomes
        What users did later.
    weights
        float64 [n, d], as from `resampled_users`.
    seed
        Of the split into folds.
    """
    ids = np.unique(labels[labels >= 0])
    # Users without a segment are the last group, which is not listed.
    groups = np.where(labels < 0, len(ids), np.searchsorted(ids, labels))
    lifts = [_lifts(outcome, groups, weights=weights, seed=seed) for outcome in outcomes]
    return tuple(
        SegmentValidity(
            int(segment), int((groups == place).sum()), tuple(lift[place] for lift in lifts)
        )
        for place, segment in enumerate(ids)
    )


def _lifts(outcome: Outcome, groups: np.ndarray, *, weights: np.ndarray, seed: int) -> list[Lift]:
    """One outcome in each group."""
    inside, n_groups = outcome.population, int(groups.max()) + 1
    group, amounts = groups[inside], outcome.amounts[inside]
    lifts = group_lifts(outcome, groups, weights)
    predicted = out_of_fold_prediction(group, amounts, seed=seed)
    counts = np.bincount(group, minlength=n_groups)
    members = np.maximum(counts, 1)
    means = np.bincount(group, amounts, minlength=n_groups) / members
    said = np.bincount(group, predicted, minlength=n_groups) / members
    return [
        Lift(int(n_users), float(mean), float(expected), lift)
        for n_users, mean, expected, lift in zip(counts, means, said, lifts, strict=True)
    ]


def lift_curve(
    outcome: Outcome, labels: np.ndarray, weights: np.ndarray, *, seed: int
) -> tuple[Interval, ...]:
    """Mean of an outcome in tenths of its users, relative to that of all, best tenth first.

    Parameters
    ----------
    outcome
        What users did later.
    labels
        int64 [n], the groups by whose out-of-fold means users are put in order.
    weights
        float64 [n, d], as from `resampled_users`.
    seed
        Of the split into folds.

    Returns
    -------
    tuple of Interval
        Ten lifts that average to 1; intervals resample the users of each tenth as it stands.
    """
    inside = outcome.population
    amounts, drawn = outcome.amounts[inside], weights[inside]
    predicted = out_of_fold_prediction(labels[inside], amounts, seed=seed)
    member = _tenths(predicted)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (member @ (amounts[:, None] * drawn)) / (member @ drawn)
        lifts = means / ((amounts @ drawn) / drawn.sum(axis=0))
    return tuple(interval(figures) for figures in lifts)


def _tenths(predicted: np.ndarray) -> np.ndarray:
    """How much of each user belongs to each tenth, float64 [10, m]; equal users are shared out."""
    _, level, n_at = np.unique(-predicted, return_inverse=True, return_counts=True)
    ends = np.cumsum(n_at)
    edges = np.linspace(0, len(predicted), N_TENTHS + 1)
    overlap = np.minimum(edges[1:, None], ends) - np.maximum(edges[:-1, None], ends - n_at)
    return (np.maximum(overlap, 0) / n_at)[:, level]


def lift_curves(
    named: dict[str, np.ndarray],
    outcomes: Sequence[Outcome],
    weights: np.ndarray,
    *,
    seed: int,
) -> tuple[LiftCurve, ...]:
    """Lift by tenths on each outcome, for several segmentations by name."""
    return tuple(
        LiftCurve(place, name, lift_curve(outcome, labels, weights, seed=seed))
        for place, outcome in enumerate(outcomes)
        for name, labels in named.items()
    )
