"""Training curves: one chart per stage, and a small one per term of its loss."""

from collections.abc import Mapping
from dataclasses import dataclass

from training.report.charts import ChartView, line_chart

TRAIN, VALIDATION = "train", "validation"
LOSS = "loss"


@dataclass(frozen=True)
class StageView:
    """One training stage: its loss, and the terms that the loss adds up."""

    name: str
    loss: ChartView | None
    terms: tuple[ChartView, ...]


def stage_views(curves: Mapping[str, Mapping[str, list[float]]]) -> list[StageView]:
    """Charts of every stage that has values.

    Parameters
    ----------
    curves
        Stage, then metric, to one value per pass; metrics are named ``train loss``,
        ``validation loss`` and so on.
    """
    views = []
    for stage, metrics in curves.items():
        charts = {term: _chart(term, lines) for term, lines in _by_term(metrics).items()}
        shown = {term: chart for term, chart in charts.items() if chart.lines}
        loss = shown.pop(LOSS, None)
        if loss or shown:
            views.append(StageView(stage, loss, tuple(shown.values())))
    return views


def _by_term(metrics: Mapping[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    """Term to its lines; a metric of another name is a term with one line."""
    terms: dict[str, dict[str, list[float]]] = {}
    for metric, values in metrics.items():
        part, _, term = metric.partition(" ")
        if part in (TRAIN, VALIDATION) and term:
            terms.setdefault(term, {})[part] = values
        else:
            terms.setdefault(metric, {})[metric] = values
    return terms


def _chart(term: str, lines: Mapping[str, list[float]]) -> ChartView:
    return line_chart(term, lines, accent=VALIDATION)
