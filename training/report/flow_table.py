"""Where the users of a parent's segments are after a refit, as a table for the terminal."""

from rich import box
from rich.table import Table
from rich.text import Text

from segmenter.segments.matching import MOVED, Flow
from training.refit_report import Refit
from training.report.data import ReportData
from training.report.words import counted, printable

MIN_MOVED_SHARE = 0.001
"""Crossings of fewer of all users than this are added up in one row."""


def flow_table(data: ReportData) -> Table | None:
    """Old segment, new segment, what became of it, and how many users.

    Parameters
    ----------
    data
        The report.

    Returns
    -------
    rich.table.Table or None
        None of a model that is no refit.
    """
    segments = None if data.refit is None else Refit.from_json(data.refit).segments
    if segments is None:
        return None
    names = {segment["id"]: segment["name"] for segment in data.segments}
    title = f"Where {counted(data.n_users, 'user')} went, on the same events by both models"
    table = Table(
        title=Text(printable(title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("Old", justify="right")
    table.add_column("New", justify="right")
    table.add_column("Kind")
    table.add_column("Users", justify="right", no_wrap=True)
    table.add_column("Segment today", overflow="fold")
    few = [row for row in segments.flow if _is_small(row, data.n_users)]
    for row in segments.flow:
        if row not in few:
            table.add_row(*_cells(row, names.get(row.new_id or 0, "")))
    if few:
        users = f"{sum(row.users for row in few):,}"
        table.add_row("", "", MOVED, users, Text(f"{counted(len(few), 'small crossing')}"))
    return table


def _is_small(row: Flow, n_users: int) -> bool:
    return row.kind == MOVED and row.users < MIN_MOVED_SHARE * n_users


def _cells(row: Flow, name: str) -> tuple[str | Text, ...]:
    old, new = ("" if number is None else str(number) for number in (row.old_id, row.new_id))
    return old, new, row.kind, f"{row.users:,}", Text(printable(name))
