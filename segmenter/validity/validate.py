"""The validation itself: segments made before a cut against what users did after it."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.clock import iso
from segmenter.errors import FitError
from segmenter.events.store import EventStore
from segmenter.terminal import ProgressCallback
from segmenter.validity.baselines import demographic_rules, kmeans_cells, rfm_cells
from segmenter.validity.lift import (
    N_DRAWS,
    Interval,
    group_lifts,
    interval,
    out_of_fold_prediction,
    resampled_users,
    scores,
)
from segmenter.validity.outcomes import Outcome, future_outcomes
from segmenter.validity.validity_report import (
    NO_SEGMENTS,
    SEGMENTS,
    Lift,
    OutcomeSummary,
    Row,
    Score,
    SegmentValidity,
    ValidityReport,
)
from segmenter.validity.verdicts import data_notes, verdicts
from segmenter.validity.window import windows

RFM_BINS = (3, 5)
KNOWN_ATTRIBUTES = "known attributes"
N_STEPS = 4


@dataclass(frozen=True)
class ValiditySettings:
    """How segments are judged.

    Attributes
    ----------
    end
        Outcomes end before this time, microseconds; None takes the newest event.
    n_segments
        Clusters of the KMeans row; None takes as many as the labels have segments.
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
class _Candidate:
    """A row before it is scored: one segmentation, or several of which the best counts."""

    name: str
    kind: str
    segmentations: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Trial:
    """Who is judged, and how."""

    store: EventStore
    users: np.ndarray
    labels: np.ndarray
    cut: int
    end: int
    settings: ValiditySettings


def validate(
    store: EventStore,
    *,
    users: np.ndarray,
    labels: np.ndarray,
    cut: int,
    attributes: pl.DataFrame | None = None,
    settings: ValiditySettings | None = None,
    progress: ProgressCallback | None = None,
) -> ValidityReport:
    """Judge segments by what users did later, beside rules and KMeans.

    Parameters
    ----------
    store
        The events, before and after the cut.
    users
        int64 [n] rows of the store, users with events before the cut.
    labels
        int [n], their segments, made from events before the cut alone; negative is none.
    cut
        Microseconds; baselines read events before it, outcomes those from it on.
    attributes
        One row per user, ``user_id`` and attribute columns, for demographic rules.
    settings
        How to judge; None takes the defaults.
    progress
        Told of (steps done, steps in all).

    Returns
    -------
    ValidityReport
        Scores of every row on every outcome with intervals over users, what each segment's
        members did later, and the verdicts in words. It has no outcomes, and a reason, where
        nothing happened after the cut that could be predicted.

    Raises
    ------
    FitError
        If there is not one label for each user.
    """
    if len(labels) != len(users):
        message = f"validation needs one label for each user; found {len(labels)} of {len(users)}"
        raise FitError(message)
    tell = progress or (lambda _done, _total: None)
    trial = _trial(store, users, labels, cut=cut, settings=settings or ValiditySettings())
    notes = data_notes(store, len(users), n_judged=len(trial.users))
    outcomes = future_outcomes(store, trial.users, cut=cut, end=trial.end)
    if not outcomes:
        return ValidityReport(cut, trial.end, len(trial.users), (), reason=_why_not(trial))
    candidates = [_Candidate(SEGMENTS, "segments", {"": trial.labels}), *_rfm(trial)]
    tell(1, N_STEPS)
    if attributes is not None:
        rules, known = _demographics(trial, attributes)
        candidates += rules
        outcomes += _among(outcomes, known)
    candidates.append(_kmeans(trial))
    tell(2, N_STEPS)
    seed = trial.settings.seed
    weights = resampled_users(len(trial.users), n_draws=trial.settings.n_draws, seed=seed)
    rows = _scored(candidates, outcomes, weights=weights, seed=seed)
    tell(3, N_STEPS)
    summaries = tuple(_summary(outcome) for outcome in outcomes)
    segments = _segments(trial, outcomes, weights)
    tell(N_STEPS, N_STEPS)
    notes += verdicts(summaries, rows)
    return ValidityReport(
        cut, trial.end, len(trial.users), summaries, rows, segments, notes=tuple(notes)
    )


def _trial(
    store: EventStore,
    users: np.ndarray,
    labels: np.ndarray,
    *,
    cut: int,
    settings: ValiditySettings,
) -> _Trial:
    """Sample the users where they are many, and settle when outcomes end."""
    end = store.newest + 1 if settings.end is None else settings.end
    if len(users) > settings.max_users:
        generator = np.random.default_rng(settings.seed)
        kept = np.sort(generator.choice(len(users), settings.max_users, replace=False))
        users, labels = users[kept], labels[kept]
    return _Trial(store, users, labels, cut, end, settings)


def _why_not(trial: _Trial) -> str:
    blocks = windows(trial.store, trial.users, start=trial.cut, end=trial.end)
    if sum(len(block.owner) for block in blocks) == 0:
        return f"none of these users has an event from {iso(trial.cut)} on"
    return f"what these users did from {iso(trial.cut)} on varies too little to be predicted"


def _among(outcomes: tuple[Outcome, ...], population: np.ndarray) -> tuple[Outcome, ...]:
    """The outcomes asked again of the users with known attributes, where they are enough."""
    asked = (outcome.among(population, name=KNOWN_ATTRIBUTES) for outcome in outcomes)
    return tuple(outcome for outcome in asked if outcome.is_telling())


