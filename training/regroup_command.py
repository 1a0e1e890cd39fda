"""``segmenter segments merge`` and ``split``: shown first, done with ``--yes``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal

Model = Annotated[
    str | None, typer.Option("--model", help="MODEL@ALIAS or MODEL/VERSION.", metavar="MODEL")
]
Store = Annotated[
    Path | None,
    typer.Option("--store", help="Event store that the model was trained on."),
]
Attributes = Annotated[
    Path | None,
    typer.Option("--attributes", help="Table of users for demographic rules, as in training."),
]
Author = Annotated[
    str | None, typer.Option("--author", help="Who says so; left out, the user of this shell.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; left out, only its effect is shown.")]


def register(segments: typer.Typer) -> None:
    """Add both commands to ``segmenter segments``."""
    segments.command("merge")(merge)
    segments.command("split")(split)
    segments.command("word")(word)


def merge(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    one: Annotated[int, typer.Argument(metavar="A", help="Id of a segment.")],
    other: Annotated[int, typer.Argument(metavar="B", help="Id of another.")],
    store: Store = None,
    attributes: Attributes = None,
    author: Author = None,
    yes: Yes = False,  # noqa: FBT002 - a flag
    model: Model = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Make one segment of two: what it changes is shown, and with --yes it is done.

    The new segment has a new id and exactly the members of both. Refits do not split it again.
    """
    terminal = Terminal(as_json=as_json)
    tables, who = (store, attributes), (author, yes)
    _run((one, other), model, mlruns, tables=tables, who=who, terminal=terminal)


def split(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    number: Annotated[int, typer.Argument(metavar="A", help="Id of the segment.")],
    store: Store = None,
    attributes: Attributes = None,
    author: Author = None,
    yes: Yes = False,  # noqa: FBT002 - a flag
    model: Model = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Make two segments of one, along its micro segments: shown first, done with --yes.

    Both parts have new ids. Refits do not merge them again.
    """
    terminal = Terminal(as_json=as_json)
    tables, who = (store, attributes), (author, yes)
    _run((number,), model, mlruns, tables=tables, who=who, terminal=terminal)


def word(  # noqa: PLR0917 - a command's options are its parameters
    titles: Annotated[
        Path | None,
        typer.Option("--titles", help="Table of value, title, and field where it matters."),
    ] = None,
    writer: Annotated[
        str | None,
        typer.Option("--writer", help="MODULE:FUNCTION from facts to a name; it sees no user."),
    ] = None,
    author: Author = None,
    model: Model = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Put titles of a catalogue in place of codes, and let a function name the segments.

    Names that a person gave stay. A written name that is empty, too long, taken or sensitive is
    not used; the automatic one stays and the reason is printed.
    """
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415 - --help waits for no torch
    from training.model_commands import shell_user  # noqa: PLC0415 - it registers these commands
    from training.wording import load_writer, reword  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    done = reword(
        MlflowHome(mlruns),
        model,
        titles=titles,
        writer=None if writer is None else load_writer(writer),
        author=shell_user() if author is None else author,
    )
    for number, (old, new) in done.renamed.items():
        terminal.say(Text(f"Segment {number}: {old} is now {new}"))
    for one in done.kept:
        terminal.say(Text(f"Segment {one.id} keeps its name: {one.reason}", style="yellow"))
    aliases = ", ".join(done.after.aliases) or "no alias"
    terminal.say(Text(f"Model   {done.after.label} ({aliases}); {done.before.label} is as it was"))
    renamed = {str(number): list(names) for number, names in done.renamed.items()}
    kept = {str(one.id): one.reason for one in done.kept}
    told = {"model": done.after.label, "from": done.before.label, "renamed": renamed}
    terminal.finish(told | {"kept": kept})


def _run(
    ids: Sequence[int],
    spec: str | None,
    mlruns: Path,
    *,
    tables: tuple[Path | None, Path | None],
    who: tuple[str | None, bool],
    terminal: Terminal,
) -> None:
    """Show the effect; do it if a person says so."""
    from segmenter.audience_model import AudienceModel  # noqa: PLC0415 - --help waits for no torch
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from training.model_commands import shell_user  # noqa: PLC0415 - it registers these commands
    from training.naming import editable  # noqa: PLC0415
    from training.regroup_effect import gather_crowd, measure_effect  # noqa: PLC0415
    from training.regrouping import plan_regrouping, regroup  # noqa: PLC0415
    from training.user_tables import UserTables  # noqa: PLC0415

    (store, attributes), (author, is_sure) = tables, who
    home, name = MlflowHome(mlruns), shell_user() if author is None else author
    before = editable(home, spec, author=name)
    model = AudienceModel.load(before.folder)
    planned = plan_regrouping(model, ids)
    with terminal.progress("Measuring the effect"):
        crowd = gather_crowd(model, before.folder, jobs=home.path / "jobs", store=store)
        effect = measure_effect(model, planned, crowd)
    names = {item.id: item.name for item in model.segments}
    for number in planned.old:
        terminal.say(Text(f"Segment {number}: {names[number]}"))
    for line in effect.lines():
        terminal.say(Text(line))
    told = {"from": before.label, "old": planned.old, "new": planned.new, "done": is_sure}
    told["effect"] = effect.to_json()
    if not is_sure:
        terminal.say("Nothing was changed: pass --yes (and --store) to do it.")
        terminal.finish(told)
        return
    with terminal.progress("Describing the new segments"):
        known = UserTables(attributes=attributes)
        done = regroup(home, before, planned, crowd=crowd, author=name, tables=known)
    for item in done.segments:
        terminal.say(Text(f"New segment {item.id}: {item.name}, {item.n_users:,} users"))
    aliases = ", ".join(done.after.aliases) or "no alias"
    terminal.say(Text(f"Model   {done.after.label} ({aliases}); {before.label} is as it was"))
    terminal.finish(
        told
        | {
            "model": done.after.label,
            "aliases": list(done.after.aliases),
            "segments": [item.to_json() for item in done.segments],
            "author": done.author,
            "at": done.at,
        }
    )
