"""``segmenter export``: its options, and the order of its steps."""

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal
from serving.exports import command_options as o

MAX_AGE_DAYS = 30


def export(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    scores: o.Scores,
    identities: o.Identities,
    to: o.To,
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    segments: o.Segments = None,
    level: o.Level = "segment",
    suppress: o.Suppress = None,
    dry_run: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--dry-run", help="Show the waterfall and write nothing.")
    ] = False,
    delta: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--delta", help="Only who came and who left since the last delivery.")
    ] = False,
    holdout: o.Holdout = None,
    ledger: o.LedgerFile = None,
    deliver: o.Deliver = None,
    action: Annotated[
        str | None,
        typer.Option("--action", help="add, remove or replace; left out, what states a list."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of an account, NAME=VALUE; repeatable."),
    ] = None,
    min_strength: o.MinStrength = 0.0,
    default_country: o.DefaultCountry = None,
    silence_is_consent: o.SilenceIsConsent = None,
    tcf_vendor: o.TcfVendor = None,
    minimum_age: o.MinimumAge = o.MINIMUM_AGE,
    minimum_people: o.MinimumPeople = o.MINIMUM_PEOPLE,
    segment_flags: o.SegmentFlags = None,
    max_age_days: Annotated[
        int, typer.Option("--max-age-days", help="Older scores are refused.")
    ] = MAX_AGE_DAYS,
    allow_stale: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--allow-stale", help="Export old scores, marked so.")
    ] = False,
    any_model: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--any-model", help="Export what is not the champion's, marked so.")
    ] = False,
    compress: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--gzip", help="Compress where a destination takes it.")
    ] = False,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Write audiences in the form that ad platforms accept, and show who is left out and why.

    Only people with consent, of age and on no suppression list leave, and no audience that is too
    small, sensitive, stale or of another model than the champion.
    """
    from segmenter.errors import ExportRefusedError  # noqa: PLC0415 - see score
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from serving.exports import options  # noqa: PLC0415
    from serving.exports.deliver.sent import send_all  # noqa: PLC0415
    from serving.exports.export import Export, export as run  # noqa: PLC0415
    from serving.exports.ledger.ledger import open_ledger  # noqa: PLC0415
    from serving.exports.scores import chosen_segments, open_scores  # noqa: PLC0415
    from serving.exports.shown import show  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    opened = open_scores(scores, segment_flags, level=level)
    home = None if any_model and not mlruns.exists() else MlflowHome(mlruns)
    marks = options.marks(opened, home, max_age_days, allow_stale=allow_stale, any_model=any_model)
    rules = options.rules(
        opened,
        min_strength=min_strength,
        minimum_age=minimum_age,
        default_country=default_country,
        silence=silence_is_consent,
        vendors=tcf_vendor or [],
        suppress=suppress or [],
    )
    with ExitStack() as stack:
        place = ledger or out.parent / o.LEDGER
        book = (
            options.ledger_at(place, stack) if dry_run else stack.enter_context(open_ledger(place))
        )
        job = Export(
            scores=opened,
            identities=identities,
            segments=tuple(chosen_segments(opened, segments)),
            destinations=options.destinations(to),
            rules=options.with_ledger(rules, book, holdout, keep=not dry_run),
            action=action,
            delta=delta,
            ledger=book,
            floor=options.floor(minimum_people),
            settings=options.pairs(settings or [], "--set"),
            compressed=compress,
            marks=marks,
        )
        with terminal.progress("Exporting users") as progress:
            report = run(job, None if dry_run else out, progress=progress)
        show(report, terminal)
        sent = send_all(book, report.deliveries, deliver or [], terminal=terminal)
        waiting = set(report.deliveries) - {one["delivery"] for one in sent}
    if waiting:
        listed = ",".join(map(str, sorted(waiting)))
        terminal.next_commands(
            f"segmenter deliveries --ledger {shlex.quote(str(place))} --delivered {listed}"
        )
    terminal.finish(report.to_json() | {"sent": sent})
    if all(one.is_refused for one in report.waterfalls):
        message = "no audience was written; the reasons stand above"
        raise ExportRefusedError(message)
