"""Small line charts as inline pictures: points in a view box, labels beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.report.scales import Scale

WIDTH, HEIGHT, EDGE = 300.0, 100.0, 6.0
"""Size of a chart and its inner edge, in the units of its view box."""

Band = Sequence[tuple[float, float]]
"""Lower and upper end of an interval at each place of a line."""


@dataclass(frozen=True)
class LineView:
    """One line of a chart.

    Attributes
    ----------
    name
        What it is of.
    is_accent
        Whether the reader should look at it first.
    points
        In the view box.
    band
        Corners of the area between the ends of its intervals, as SVG wants them; or empty.
    last
        Its last value, printed.
    """

    name: str
    is_accent: bool
    points: tuple[tuple[float, float], ...]
    band: str
    last: str

    @property
    def path(self) -> str:
        """The points as SVG wants them."""
        return _joined(self.points)


@dataclass(frozen=True)
class ChartView:
    """A chart: lines on one scale, and the values at its lower and upper edge.

    Attributes
    ----------
    title
        What it shows.
    lines
        Those that have a point.
    low, high
        Printed values of the edges.
    n_places
        Values of the longest line.
    mark
        Height in the view box of a value to compare with, or None.
    """

    title: str
    lines: tuple[LineView, ...]
    low: str
    high: str
    n_places: int
    mark: float | None = None


def line_chart(
    title: str,
    lines: Mapping[str, Sequence[float]],
    *,
    accent: str,
    bands: Mapping[str, Band] | None = None,
    mark: float | None = None,
) -> ChartView:
    """Lay out lines of one quantity.

    Parameters
    ----------
    title
        What the chart shows.
    lines
        Name to values; values that are no numbers leave a gap.
    accent
        Name of the line to look at first; drawn last.
    bands
        Name to the intervals around its line.
    mark
        A value to compare with, always inside the chart.
    """
    bands = bands or {}
    seen = [value for values in lines.values() for value in values]
    seen += [end for band in bands.values() for ends in band for end in ends]
    finite = [value for value in seen if math.isfinite(value)]
    finite += [] if mark is None else [mark]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    pad = 0.0 if high > low else abs(high) * 0.1 or 1.0
    n_places = max((len(values) for values in lines.values()), default=0)
    frame = _Frame(Scale(0, max(n_places - 1, 1)), Scale(low - pad, high + pad))
    ordered = sorted(lines, key=lambda name: name == accent)
    views = [
        _line(frame, lines[name], band=bands.get(name, ()), named=(name, name == accent))
        for name in ordered
    ]
    return ChartView(
        title,
        tuple(view for view in views if view.points),
        _figure(low),
        _figure(high),
        n_places,
        None if mark is None else frame.at(0, mark)[1],
    )


@dataclass(frozen=True)
class _Frame:
    """Both scales of a chart."""

    across: Scale
    up: Scale

    def at(self, place: int, value: float) -> tuple[float, float]:
        wide, tall = (WIDTH - 2 * EDGE) / 100, (HEIGHT - 2 * EDGE) / 100
        x, y = EDGE + wide * self.across.at(place), HEIGHT - EDGE - tall * self.up.at(value)
        return round(x, 1), round(y, 1)


def _line(
    frame: _Frame, values: Sequence[float], *, band: Band, named: tuple[str, bool]
) -> LineView:
    finite = [(place, value) for place, value in enumerate(values) if math.isfinite(value)]
    ends = [(place, *pair) for place, pair in enumerate(band) if all(map(math.isfinite, pair))]
    upper = [frame.at(place, high) for place, _, high in ends]
    lower = [frame.at(place, low) for place, low, _ in reversed(ends)]
    return LineView(
        *named,
        tuple(frame.at(place, value) for place, value in finite),
        _joined([*upper, *lower]),
        _figure(finite[-1][1]) if finite else "",
    )


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _figure(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
