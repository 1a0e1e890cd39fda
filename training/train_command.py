"""``segmenter train``: event store and configuration in, registered model version out."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns, home_option
from segmenter.terminal import Terminal

if TYPE_CHECKING:
    from training.plan import TrainPlan
    from training.report.data import ReportData
    from training.train import TrainOutcome

Store = Annotated[Path, typer.Option("--store", help="Folder of the event store.")]
Until = Annotated[
    str | None,
    typer.Option("--until", help="Learn from events before this time; judge on the rest."),
]
Attributes = Annotated[
    Path | None,
    typer.Option("--attributes", help="Table of users (CSV, Parquet) for demographic rules."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train")(train)


def train(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    store: Store,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file of settings.")] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Go on from MODEL@ALIAS, MODEL/VERSION or a bundle folder."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the registered model.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of every random choice.")] = None,
    n_segments: Annotated[
        int | None,
        typer.Option("--segments", help="Segments to publish; left out, chosen by the data."),
    ] = None,
    max_segments: Annotated[
        int | None, typer.Option("--max-segments", help="Most segments to choose.")
    ] = None,
    until: Until = None,
    attributes: Attributes = None,
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Train, segment, track and register a model.

    A killed job resumes when the same command is typed again; a finished one is reused. With
    --from, settings that are not given are those of the earlier model.
    """
    from segmenter.clock import parse_time  # noqa: PLC0415 - --help must not wait for torch
    from training.config import load_config  # noqa: PLC0415
    from training.plan import TrainRequest, plan_training  # noqa: PLC0415
    from training.train import train as run  # noqa: PLC0415
    from training.user_tables import UserTables  # noqa: PLC0415
    from training.warm_start import load_warm_start  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    flags = {
        "name": name,
        "seed": seed,
        "n_segments": n_segments,
        "max_segments": max_segments,
    }
    parent = None if start is None else load_warm_start(mlruns, start)
    inherited = None if parent is None else parent.settings()
    plan = plan_training(
        TrainRequest(
            store=store,
            config=load_config(config, inherited=inherited, **flags),
            mlruns=mlruns,
            until=None if until is None else parse_time(until, option="--until"),
            tables=UserTables(attributes=attributes),
            start=parent,
        )
    )
    if dry_run:
        show_plan(plan, terminal)
        return
    outcome = run(plan, terminal.progress)
    show_outcome(outcome, terminal)
    model = f"--model {shlex.quote(outcome.version.label)}{home_option(mlruns)}"
    terminal.next_commands(
        f"segmenter score --store {shlex.quote(str(store))} --out scores {model}",
        f"segmenter segments {model}",
        f"segmenter ui{home_option(mlruns)}",
    )
    terminal.finish(outcome_json(outcome))


def show_plan(plan: "TrainPlan", terminal: Terminal) -> None:
    """Print what a training job would read, learn and write."""
    from segmenter.clock import iso  # noqa: PLC0415

    config, start = plan.request.config, plan.request.start
    later = plan.store.newest > plan.as_of
    content = {
        "store": str(plan.store.path),
        "users": len(plan.users),
        "events": plan.n_events,
        "as_of": iso(plan.as_of),
        "judged_on_later_events": later,
        "from": None if start is None else start.to_json(),
        "job_folder": str(plan.folder),
        "finished_before": plan.is_finished,
        "config": config.to_json(),
    }
    terminal.say("[bold]Dry run:[/bold] nothing is changed.")
    for key, value in content.items():
        terminal.say(Text(f"  {key}: {value}"))
    terminal.finish(content)


def show_outcome(outcome: "TrainOutcome", terminal: Terminal) -> None:
    """Print the segment table, the validity line, and what was written."""
    from training.report.flow_table import flow_table  # noqa: PLC0415
    from training.report.tables import segment_table  # noqa: PLC0415

    if outcome.reused:
        terminal.say("[yellow]Reused[/yellow] the finished job of the same data and settings.")
    terminal.say(segment_table(outcome.data))
    flow = flow_table(outcome.data)
    if flow is not None:
        terminal.say(flow)
    for line in outcome.data.summary_lines():
        terminal.say(line)
    aliases = ", ".join(outcome.version.aliases)
    terminal.say(Text(f"Model   {outcome.version.label} ({aliases})"))
    terminal.say(Text(f"Bundle  {outcome.bundle}"))
    terminal.say(Text(f"Report  {outcome.report}"))
    for failure in outcome.unlogged:
        terminal.say(Text(f"Not in MLflow: {failure}", style="yellow"))


def portrait_json(data: "ReportData") -> dict[str, Any]:
    """The groups of everybody, the outsiders and the reliability of strength, if they are told."""
    told = data.portrait or {}
    return {name: told[name] for name in ("groups", "outsiders", "calibration") if name in told}


def outcome_json(outcome: "TrainOutcome") -> dict[str, Any]:
    """The outcome for scripts."""
    data = outcome.data
    return {
        "model": outcome.version.name,
        "version": outcome.version.version,
        "aliases": list(outcome.version.aliases),
        "run_id": outcome.version.run_id,
        "bundle": str(outcome.bundle),
        "report": str(outcome.report),
        "as_of": data.as_of,
        "segments": [dict(segment) for segment in data.segments],
        "validity": data.validity,
        "coverage": asdict(data.coverage),
        **portrait_json(data),
        "refit": data.refit,
        **flow_json(data),
        "reused": outcome.reused,
        "not_in_mlflow": list(outcome.unlogged),
    }


def flow_json(data: "ReportData") -> dict[str, Any]:
    """Of a refit, where users went: ``flow`` and ``kept_share``; nothing of another model."""
    segments = (data.refit or {}).get("segments")
    if segments is None:
        return {}
    return {"flow": segments["flow"], "kept_share": segments["kept_share"]}
