"""``segmenter review``: a challenger beside the champion, gate by gate."""

import getpass
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns, TrackingUri, home_option
from segmenter.terminal import Terminal

if TYPE_CHECKING:
    from rich.table import Table

    from training.review.review import Review

STYLES = {"pass": "green", "fail": "bold red"}
SAID = {"fail": "failed", "cannot be judged": "cannot be judged"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("review")(review)


def review(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    version: Annotated[str, typer.Argument(metavar="MODEL/VERSION", help="Or MODEL@ALIAS.")],
    against: Annotated[
        str | None, typer.Option("--against", help="Left out, the champion of the model.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Events; left out, those of the training.")
    ] = None,
    cut: Annotated[
        str | None,
        typer.Option("--cut", help="Judge after this time; left out, after the training."),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Who reviews; left out, the user of this shell.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for card, page, maps and figures too.")
    ] = None,
    mlruns: Mlruns = MLRUNS,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Hold a version against the champion on the same users, and log the verdicts.

    Card, page and figures are logged to the run of the version. A failed gate is a result, not
    an error: the exit code is 0 whenever the review exists.
    """
    from segmenter.clock import parse_time  # noqa: PLC0415 - --help must not wait for torch
    from segmenter.tracking_server import registry_at  # noqa: PLC0415
    from training.review import publish, review as reviews  # noqa: PLC0415

    terminal, home = Terminal(as_json=as_json), registry_at(mlruns, tracking_uri)
    moment = None if cut is None else parse_time(cut, option="--cut")
    request = reviews.ReviewRequest(version, against, store, moment)
    found = reviews.review(home, request, terminal.progress)
    if out is not None:
        publish.write_files(found, out)
    logged = publish.publish(home, found, by=getpass.getuser() if by is None else by)
    terminal.say(gate_table(found))
    for gate in found.gates:
        if gate.verdict in SAID:
            terminal.say(Text(f"{gate.name} {SAID[gate.verdict]}: {gate.reason}"))
    terminal.say(Text(f"{found.challenger.label}: {found.verdict}"))
    terminal.say(Text(f"Logged to {logged.place}, entry {logged.entry.number} of the log"))
    label, place = shlex.quote(found.challenger.label), home_option(mlruns, tracking_uri)
    terminal.next_commands(
        f"segmenter approve {label} --by NAME --reason TEXT{place}",
        f"segmenter reject {label} --by NAME --reason TEXT{place}",
    )
    told = found.to_json() | {"place": logged.place, "entry": logged.entry.number}
    terminal.finish(told | {"out": None if out is None else str(out)})


def gate_table(found: "Review") -> "Table":
    """The verdicts for the terminal."""
    from rich.table import Table  # noqa: PLC0415

    from training.review.card import figure  # noqa: PLC0415

    against = "no champion" if found.champion is None else found.champion.label
    table = Table("Gate", "Verdict", found.challenger.label, against, "Asked for")
    for gate in found.gates:
        verdict = Text(gate.verdict, style=STYLES.get(gate.verdict, "yellow"))
        figures = (Text(figure(gate.challenger)), Text(figure(gate.champion)))
        table.add_row(Text(gate.name), verdict, *figures, Text(gate.margin))
    return table
