"""``segmenter ingest``: raw event logs in, event store out."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segmenter.command_options import MLRUNS, AsJson, Mlruns, home_option
from segmenter.terminal import Terminal

if TYPE_CHECKING:
    from rich.table import Table

    from segmenter.events.ingest import IngestReport

KeepDuplicates = Annotated[
    bool, typer.Option("--keep-duplicates", help="Keep rows that repeat another exactly.")
]
COLUMNS = "Columns (only where their names do not say it)"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("ingest")(ingest)


def _column(option: str, help_text: str) -> typer.models.OptionInfo:
    return typer.Option(option, metavar="COL", help=help_text, rich_help_panel=COLUMNS)


def ingest(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="CSV, Parquet or JSON lines files, or folders."),
    ],
    store: Annotated[Path, typer.Option("--store", help="Folder of the event store.")],
    user: Annotated[str | None, _column("--user", "Who: the user's id.")] = None,
    time: Annotated[str | None, _column("--time", "When: ISO 8601 or epoch number.")] = None,
    event: Annotated[str | None, _column("--event", "What: the type of event.")] = None,
    item: Annotated[str | None, _column("--item", "The product or page.")] = None,
    category: Annotated[str | None, _column("--category", "The item's category.")] = None,
    value: Annotated[str | None, _column("--value", "Money or another amount.")] = None,
    quantity: Annotated[str | None, _column("--quantity", "How many.")] = None,
    currency: Annotated[str | None, _column("--currency", "Of the value.")] = None,
    session: Annotated[str | None, _column("--session", "Id of the visit.")] = None,
    order: Annotated[str | None, _column("--order", "Id of the order.")] = None,
    consent: Annotated[str | None, _column("--consent", "Consent to advertising.")] = None,
    seq: Annotated[str | None, _column("--seq", "Order inside equal times.")] = None,
    extra: Annotated[
        list[str] | None,
        typer.Option(
            "--extra",
            metavar="COL[:text|:number]",
            help="A further column to learn from; may be repeated.",
            rich_help_panel=COLUMNS,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Leave out events at or after this time (UTC).")
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", help="Zone of times that name none.")
    ] = "UTC",
    time_unit: Annotated[
        str | None,
        typer.Option(
            "--time-unit", metavar="s|ms|us|ns", help="Of epoch numbers; else told by their size."
        ),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", help="Between CSV fields, if not a comma.")
    ] = None,
    encoding: Annotated[
        str, typer.Option("--encoding", help="Of CSV and JSON lines files, such as cp1252.")
    ] = "utf-8",
    keep_duplicates: KeepDuplicates = False,  # noqa: FBT002 - a flag of the command
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command
) -> None:
    """Turn raw event logs into an event store.

    Rows that cannot be used are set aside with their reason and counted. Columns that are neither
    named like a field nor asked for are not read.
    """
    from segmenter.clock import parse_time  # noqa: PLC0415 - --help must not wait for polars
    from segmenter.events.contract import ColumnMapping  # noqa: PLC0415
    from segmenter.events.ingest import ingest as run  # noqa: PLC0415
    from segmenter.events.ingest_options import IngestOptions  # noqa: PLC0415

    named = {
        "user": user,
        "time": time,
        "event": event,
        "item": item,
        "category": category,
        "value": value,
        "quantity": quantity,
        "currency": currency,
        "session": session,
        "order": order,
        "consent": consent,
        "seq": seq,
    }
    options = IngestOptions(
        until=None if until is None else parse_time(until, option="--until"),
        timezone=timezone,
        time_unit=time_unit,
        delimiter="\t" if delimiter == r"\t" else delimiter,
        encoding=encoding,
        keep_duplicates=keep_duplicates,
    )
    columns = {name: column for name, column in named.items() if column is not None}
    terminal = Terminal(as_json=as_json)
    with terminal.progress("Reading events") as progress:
        report = run(
            files,
            store,
            mapping=ColumnMapping(columns, tuple(extra or ())),
            options=options,
            progress=progress,
        )
    show(report, terminal)
    train = f"segmenter train --store {shlex.quote(str(store))}{home_option(mlruns)}"
    terminal.next_commands(train, f"{train} --dry-run")
    terminal.finish(report.to_json())


def show(report: "IngestReport", terminal: Terminal) -> None:
    """Print what became of the rows, which columns were read, and what was written."""
    if report.reused:
        terminal.say(
            "[yellow]Up to date:[/yellow] the store was made from the same files and options."
        )
    terminal.say(counts_table(report))
    layout = report.manifest["log"]["layout"]
    read = [
        name if name == column else f"{name} (from {column})"
        for name, column in layout["columns"].items()
    ]
    lines = [("Columns read", ", ".join(read))]
    if layout["ignored"]:
        lines.append(("Columns ignored", f"{', '.join(layout['ignored'])} (keep one: --extra)"))
    if report.manifest["empty"]:
        lines.append(("Columns empty", ", ".join(report.manifest["empty"])))
    lines += [("Set aside", str(path)) for path in report.rejected_files]
    content = (
        f"{report.n_users:,} users, {report.n_events:,} events "
        f"from {report.manifest['oldest']} to {report.manifest['newest']}, "
        f"{report.size_bytes / 2**20:,.1f} MiB"
    )
    lines.append(("Event store", f"{report.store}: {content}"))
    for title, text in lines:
        # Names and paths are printed as they are: no markup, and no break inside a path.
        terminal.people.print(f"{title:<16} {text}", markup=False, soft_wrap=True)


def counts_table(report: "IngestReport") -> "Table":
    """Rows read, kept and set aside, by reason."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    table.add_column("Rows")
    table.add_column("", justify="right")
    table.add_column("", justify="right")
    rows = {"read": report.n_read, "kept": report.n_events}
    rows |= {f"set aside: {reason}": count for reason, count in report.rejected.items()}
    if report.n_after_until:
        rows["left out: at or after --until"] = report.n_after_until
    for name, count in rows.items():
        table.add_row(name, f"{count:,}", f"{count / max(report.n_read, 1):.1%}")
    return table
