"""Are segments more than bands of activity? What they predict among the equally active.

How much users did before the cut predicts most of what they do after it. Here that is taken
away: users are put into bands by the number of their events, amounts lose their band's mean, and
a yes is compared only with a no of its own band.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from segmenter.events.store import EventStore
from segmenter.validity.baselines import quantile_cells
from segmenter.validity.outcomes import Outcome
from segmenter.validity.rows import ActivityShare
from segmenter.validity.window import windows

N_BANDS = 10


@dataclass(frozen=True)
class Activity:
    """How active users were before a cut.

    Attributes
    ----------
    log_events
        float64 [n], log of one plus the number of events.
    bands
        int64 [n], decile among these users, 0 for the least active; equal counts share a band.
    """

    log_events: np.ndarray
    bands: np.ndarray


def activity_before(store: EventStore, users: np.ndarray, *, until: int) -> Activity:
    """Count the events of users before a time.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    until
        Only events before this time count, microseconds.
    """
    counts = [block.total() for block in windows(store, users, end=until)]
    log_events = np.log1p(np.concatenate(counts))
    return Activity(log_events, quantile_cells(log_events, N_BANDS))


def within_bands(outcomes: tuple[Outcome, ...], bands: np.ndarray) -> tuple[Outcome, ...]:
    """The outcomes as they are asked inside bands of activity.

    Parameters
    ----------
    outcomes
        As they are asked of everybody.
    bands
        int64 [n].

    Returns
    -------
    tuple of Outcome
        Amounts without the mean of their band; occurrences as they are, to be scored with the
        bands as strata. Those that do not vary inside any band are left out.
    """
    return tuple(_within(outcomes, bands))


def _within(outcomes: tuple[Outcome, ...], bands: np.ndarray) -> Iterator[Outcome]:
    for outcome in outcomes:
        if outcome.kind == "r2":
            left = replace(outcome, values=_without_means(outcome, bands), logged=False)
            if left.is_telling():
                yield left
        elif any(_has_pairs(question, bands) for question in outcome.asked):
            yield outcome


def _without_means(outcome: Outcome, bands: np.ndarray) -> np.ndarray:
    inside, values = outcome.population, outcome.values
    n_bands = int(bands.max()) + 1
    counts = np.bincount(bands[inside], minlength=n_bands)
    sums = np.bincount(bands[inside], values[inside], minlength=n_bands)
    return np.where(inside, values - (sums / np.maximum(counts, 1))[bands], 0.0)


def _has_pairs(question: Outcome, bands: np.ndarray) -> bool:
    """Whether a band holds a yes and a no."""
    inside = question.population
    n_all = np.bincount(bands[inside])
    n_yes = np.bincount(bands[inside], question.values[inside])
    return bool(((n_yes > 0) & (n_yes < n_all)).any())


def activity_share(name: str, labels: np.ndarray, activity: Activity) -> ActivityShare:
    """How much of a segmentation activity alone explains.

    Parameters
    ----------
    name
        Of the segmentation.
    labels
        int64 [n]; users without a segment are one group.
    activity
        Of the same users.

    References
    ----------
    Theil, "On the estimation of relationships involving qualitative variables", 1970: the
    uncertainty coefficient, I(segment; band) / H(segment).
    """
    _, group = np.unique(labels, return_inverse=True)
    joint = np.zeros((int(group.max()) + 1, int(activity.bands.max()) + 1))
    np.add.at(joint, (group, activity.bands), 1)
    joint /= joint.sum()
    entropy = _entropy(joint.sum(axis=1))
    shared = entropy + _entropy(joint.sum(axis=0)) - _entropy(joint.ravel())
    return ActivityShare(
        name,
        float(np.clip(shared / entropy, 0, 1)) if entropy > 0 else 0.0,
        _variance_between(group, activity.log_events),
    )


def _entropy(shares: np.ndarray) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _variance_between(group: np.ndarray, values: np.ndarray) -> float:
    """Eta squared: variance of the group means over the variance of all."""
    total = values.var()
    means = np.bincount(group, values) / np.bincount(group)
    return float(means[group].var() / total) if total > 0 else 0.0
