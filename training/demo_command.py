"""``segmenter demo``: every stage of the product on real shoppers, with one command."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from segmenter.command_options import MLRUNS, AsJson, Mlruns, home_option
from segmenter.terminal import Terminal
from training.train_command import outcome_json, show_outcome

if TYPE_CHECKING:
    from segmenter.events.ingest import IngestReport
    from training.train import TrainOutcome

OUT = Path("segmenter-demo")
MODEL_NAME = "complete-journey"


class ScoreEverybody(Protocol):
    """What the serving room offers: score a store with a model, with a progress bar."""

    def __call__(
        self,
        store: Path,
        out: Path,
        model: str | None,
        *,
        as_of: str | None,
        mlruns: Path,
        terminal: Terminal,
    ) -> Any:  # noqa: ANN401 - serving.batch.ScoreReport, of a room that is not imported here
        """Score everybody."""


def register(app: typer.Typer, *, score_everybody: ScoreEverybody) -> None:
    """Add the command to the application."""

    def demo(
        out: Annotated[Path, typer.Option("--out", help="Folder for all that it makes.")] = OUT,
        mlruns: Mlruns = MLRUNS,
        as_json: AsJson = False,  # noqa: FBT002 - a flag
    ) -> None:
        """Segment 2,469 real households, check the segments on the last quarter, score everybody.

        Purchases, campaigns and coupons of Complete Journey (84.51\u00b0, 2017). Typed again, it
        reuses what is there.
        """
        run_demo(out, mlruns, Terminal(as_json=as_json), score_everybody=score_everybody)

    app.command("demo")(demo)


def run_demo(
    out: Path, mlruns: Path, terminal: Terminal, *, score_everybody: ScoreEverybody
) -> None:
    """Run the stages in order and print what they made."""
    from segmenter.clock import parse_time  # noqa: PLC0415 - --help must not wait for torch
    from segmenter.events.samples import COMPLETE_JOURNEY_CUT  # noqa: PLC0415
    from segmenter.files import write_text  # noqa: PLC0415
    from training.config import TrainConfig  # noqa: PLC0415
    from training.plan import TrainRequest, plan_training  # noqa: PLC0415
    from training.report.page import render  # noqa: PLC0415
    from training.train import train  # noqa: PLC0415
    from training.user_tables import UserTables  # noqa: PLC0415

    store, scores, report = out / "store", out / "scores", out / "report.html"
    events, attributes = raw_files(out, terminal)
    ingested = ingest_events(events, store, terminal)
    request = TrainRequest(
        store=store,
        config=TrainConfig(name=MODEL_NAME),
        mlruns=mlruns,
        until=parse_time(COMPLETE_JOURNEY_CUT, option="--until"),
        tables=UserTables(attributes=attributes),
    )
    outcome = train(plan_training(request), terminal.progress)
    scored = score_everybody(
        store,
        scores,
        outcome.version.label,
        as_of=outcome.data.as_of,
        mlruns=mlruns,
        terminal=terminal,
    )
    write_text(report, render(outcome.data))
    show_outcome(outcome, terminal)
    if scored.n_reused:
        terminal.say("[yellow]Reused[/yellow] the scores of the same model and as-of time.")
    for name, path in {"Events": events, "Store": store, "Scores": scores}.items():
        terminal.say(f"{name:7} {path}")
    terminal.say(f"Page    {report}  (open it in a browser)")
    terminal.next_commands(*next_commands(store, mlruns, outcome))
    terminal.finish(
        outcome_json(outcome)
        | {"page": str(report), "scores": scored.to_json(), "ingest": ingested.to_json()}
    )


def raw_files(out: Path, terminal: Terminal) -> tuple[Path, Path]:
    """Write the raw event log and the table of households, unless they are there."""
    from segmenter.events.samples import complete_journey  # noqa: PLC0415
    from segmenter.files import atomic_file  # noqa: PLC0415

    events, attributes = out / "events.parquet", out / "attributes.parquet"
    if events.exists() and attributes.exists():
        terminal.say(f"[yellow]Reused[/yellow] the raw events in {events}.")
        return events, attributes
    log = complete_journey()
    for path, table in ((events, log.events), (attributes, log.attributes)):
        with atomic_file(path) as temporary:
            table.write_parquet(temporary)
    return events, attributes


def ingest_events(events: Path, store: Path, terminal: Terminal) -> "IngestReport":
    """Turn the raw log into an event store, as ``segmenter ingest`` does."""
    from segmenter.events.ingest import ingest  # noqa: PLC0415

    with terminal.progress("Reading events") as progress:
        report = ingest([events], store, progress=progress)
    if report.reused:
        terminal.say(f"[yellow]Reused[/yellow] the event store {store}.")
    set_aside = ", ".join(f"{count:,} {reason}" for reason, count in report.rejected.items())
    terminal.say(
        f"{report.n_events:,} events of {report.n_users:,} users from {report.n_read:,} rows"
        + (f"; set aside: {set_aside}" if set_aside else "")
    )
    return report


def next_commands(store: Path, mlruns: Path, outcome: "TrainOutcome") -> list[str]:
    """What a person is likely to type next."""
    home = home_option(mlruns)
    return [
        f"segmenter segments --model {outcome.version.label}{home}",
        f"segmenter train --store {shlex.quote(str(store))} --segments 24{home}",
        f"segmenter ui{home}",
    ]
