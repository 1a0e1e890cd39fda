"""Options that commands of both rooms share, and how a next command repeats them."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

MLRUNS = Path("mlruns")
Mlruns = Annotated[Path, typer.Option("--mlruns", help="MLflow home.")]
TrackingUri = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="MLflow server in place of a home: http://HOST:PORT."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def home_option(mlruns: Path, tracking_uri: str | None = None) -> str:
    """How a next command names the home, where it is not the usual one; begins with a space."""
    if tracking_uri is not None:
        return f" --tracking-uri {shlex.quote(tracking_uri)}"
    return "" if mlruns == MLRUNS else f" --mlruns {shlex.quote(str(mlruns))}"
