"""The validation as the page shows it: what predicts each outcome how well."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segmenter.validity.rows import OutcomeSummary, Row, Score, best_rule
from segmenter.validity.validity_report import ValidityReport
from segmenter.validity.verdicts import standing
from training.report.charts import ChartView
from training.report.lift_views import mean_words, tenth_charts
from training.report.scales import Bar, Scale
from training.report.words import counted, difference, score, titled

MAX_BELOW = 0.5
"""Bars below chance are drawn to this share of the greatest height above it, then clipped."""
MIN_HEIGHT = 0.05


@dataclass(frozen=True)
class ScoreView:
    """One segmentation, or linear model, and one outcome.

    Attributes
    ----------
    name, detail, kind
        Of the row.
    score, span
        Printed.
    bar
        From chance to the score.
    standing, ahead, ahead_span
        How what is under test compares with it, in a word and figures; empty for itself.
    """

    name: str
    detail: str
    kind: str
    score: str
    span: str
    bar: Bar
    standing: str
    ahead: str
    ahead_span: str


@dataclass(frozen=True)
class OutcomeView:
    """One outcome with a bar for each row.

    Attributes
    ----------
    name, score_name, population
        What is predicted, of whom, and how it is scored.
    chance_at
        Place in percents of the score of the same guess for everybody.
    scores, linear
        Segmentations, those under test first; and linear models, likewise.
    sentences
        Verdicts on this outcome.
    tenths
        Lift by tenths of the users, or None.
    rule, model
        The best rule and the best other clustering; None where there is none.
    """

    name: str
    score_name: str
    population: str
    chance_at: float
    scores: tuple[ScoreView, ...]
    linear: tuple[ScoreView, ...]
    sentences: tuple[str, ...]
    tenths: ChartView | None
    rule: ScoreView | None
    model: ScoreView | None


@dataclass(frozen=True)
class _Table:
    """Outcomes and everything that was scored on them."""

    outcomes: tuple[OutcomeSummary, ...]
    rows: tuple[Row, ...]
    linear: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    is_within: bool = False

    def scale(self, chance: float) -> Scale:
        """From chance, or the worst score within reason, to the best end of an interval."""
        places = [p for p, outcome in enumerate(self.outcomes) if outcome.chance == chance]
        made = [r.scores[p].score for r in (*self.rows, *self.linear) for p in places]
        ends = [end for one in made for end in (one.value, one.low, one.high)]
        finite = [end for end in ends if math.isfinite(end)]
        high = max([*finite, chance + MIN_HEIGHT])
        low = max(min([*finite, chance]), chance - MAX_BELOW * (high - chance))
        return Scale(low, high)


def outcome_views(report: ValidityReport) -> list[OutcomeView]:
    """Every outcome with the bars of all rows; outcomes of one kind share a scale."""
    table = _Table(report.outcomes, report.rows, report.linear, report.notes)
    return _views(table, tenth_charts(report))


def within_views(report: ValidityReport) -> list[OutcomeView]:
    """The same among users of equal activity; empty where that was not asked."""
    within = report.within
    return (
        [] if within is None else _views(_Table(within.outcomes, within.rows, is_within=True), {})
    )


def _views(table: _Table, charts: dict[int, ChartView]) -> list[OutcomeView]:
    scales = {chance: table.scale(chance) for chance in {o.chance for o in table.outcomes}}
    return [
        _view(table, place, scale=scales[outcome.chance], tenths=charts.get(place))
        for place, outcome in enumerate(table.outcomes)
    ]


def _view(table: _Table, place: int, *, scale: Scale, tenths: ChartView | None) -> OutcomeView:
    outcome = table.outcomes[place]
    scores = _scores(table.rows, place, outcome.chance, scale=scale)
    rule, model = best_rule(table.rows, place), best_model(table.rows, place)
    return OutcomeView(
        name=outcome_name(outcome),
        score_name=outcome.score_name,
        population=_population(outcome, is_within=table.is_within),
        chance_at=scale.at(outcome.chance),
        scores=scores,
        linear=_scores(table.linear, place, outcome.chance, scale=scale),
        sentences=tuple(
            titled(note.partition(": ")[2]) for note in table.notes if _is_about(note, outcome)
        ),
        tenths=tenths,
        rule=None if rule is None else scores[table.rows.index(rule)],
        model=None if model is None else scores[table.rows.index(model)],
    )


def best_model(rows: Sequence[Row], place: int) -> Row | None:
    """The clustering beside the segments with the best score for an outcome, or None."""
    models = [row for row in rows if row.kind == "model"]
    return max(models, key=lambda row: row.scores[place].score.value, default=None)


def _scores(
    rows: Sequence[Row], place: int, chance: float, *, scale: Scale
) -> tuple[ScoreView, ...]:
    return tuple(_score_view(row, place, chance, scale=scale) for row in rows)


def _score_view(row: Row, place: int, chance: float, *, scale: Scale) -> ScoreView:
    made = row.scores[place]
    own = made.score
    groups = "" if row.n_groups is None or row.kind == "none" else counted(row.n_groups, "group")
    return ScoreView(
        row.name,
        made.rule or groups,
        row.kind,
        score(own.value),
        f"{score(own.low)} to {score(own.high)}",
        scale.bar(own.value, base=chance, low=own.low, high=own.high),
        *standing_words(made),
    )


def standing_words(made: Score) -> tuple[str, str, str]:
    """Ahead, level or behind; the difference; its interval. All empty for what is under test."""
    ahead = made.ahead
    if ahead is None:
        return "", "", ""
    span = f"{difference(ahead.low)} to {difference(ahead.high)}"
    return standing(ahead).split()[0], difference(ahead.value), span


def outcome_name(outcome: OutcomeSummary) -> str:
    """What is predicted, without the name of the score."""
    return outcome.title.removesuffix(outcome.score_name).strip()


def other_notes(report: ValidityReport) -> list[str]:
    """Sentences that are about no single outcome."""
    return [n for n in report.notes if not any(_is_about(n, o) for o in report.outcomes)]


def _is_about(note: str, outcome: OutcomeSummary) -> bool:
    return note.startswith(f"{outcome.title}: ")


def _population(outcome: OutcomeSummary, *, is_within: bool) -> str:
    mean = mean_words(outcome, outcome.mean)
    said = f"{mean} do" if outcome.kind == "auc" else f"mean {mean}"
    if is_within and outcome.kind == "r2":  # the mean of what is left without the mean is nothing
        said = "beside the mean of their band"
    return f"{counted(outcome.n_users, 'user')}, {said}"