def _rfm(trial: _Trial) -> list[_Candidate]:
    return [
        _Candidate(
            f"RFM {bins}x{bins}x{bins}",
            "rule",
            {"": rfm_cells(trial.store, trial.users, until=trial.cut, bins=bins)},
        )
        for bins in RFM_BINS
    ]


def _demographics(trial: _Trial, attributes: pl.DataFrame) -> tuple[list[_Candidate], np.ndarray]:
    """Demographic rules as one candidate, none without a usable attribute, and who is known."""
    user_ids = trial.store.user_ids().gather(trial.users)
    known = user_ids.is_in(attributes["user_id"].implode()).to_numpy()
    rules = demographic_rules(attributes, user_ids)
    return [_Candidate("Demographics", "rule", rules)] if rules else [], known


def _kmeans(trial: _Trial) -> _Candidate:
    n_segments = trial.settings.n_segments or len(np.unique(trial.labels[trial.labels >= 0]))
    cells = kmeans_cells(
        trial.store,
        trial.users,
        until=trial.cut,
        n_segments=max(n_segments, 1),
        seed=trial.settings.seed,
    )
    return _Candidate("KMeans", "model", {"": cells})


def _scored(
    candidates: list[_Candidate],
    outcomes: tuple[Outcome, ...],
    *,
    weights: np.ndarray,
    seed: int,
) -> tuple[Row, ...]:
    """Score every candidate on every outcome, the segments under test first."""
    figures: list[list[np.ndarray]] = []
    chosen: list[list[str]] = []
    for candidate in candidates:
        best = [_best(candidate, outcome, weights=weights, seed=seed) for outcome in outcomes]
        chosen.append([rule for rule, _ in best])
        figures.append([drawn for _, drawn in best])
    rows = [
        Row(
            candidate.name,
            candidate.kind,
            _n_groups(candidate),
            tuple(
                Score(interval(own), None if own is tested else interval(tested - own), rule)
                for own, tested, rule in zip(drawn, figures[0], rules, strict=True)
            ),
        )
        for candidate, drawn, rules in zip(candidates, figures, chosen, strict=True)
    ]
    return (*rows, _no_segments(outcomes, figures[0]))


def _best(
    candidate: _Candidate, outcome: Outcome, *, weights: np.ndarray, seed: int
) -> tuple[str, np.ndarray]:
    """The candidate's best segmentation for an outcome, and its score under each weighting."""
    inside = outcome.population
    predictions = {
        rule: out_of_fold_prediction(labels[inside], outcome.values[inside], seed=seed)
        for rule, labels in candidate.segmentations.items()
    }
    everybody = weights[:, :1]
    rule = max(predictions, key=lambda name: scores(outcome, predictions[name], everybody)[0])
    return rule, scores(outcome, predictions[rule], weights)


def _n_groups(candidate: _Candidate) -> int | None:
    if len(candidate.segmentations) > 1:
        return None
    (labels,) = candidate.segmentations.values()
    return len(np.unique(labels))


def _no_segments(outcomes: tuple[Outcome, ...], tested: list[np.ndarray]) -> Row:
    """The same guess for everybody: by definition an R2 of 0 and an AUC of one half.

    Scored out of fold it would fall short of that by an artefact: the mean of the other folds is
    above average exactly where the held-out fold is below.
    """
    made = []
    for outcome, figures in zip(outcomes, tested, strict=True):
        chance = 0.0 if outcome.kind == "r2" else 0.5
        made.append(Score(Interval(chance, chance, chance), interval(figures - chance)))
    return Row(NO_SEGMENTS, "none", 1, tuple(made))


def _summary(outcome: Outcome) -> OutcomeSummary:
    inside = outcome.population
    return OutcomeSummary(
        outcome.name,
        outcome.kind,
        outcome.population_name,
        int(inside.sum()),
        float(outcome.amounts[inside].mean()),
    )


def _segments(
    trial: _Trial, outcomes: tuple[Outcome, ...], weights: np.ndarray
) -> tuple[SegmentValidity, ...]:
    """What the members of each segment did later."""
    ids = np.unique(trial.labels[trial.labels >= 0])
    # Users without a segment are the last group, which is not reported.
    groups = np.where(trial.labels < 0, len(ids), np.searchsorted(ids, trial.labels))
    lifts = [
        _lifts(outcome, groups, weights=weights, seed=trial.settings.seed) for outcome in outcomes
    ]
    return tuple(
        SegmentValidity(
            int(segment), int((groups == place).sum()), tuple(lift[place] for lift in lifts)
        )
        for place, segment in enumerate(ids)
    )


def _lifts(outcome: Outcome, groups: np.ndarray, *, weights: np.ndarray, seed: int) -> list[Lift]:
    """One outcome in each group."""
    inside = outcome.population
    group, amounts = groups[inside], outcome.amounts[inside]
    lifts = group_lifts(outcome, groups, weights)
    predicted = out_of_fold_prediction(group, amounts, seed=seed)
    counts = np.bincount(group, minlength=len(lifts))
    members = np.maximum(counts, 1)
    means = np.bincount(group, amounts, minlength=len(lifts)) / members
    said = np.bincount(group, predicted, minlength=len(lifts)) / members
    return [
        Lift(int(n_users), float(mean), float(expected), lift)
        for n_users, mean, expected, lift in zip(counts, means, said, lifts, strict=True)
    ]
