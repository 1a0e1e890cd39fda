"""A validity report as plain tables of text, which the terminal and the page both print."""

from collections.abc import Sequence
from dataclasses import dataclass

from segmenter.validity.lift import Interval
from segmenter.validity.rows import (
    Lift,
    LiftCurve,
    OutcomeSummary,
    Row,
    Score,
    best_rule,
    figure,
)
from segmenter.validity.validity_report import ValidityReport
from segmenter.validity.verdicts import standing

MARKS = {"ahead of": "+", "level with": "=", "behind": "-"}
"""How the row under test stands beside another one."""


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    title
        What it shows.
    columns
        Heads.
    rows
        Cells, as many as heads in each row.
    note
        How to read it; may be empty.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def to_dicts(self) -> list[dict[str, str]]:
        """Each row by its heads."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def validity_tables(report: ValidityReport) -> list[Table]:
    """Every table that the report has something for, in the order in which they are read."""
    if not report.outcomes:
        return []
    made = [segmentation_table(report)]
    if report.linear:
        made.append(linear_table(report))
    if report.within is not None:
        made.append(activity_table(report))
        if report.within.outcomes:
            made.append(within_table(report))
    return [*made, lift_table(report, 0), tenths_table(report, 0)]


def segmentation_table(report: ValidityReport) -> Table:
    """What each segmentation predicts: a line per outcome, a column per segmentation."""
    return _scores(
        "What the segments predict",
        report.outcomes,
        report.rows,
        note=_marks_note("the segments", report.confidence),
    )


def linear_table(report: ValidityReport) -> Table:
    """What linear models predict, beside the best rule: a line per outcome."""
    plain = _scores("What the embedding predicts", report.outcomes, report.linear)
    over = []
    for place in range(len(report.outcomes)):
        rule, difference = best_rule(report.rows, place), report.linear[0].scores[place].over_rule
        over.append("" if rule is None else f"{_rule_name(rule, place)} {_difference(difference)}")
    return Table(
        plain.title,
        (*plain.columns, "embedding less the best rule"),
        tuple((*row, cell) for row, cell in zip(plain.rows, over, strict=True)),
        note=f"Linear models, out of fold. {_marks_note('the embedding', report.confidence)}",
    )


def within_table(report: ValidityReport) -> Table:
    """What each segmentation predicts among users of equal activity: a line per outcome."""
    within = report.within
    assert within is not None, "asked for a control that was not made"
    return _scores(
        "Within activity deciles",
        within.outcomes,
        within.rows,
        note=(
            "R2 is of what the mean of the user's decile leaves; an AUC compares users of one "
            f"decile. {_marks_note('the segments', report.confidence)}"
        ),
    )


def activity_table(report: ValidityReport) -> Table:
    """How much of each segmentation activity alone explains."""
    within = report.within
    assert within is not None, "asked for a control that was not made"
    return Table(
        "How much of the segmentation is activity",
        ("segmentation", "told by the activity decile", "variance of log activity between"),
        tuple(
            (share.name, _percent(share.information), _percent(share.variance))
            for share in within.shares
        ),
        note="The first is mutual information over the entropy of the segments.",
    )


def lift_table(report: ValidityReport, place: int) -> Table:
    """What the members of each segment did on one outcome."""
    outcome = report.outcomes[place]
    return Table(
        f"{outcome.label} by segment",
        ("segment", "users", "asked", "mean", "expected", "lift"),
        tuple(
            (
                str(segment.segment_id),
                f"{segment.n_users:,}",
                f"{segment.lifts[place].n_users:,}",
                *_lift_cells(segment.lifts[place]),
            )
            for segment in report.segments
        ),
        note=(
            f"Mean of all {outcome.n_users:,} users asked: {_amount(outcome.mean)}. Expected: the "
            "smoothed mean of the other members. Lift: the mean relative to that of all, with "
            f"its {_percent(report.confidence)} interval."
        ),
    )


def tenths_table(report: ValidityReport, place: int) -> Table:
    """Lift of each tenth of the users on one outcome, best tenth first."""
    curves = [curve for curve in report.curves if curve.outcome == place]
    return Table(
        f"{report.outcomes[place].label} by tenths of the users",
        ("tenth", *(curve.name for curve in curves)),
        tuple(
            (str(tenth + 1), *(_span(curve.lifts[tenth]) for curve in curves))
            for tenth in range(_n_tenths(curves))
        ),
        note="Users in the order of what was expected of them; 1.00 is the mean of all.",
    )


def _n_tenths(curves: Sequence[LiftCurve]) -> int:
    return len(curves[0].lifts) if curves else 0


def _scores(
    title: str, outcomes: Sequence[OutcomeSummary], rows: Sequence[Row], *, note: str = ""
) -> Table:
    heads = (f"{row.name} ({row.n_groups})" if row.n_groups else row.name for row in rows)
    return Table(
        title,
        ("outcome", "users", *heads),
        tuple(
            (
                outcome.title,
                f"{outcome.n_users:,}",
                *(_score(row.scores[place]) for row in rows),
            )
            for place, outcome in enumerate(outcomes)
        ),
        note,
    )


def _score(score: Score) -> str:
    """A score; with its interval under test, else with how the tested one stands beside it."""
    if score.ahead is None:
        return f"{figure(score.score.value)} ({_ends(score.score)})"
    return f"{figure(score.score.value)} {MARKS[standing(score.ahead)]}"


def _ends(interval: Interval) -> str:
    return f"{figure(interval.low)} to {figure(interval.high)}"


def _rule_name(row: Row, place: int) -> str:
    rule = row.scores[place].rule
    return f"{row.name} ({rule})" if rule else row.name


def _difference(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def _marks_note(what: str, confidence: float) -> str:
    return (
        f"{MARKS['ahead of']} {what} ahead of it, {MARKS['level with']} level, {MARKS['behind']} "
        f"behind, by the {_percent(confidence)} interval of the paired difference."
    )


def _lift_cells(lift: Lift) -> tuple[str, str, str]:
    if lift.lift is None:
        return "", "", ""
    return _amount(lift.mean), _amount(lift.predicted), _span(lift.lift)


def _span(interval: Interval) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")
