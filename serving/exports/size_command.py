"""``segmenter size``: how large audiences would be, before anything is exported."""

from pathlib import Path
from typing import Annotated

import typer

from segmenter.command_options import AsJson
from segmenter.terminal import Terminal
from serving.exports import command_options as o


def size(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    scores: o.Scores,
    identities: o.Identities,
    to: o.To,
    segments: o.Segments = None,
    level: o.Level = "segment",
    suppress: o.Suppress = None,
    holdout: o.Holdout = None,
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", help="Ledger of deliveries: who is held out, erased."),
    ] = None,
    min_strength: o.MinStrength = 0.0,
    default_country: o.DefaultCountry = None,
    silence_is_consent: o.SilenceIsConsent = None,
    tcf_vendor: o.TcfVendor = None,
    minimum_age: o.MinimumAge = o.MINIMUM_AGE,
    minimum_people: o.MinimumPeople = o.MINIMUM_PEOPLE,
    segment_flags: o.SegmentFlags = None,
    sample: Annotated[
        int, typer.Option("--sample", help="Members to look at, 2,000 a segment or more.", min=1)
    ] = 20_000,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """How many people each step would leave, before anything is exported.

    Of large segments only a sample is looked at, and every figure has its interval.
    """
    from contextlib import ExitStack  # noqa: PLC0415 - see score

    from serving.exports import options  # noqa: PLC0415
    from serving.exports.export import Export  # noqa: PLC0415
    from serving.exports.scores import chosen_segments, open_scores  # noqa: PLC0415
    from serving.exports.shown import show_sizes  # noqa: PLC0415
    from serving.exports.size import sizes  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    opened = open_scores(scores, segment_flags, level=level)
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
        book = options.ledger_at(ledger, stack)
        job = Export(
            scores=opened,
            identities=identities,
            segments=tuple(chosen_segments(opened, segments)),
            destinations=options.destinations(to),
            rules=options.with_ledger(rules, book, holdout, keep=False),
            floor=options.floor(minimum_people),
        )
        found = sizes(job, sample)
    show_sizes(found, terminal)
    terminal.finish({"audiences": [one.to_json() for one in found]})
