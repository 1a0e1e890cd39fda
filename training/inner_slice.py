"""An earlier slice of time inside the training period, by which the published level is chosen.

Users are placed as they were at an inner cut, and their segments are held against what they did
in the window after it. The outcome that is reported later is never looked at.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.events.store import EventStore
from segmenter.validity.activity import activity_before, within_bands
from segmenter.validity.lift import resampled_users
from segmenter.validity.outcomes import future_outcomes
from segmenter.validity.scoring import Scorer, grouping
from segmenter.validity.taste import taste_outcomes

MAX_USERS = 4_000
"""Users on whom the choice is made; more are sampled."""
N_DRAWS = 50


def sampled_rows(n_users: int, *, seed: int) -> np.ndarray:
    """Ascending rows of the users on whom the choice is made: all, or `MAX_USERS` at random."""
    if n_users <= MAX_USERS:
        return np.arange(n_users)
    return np.sort(np.random.default_rng(seed).choice(n_users, MAX_USERS, replace=False))


@dataclass(frozen=True)
class InnerSlice:
    """An earlier time inside the training period, with the window that followed it.

    Attributes
    ----------
    embeddings
        float32 [m, D], users as they were at the inner cut.
    scorers
        Score a segmentation of these users on everything asked of them: among all users, and
        within bands of equal activity.
    """

    embeddings: np.ndarray
    scorers: tuple[Scorer, ...]

    def validity(self, labels: np.ndarray, *, seed: int) -> np.ndarray:
        """How much of the window segments predict: the mean over everything asked.

        Parameters
        ----------
        labels
            int [m].
        seed
            Of the split into folds.

        Returns
        -------
        numpy.ndarray
            float64 [1 + draws], of the users as they are and of each bootstrap sample: 0 for the
            same guess for everybody, 1 for a perfect one.
        """
        candidate = grouping("tried", "segments", {"": labels}, seed=seed)
        figures = []
        for scorer in self.scorers:
            scored = scorer.score(candidate)
            for outcome, figure in zip(scorer.outcomes, scored.figures, strict=True):
                chance = 0.0 if outcome.kind == "r2" else 0.5
                figures.append((figure - chance) / (1 - chance))
        # Where bands and folds leave no pair of users to compare, nothing is said.
        return np.mean([figure for figure in figures if np.isfinite(figure).all()], axis=0)


def inner_slice(
    store: EventStore, users: np.ndarray, embeddings: np.ndarray, *, cut: int, end: int, seed: int
) -> InnerSlice | None:
    """Ask what users did after an inner cut.

    Parameters
    ----------
    store
        The events.
    users
        int64 [m] rows of the store, with an event at or before the cut.
    embeddings
        float32 [m, D] of these users as of the cut.
    cut, end
        The window is after `cut`, up to and with `end`, microseconds.
    seed
        Of folds and draws.

    Returns
    -------
    InnerSlice or None
        None where nothing in the window can be predicted.
    """
    outcomes = (
        *future_outcomes(store, users, cut=cut + 1, end=end + 1),
        *taste_outcomes(store, users, cut=cut + 1, end=end + 1),
    )
    if not outcomes:
        return None
    weights = resampled_users(len(users), n_draws=N_DRAWS, seed=seed)
    bands = activity_before(store, users, until=cut + 1).bands
    scorers = [Scorer(outcomes, weights, seed=seed)]
    within = within_bands(outcomes, bands)
    if within:
        scorers.append(Scorer(within, weights, seed=seed, bands=bands))
    return InnerSlice(embeddings, tuple(scorers))
