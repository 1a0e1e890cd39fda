"""``segmenter drift``: whether what was scored today is still what was scored then."""

import time
from pathlib import Path
from typing import Annotated

import typer

from segmenter.command_options import AsJson
from segmenter.terminal import Terminal
from serving.space_options import Seed

OUT_OF_BOUNDS = 3
"""Exit code when a limit was passed; the comparison itself was made."""


def drift(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Folder of the earlier scores.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Folder of the later scores.")],
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Event store of NEW: tells the drift of every input."),
    ] = None,
    old_store: Annotated[
        Path | None,
        typer.Option("--old-store", help="Event store of OLD, where it is another one."),
    ] = None,
    min_kept: Annotated[
        float, typer.Option("--min-kept", help="Least share of users who keep their segment.")
    ] = 0.5,
    max_size_change: Annotated[
        float, typer.Option("--max-size-change", help="Of a segment's share, relative.")
    ] = 0.5,
    max_psi: Annotated[
        float, typer.Option("--max-psi", help="Population stability index of an input.")
    ] = 0.25,
    max_distance: Annotated[
        float, typer.Option("--max-distance", help="Of embeddings, in spreads of the crowd.")
    ] = 0.5,
    max_age_days: Annotated[
        float | None,
        typer.Option("--max-age-days", help="Of model and data; else not judged."),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Compare two scored populations: segments, inputs, embeddings, ages.

    Exit code 3 with reasons when a limit is passed.
    """
    from segmenter.errors import ConfigError  # noqa: PLC0415 - --help must not wait for polars
    from serving.health import views  # noqa: PLC0415
    from serving.health.drift import compare  # noqa: PLC0415
    from serving.health.limits import Limits  # noqa: PLC0415

    if store is None and old_store is not None:
        message = "--old-store stands beside --store DIR, the event store of NEW; pass both"
        raise ConfigError(message)
    terminal = Terminal(as_json=as_json)
    limits = Limits(min_kept, max_size_change, max_psi, max_distance, max_age_days)
    stores = None if store is None else (old_store or store, store)
    now = time.time_ns() // 1000
    found = compare(old, new, stores=stores, limits=limits, now=now, seed=seed)
    for line in views.opening_lines(found):
        terminal.say(line)
    terminal.say(views.segments_table(found))
    if found.inputs:
        terminal.say(views.inputs_table(found.inputs))
    if found.embeddings is not None:
        terminal.say(views.embedding_line(found.embeddings))
    for line in views.closing_lines(found):
        terminal.say(line)
    terminal.finish(found.to_json())
    if found.reasons:
        raise typer.Exit(OUT_OF_BOUNDS)
