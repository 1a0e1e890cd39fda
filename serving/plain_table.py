"""The table that commands print figures in: a title and a rule under the headings."""

from rich import box
from rich.table import Table
from rich.text import Text


def plain_table(title: str) -> Table:
    """An empty table; the title is taken as it is, brackets and all."""
    return Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
