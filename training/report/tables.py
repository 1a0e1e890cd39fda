"""The segments and their validity as tables for the terminal."""

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from segmenter.segments.hierarchy import SEGMENT, parents_of
from segmenter.segments.segment import Segment
from segmenter.validity.rows import Row
from training.report.data import ReportData
from training.report.segment_views import FactView, segment_views
from training.report.validity_views import standing_words
from training.report.words import NARROW_SPACE, counted, moment, percent, printable, score

N_FACTS = 3
NO_BREAK_SPACE = "\u00a0"
NO_RULE = "No short rule fits"
EMPHASIS = {"ahead": "green", "behind": "red"}


def segment_table(data: ReportData, *, level: str = SEGMENT) -> Table:
    """The segments: number, name, size, stability, three facts that set each apart, short rule.

    Parameters
    ----------
    data
        The report.
    level
        ``macro``, ``segment`` or ``micro``; levels below the top tell what holds a segment.

    Returns
    -------
    rich.table.Table
        Reads well at 100 columns; facts give the share, or median, here and elsewhere.
    """
    views, parents = segment_views(data, level=level), parents_of(data.hierarchy, level)
    noun = SEGMENT if level == SEGMENT else f"{level} {SEGMENT}"
    title = f"{counted(len(views), noun)} of {counted(data.n_users, 'user')}"
    table = Table(
        title=Text(printable(f"{title}, as of {moment(data.as_of)}")),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Id", justify="right")
    if parents:
        table.add_column("In", justify="right")
    table.add_column("Segment", max_width=30, overflow="fold")
    table.add_column("Users", justify="right", no_wrap=True)
    table.add_column("Share", justify="right", no_wrap=True)
    table.add_column("Stable", justify="right", no_wrap=True)
    table.add_column("What sets it apart: here (elsewhere)", overflow="fold")
    for view in views:
        table.add_row(
            str(view.segment.id),
            *([str(parents[view.segment.id])] if parents else []),
            Text(printable(view.name)),
            f"{view.segment.n_users:,}",
            _figures(percent(view.segment.share)),
            _stability(view.segment),
            Text("\n").join([*map(_fact, view.facts[:N_FACTS]), *_remarks(view.segment)]),
        )
    return table


def _stability(segment: Segment) -> Text:
    """Overlap with what half of the users give, marked where the segment dissolves."""
    if segment.stability is None:
        return Text("")
    mark = " !" if segment.is_unstable else ""
    return Text(_figures(f"{score(segment.stability)}{mark}"), style="red" if mark else "")


def _remarks(segment: Segment) -> Iterator[Text]:
    """What is to be known of a segment beside its facts."""
    if segment.rule is not None:
        rule = segment.rule.text if segment.rule.fits else NO_RULE
        yield Text(printable(rule), style="dim italic")
    topics = dict.fromkeys(flag.topic for flag in segment.flags)
    if topics:
        terms = ", ".join(dict.fromkeys(flag.term for flag in segment.flags))
        yield Text(printable(f"Sensitive: {', '.join(topics)} ({terms})"), style="yellow")


def _fact(fact: FactView) -> Text:
    """One fact, its figures in one piece."""
    unit = f", {fact.unit}" if fact.unit else ""
    label = Text(printable(f"{fact.label}{unit} "))
    label.append(_figures(fact.here), style="bold")
    return label.append(_figures(f" ({fact.elsewhere})"), style="dim")


def _figures(text: str) -> str:
    """Figures that do not break over lines, with the one no-break space that terminals know."""
    return text.replace(NARROW_SPACE, NO_BREAK_SPACE).replace(" ", NO_BREAK_SPACE)


def validity_table(data: ReportData) -> Table | None:
    """Every segmentation on every outcome: its score, and how the segments compare with it.

    Parameters
    ----------
    data
        The report.

    Returns
    -------
    rich.table.Table or None
        One row for each outcome and segmentation; None where nothing was judged.
    """
    report = data.validity_report
    if report is None or not report.outcomes:
        return None
    span = _figures(percent(report.confidence))
    table = Table(
        title=Text(f"What {counted(report.n_users, 'user')} did later, with {span} intervals"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Outcome and segmentation", overflow="fold")
    table.add_column("Groups", justify="right")
    table.add_column("Score", justify="right", no_wrap=True)
    table.add_column("Interval", no_wrap=True)
    table.add_column("Segments are", no_wrap=True)
    for place, outcome in enumerate(report.outcomes):
        table.add_row(Text(printable(outcome.title), style="bold"))
        for row in report.rows:
            table.add_row(*_cells(row, place))
        table.add_section()
    return table


def _cells(row: Row, place: int) -> list[Text]:
    """One segmentation on one outcome."""
    made = row.scores[place]
    word, ahead, span = standing_words(made)
    rule = f" ({made.rule})" if made.rule else ""
    style = "bold" if row.kind == "segments" else ""
    return [
        Text(printable(f"  {row.name}{rule}"), style=style),
        Text("" if row.n_groups is None else f"{row.n_groups:,}", style="dim"),
        Text(score(made.score.value), style=style),
        Text(f"{score(made.score.low)} to {score(made.score.high)}", style="dim"),
        Text(f"{word} {ahead} ({span})" if word else "", style=EMPHASIS.get(word, "")),
    ]
