"""How every command speaks: tables and progress for people, one JSON object for scripts.

With ``--json`` exactly one JSON object goes to standard output and everything for people goes to
standard error. Without it people's text goes to standard output and progress to standard error.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

ProgressCallback = Callable[[int, int], None]
"""Called by long work with (units done so far, units in all)."""


class Terminal:
    """The two voices of a command.

    Parameters
    ----------
    as_json
        Whether ``--json`` was given.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.people = Console(stderr=as_json, highlight=False)
        self._progress_console = Console(stderr=True, highlight=False)

    def say(self, message: object) -> None:
        """Print one line or rich renderable for people."""
        self.people.print(message)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Print the command's one JSON object when ``--json`` was given."""
        if self.as_json:
            print(json.dumps(result, allow_nan=False))  # noqa: T201 - the product of the command

    def next_commands(self, *commands: str) -> None:
        """Print the commands that a person is likely to type next."""
        self.say("[bold]Next:[/bold]")
        for command in commands:
            self.people.print(f"  {command}", markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, description: str) -> Iterator[ProgressCallback]:
        """Show a progress bar while the block runs; yields the callback that moves it."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._progress_console) as bars:
            task = bars.add_task(description, total=None)

            def move(done: int, total: int) -> None:
                bars.update(task, completed=done, total=total)

            yield move
