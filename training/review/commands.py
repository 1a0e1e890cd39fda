"""The commands of a reviewer."""

import getpass
import shlex
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns, TrackingUri, home_option
from segmenter.terminal import Terminal
from training.review import review_command

if TYPE_CHECKING:
    from training.review.act import Done
    from training.review.decision_log import Entry
    from training.review.history import History

Version = Annotated[str, typer.Argument(metavar="MODEL/VERSION", help="Or MODEL@ALIAS.")]
By = Annotated[str, typer.Option("--by", help="Who decides.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Despite = Annotated[
    list[str] | None,
    typer.Option("--despite", help="A failed gate that is accepted; repeatable."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    review_command.register(app)
    app.command("approve")(approve)
    app.command("reject")(reject)
    app.command("promote")(promote)
    app.command("rollback")(rollback)
    app.command("history")(history)


def approve(  # noqa: PLR0917 - a command's options are its parameters
    version: Version,
    by: By,
    reason: Reason,
    despite: Despite = None,
    mlruns: Mlruns = MLRUNS,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Make a reviewed version champion; the one before becomes `previous`.

    The bundle is loaded in a process of its own and must repeat its golden vectors.
    """
    from segmenter.tracking_server import registry_at  # noqa: PLC0415 - --help must be fast
    from training.review import act  # noqa: PLC0415
    from training.review.approval import Word  # noqa: PLC0415

    word = Word(by, reason, tuple(despite or ()))
    done = act.approve(registry_at(mlruns, tracking_uri), version, word)
    _finish(done, home_option(mlruns, tracking_uri), as_json=as_json)


def reject(  # noqa: PLR0917 - as above
    version: Version,
    by: By,
    reason: Reason,
    mlruns: Mlruns = MLRUNS,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Say that a version shall not become champion, and why."""
    from segmenter.tracking_server import registry_at  # noqa: PLC0415
    from training.review import act  # noqa: PLC0415
    from training.review.approval import Word  # noqa: PLC0415

    done = act.reject(registry_at(mlruns, tracking_uri), version, Word(by, reason))
    _finish(done, home_option(mlruns, tracking_uri), as_json=as_json)


def promote(  # noqa: PLR0917 - as above
    version: Version,
    by: Annotated[
        str | None, typer.Option("--by", help="Who decides; left out, the user of this shell.")
    ] = None,
    reason: Reason = "approved earlier",
    mlruns: Mlruns = MLRUNS,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Make a version champion again that was approved earlier."""
    from segmenter.tracking_server import registry_at  # noqa: PLC0415
    from training.review import act  # noqa: PLC0415
    from training.review.approval import Word  # noqa: PLC0415

    word = Word(getpass.getuser() if by is None else by, reason)
    done = act.promote(registry_at(mlruns, tracking_uri), version, word)
    _finish(done, home_option(mlruns, tracking_uri), as_json=as_json)


def rollback(  # noqa: PLR0917 - as above
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Registered name.")],
    by: By,
    reason: Reason,
    mlruns: Mlruns = MLRUNS,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Let the champion of before lead again, after it was loaded and checked."""
    from segmenter.tracking_server import registry_at  # noqa: PLC0415
    from training.review import act  # noqa: PLC0415
    from training.review.approval import Word  # noqa: PLC0415

    done = act.roll_back(registry_at(mlruns, tracking_uri), model, Word(by, reason))
    _finish(done, home_option(mlruns, tracking_uri), as_json=as_json)


def _finish(done: "Done", place: str, *, as_json: bool) -> None:
    """Say what was decided and what is champion now."""
    from training.review.act import WORDS  # noqa: PLC0415
    from training.review.approval import plain  # noqa: PLC0415

    terminal, decision = Terminal(as_json=as_json), done.decision
    told = plain(decision, done.entry)
    champion = decision.aliases.get("champion", done.before)
    said = f"{decision.label} {WORDS[decision.action]} by {decision.by}: {decision.reason}"
    if decision.action == "rollback":
        said = f"{decision.model} {WORDS[decision.action]} {decision.label} by {decision.by}"
    before = "none" if done.before is None else f"{decision.model}/{done.before}"
    now = "none" if champion is None else f"{decision.model}/{champion}"
    terminal.say(Text(said))
    moved = f"Champion {now} (before: {before})" if now != before else f"Champion still {now}"
    terminal.say(Text(f"{moved}; entry {done.entry.number} of the log"))
    terminal.next_commands(f"segmenter history {shlex.quote(decision.model)}{place}")
    terminal.finish(told | {"champion": champion, "before": done.before})


def history(  # noqa: PLR0917 - as above
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Registered name.")],
    at: Annotated[
        str | None, typer.Option("--at", help="What was champion then: 2026-03-03, or a time.")
    ] = None,
    mlruns: Mlruns = MLRUNS,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Tell who decided what about a model, and what was champion at a time."""
    from segmenter.tracking_server import registry_at  # noqa: PLC0415
    from training.review.history import entry_row, read_history  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    found = read_history(registry_at(mlruns, tracking_uri), model)
    if at is not None:
        _answer(found, at, terminal)
        return
    _show(found, terminal)
    terminal.finish(
        {
            "model": model,
            "aliases": found.aliases,
            "entries": [entry_row(entry) for entry in found.entries],
        }
    )


def _show(found: "History", terminal: Terminal) -> None:
    """The decisions as a table."""
    from rich.table import Table  # noqa: PLC0415

    table = Table("#", "When", "What", "Version", "By", "Why", "Champion")
    for place, entry in enumerate(found.entries, start=1):
        decision = entry.decision
        what = f"{decision.action} (void)" if entry.kind == "void" else decision.action
        cells = (str(entry.number), entry.at[:19].replace("T", " "), what, str(decision.version))
        champion = _champion_cell(found, place)
        table.add_row(*map(Text, (*cells, decision.by, decision.reason, champion)))
    terminal.say(table)
    held = ", ".join(f"{alias} {number}" for alias, number in sorted(found.aliases.items()))
    terminal.say(Text(f"Now: {held or 'no alias'}. The chain of entries is whole."))


def _champion_cell(found: "History", place: int) -> str:
    from training.review.history import champion_of  # noqa: PLC0415

    return champion_of(found.entries[:place]).rsplit("/", 1)[-1]


def _answer(found: "History", at: str, terminal: Terminal) -> None:
    """What was champion at a time, and who decided it."""
    from training.review.history import asked_period, entry_row  # noqa: PLC0415

    start, end = asked_period(at)
    when = f"At {at}" if start == end else f"When {at} began"
    first, moves = found.champion_at(start), found.moves_between(start, end)
    if first is None:
        terminal.say(Text(f"{when}, {found.model} had no champion that the log knows of"))
    else:
        terminal.say(Text(f"{when}, the champion was {_told(first)}"))
    for entry in moves:
        terminal.say(Text(f"Then it was {_told(entry)}"))
    terminal.finish(
        {
            "model": found.model,
            "at": at,
            "champion": None if first is None else first.decision.aliases["champion"],
            "decided": None if first is None else entry_row(first),
            "then": [entry_row(entry) for entry in moves],
        }
    )


def _told(entry: "Entry") -> str:
    """An entry that moved the champion, in a sentence."""
    decision = entry.decision
    number = decision.aliases["champion"]
    label = "none" if number is None else f"{decision.model}/{number}"
    who = f"by {decision.by}" if decision.by else "by nobody known"
    return f"{label} ({decision.action} {who} at {entry.at[:19]}Z: {decision.reason})"
