"""How the number of segments was chosen: every level that was tried, as lines and as a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.report.scales import Scale
from training.report.words import counted, score, titled
from training.selection import PLAIN

NEAR_BEST = 1.0
"""Standard errors: levels not farther behind the best one count as good as it."""
ROOM_FOR_TICK = 6.5
"""Percent of a chart's width that a number below it needs."""
ROOM_FOR_NAME = 9.0
"""Percent of a chart's height that a name beside it needs."""
EDGE = 5.0
"""Percent of a chart that stays free around its lines."""

Level = Mapping[str, Any]
"""Plain form of a `training.selection.Level`."""


@dataclass(frozen=True)
class DotView:
    """One level in a chart.

    Attributes
    ----------
    x, y
        Percents from the left and from the top.
    mark
        ``"published"``, ``"near"`` the best, ``"short"`` of it, or empty where that is no matter.
    hint
        The level in words.
    """

    x: float
    y: float
    mark: str
    hint: str


@dataclass(frozen=True)
class LevelLine:
    """All levels at one taste weight.

    Attributes
    ----------
    name
        The weight, printed.
    name_at
        Percents from the top of its name, which stands apart from other names.
    is_published
        Whether the published level is one of them.
    dots
        From few segments to many.
    """

    name: str
    name_at: float
    is_published: bool
    dots: tuple[DotView, ...]

    @property
    def path(self) -> str:
        """The dots as SVG wants them, in a view box of 100 by 100."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


@dataclass(frozen=True)
class LevelChart:
    """One quantity against the number of segments.

    Attributes
    ----------
    title, detail
        What it is, and how it reads.
    lines
        One per taste weight, the published one last.
    across, up
        Places in percents and labels of the scales: numbers of segments, and the quantity.
    published_at
        Percents from the left of the published level.
    value
        Of the published level, printed.
    """

    title: str
    detail: str
    lines: tuple[LevelLine, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    published_at: float
    value: str


@dataclass(frozen=True)
class LevelRow:
    """One level, printed: the cells of its row in the table, and whether it was published."""

    cells: tuple[str, ...]
    is_published: bool


@dataclass(frozen=True)
class LevelsView:
    """How the published level came about.

    Attributes
    ----------
    sentences
        What was done, and what was not looked at.
    charts
        Validity, where it was measured, and stability; empty where one number of segments was
        tried.
    rows
        Every level.
    was_judged
        Whether there was an earlier window to measure validity in.
    n_weights
        Taste weights that were tried.
    """

    sentences: tuple[str, ...]
    charts: tuple[LevelChart, ...]
    rows: tuple[LevelRow, ...]
    was_judged: bool
    n_spaces: int


def levels_view(levels: Sequence[Level]) -> LevelsView:
    """Lay out every level that was tried.

    Parameters
    ----------
    levels
        Plain forms of levels, exactly one of them chosen.
    """
    (published,) = (level for level in levels if level["chosen"])
    was_judged = published["validity"] is not None
    charts: tuple[LevelChart, ...] = ()
    if len({level["n_segments"] for level in levels}) > 1:
        charts = (_chart("stability", levels, published),)
        if was_judged:
            charts = (_chart("validity", levels, published), *charts)
    return LevelsView(
        sentences=_sentences(levels, published),
        charts=charts,
        rows=tuple(LevelRow(_cells(level), level["chosen"]) for level in levels),
        was_judged=was_judged,
        n_spaces=len({_space(level) for level in levels}),
    )


def _sentences(levels: Sequence[Level], published: Level) -> tuple[str, ...]:
    what = f"{counted(published['n_segments'], 'segment')} at taste weight {_weight(published)}"
    tried = f"one level was tried: {what}."
    if published["validity"] is None:
        why = "There is no earlier window inside the training period to measure validity in"
        default = f"of those nearest to the default number the most stable is published: {what}."
        return (f"{why}; {tried if len(levels) == 1 else default}",)
    told = (
        "Validity is measured in an earlier window inside the training period, never on the "
        "outcomes reported below."
    )
    if len(levels) == 1:
        return (titled(tried), told)
    near = sum(level["behind"] <= NEAR_BEST for level in levels)
    rule = f"{near} lie within one standard error of the best, and the most stable of these is"
    if near == 1:
        rule = "no other lies within one standard error of the best, which is"
    return (f"Of {counted(len(levels), 'level')} tried, {rule} published: {what}.", told)


DETAILS = {
    "validity": "what segments predict: 0 the same guess for everybody, 1 a perfect one",
    "stability": "agreement of segments made from two halves of the users: 0 chance, 1 the same",
}


def _chart(quantity: str, levels: Sequence[Level], published: Level) -> LevelChart:
    values = [level[quantity] for level in levels]
    low, high = min(values), max(values)
    across = _doublings(levels)
    up = Scale(low, high) if high > low else Scale(low - 0.05, high + 0.05)
    spaces = sorted({_space(level) for level in levels} - {_space(published)})
    lines = [
        _line(quantity, [one for one in levels if _space(one) == space], across, up=up)
        for space in (*spaces, _space(published))
    ]
    return LevelChart(
        title=quantity,
        detail=DETAILS[quantity],
        lines=_spread(lines),
        across=tuple(_ticks_across(levels, published, across)),
        up=tuple((_down(up.at(tick)), label) for tick, label in up.ticks()),
        published_at=_inside(across.at(math.log2(published["n_segments"]))),
        value=_thousandths(published[quantity]),
    )


def _line(quantity: str, levels: Sequence[Level], across: Scale, *, up: Scale) -> LevelLine:
    ordered = sorted(levels, key=lambda level: level["n_segments"])
    dots = tuple(
        DotView(
            x=_inside(across.at(math.log2(level["n_segments"]))),
            y=_down(up.at(level[quantity])),
            mark=_mark(level),
            hint=f"{counted(level['n_segments'], 'segment')} at taste weight {_weight(level)}: "
            f"{quantity} {_thousandths(level[quantity])}",
        )
        for level in ordered
    )
    is_published = any(level["chosen"] for level in levels)
    first = ordered[0]
    name = _weight(first) if first["metric"] == PLAIN else first["metric"]
    return LevelLine(name, dots[-1].y, is_published, dots)


def _mark(level: Level) -> str:
    if level["chosen"]:
        return "published"
    if level["behind"] is None:
        return ""
    return "near" if level["behind"] <= NEAR_BEST else "short"


def _doublings(levels: Sequence[Level]) -> Scale:
    """Numbers of segments on a scale of doublings: from 4 to 8 is as far as from 8 to 16."""
    numbers = [math.log2(level["n_segments"]) for level in levels]
    return Scale(min(numbers), max(numbers))


def _ticks_across(
    levels: Sequence[Level], published: Level, across: Scale
) -> list[tuple[float, str]]:
    """Numbers of segments that have room, the published one and the ends before the others."""
    numbers = sorted({level["n_segments"] for level in levels})
    first = (published["n_segments"], numbers[0], numbers[-1])
    kept: dict[int, float] = {}
    for number in (*first, *numbers):
        at = _inside(across.at(math.log2(number)))
        if all(abs(at - other) >= ROOM_FOR_TICK for other in kept.values()):
            kept[number] = at
    return [(at, str(number)) for number, at in sorted(kept.items())]


def _spread(lines: Sequence[LevelLine]) -> tuple[LevelLine, ...]:
    """Names pushed apart from above to below, then back up from the lower edge."""
    order = sorted(range(len(lines)), key=lambda place: lines[place].name_at)
    at = [lines[place].name_at for place in order]
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + ROOM_FOR_NAME)
    at = [min(place, 100.0 - ROOM_FOR_NAME * (len(at) - 1 - i)) for i, place in enumerate(at)]
    moved = dict(zip(order, at, strict=True))
    return tuple(replace(line, name_at=round(moved[place], 2)) for place, line in enumerate(lines))


def _cells(level: Level) -> tuple[str, ...]:
    judged = level["validity"] is not None
    return (
        str(level["n_segments"]),
        _weight(level),
        *((_thousandths(level["validity"]), _behind(level["behind"])) if judged else ()),
        _thousandths(level["stability"]),
        f"{level['smallest']:,}",
    )


def _thousandths(value: float) -> str:
    return score(value, n_decimals=3)


def _behind(behind: float) -> str:
    return "best" if behind == 0 else f"{behind:,.1f}"


def _space(level: Level) -> tuple[float, str]:
    """The space that a level lies in."""
    return level["taste_weight"], level["metric"]


def _weight(level: Level) -> str:
    """Name of a level's space: its taste weight, marked where distance is what is forecast."""
    weight = f"{level['taste_weight']:g}".removeprefix("0") or "0"
    return weight if level["metric"] == PLAIN else f"{weight} {level['metric']}"


def _inside(percent: float) -> float:
    return round(EDGE + (100 - 2 * EDGE) * percent / 100, 2)


def _down(percent: float) -> float:
    return round(100 - _inside(percent), 2)
