"""``segmenter validate``: segments made before a time, held against what users did after it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal
from training.train_command import Store

if TYPE_CHECKING:
    from segmenter.validity.validity_report import ValidityReport
    from training.user_tables import UserTables


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("validate")(validate)


def validate(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    store: Store,
    cut: Annotated[str, typer.Option("--cut", help="Learn before this time, judge after it.")],
    outcomes: Annotated[
        Path | None, typer.Option("--outcomes", help="Table: user_id and what came of each user.")
    ] = None,
    attributes: Annotated[
        Path | None, typer.Option("--attributes", help="Table for demographic rules.")
    ] = None,
    population: Annotated[
        Path | None, typer.Option("--population", help="Table: user_id of whom --outcomes ask.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Judge this model; left out, models are trained for it."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Models to train.")] = 1,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file of settings.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the registered models.")
    ] = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Hold segments against later behaviour, beside RFM, rules, KMeans and plain features.

    Losses are printed as plainly as wins.
    """
    from segmenter.clock import parse_time  # noqa: PLC0415 - --help must not wait for torch
    from training.user_tables import UserTables  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    tables = UserTables(attributes, outcomes, population)
    moment = parse_time(cut, option="--cut")
    if model is not None:
        reports = {
            model: judge_registered(
                model, store, moment, mlruns=mlruns, tables=tables, terminal=terminal
            )
        }
    else:
        reports = train_and_judge(
            store,
            moment,
            mlruns=mlruns,
            tables=tables,
            terminal=terminal,
            settings={"path": config, "name": name},
            n_seeds=seeds,
        )
    for label, report in reports.items():
        show(label, report, terminal)
    if len(reports) > 1:
        terminal.say(mean_table(list(reports.values())))
    terminal.next_commands("segmenter ui", "segmenter report --out report.html")
    terminal.finish({"reports": {label: report.to_json() for label, report in reports.items()}})


def judge_registered(
    spec: str,
    store: Path,
    cut: int,
    *,
    mlruns: Path,
    tables: "UserTables",
    terminal: Terminal,
) -> "ValidityReport":
    """Judge a model that exists."""
    from segmenter.audience_model import AudienceModel  # noqa: PLC0415
    from segmenter.events.store import EventStore  # noqa: PLC0415
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from segmenter.registry import resolve  # noqa: PLC0415
    from training.judging import judge_model  # noqa: PLC0415

    resolved = resolve(MlflowHome(mlruns), spec)
    fitted = AudienceModel.load(resolved.folder)
    with terminal.progress("Checking against later behaviour") as progress:
        return judge_model(
            EventStore.open(store), fitted, cut=cut, tables=tables, progress=progress
        )


def train_and_judge(
    store: Path,
    cut: int,
    *,
    mlruns: Path,
    tables: "UserTables",
    terminal: Terminal,
    settings: dict[str, Any],
    n_seeds: int,
) -> "dict[str, ValidityReport]":
    """Train a model per seed on the events before the cut; each is judged as it is trained."""
    from segmenter.errors import FitError  # noqa: PLC0415
    from training.config import load_config  # noqa: PLC0415
    from training.plan import TrainRequest, plan_training  # noqa: PLC0415
    from training.train import train  # noqa: PLC0415

    reports = {}
    for seed in range(n_seeds):
        asked = load_config(settings["path"], name=settings["name"], seed=seed)
        plan = plan_training(TrainRequest(store, asked, mlruns, until=cut, tables=tables))
        outcome = train(plan, terminal.progress)
        report = outcome.data.validity_report
        if report is None:
            message = (
                f"{store} has no event from the cut on to judge by; pass an earlier --cut, "
                "or --outcomes"
            )
            raise FitError(message)
        reports[outcome.version.label] = report
    return reports


def show(label: str, report: "ValidityReport", terminal: Terminal) -> None:
    """Print every table of a report and its sentences."""
    from rich.table import Table  # noqa: PLC0415

    from segmenter.clock import iso  # noqa: PLC0415
    from segmenter.validity.tables import validity_tables  # noqa: PLC0415

    terminal.say(
        f"[bold]{label}[/bold]: made before {iso(report.cut)}, judged on {report.n_users:,} users "
        f"until {iso(report.end)}"
    )
    if report.reason:
        terminal.say(f"Not judged: {report.reason}")
    for plain in validity_tables(report):
        table = Table(*plain.columns, title=plain.title, caption=plain.note or None)
        for row in plain.rows:
            table.add_row(*row)
        terminal.say(table)
    for note in report.notes:
        terminal.say(note)
    for reason in report.floor_reasons:
        terminal.say(f"[bold]Below the floor:[/bold] {reason}")


def mean_table(reports: "list[ValidityReport]") -> Any:  # noqa: ANN401 - rich's table
    """Mean and range over seeds of what the segments and the embedding predict."""
    from rich.table import Table  # noqa: PLC0415

    from segmenter.validity.rows import figure  # noqa: PLC0415

    table = Table("Outcome", "Row", "mean", "range", title=f"Mean of {len(reports)} seeds")
    first = reports[0]
    for place, outcome in enumerate(first.outcomes):
        for number, rows in enumerate(("rows", "linear")):
            if not getattr(first, rows):
                continue
            scores = [getattr(report, rows)[0].scores[place].score.value for report in reports]
            table.add_row(
                outcome.title if number == 0 else "",
                getattr(first, rows)[0].name,
                figure(sum(scores) / len(scores)),
                f"{figure(min(scores))} to {figure(max(scores))}",
            )
    return table
