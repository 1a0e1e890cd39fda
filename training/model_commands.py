"""``segmenter segments`` and ``segmenter report``: what a model says of its segments."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns, home_option
from segmenter.terminal import Terminal

if TYPE_CHECKING:
    from segmenter.registry import ResolvedModel
    from training.report.data import ReportData

Model = Annotated[
    str | None,
    typer.Option("--model", help="MODEL@ALIAS, MODEL/VERSION or a bundle folder."),
]


def register(app: typer.Typer) -> None:
    """Add both commands to the application."""
    app.command("segments")(segments)
    app.command("report")(report)


def segments(model: Model = None, mlruns: Mlruns = MLRUNS, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Print the segment table of a model: name, size, and what sets each segment apart."""
    from training.report.tables import segment_table  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    resolved, data = load_report(model, mlruns)
    terminal.say(segment_table(data))
    for line in data.summary_lines():
        terminal.say(line)
    label = f"{shlex.quote(resolved.label)}{home_option(mlruns)}"
    terminal.next_commands(f"segmenter report --model {label} --out report.html")
    terminal.finish(
        {
            "model": resolved.label,
            "as_of": data.as_of,
            "segments": [dict(segment) for segment in data.segments],
            "coverage": asdict(data.coverage),
        }
    )


def report(  # noqa: PLR0917 - a command's options are its parameters
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.")],
    model: Model = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the self-contained page of a model."""
    from segmenter.files import write_text  # noqa: PLC0415
    from training.report.page import render  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    resolved, data = load_report(model, mlruns)
    write_text(out, render(data))
    size = out.stat().st_size
    terminal.say(Text(f"Report of {resolved.label} written to {out} ({size:,} bytes)"))
    terminal.finish({"model": resolved.label, "report": str(out)})


def load_report(spec: str | None, mlruns: Path) -> "tuple[ResolvedModel, ReportData]":
    """Find a model and the report data that were kept with it.

    Raises
    ------
    RegistryError
        If there is no such model.
    BundleError
        If the model's bundle is damaged.
    """
    from segmenter.bundle import read_bundle  # noqa: PLC0415
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from segmenter.registry import resolve  # noqa: PLC0415
    from training.report.data import ReportData  # noqa: PLC0415

    resolved = resolve(MlflowHome(mlruns), spec)
    data = ReportData.from_json(read_bundle(resolved.folder).documents["report"])
    return resolved, data.with_version(resolved.version)
