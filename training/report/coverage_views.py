"""How firmly the segments hold their users: four groups, outsiders, and what strength means."""

from dataclasses import dataclass

from segmenter.segments.calibration import Calibration
from segmenter.segments.outsiders import Outsiders
from training.report.charts import ChartView, line_chart
from training.report.data import ReportData
from training.report.words import percent

GROUP_HINTS = {
    "core": "near the middle of their segment",
    "voted": "nearer to their segment than to any other",
    "second": "almost as near to their second choice",
    "outsider": "outsiders, farther out than any segment reaches",
}
KEPT, TOLD = "kept", "strength"


@dataclass(frozen=True)
class GroupView:
    """One group of users.

    Attributes
    ----------
    name, hint
        Of the group.
    users, share
        Printed.
    part
        In [0, 1].
    """

    name: str
    hint: str
    users: str
    share: str
    part: float


@dataclass(frozen=True)
class CoverageView:
    """What is told of all users together.

    Attributes
    ----------
    groups
        The four groups.
    outsiders
        What is odd about those who belong to no segment, a sentence each.
    strength
        Kept shares by strength; None where it was not measured.
    strength_text
        The measure in words.
    """

    groups: tuple[GroupView, ...]
    outsiders: tuple[str, ...]
    strength: ChartView | None
    strength_text: str


def coverage_view(data: ReportData) -> CoverageView | None:
    """The groups of a report; None of earlier versions."""
    if data.portrait is None:
        return None
    groups = data.portrait["groups"]
    total = max(sum(groups.values()), 1)
    outsiders = Outsiders.from_json(data.portrait["outsiders"])
    told = data.portrait["calibration"]
    found = None if told is None else Calibration.from_json(told)
    return CoverageView(
        groups=tuple(
            GroupView(name, GROUP_HINTS[name], f"{users:,}", percent(users / total), users / total)
            for name, users in groups.items()
        ),
        outsiders=(outsiders.text, *(one.text for one in outsiders.oddities)),
        strength=None if found is None else _reliability(found),
        strength_text="" if found is None else found.text,
    )


def _reliability(found: Calibration) -> ChartView:
    """Share that keeps its segment by strength, beside strength itself."""
    lines = {
        TOLD: [one.strength for one in found.bins],
        KEPT: [one.kept for one in found.bins],
    }
    return line_chart("Share that keeps its segment, by strength", lines, accent=KEPT)
