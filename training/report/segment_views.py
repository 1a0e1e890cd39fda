"""Segments as the page shows them: sizes, and each fact as a pair of bars."""

from collections.abc import Iterable
from dataclasses import dataclass

from segmenter.segments.hierarchy import SEGMENT
from segmenter.segments.segment import SHARE, Fact, Segment
from training.report.data import ReportData
from training.report.palette import colour_slots
from training.report.scales import Bar, Scale
from training.report.words import amount, percent, spoken, titled

SHARE_TOPS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Right ends of the scale that all shares of a report have in common."""


@dataclass(frozen=True)
class FactView:
    """A fact in words and as two bars.

    Attributes
    ----------
    label, unit
        What, and how it is counted; shares are of users, and need no unit.
    here, elsewhere, span
        Printed figures; `span` is the interval of `here`.
    n_users
        Members who did it, as printed.
    here_bar, elsewhere_bar
        On one scale.
    """

    label: str
    unit: str
    here: str
    elsewhere: str
    span: str
    n_users: str
    here_bar: Bar
    elsewhere_bar: Bar

    @property
    def line(self) -> str:
        """The fact on one line."""
        return f"{self.label}: {self.here}, elsewhere {self.elsewhere}"


@dataclass(frozen=True)
class SegmentView:
    """A segment as the page shows it.

    Attributes
    ----------
    segment
        As published.
    slot
        Place of its colour in the palette.
    name
        Its name, or its number where it has none.
    core_share
        Share of its members in its dense core, in [0, 1].
    share_bar
        Its size beside the largest segment.
    facts
        What sets it apart.
    """

    segment: Segment
    slot: int
    name: str
    core_share: float
    share_bar: Bar
    facts: tuple[FactView, ...]


def segment_views(data: ReportData, *, level: str = SEGMENT) -> list[SegmentView]:
    """The segments of a level of a report in their own order."""
    above = data.hierarchy
    rows = data.segments if level == SEGMENT or above is None else above[f"{level}s"]
    segments = [Segment.from_json(plain) for plain in rows]
    slots = colour_slots(segment.id for segment in segments)
    sizes = Scale(0.0, max((segment.share for segment in segments), default=1.0))
    facts = FactScales(fact for segment in segments for fact in segment.facts)
    return [
        SegmentView(
            segment,
            slots[segment.id],
            " ".join(segment.name.split()) or f"Segment {segment.id}",
            min(1.0, segment.n_core / max(segment.n_users, 1)),
            sizes.bar(segment.share, base=0.0, low=0.0, high=0.0),
            tuple(facts.view(fact) for fact in segment.facts),
        )
        for segment in segments
    ]


class FactScales:
    """One scale for all shares and one for each number, so that bars compare between segments.

    Parameters
    ----------
    facts
        Every fact of a report.
    """

    def __init__(self, facts: Iterable[Fact]) -> None:
        spans: dict[str, tuple[float, float]] = {}
        for fact in facts:
            low, high = spans.get(_scale_name(fact), (0.0, 0.0))
            values = (fact.here, fact.elsewhere, fact.low, fact.high)
            spans[_scale_name(fact)] = min(low, *values), max(high, *values)
        self.scales = {name: Scale(*span) for name, span in spans.items()}
        if "" in self.scales:
            most = self.scales[""].high
            self.scales[""] = Scale(0.0, next((top for top in SHARE_TOPS if top >= most), 1.0))

    def view(self, fact: Fact) -> FactView:
        """A fact in words and bars."""
        scale, printed = self.scales[_scale_name(fact)], percent if fact.kind == SHARE else amount
        is_share = fact.kind == SHARE
        return FactView(
            label=spoken(fact.value) if is_share else titled(fact.field),
            unit="" if is_share else "median",
            here=printed(fact.here),
            elsewhere=printed(fact.elsewhere),
            span=f"{printed(fact.low)} to {printed(fact.high)}",
            n_users=f"{fact.n_users:,}",
            here_bar=scale.bar(fact.here, base=0.0, low=fact.low, high=fact.high),
            elsewhere_bar=scale.bar(fact.elsewhere, base=0.0, low=0.0, high=0.0),
        )


def _scale_name(fact: Fact) -> str:
    """Shares have one scale in common, under no name."""
    return "" if fact.kind == SHARE else fact.field
