"""Who is judged and by what: the users, what was given of them, and what they are held against."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from segmenter.errors import FitError
from segmenter.events.store import EventStore
from segmenter.validity.baselines import clusters_of, demographic_rules, rfm_cells
from segmenter.validity.features import plain_features, standardised
from segmenter.validity.lift import N_DRAWS
from segmenter.validity.linear import STRENGTHS, linear_predictions
from segmenter.validity.outcomes import Outcome
from segmenter.validity.rows import EMBEDDING, PLAIN_FEATURES, RANDOM_ENCODER, SEGMENTS
from segmenter.validity.scoring import Candidate, grouping

RFM_BINS = (3, 5)


@dataclass(frozen=True)
class ValiditySettings:
    """How segments are judged.

    Attributes
    ----------
    end
        Outcomes end before this time, microseconds; None takes the newest event.
    n_segments
        Clusters of the KMeans rows; None takes as many as the labels have segments.
    seed
        Of folds, resampled users, KMeans, and of the users where they are sampled.
    n_draws
        Resampled sets of users.
    max_users
        More users than this are sampled.
    """

    end: int | None = None
    n_segments: int | None = None
    seed: int = 0
    n_draws: int = N_DRAWS
    max_users: int = 20_000


@dataclass(frozen=True)
class Trial:
    """The users who are judged and everything that was made of them before the cut.

    Attributes
    ----------
    store
        The events.
    users, labels
        int64 [n] rows of the store and their segments; negative is none.
    cut, end
        Microseconds.
    settings
        How to judge.
    embedding, random_embedding
        float [n, D] or None.
    """

    store: EventStore
    users: np.ndarray
    labels: np.ndarray
    cut: int
    end: int
    settings: ValiditySettings = field(default_factory=ValiditySettings)
    embedding: np.ndarray | None = None
    random_embedding: np.ndarray | None = None

    def sampled(self) -> "Trial":
        """The same trial with at most `settings.max_users` users, drawn at random."""
        if len(self.users) <= self.settings.max_users:
            return self
        generator = np.random.default_rng(self.settings.seed)
        kept = generator.choice(len(self.users), self.settings.max_users, replace=False)
        kept.sort()
        return Trial(
            self.store,
            self.users[kept],
            self.labels[kept],
            self.cut,
            self.end,
            self.settings,
            _rows(self.embedding, kept),
            _rows(self.random_embedding, kept),
        )

    def check(self) -> None:
        """Refuse what does not belong to these users.

        Raises
        ------
        FitError
            If there is not one label, or not one finite embedding, for each user.
        """
        n_users = len(self.users)
        if len(self.labels) != n_users:
            message = (
                f"validation needs one label for each user; found {len(self.labels)} of {n_users}"
            )
            raise FitError(message)
        for what, given in (("", self.embedding), ("random ", self.random_embedding)):
            if given is not None and (given.shape[0] != n_users or not np.isfinite(given).all()):
                message = (
                    f"validation needs one finite {what}embedding for each of {n_users} users; "
                    f"found {given.shape[0]}, of which {int(np.isfinite(given).all(axis=1).sum())}"
                    " are finite"
                )
                raise FitError(message)

    @property
    def user_ids(self) -> pl.Series:
        """Ids of the users, in order."""
        return self.store.user_ids().gather(self.users)


def _rows(given: np.ndarray | None, kept: np.ndarray) -> np.ndarray | None:
    return None if given is None else given[kept]


def tested_segments(trial: Trial) -> Candidate:
    """The segments under test."""
    return _single(trial, SEGMENTS, "segments", labels=trial.labels)


def _single(trial: Trial, name: str, kind: str, *, labels: np.ndarray) -> Candidate:
    return grouping(name, kind, {"": labels}, seed=trial.settings.seed)


def rules(trial: Trial, attributes: pl.DataFrame | None) -> Iterator[Candidate]:
    """Segmentations that a person could write: RFM, and the best of the demographic rules."""
    for bins in RFM_BINS:
        cells = rfm_cells(trial.store, trial.users, until=trial.cut, bins=bins)
        yield _single(trial, f"RFM {bins}x{bins}x{bins}", "rule", labels=cells)
    if attributes is not None:
        made = demographic_rules(attributes, trial.user_ids)
        if made:
            yield grouping("Demographics", "rule", made, seed=trial.settings.seed)


def features(trial: Trial) -> np.ndarray:
    """Plain features of the users, float64 [n, F]."""
    return plain_features(trial.store, trial.users, until=trial.cut, seed=trial.settings.seed)


def clusterings(trial: Trial, plain: np.ndarray) -> Iterator[Candidate]:
    """KMeans with as many segments, on plain features and on an untrained encoder."""
    asked = trial.settings.n_segments or len(np.unique(trial.labels[trial.labels >= 0]))
    sets = {"KMeans": plain}
    if trial.random_embedding is not None:
        sets[RANDOM_ENCODER] = standardised(trial.random_embedding)
    for name, numbers in sets.items():
        cells = clusters_of(numbers, n_segments=max(asked, 1), seed=trial.settings.seed)
        yield _single(trial, name, "model", labels=cells)


def linear_models(trial: Trial, plain: np.ndarray) -> Iterator[Candidate]:
    """Linear models on the embedding, plain features and an untrained encoder, in this order."""
    if trial.embedding is None:
        return
    seed = trial.settings.seed
    yield linear_model(EMBEDDING, "embedding", trial.embedding, seed=seed)
    yield linear_model(PLAIN_FEATURES, "features", plain, seed=seed)
    if trial.random_embedding is not None:
        yield linear_model(RANDOM_ENCODER, "features", trial.random_embedding, seed=seed)


def linear_model(name: str, kind: str, numbers: np.ndarray, *, seed: int) -> Candidate:
    """A candidate that predicts by a linear model on numbers per user.

    Parameters
    ----------
    name, kind
        As in `Row`.
    numbers
        float [n, F].
    seed
        Of the split into folds.
    """
    columns = standardised(numbers)

    def predict(outcome: Outcome, variants: Sequence[int]) -> Iterator[np.ndarray]:
        strengths = [STRENGTHS[variant] for variant in variants]
        return linear_predictions(columns, outcome, strengths, seed=seed)

    return Candidate(name, kind, tuple(str(strength) for strength in STRENGTHS), predict)
