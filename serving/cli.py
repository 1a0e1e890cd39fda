"""The commands of the serving room."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal
from serving import creative_commands, generate_command, online_commands, space_commands
from serving.compare.command import compare
from serving.exports import ledger_commands
from serving.exports.command import export
from serving.exports.size_command import size
from serving.health.command import drift

if TYPE_CHECKING:
    from rich.table import Table

    from serving.batch import ScoreReport


def register(app: typer.Typer) -> None:
    """Add every command of this room to the application."""
    app.command("score")(score)
    space_commands.register(app)
    generate_command.register(app)
    creative_commands.register(app)
    app.command("export")(export)
    app.command("size")(size)
    ledger_commands.register(app)
    app.command("drift")(drift)
    app.command("compare")(compare)
    online_commands.register(app)


def score(  # noqa: PLR0917 - a command's options are its parameters
    store: Annotated[Path, typer.Option("--store", help="Folder of the event store.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the scores to.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="MODEL@ALIAS, MODEL/VERSION or a bundle folder; "
            "left out, the champion of the only registered model.",
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Score as of this time; left out, the newest event."),
    ] = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Give everybody in an event store an embedding and a segment.

    Typed again after a kill, it goes on where it stopped; when all is done, it changes nothing.
    """
    terminal = Terminal(as_json=as_json)
    report = score_everybody(store, out, model, as_of=as_of, mlruns=mlruns, terminal=terminal)
    show(report, terminal)
    terminal.next_commands(*next_commands(report, model, mlruns))
    terminal.finish(report.to_json())


def score_everybody(
    store: Path,
    out: Path,
    model: str | None,
    *,
    as_of: str | None,
    mlruns: Path,
    terminal: Terminal,
) -> "ScoreReport":
    """Resolve the model and score a store with a progress bar; see `serving.batch.score`."""
    from segmenter.clock import parse_time  # noqa: PLC0415 - --help must not wait for torch
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from segmenter.registry import resolve  # noqa: PLC0415
    from serving.batch import score as run  # noqa: PLC0415

    moment = None if as_of is None else parse_time(as_of, option="--as-of")
    resolved = resolve(MlflowHome(mlruns), model)
    with terminal.progress("Scoring users") as progress:
        return run(store, out, resolved, as_of=moment, progress=progress)


def next_commands(report: "ScoreReport", model: str | None, mlruns: Path) -> tuple[str, ...]:
    """What a person is likely to type next, ready to be pasted."""
    code = f"import polars; print(polars.read_parquet({str(report.out / 'assignments')!r}))"
    home = () if mlruns == MLRUNS else ("--mlruns", str(mlruns))
    return (
        shlex.join(["python", "-c", code]),
        shlex.join(
            [
                "segmenter",
                "report",
                "--model",
                model or report.model,
                "--out",
                "report.html",
                *home,
            ]
        ),
        shlex.join(["segmenter", "ui", *home]),
    )


def show(report: "ScoreReport", terminal: Terminal) -> None:
    """Print the counts per segment and what was written."""
    from segmenter.segments.coverage import GROUPS  # noqa: PLC0415 - --help must not wait for it

    terminal.say(_table(report))
    if report.n_reused:
        terminal.say(
            f"[yellow]Reused[/yellow] {report.n_reused} of {report.n_shards} shards that an "
            "earlier run of the same store, model and as-of time had finished."
        )
    terminal.say(Text(f"{report.n_users:,} users as of {report.as_of}, model {report.model}"))
    if report.n_without_events:
        terminal.say(
            f"{report.n_without_events:,} of them have no event until then: "
            "listed without a segment and without an embedding"
        )
    groups = {name: sum(one.coverage.get(name, 0) for one in report.segments) for name in GROUPS}
    if any(groups.values()):
        told = ", ".join(f"{name} {users:,}" for name, users in groups.items())
        terminal.say(Text(f"Coverage: {told}"))
    for what in ("assignments", "embeddings", "manifest.json"):
        line = f"{what.split('.')[0].capitalize():<11}  {report.out / what}"
        terminal.people.print(line, markup=False, soft_wrap=True)  # a path can be copied


def _table(report: "ScoreReport") -> "Table":
    from rich.table import Table  # noqa: PLC0415 - half a tenth of a second

    table = Table(title="Scored users")
    table.add_column("id", justify="right")
    table.add_column("segment")
    for heading in ("users", "share", "mean strength"):
        table.add_column(heading, justify="right")
    for segment in report.segments:
        strength = f"{segment.mean_strength:.2f}" if segment.n_users else "-"
        table.add_row(
            str(segment.id),
            Text(segment.name),  # a value of the log with brackets is no markup
            f"{segment.n_users:,}",
            f"{segment.share:.1%}",
            strength,
        )
    return table
