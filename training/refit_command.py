"""``segmenter refit``: a registered model goes on with newer events, its segments with it."""

from typing import Annotated

import typer

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from training.train_command import Attributes, DryRun, Store, Until, train


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("refit")(refit)


def refit(  # noqa: PLR0917 - a command's options are its parameters
    store: Store,
    start: Annotated[
        str,
        typer.Option("--from", help="Go on from MODEL@ALIAS, MODEL/VERSION or a bundle folder."),
    ],
    until: Until = None,
    attributes: Attributes = None,
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Fit a model to newer events: ids, names and segments stay unless the events refute them.

    The settings are those of the earlier model. The training job is the one of
    `segmenter train --from`, and it is as safe to repeat.
    """
    train(
        store,
        start=start,
        until=until,
        attributes=attributes,
        dry_run=dry_run,
        mlruns=mlruns,
        as_json=as_json,
    )
