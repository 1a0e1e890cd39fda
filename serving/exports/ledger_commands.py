"""Commands around the ledger of exports: ``deliveries``, ``forget``, ``lift``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import AsJson
from segmenter.terminal import Terminal
from serving.exports import command_options as o

if TYPE_CHECKING:
    from serving.exports.ledger.deliveries import Delivery


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("deliveries")(deliveries)
    app.command("forget")(forget)
    app.command("lift")(lift)


def deliveries(  # noqa: PLR0917 - a command's options are its parameters
    ledger: o.KnownLedger = Path(o.LEDGER),
    delivered: Annotated[
        str | None, typer.Option("--delivered", help="Numbers that have arrived, as in 3,4.")
    ] = None,
    failed: Annotated[
        str | None, typer.Option("--failed", help="Numbers that have not arrived whole.")
    ] = None,
    deliver: o.Deliver = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """List what was sent where, and say what has arrived: a delta starts from there.

    People of a delivery that failed, or of which nothing is said, are sent again by the next.
    With --deliver all that wait for an address are posted, from where they were left off.
    """
    from serving.exports.deliver.sent import send_all  # noqa: PLC0415
    from serving.exports.ledger.ledger import open_ledger  # noqa: PLC0415 - see score

    terminal = Terminal(as_json=as_json)
    _must_exist(ledger)
    with open_ledger(ledger) as book:
        for number in _numbers(delivered, "--delivered"):
            book.delivered(number)
        for number in _numbers(failed, "--failed"):
            book.failed(number)
        waiting = [one.id for one in book.deliveries() if one.state in ("written", "failed")]
        sent = send_all(book, waiting, deliver or [], terminal=terminal)
        known = book.deliveries()
    _list(known, terminal)
    terminal.finish({"deliveries": [one.to_json() for one in known], "sent": sent})


def forget(  # noqa: PLR0917 - a command's options are its parameters
    people: Annotated[
        Path, typer.Argument(help="Text or CSV: user ids, addresses, numbers, devices, digests.")
    ],
    receipt: Annotated[Path, typer.Option("--receipt", help="JSON file to write.")],
    ledger: o.KnownLedger = Path(o.LEDGER),
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of removal payloads; left out, beside the receipt."),
    ] = None,
    identities: Annotated[
        Path | None,
        typer.Option("--identities", help="Table that still knows their device ids and names."),
    ] = None,
    default_country: o.DefaultCountry = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Forget people: payloads that take them off every list they were sent to, and a receipt.

    The ledger keeps nothing of them but salted hashes, by which no later export sends them.
    """
    from serving.exports.forget import forget as run  # noqa: PLC0415
    from serving.exports.ledger.ledger import open_ledger  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    _must_exist(ledger)
    place = out or receipt.with_name(f"{receipt.stem}-removals")
    with open_ledger(ledger) as book:
        plain = run(
            book,
            people,
            receipt=receipt,
            out=place,
            identities=identities,
            default_country=default_country,
        )
    for one in plain["lists"]:
        told = f"{one['destination']}, segment {one['segment']}: {one['people']:,} people"
        terminal.say(Text(f"{told}; {_how(one)}"))
        for name in one["files"]:
            terminal.people.print(str(place / name), markup=False, soft_wrap=True)
        if one["void_delivery"] is not None:
            terminal.say(Text(f"  do not upload delivery {one['void_delivery']} any more"))
    if not plain["lists"]:
        terminal.say("Nobody of the list stands on a list that was exported.")
    terminal.people.print(str(receipt), markup=False, soft_wrap=True)
    terminal.finish(plain)


def lift(  # noqa: PLR0917 - a command's options are its parameters
    outcomes: Annotated[
        Path, typer.Option("--outcomes", help="Parquet or CSV: user_id and a later number.")
    ],
    ledger: o.KnownLedger = Path(o.LEDGER),
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="Column of the number, where there are more.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """What exporting has brought about: everybody drawn for it against the control group.

    Whoever was drawn counts with the arm, whether sent or not, so that nothing is compared but
    what the draw made different.
    """
    from serving.exports.ledger.ledger import open_ledger  # noqa: PLC0415
    from serving.exports.lift import lifts  # noqa: PLC0415
    from serving.exports.shown import lift_table  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    _must_exist(ledger)
    with open_ledger(ledger) as book:
        found = lifts(book, outcomes, outcome)
    terminal.say(lift_table(found))
    terminal.say(
        "detectable: the least true effect that four of five such experiments would show; "
        "power: the chance to show a tenth of the control group's mean."
    )
    terminal.finish({"lifts": [one.to_json() for one in found]})


def _how(plain: dict[str, object]) -> str:
    stuck = plain["without_payload"]
    more = (
        f"; {stuck} were sent by plain identifiers alone: take them off by hand" if stuck else ""
    )
    return f"{plain['how']}{more}"


def _list(known: "list[Delivery]", terminal: Terminal) -> None:
    from rich.table import Table  # noqa: PLC0415 - half a tenth of a second

    table = Table(title="Deliveries", title_justify="left")
    for name in ("number", "destination", "segment", "kind", "state", "as of"):
        table.add_column(name)
    for name in ("put on", "taken off"):
        table.add_column(name, justify="right")
    for one in known:
        plain = one.to_json()
        table.add_row(
            *(str(one.id), one.destination, f"{one.segment_id}, {one.segment_name}", one.kind),
            *(one.state, str(plain["as_of"])[:10]),
            *(f"{one.n_added:,}", f"{one.n_removed:,}"),
        )
    terminal.say(table)


def _must_exist(ledger: Path) -> None:
    from segmenter.errors import LedgerError  # noqa: PLC0415

    if not ledger.is_file():
        message = f"there is no ledger {ledger}; pass --ledger FILE that `segmenter export` wrote"
        raise LedgerError(message)


def _numbers(text: str | None, option: str) -> list[int]:
    from segmenter.errors import ConfigError  # noqa: PLC0415

    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        message = f"{option} must list numbers of deliveries, as in 3,4; found {text!r}"
        raise ConfigError(message)
    return [int(part) for part in parts]
