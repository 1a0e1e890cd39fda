"""Where users went in a refit, as a picture: what they did, then what the refit did.

Columns of segments from the left to the right, and between them ribbons as wide as the users who
went that way. Places are in percents of the picture, so that it can have any size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segmenter.segments.matching import GONE, Flow
from training.refit_report import Refit, SegmentFlow
from training.report.data import ReportData
from training.report.palette import colour_slots
from training.report.words import counted, moment, percent

GAP = 0.7
"""Between two segments of a column, in percents of the height."""
NODE_WIDTH = 1.6
"""Of a segment's bar, in percents of the width."""
MIN_LABEL = 1.6
"""A lower bar than this has no number beside it."""
NEWCOMER = 0
"""Stands for users whom the parent did not know, and for places where nobody was."""


@dataclass(frozen=True)
class NodeView:
    """A segment in a column.

    Attributes
    ----------
    label
        Its number; empty where there is no room.
    hint
        Name and users.
    left, top, height
        In percents.
    slot
        Place of its colour in the palette; None of newcomers.
    """

    label: str
    hint: str
    left: float
    top: float
    height: float
    slot: int | None


@dataclass(frozen=True)
class RibbonView:
    """Users who went from one segment to another.

    Attributes
    ----------
    path
        Its outline in a view box of 100 by 100.
    slot
        Colour of where they came from.
    stays
        Whether it is the same segment.
    hint
        Who, in words.
    """

    path: str
    slot: int | None
    stays: bool
    hint: str


@dataclass(frozen=True)
class FlowView:
    """The picture.

    Attributes
    ----------
    headings
        What each column is.
    columns
        The segments of each.
    ribbons
        Those who stay first, so that those who moved lie above them.
    sentences
        What is to be seen.
    """

    headings: tuple[str, ...]
    columns: tuple[tuple[NodeView, ...], ...]
    ribbons: tuple[RibbonView, ...]
    sentences: tuple[str, ...]


Links = Mapping[tuple[int, int], int]
"""Users by the segment in one column and in the next."""


def flow_view(data: ReportData) -> FlowView | None:
    """The picture of a refit; None of a model that is no refit."""
    refit = None if data.refit is None else Refit.from_json(data.refit)
    if refit is None or refit.segments is None:
        return None
    found = refit.segments
    steps = [links for links in (_links(found.behavior), _links(found.flow)) if links]
    names = {segment["id"]: segment["name"] for segment in data.segments}
    label, then = refit.parent["label"], moment(refit.parent["as_of"])[:10]
    by_parent = (f"{then}, by {label}", f"today, by {label}")
    headings = (*by_parent[2 - len(steps) :], "today, by the refit")
    columns, ribbons = _laid_out(steps, names)
    return FlowView(headings, columns, ribbons, _sentences(found, data))


def _links(rows: Sequence[Flow]) -> dict[tuple[int, int], int]:
    """Users by both segments, each pair once; what is gone goes nowhere."""
    found: dict[tuple[int, int], int] = {}
    for row in rows:
        pair = (row.old_id or NEWCOMER, row.new_id or NEWCOMER)
        if row.kind != GONE and pair not in found:
            found[pair] = row.users
    return found


def _laid_out(
    steps: Sequence[Links], names: Mapping[int, str]
) -> tuple[tuple[tuple[NodeView, ...], ...], tuple[RibbonView, ...]]:
    """Bars of every column and the ribbons between them."""
    sizes = [_sizes(steps, place) for place in range(len(steps) + 1)]
    ids = sorted(set().union(*sizes) - {NEWCOMER})
    slots = colour_slots(ids)
    most = max(len(column) for column in sizes)
    scale = (100 - GAP * (most - 1)) / max(sum(column.values()) for column in sizes)
    nodes = [_column(column, scale) for column in sizes]
    lefts = [place * (100 - NODE_WIDTH) / len(steps) for place in range(len(sizes))]
    columns = tuple(
        tuple(
            NodeView(
                label="" if not number or height < MIN_LABEL else str(number),
                hint=f"{_spoken(number, names)}: {counted(sizes[place][number], 'user')}",
                left=round(lefts[place], 2),
                top=round(top, 2),
                height=round(height, 2),
                slot=slots.get(number),
            )
            for number, (top, height) in column.items()
        )
        for place, column in enumerate(nodes)
    )
    ribbons: list[RibbonView] = []
    for place, links in enumerate(steps):
        ends = lefts[place] + NODE_WIDTH, lefts[place + 1]
        ribbons += _ribbons(links, (nodes[place], nodes[place + 1]), scale=scale, ends=ends)
    told = [
        RibbonView(one.path, slots.get(one.slot or NEWCOMER), one.stays, one.hint)
        for one in ribbons
    ]
    return columns, tuple(sorted(told, key=lambda one: not one.stays))


