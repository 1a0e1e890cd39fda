"""``segmenter segments`` and ``segmenter report``: what a model says of its segments."""

import getpass
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns, home_option
from segmenter.terminal import Terminal
from training import regroup_command
from training.train_command import portrait_json

if TYPE_CHECKING:
    from segmenter.registry import ResolvedModel
    from training.report.data import ReportData

Model = Annotated[
    str | None,
    typer.Option("--model", help="MODEL@ALIAS, MODEL/VERSION or a bundle folder."),
]


def register(app: typer.Typer) -> None:
    """Add both commands to the application."""
    table = typer.Typer(help="Print the segment table of a model, or name a segment.")
    table.callback(invoke_without_command=True)(segments)
    table.command("rename")(rename)
    regroup_command.register(table)
    app.add_typer(table, name="segments")
    app.command("report")(report)


def segments(  # noqa: PLR0917 - a command's options are its parameters
    context: typer.Context,
    model: Model = None,
    level: Annotated[str, typer.Option("--level", help="macro, segment or micro.")] = "segment",
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Print the segment table of a model: name, size, and what sets each segment apart."""
    if context.invoked_subcommand is not None:
        return
    from segmenter.segments.hierarchy import SEGMENT, check_level, rows_at  # noqa: PLC0415
    from training.report.tables import segment_table  # noqa: PLC0415

    terminal, level = Terminal(as_json=as_json), check_level(level)
    resolved, documents = load_documents(model, mlruns)
    data = _report_of(resolved, documents)
    levels = documents.get("hierarchy")
    rows = tuple(rows_at(levels, level, data.segments))
    told = documents if level == SEGMENT else {"lineage": (levels or {})[f"{level}_lineage"]}
    lineage = told.get("lineage", {"histories": []})
    retired = [history for history in lineage["histories"] if history["retired"]]
    terminal.say(segment_table(data, level=level))
    if level != SEGMENT and levels is not None:
        terminal.say(Text(levels["reason"]))
    if retired:
        ids = ", ".join(str(history["id"]) for history in retired)
        terminal.say(Text(f"Retired: {ids} (never given again; their history is in --json)"))
    for line in data.summary_lines():
        terminal.say(line)
    label = f"{shlex.quote(resolved.label)}{home_option(mlruns)}"
    terminal.next_commands(f"segmenter report --model {label} --out report.html")
    terminal.finish(
        {
            "model": resolved.label,
            "as_of": data.as_of,
            "level": level,
            "segments": [
                dict(row) | (held_json(data, row) if level == SEGMENT else {}) for row in rows
            ],
            "reason": (levels or {}).get("reason"),
            "retired": [retired_json(history) for history in retired],
            "coverage": asdict(data.coverage),
            **portrait_json(data),
            "lineage": lineage,
        }
    )


def retired_json(history: "dict[str, Any]") -> "dict[str, Any]":
    """A segment that nobody goes on from, for scripts."""
    last = history["steps"][-1]
    return {"id": history["id"], "name": last["name"], "status": "retired", "since": last["at"]}


def held_json(data: "ReportData", segment: dict[str, Any]) -> dict[str, int]:
    """How many members a segment holds how firmly: ``core``, ``voted``, ``second``, ``outsiders``.

    Nothing of a model of earlier versions.
    """
    told = {} if data.portrait is None else data.portrait["segments"].get(str(segment["id"]), {})
    return {"outsiders" if name == "outsider" else name: n for name, n in told.items()}


def rename(  # noqa: PLR0917 - a command's options are its parameters
    number: Annotated[int, typer.Argument(metavar="ID", help="Of the segment.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on.")],
    author: Annotated[
        str | None, typer.Option("--author", help="Who says so; left out, the user of this shell.")
    ] = None,
    model: Model = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Give a segment a name that refits keep: a new version of the model, with date and author."""
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from training.naming import rename_segment  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    who = shell_user() if author is None else author
    done = rename_segment(MlflowHome(mlruns), model, number, name=name, author=who)
    aliases = ", ".join(done.after.aliases) or "no alias"
    said = f"Segment {number}: {done.old_name} is now {done.segment.name}, by {who}, {done.at}"
    terminal.say(Text(said))
    terminal.say(Text(f"Model   {done.after.label} ({aliases}); {done.before.label} is as it was"))
    terminal.finish(
        {
            "model": done.after.label,
            "aliases": list(done.after.aliases),
            "from": done.before.label,
            "segment": number,
            "old_name": done.old_name,
            "name": done.segment.name,
            "author": who,
            "at": done.at,
        }
    )


def shell_user() -> str:
    """Who types; empty where the system does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


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
    resolved, documents = load_documents(spec, mlruns)
    return resolved, _report_of(resolved, documents)


def load_documents(spec: str | None, mlruns: Path) -> "tuple[ResolvedModel, dict[str, Any]]":
    """Find a model and every document that was kept with it; raises like `load_report`."""
    from segmenter.bundle import read_bundle  # noqa: PLC0415
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from segmenter.registry import resolve  # noqa: PLC0415

    resolved = resolve(MlflowHome(mlruns), spec)
    return resolved, read_bundle(resolved.folder).documents


def _report_of(resolved: "ResolvedModel", documents: dict[str, Any]) -> "ReportData":
    from training.report.data import ReportData  # noqa: PLC0415

    return ReportData.from_json(documents["report"]).with_version(resolved.version)
