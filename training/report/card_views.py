"""A card per segment: how well it holds, its rule, sensitive topics, and its journeys."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from segmenter.segments.journeys import Step, Transition
from segmenter.segments.segment import Flag, Segment
from training.report.data import ReportData
from training.report.segment_views import SegmentView, segment_views
from training.report.words import TIMES, percent, score, spoken
from training.typical import SegmentJourneys

GROUP_WORDS = {
    "core": "core",
    "voted": "voted",
    "second": "second choice as good",
    "outsider": "outsiders",
}


@dataclass(frozen=True)
class TransitionView:
    """What comes next, in words.

    Attributes
    ----------
    before, after
        The two event types.
    here, elsewhere
        Printed shares of users' next events.
    lift
        How many times that is; empty where it never happens elsewhere.
    span
        Interval of `here`.
    """

    before: str
    after: str
    here: str
    elsewhere: str
    lift: str
    span: str


@dataclass(frozen=True)
class CardView:
    """A segment's card.

    Attributes
    ----------
    view
        The segment as the table shows it.
    stability
        Printed; empty where it is not known.
    groups
        Name and printed share of each group of members; empty where they are not known.
    rule
        The rule with its fidelity; empty where there is none.
    flags
        Sensitive topics with their evidence.
    transitions
        What comes next unlike elsewhere.
    journeys
        Typical users, a text per day.
    """

    view: SegmentView
    stability: str
    groups: tuple[tuple[str, str], ...]
    rule: str
    flags: tuple[Flag, ...]
    transitions: tuple[TransitionView, ...]
    journeys: tuple[tuple[str, ...], ...]


def card_views(data: ReportData) -> list[CardView]:
    """The cards of a report in the order of its segments; of earlier versions what there is."""
    return [_card(view, data.portrait or {}) for view in segment_views(data)]


def stability_words(segment: Segment) -> str:
    """How stable a segment is, such as ``stable .67``; empty where that is not known."""
    if segment.stability is None:
        return ""
    word = "unstable" if segment.is_unstable else "stable"
    return f"{word} {score(segment.stability)}"


def _card(view: SegmentView, portrait: Mapping[str, Any]) -> CardView:
    segment = view.segment
    number = str(segment.id)
    groups = portrait.get("segments", {}).get(number, {})
    told = portrait.get("journeys", {}).get(number)
    found = SegmentJourneys((), ()) if told is None else SegmentJourneys.from_json(told)
    return CardView(
        view=view,
        stability=stability_words(segment),
        groups=_groups(groups),
        rule="" if segment.rule is None else segment.rule.text,
        flags=segment.flags,
        transitions=tuple(_transition(one) for one in found.transitions),
        journeys=tuple(
            tuple(_calm(step).text for step in journey.steps) for journey in found.exemplars
        ),
    )


def _calm(step: Step) -> Step:
    """The day with its values as a person would write them."""
    return replace(step, things=tuple((spoken(label), n) for label, n in step.things))


def _groups(users: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    """Shares of the members in each group."""
    total = max(sum(users.values()), 1)
    return tuple((GROUP_WORDS[name], percent(n / total)) for name, n in users.items())


def _transition(one: Transition) -> TransitionView:
    return TransitionView(
        before=spoken(one.before),
        after=spoken(one.after),
        here=percent(one.share),
        elsewhere=percent(one.elsewhere),
        lift="" if one.lift is None else f"{one.lift:.1f}{TIMES}",
        span=f"{percent(one.low)} to {percent(one.high)}",
    )