def _sizes(steps: Sequence[Links], place: int) -> dict[int, int]:
    """Users of each segment of a column: the more of those who come and those who leave."""
    into: dict[int, int] = {}
    out: dict[int, int] = {}
    for links, side, total in (
        (steps[place - 1] if place else {}, 1, into),
        (steps[place] if place < len(steps) else {}, 0, out),
    ):
        for pair, users in links.items():
            total[pair[side]] = total.get(pair[side], 0) + users
    return {number: max(into.get(number, 0), out.get(number, 0)) for number in into | out}


def _column(sizes: Mapping[int, int], scale: float) -> dict[int, tuple[float, float]]:
    """Top and height of each segment in the order of the ids, newcomers last."""
    top, found = 0.0, {}
    for number in sorted(sizes, key=lambda number: (number == NEWCOMER, number)):
        found[number] = (top, sizes[number] * scale)
        top += sizes[number] * scale + GAP
    return found


def _ribbons(
    links: Links,
    nodes: tuple[Mapping[int, tuple[float, float]], Mapping[int, tuple[float, float]]],
    *,
    scale: float,
    ends: tuple[float, float],
) -> list[RibbonView]:
    """Ribbons between two columns; the slot is the id of the source until colours are known."""
    reached = [{number: top for number, (top, _) in column.items()} for column in nodes]
    ribbons = []
    order = sorted(links, key=lambda pair: (pair[0] == NEWCOMER, *pair))
    tops: dict[tuple[int, int], list[float]] = {}
    for side in (0, 1):
        for pair in sorted(order, key=lambda pair: (pair[side], pair[1 - side])):
            tops.setdefault(pair, []).append(reached[side][pair[side]])
            reached[side][pair[side]] += links[pair] * scale
    for pair in order:
        users = links[pair]
        hint = f"{pair[0] or 'new'} to {pair[1]}: {counted(users, 'user')}"
        path = _path(ends, tops[pair], users * scale)
        ribbons.append(RibbonView(path, pair[0], pair[0] == pair[1], hint))
    return ribbons


def _path(ends: tuple[float, float], tops: Sequence[float], height: float) -> str:
    """A ribbon that leaves and arrives level."""
    (x, far), (top, arrival) = ends, tops
    middle = (x + far) / 2
    return (
        f"M{x:.2f} {top:.2f}C{middle:.2f} {top:.2f} {middle:.2f} {arrival:.2f} {far:.2f} "
        f"{arrival:.2f}V{arrival + height:.2f}C{middle:.2f} {arrival + height:.2f} {middle:.2f} "
        f"{top + height:.2f} {x:.2f} {top + height:.2f}Z"
    )


def _spoken(number: int, names: Mapping[int, str]) -> str:
    """A segment by number and name; newcomers by that word."""
    if not number:
        return "New"
    return f"{number} {names.get(number, '(gone)')}"


def _sentences(found: SegmentFlow, data: ReportData) -> tuple[str, ...]:
    """What the picture shows, in words."""
    moved = 1 - found.behavior_share
    first = (
        f"{percent(moved)} of the {counted(found.n_known, 'user')} known then are elsewhere today "
        "by what they did, as the earlier model itself sees it"
    )
    second = (
        f"the refit keeps {percent(found.kept_share)} of them where that model puts them on the "
        f"same events, among {counted(data.n_users, 'user')} today"
    )
    if not found.departures:
        return (f"{first}; {second}.", "The new data refute none of the earlier segments.")
    return (f"{first}; {second}.", *(f"{departure.text}." for departure in found.departures))
