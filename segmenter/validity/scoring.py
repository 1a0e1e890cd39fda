"""From something that predicts to a row of scores: segmentations and linear models alike.

A candidate offers one or several variants (rules, strengths of a penalty) and the best of them
counts for each outcome. Every score comes as one figure per column of user weights, the users as
they are first, so that the difference of two candidates is paired.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segmenter.validity.lift import (
    N_FOLDS,
    Interval,
    auc,
    fold_numbers,
    group_prediction,
    interval,
    r2_scores,
)
from segmenter.validity.outcomes import Outcome
from segmenter.validity.rows import NO_SEGMENTS, Row, Score

MAX_TRIED = 40
"""Questions of a mean AUC on which the best of several variants is found."""

Predict = Callable[[Outcome, Sequence[int]], Iterator[np.ndarray]]
"""For each question of an outcome float64 [variants, m]: the chosen variants' predictions."""


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
        Predicts by some of the variants, which are given by their places.
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
    groups = [np.unique(labels, return_inverse=True)[1] for labels in rules.values()]

    def predict(outcome: Outcome, variants: Sequence[int]) -> Iterator[np.ndarray]:
        for question in outcome.asked:
            inside = question.population
            values = question.values[inside]
            yield np.stack(
                [
                    group_prediction(groups[variant][inside], values, seed=seed)
                    for variant in variants
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


class Scorer:
    """Scores candidates on the same outcomes under the same weights.

    Scores of a single yes or no compare all users with each other. Those of a mean AUC, and those
    inside bands, compare users who were held out in the same fold: signals are weak there, and
    across folds even a constant guess is worse than chance, since the mean of the other folds is
    high exactly where a fold's own is low.

    Parameters
    ----------
    outcomes
        What is predicted.
    weights
        float64 [n, d] over all users, as from `resampled_users`.
    seed
        Of the split into folds.
    bands
        int64 [n]: a yes and a no are only compared inside a band; None compares all.

    References
    ----------
    Airola et al., "An experimental comparison of cross-validation techniques for estimating the
    area under the ROC curve", 2011: pooled and averaged areas.
    """

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        weights: np.ndarray,
        *,
        seed: int,
        bands: np.ndarray | None = None,
    ) -> None:
        self.outcomes = tuple(outcomes)
        self._weights, self._seed, self._bands = weights, seed, bands
        self._strata = [self._strata_of(outcome) for outcome in self.outcomes]

    def score(self, candidate: Candidate) -> Scored:
        """Score a candidate on every outcome, by its best variant for each."""
        best = [
            self._amount(candidate, outcome)
            if outcome.kind == "r2"
            else self._occurrence(candidate, outcome, strata)
            for outcome, strata in zip(self.outcomes, self._strata, strict=True)
        ]
        chosen = tuple(candidate.variants[place] for place, _ in best)
        return Scored(candidate, chosen, tuple(figures for _, figures in best))

    def _strata_of(self, outcome: Outcome) -> list[np.ndarray | None]:
        """For each question the stratum of each user of its population."""
        if outcome.kind == "r2" or (outcome.kind == "auc" and self._bands is None):
            return [None]
        made: list[np.ndarray | None] = []
        for question in outcome.asked:
            inside = question.population
            fold = fold_numbers(int(inside.sum()), N_FOLDS, self._seed)
            band = 0 if self._bands is None else self._bands[inside]
            # Narrow numbers are sorted by counting.
            made.append((band * N_FOLDS + fold).astype(np.int16))
        return made

    def _amount(self, candidate: Candidate, outcome: Outcome) -> tuple[int, np.ndarray]:
        """The best variant and its R2 under each weighting."""
        (predictions,) = candidate.predict(outcome, range(len(candidate.variants)))
        inside = outcome.population
        values, drawn = outcome.values[inside], self._weights[inside]
        found = [r2_scores(values, predicted, drawn) for predicted in predictions]
        place = int(np.argmax([figures[0] for figures in found]))
        return place, found[place]

    def _occurrence(
        self, candidate: Candidate, outcome: Outcome, strata: list[np.ndarray | None]
    ) -> tuple[int, np.ndarray]:
        """The best variant and its mean AUC under each weighting."""
        step = -(-len(strata) // MAX_TRIED)
        variants: Sequence[int] = range(len(candidate.variants))
        if step > 1 and len(variants) > 1:
            tried = replace(outcome, parts=outcome.parts[::step])
            areas, _ = self._areas(candidate, tried, strata[::step], variants=variants)
            variants = [int(np.argmax(areas))]
        areas, derivatives = self._areas(candidate, outcome, strata, variants=variants)
        place = int(np.argmax(areas))
        drawn = areas[place] + derivatives[place] @ self._weights[:, 1:]
        return variants[place], np.concatenate([areas[place : place + 1], np.clip(drawn, 0, 1)])

    def _areas(
        self,
        candidate: Candidate,
        outcome: Outcome,
        strata: list[np.ndarray | None],
        *,
        variants: Sequence[int],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean AUC [variants] over an outcome's questions, and its derivative [variants, n].

        NaN where no question has a yes and a no to compare.
        """
        areas, n_asked = np.zeros(len(variants)), 0
        derivatives = np.zeros((len(variants), len(self._weights)))
        for question, predictions, stratum in zip(
            outcome.asked, candidate.predict(outcome, variants), strata, strict=True
        ):
            inside = question.population
            made = [auc(question.values[inside], predicted, stratum) for predicted in predictions]
            if np.isfinite(made[0][0]):
                n_asked += 1
                areas += [area for area, _ in made]
                derivatives[:, inside] += [derivative for _, derivative in made]
        n_scores = n_asked or np.nan
        return areas / n_scores, derivatives / n_scores


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
