"""From something that predicts to a row of scores: segmentations and linear models alike.

A candidate offers one or several variants (rules, strengths of a penalty) and the best of them
counts for each outcome. Every score comes as one figure per column of user weights, the users as
they are first, so that the difference of two candidates is paired.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segmenter.validity.lift import (
    Interval,
    auc,
    interval,
    out_of_fold_prediction,
    r2_scores,
)
from segmenter.validity.outcomes import Outcome
from segmenter.validity.rows import NO_SEGMENTS, Row, Score

Predict = Callable[[Outcome], Iterator[np.ndarray]]
"""For each question of an outcome float64 [variants, m], predictions of its population."""


@dataclass(frozen=True)
class Candidate:
    """A row before it is scored.

    Attributes
    ----------
    name, kind
        As in `Row`.
    variants
        Names of what the best is taken of; a single one may be nameless.
    predict
        Predicts every variant.
    labels
        int64 [n], the groups of a single segmentation; None for several, or for a model.
    """

    name: str
    kind: str
    variants: tuple[str, ...]
    predict: Predict
    labels: np.ndarray | None = None

    @property
    def n_groups(self) -> int | None:
        """Groups of a single segmentation."""
        return None if self.labels is None else len(np.unique(self.labels))


def grouping(name: str, kind: str, rules: dict[str, np.ndarray], *, seed: int) -> Candidate:
    """A candidate that predicts by the mean of the user's group in the other folds.

    Parameters
    ----------
    name, kind
        As in `Row`.
    rules
        Name of each segmentation to the n users' groups; the best counts.
    seed
        Of the split into folds.
    """

    def predict(outcome: Outcome) -> Iterator[np.ndarray]:
        for question in outcome.asked:
            inside = question.population
            yield np.stack(
                [
                    out_of_fold_prediction(group[inside], question.values[inside], seed=seed)
                    for group in rules.values()
                ]
            )

    labels = next(iter(rules.values())) if len(rules) == 1 else None
    return Candidate(name, kind, tuple(rules), predict, labels)


@dataclass(frozen=True)
class Scored:
    """A candidate with its figures: for each outcome its best variant and float64 [d]."""

    candidate: Candidate
    chosen: tuple[str, ...]
    figures: tuple[np.ndarray, ...]


def score(
    candidate: Candidate,
    outcomes: Sequence[Outcome],
    weights: np.ndarray,
    *,
    strata: np.ndarray | None = None,
) -> Scored:
    """Score a candidate on every outcome.

    Parameters
    ----------
    candidate
        What predicts.
    outcomes
        What is predicted.
    weights
        float64 [n, d] over all users, as from `resampled_users`.
    strata
        int64 [n]: a yes and a no are only compared inside a stratum; None compares all.
    """
    best = [_best(candidate, outcome, weights, strata=strata) for outcome in outcomes]
    chosen = tuple(candidate.variants[place] for place, _ in best)
    return Scored(candidate, chosen, tuple(figures for _, figures in best))


def _best(
    candidate: Candidate, outcome: Outcome, weights: np.ndarray, *, strata: np.ndarray | None
) -> tuple[int, np.ndarray]:
    """The best variant for an outcome, and its score under each weighting."""
    if outcome.kind == "r2":
        (predictions,) = candidate.predict(outcome)
        inside = outcome.population
        values, drawn = outcome.values[inside], weights[inside]
        found = [r2_scores(values, predicted, drawn) for predicted in predictions]
        place = int(np.argmax([figures[0] for figures in found]))
        return place, found[place]
    areas, derivatives = _areas(candidate, outcome, len(weights), strata=strata)
    place = int(np.argmax(areas))
    drawn = areas[place] + derivatives[place] @ weights
    return place, np.concatenate([areas[place : place + 1], np.clip(drawn[1:], 0, 1)])


def _areas(
    candidate: Candidate, outcome: Outcome, n_users: int, *, strata: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean AUC [variants] over an outcome's questions, and its derivative [variants, n]."""
    n_variants = len(candidate.variants)
    areas, derivatives = np.zeros(n_variants), np.zeros((n_variants, n_users))
    n_asked = 0
    for question, predictions in zip(outcome.asked, candidate.predict(outcome), strict=True):
        inside = question.population
        values = question.values[inside]
        among = None if strata is None else strata[inside]
        made = [auc(values, predicted, among) for predicted in predictions]
        if not np.isfinite(made[0][0]):
            continue
        n_asked += 1
        areas += [area for area, _ in made]
        derivatives[:, inside] += [derivative for _, derivative in made]
    return areas / n_asked, derivatives / n_asked


def rows_of(scored: Sequence[Scored], outcomes: Sequence[Outcome]) -> tuple[Row, ...]:
    """Rows of a table of segmentations, the one under test first, "no segments" last."""
    tested, *others = scored
    return (
        _row(tested, [None] * len(outcomes)),
        *(_row(other, _ahead(tested, other)) for other in others),
        _no_segments(outcomes, tested),
    )


def linear_rows(scored: Sequence[Scored], rules: Sequence[Scored]) -> tuple[Row, ...]:
    """Rows of a table of linear models, the one under test first, each beside the best rule."""
    tested = scored[0]
    rows = []
    for model in scored:
        ahead: Sequence[Interval | None] = (
            [None] * len(tested.figures) if model is tested else _ahead(tested, model)
        )
        over_rule = [
            interval(figures - max((rule.figures[place] for rule in rules), key=_value))
            for place, figures in enumerate(model.figures)
        ]
        rows.append(_row(model, ahead, over_rule))
    return tuple(rows)


def _value(figures: np.ndarray) -> float:
    return float(figures[0])


def _ahead(tested: Scored, other: Scored) -> list[Interval | None]:
    pairs = zip(tested.figures, other.figures, strict=True)
    return [interval(own - figures) for own, figures in pairs]


def _row(
    scored: Scored,
    ahead: Sequence[Interval | None],
    over_rule: Sequence[Interval] | None = None,
) -> Row:
    over: Sequence[Interval | None] = over_rule or [None] * len(ahead)
    rules = scored.chosen if scored.candidate.kind == "rule" else [""] * len(ahead)
    made = tuple(
        Score(interval(figures), difference, rule, above)
        for figures, difference, rule, above in zip(
            scored.figures, ahead, rules, over, strict=True
        )
    )
    return Row(scored.candidate.name, scored.candidate.kind, scored.candidate.n_groups, made)


def _no_segments(outcomes: Sequence[Outcome], tested: Scored) -> Row:
    """The same guess for everybody: by definition an R2 of 0 and an AUC of one half.

    Scored out of fold it would fall short of that by an artefact: the mean of the other folds is
    above average exactly where the held-out fold is below.
    """
    made = []
    for outcome, figures in zip(outcomes, tested.figures, strict=True):
        chance = 0.0 if outcome.kind == "r2" else 0.5
        made.append(Score(Interval(chance, chance, chance), interval(figures - chance)))
    return Row(NO_SEGMENTS, "none", 1, tuple(made))
