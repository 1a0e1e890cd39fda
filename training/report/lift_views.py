"""What each segment did later, on a scale of doublings; and lift by tenths of the users."""

import math
from dataclasses import dataclass

from segmenter.validity.lift import Interval
from segmenter.validity.rows import Lift, OutcomeSummary
from segmenter.validity.validity_report import SEGMENTS, ValidityReport
from training.report.charts import ChartView, line_chart
from training.report.scales import Scale
from training.report.words import DASH, TIMES, amount, counted, percent

MAX_DOUBLINGS = 4.0
"""Lifts are drawn from one sixteenth to sixteen times."""


@dataclass(frozen=True)
class LiftView:
    """What the members of a segment did later, beside everybody.

    Attributes
    ----------
    lift, span
        Printed.
    at, low, high
        Places in percents on a scale of doublings, everybody in the middle.
    is_apart
        Whether the interval leaves out "as everybody".
    hint
        The figures behind it.
    """

    lift: str
    span: str
    at: float
    low: float
    high: float
    is_apart: bool
    hint: str


def lift_views(report: ValidityReport) -> dict[int, list[LiftView | None]]:
    """Segment id to one lift per outcome, None where nobody is a member."""
    scale = _scale(report)
    return {
        part.segment_id: [
            None if lift.lift is None else _view(lift, lift.lift, outcome, scale=scale)
            for lift, outcome in zip(part.lifts, report.outcomes, strict=True)
        ]
        for part in report.segments
    }


def lift_ticks(report: ValidityReport) -> list[tuple[float, str]]:
    """Places in percents and labels of the scale of lifts: both ends and the middle."""
    scale = _scale(report)
    most = round(2**scale.high)
    labels = ((scale.low, f"1/{most}"), (0.0, f"1{TIMES}"), (scale.high, f"{most}{TIMES}"))
    return [(scale.at(end), label) for end, label in labels]


def tenth_charts(report: ValidityReport) -> dict[int, ChartView]:
    """Place of an outcome to its chart of lift by tenths of the users.

    Parameters
    ----------
    report
        Its curves are of the segments and of rules; the best rule on an outcome is shown.
    """
    charts = {}
    for place in sorted({curve.outcome for curve in report.curves}):
        curves = _curves(report, place)
        charts[place] = line_chart(
            "Lift by tenths of the users",
            {name: [lift.value for lift in lifts] for name, lifts in curves.items()},
            accent=SEGMENTS,
            bands={
                name: [(lift.low, lift.high) for lift in lifts]
                for name, lifts in curves.items()
                if name == SEGMENTS
            },
            mark=1.0,
        )
    return charts


def _curves(report: ValidityReport, place: int) -> dict[str, tuple[Interval, ...]]:
    """Name to lifts: the segments and the best rule on one outcome, or every rule without it."""
    curves = {curve.name: curve.lifts for curve in report.curves if curve.outcome == place}
    rule = report.best_rule(place)
    if rule is None or rule.name not in curves:
        return curves
    return {name: lifts for name, lifts in curves.items() if name in {SEGMENTS, rule.name}}


def mean_words(outcome: OutcomeSummary, mean: float) -> str:
    """A mean of an outcome in its natural unit."""
    if outcome.kind == "auc":
        return percent(mean)
    return f"{amount(mean)} of {outcome.n_parts}" if outcome.n_parts > 1 else amount(mean)


def _scale(report: ValidityReport) -> Scale:
    """A whole number of doublings to each side, as many as the lifts need."""
    lifts = [lift.lift for part in report.segments for lift in part.lifts]
    seen = [abs(math.log2(lift.value)) for lift in lifts if lift and lift.value > 0]
    end = min(MAX_DOUBLINGS, max(1.0, math.ceil(max(seen, default=1.0))))
    return Scale(-end, end)


def _view(lift: Lift, made: Interval, outcome: OutcomeSummary, *, scale: Scale) -> LiftView:
    later, forecast = mean_words(outcome, lift.mean), mean_words(outcome, lift.predicted)
    return LiftView(
        lift=f"{_times(made.value)}{TIMES}",
        span=f"{_times(made.low)}{DASH}{_times(made.high)}",
        at=scale.at(_doublings(made.value)),
        low=scale.at(_doublings(made.low)),
        high=scale.at(_doublings(made.high)),
        is_apart=not made.low <= 1 <= made.high,
        hint=f"{counted(lift.n_users, 'member')}: {later}; "
        f"the others of the segment said {forecast}",
    )


def _times(lift: float) -> str:
    """A lift with as many decimals as tell a little from nothing."""
    decimals = 0 if lift == 0 or lift >= 10 else 1 if lift >= 0.095 else 2
    return f"{lift:,.{decimals}f}"


def _doublings(lift: float) -> float:
    return math.log2(lift) if lift > 0 else -MAX_DOUBLINGS
