"""Two segments side by side as tables for the terminal."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from segmenter.segments.journeys import Journey, Transition
from serving.compare.comparison import Around, Compared, Comparison, Side
from serving.plain_table import plain_table

N_TRANSITIONS = 8


def sides_table(sides: tuple[Side, Side]) -> Table:
    """Size and strength of both segments."""
    table = plain_table("Two segments")
    for heading in ("Id", "Segment", "Users", "Share", "Mean strength"):
        table.add_column(heading, justify="left" if heading == "Segment" else "right")
    for side in sides:
        table.add_row(
            str(side.id),
            Text(side.name),
            f"{side.n_users:,}",
            f"{side.share:.1%}",
            f"{side.mean_strength:.2f}",
        )
    return table


def compared_table(title: str, rows: Sequence[Compared], ids: tuple[int, int]) -> Table:
    """Figures of both segments, of everybody else, and the difference with its interval."""
    table = plain_table(f"{title}, {ids[0]} against {ids[1]}")
    table.add_column("What", overflow="fold")
    for heading in (str(ids[0]), str(ids[1]), "Others", "Difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        apart, is_share = row.difference, bool(row.value)
        told = [_figure(value, is_share=is_share) for value in (apart.here, apart.there)]
        others = "-" if row.elsewhere is None else _figure(row.elsewhere, is_share=is_share)
        span = f"{_signed(apart.low, is_share)} to {_signed(apart.high, is_share)}"
        table.add_row(
            Text(f"{row.value} ({row.field})" if row.value else row.field),
            *told,
            others,
            Text(span, style="bold" if apart.is_apart else "dim"),
        )
    return table


def transitions_table(found: Comparison) -> Table:
    """What comes next in both segments, where either differs most from everybody else."""
    first, second = ({(one.before, one.after): one for one in side} for side in found.transitions)
    ids = tuple(side.id for side in found.sides)
    table = plain_table("What comes next: share of users' next events (times everybody else's)")
    table.add_column("After")
    table.add_column("Comes")
    for number in ids:
        table.add_column(str(number), justify="right", no_wrap=True)
    pairs = sorted(
        first | second, key=lambda pair: (-_apart(first.get(pair), second.get(pair)), pair)
    )
    for pair in pairs[:N_TRANSITIONS]:
        cells = [_transition(side.get(pair)) for side in (first, second)]
        table.add_row(Text(pair[0]), Text(pair[1]), *cells)
    return table


def around_lines(around: Around) -> Text:
    """How many members have the event at all."""
    counts = " and ".join(f"{n:,}" for n in around.n_users)
    return Text(
        f"Around the first {around.event}: {around.window_days:g} days before and after, of "
        f"{counts} users who have one"
    )


def journeys_lines(side: Side, journeys: Sequence[Journey]) -> Iterator[Text]:
    """Typical users of a segment, a line per day."""
    yield Text(f"Typical users of {side.id}, {side.name}", style="bold")
    for number, journey in enumerate(journeys, start=1):
        for place, step in enumerate(journey.steps):
            mark = f"{number}." if place == 0 else "  "
            yield Text(f"  {mark} {step.text}")
    if not journeys:
        yield Text("  none: too few users with enough events", style="dim")


def _apart(*sides: Transition | None) -> float:
    return max((abs(one.share - one.elsewhere) for one in sides if one is not None), default=0.0)


def _transition(one: Transition | None) -> str:
    if one is None:
        return "-"
    lift = "" if one.lift is None else f" (x{one.lift:.1f})"
    return f"{one.share:.0%}{lift}"


def _figure(value: float, *, is_share: bool) -> str:
    return f"{value:.1%}" if is_share else f"{value:,.4g}"


def _signed(value: float, is_share: bool) -> str:  # noqa: FBT001 - one of two units
    return f"{value:+.1%}" if is_share else f"{value:+,.3g}"
