"""The command line root: joins the sub-commands of the training and the serving room.

Exit codes: 0 when everything promised exists, 1 for a deliberate error, 2 for wrong usage, 3 when
a check passed one of its limits (`drift`), 130 when interrupted.
"""

import json
import sys

import typer
from rich.console import Console

import serving.cli
import training.cli
from segmenter.errors import SegmenterError


def build_app() -> typer.Typer:
    """Assemble the application with every command."""
    app = typer.Typer(
        name="segmenter",
        help="Behavioral audience segments from raw events.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    training.cli.register(app, score_everybody=serving.cli.score_everybody)
    serving.cli.register(app)
    return app


def main() -> None:
    """Run one command; a deliberate error is one message, never a traceback."""
    try:
        build_app()()
    except SegmenterError as error:
        if "--json" in sys.argv:
            problem = {"type": type(error).__name__, "message": str(error)}
            print(json.dumps({"error": problem}))  # noqa: T201 - the command's one JSON object
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]error:[/bold red] {type(error).__name__}:", end=" ")
        console.print(str(error), markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
