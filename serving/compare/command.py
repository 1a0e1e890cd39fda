"""``segmenter compare``: two segments of a scored population side by side."""

from pathlib import Path
from typing import Annotated

import typer

from segmenter.command_options import AsJson
from segmenter.terminal import Terminal
from serving.space_options import Seed


def compare(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    first: Annotated[int, typer.Argument(metavar="A", help="Id of a segment.")],
    second: Annotated[int, typer.Argument(metavar="B", help="Id of another.")],
    scores: Annotated[Path, typer.Option("--scores", help="Folder that segmenter score wrote.")],
    store: Annotated[Path, typer.Option("--store", help="Event store that was scored.")],
    lists: Annotated[
        list[Path] | None,
        typer.Option("--list", help="Table with user_id: how many members are on it. Repeatable."),
    ] = None,
    around: Annotated[
        str | None, typer.Option("--around", help="Event type: what comes before and after it.")
    ] = None,
    window_days: Annotated[
        float, typer.Option("--window-days", min=0.01, help="Before and after that event.")
    ] = 7.0,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Compare two segments: size, lists, habits, what they do, what comes next, typical users."""
    from serving.compare import comparison, views  # noqa: PLC0415 - --help must not wait

    terminal = Terminal(as_json=as_json)
    asked = comparison.Asked(tuple(lists or ()), around, window_days, seed)
    found = comparison.compare(scores, store, (first, second), asked=asked)
    ids = (first, second)
    terminal.say(views.sides_table(found.sides))
    parts = [("Lists", found.lists), ("Medians", found.habits), ("Users who", found.values)]
    if found.around is not None:
        parts += [("Before", found.around.before), ("After", found.around.after)]
    for title, rows in parts:
        if title == "Before" and found.around is not None:
            terminal.say(views.around_lines(found.around))
        if rows:
            terminal.say(views.compared_table(title, rows, ids))
    terminal.say(views.transitions_table(found))
    for side, journeys in zip(found.sides, found.exemplars, strict=True):
        for line in views.journeys_lines(side, journeys):
            terminal.say(line)
    terminal.finish(found.to_json())
