"""The validation itself: segments made before a cut against what users did after it.

Two questions are kept apart: what the segments predict, beside rules and clusterings, and what
the embedding predicts by a linear model, beside plain features and an untrained encoder.
"""

import numpy as np
import polars as pl

from segmenter.clock import iso
from segmenter.events.store import EventStore
from segmenter.terminal import ProgressCallback
from segmenter.validity.activity import (
    N_BANDS,
    activity_before,
    activity_share,
    within_bands,
)
from segmenter.validity.lift import resampled_users
from segmenter.validity.outcomes import Outcome, future_outcomes
from segmenter.validity.rows import OutcomeSummary, WithinActivity
from segmenter.validity.scoring import Candidate, Scored, Scorer, linear_rows, rows_of
from segmenter.validity.segment_lifts import lift_curves, segment_lifts
from segmenter.validity.supplied import USER, supplied_outcomes
from segmenter.validity.taste import taste_outcomes
from segmenter.validity.trial import (
    Trial,
    ValiditySettings,
    clusterings,
    features,
    linear_models,
    rules,
    tested_segments,
)
from segmenter.validity.validity_report import ValidityReport
from segmenter.validity.verdicts import (
    activity_verdicts,
    data_notes,
    linear_verdicts,
    verdicts,
)
from segmenter.validity.window import windows

__all__ = ["ValidityReport", "ValiditySettings", "validate"]

KNOWN_ATTRIBUTES = "known attributes"
N_STEPS = 6


def validate(  # noqa: PLR0913 - each is one thing that may be known of the users
    store: EventStore,
    *,
    users: np.ndarray,
    labels: np.ndarray,
    cut: int,
    attributes: pl.DataFrame | None = None,
    outcomes: pl.DataFrame | None = None,
    population: pl.DataFrame | None = None,
    embeddings: np.ndarray | None = None,
    random_embeddings: np.ndarray | None = None,
    settings: ValiditySettings | None = None,
    progress: ProgressCallback | None = None,
) -> ValidityReport:
    """Judge segments and embeddings by what users did later, beside rules and plain features.

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
    outcomes
        One row per user, ``user_id`` and a column per outcome that the log does not tell; these
        come first.
    population
        Column ``user_id`` of the users of whom `outcomes` are asked; None asks all.
    embeddings
        float32 [n, D] of the users, made from events before the cut alone.
    random_embeddings
        The same from a network that was not trained.
    settings
        How to judge; None takes the defaults.
    progress
        Told of (steps done, steps in all).

    Returns
    -------
    ValidityReport
        Scores of every row on every outcome with intervals over users, what each segment's
        members did later, what is left within activity deciles, and the verdicts in words. It
        has no outcomes, and a reason, where nothing is known of later that could be predicted.

    Raises
    ------
    FitError
        If there is not one label, or not one finite embedding, for each user.
    ColumnError
        If `outcomes` or `population` cannot be used.
    """
    tell = progress or (lambda _done, _total: None)
    settings = settings or ValiditySettings()
    end = max(cut, store.newest + 1 if settings.end is None else settings.end)
    whole = Trial(store, users, labels, cut, end, settings, embeddings, random_embeddings)
    whole.check()
    trial = whole.sampled()
    notes = data_notes(trial, n_users=len(users))
    asked, thin = _outcomes(trial, outcomes, population)
    notes += thin
    if not asked:
        reason = _why_not(trial)
        return ValidityReport(cut, end, len(trial.users), notes=tuple(notes), reason=reason)
    tell(1, N_STEPS)
    if attributes is not None:
        asked += _among_known(trial, asked, attributes)
    return _judged(trial, asked, attributes, notes=notes, tell=tell)


def _outcomes(
    trial: Trial, table: pl.DataFrame | None, population: pl.DataFrame | None
) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
    """Everything that is asked of all users, the supplied outcomes first, and what cannot be."""
    supplied, thin = (
        ((), ())
        if table is None
        else supplied_outcomes(table, trial.user_ids, population=population)
    )
    store, users, cut, end = trial.store, trial.users, trial.cut, trial.end
    told = future_outcomes(store, users, cut=cut, end=end)
    taste = taste_outcomes(store, users, cut=cut, end=end)
    return (*supplied, *told, *taste), thin


def _why_not(trial: Trial) -> str:
    blocks = windows(trial.store, trial.users, start=trial.cut, end=trial.end)
    if sum(len(block.owner) for block in blocks) == 0:
        return f"none of these users has an event from {iso(trial.cut)} on"
    return f"what these users did from {iso(trial.cut)} on varies too little to be predicted"


def _among_known(
    trial: Trial, outcomes: tuple[Outcome, ...], attributes: pl.DataFrame
) -> tuple[Outcome, ...]:
    """Single outcomes asked again of the users with known attributes, where they are enough."""
    known = trial.user_ids.is_in(attributes[USER].implode()).to_numpy()
    asked = (
        outcome.among(known, name=KNOWN_ATTRIBUTES) for outcome in outcomes if not outcome.parts
    )
    return tuple(outcome for outcome in asked if outcome.is_telling())


def _judged(
    trial: Trial,
    outcomes: tuple[Outcome, ...],
    attributes: pl.DataFrame | None,
    *,
    notes: list[str],
    tell: ProgressCallback,
) -> ValidityReport:
    """Make every candidate, score it, and put the report together."""
    seed, n_draws = trial.settings.seed, trial.settings.n_draws
    weights = resampled_users(len(trial.users), n_draws=n_draws, seed=seed)
    plain = features(trial)
    written = list(rules(trial, attributes))
    candidates = [tested_segments(trial), *written, *clusterings(trial, plain)]
    tell(2, N_STEPS)
    scorer = Scorer(outcomes, weights, seed=seed)
    scored = [scorer.score(candidate) for candidate in candidates]
    rows = rows_of(scored, outcomes)
    tell(3, N_STEPS)
    models = [scorer.score(model) for model in linear_models(trial, plain)]
    linear = linear_rows(models, scored[1 : 1 + len(written)]) if models else ()
    tell(4, N_STEPS)
    within = _within(trial, outcomes, candidates, weights=weights)
    tell(5, N_STEPS)
    summaries = summaries_of(outcomes)
    report = ValidityReport(
        trial.cut,
        trial.end,
        len(trial.users),
        summaries,
        rows,
        segment_lifts(trial.labels, outcomes, weights, seed=seed),
        notes=(
            *notes,
            *verdicts(summaries, rows),
            *linear_verdicts(summaries, rows, linear),
            *activity_verdicts(within),
        ),
        linear=linear,
        within=within,
        curves=lift_curves(_single_rules(scored), outcomes, weights, seed=seed),
    )
    tell(N_STEPS, N_STEPS)
    return report


def _single_rules(scored: list[Scored]) -> dict[str, np.ndarray]:
    """The segments, and the rules that are one segmentation, by name."""
    return {
        one.candidate.name: one.candidate.labels
        for one in scored
        if one.candidate.kind in {"segments", "rule"} and one.candidate.labels is not None
    }


def _within(
    trial: Trial,
    outcomes: tuple[Outcome, ...],
    candidates: list[Candidate],
    *,
    weights: np.ndarray,
) -> WithinActivity:
    """The control: the same candidates among users of equal activity."""
    activity = activity_before(trial.store, trial.users, until=trial.cut)
    asked = within_bands(outcomes, activity.bands)
    scorer = Scorer(asked, weights, seed=trial.settings.seed, bands=activity.bands)
    scored = [scorer.score(one) for one in candidates]
    return WithinActivity(
        N_BANDS,
        summaries_of(asked),
        rows_of(scored, asked),
        tuple(
            activity_share(one.name, one.labels, activity)
            for one in candidates
            if one.labels is not None
        ),
    )


def summaries_of(outcomes: tuple[Outcome, ...]) -> tuple[OutcomeSummary, ...]:
    """What a report keeps of the outcomes that were predicted."""
    return tuple(
        OutcomeSummary(
            outcome.name,
            outcome.kind,
            outcome.population_name,
            int(outcome.population.sum()),
            float(outcome.amounts[outcome.population].mean()),
            len(outcome.asked),
        )
        for outcome in outcomes
    )
