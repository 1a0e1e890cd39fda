"""``segmenter export``: its options, and what a person reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal

if TYPE_CHECKING:
    from rich.table import Table

    from serving.exports.audiences import Rules
    from serving.exports.destination import Destination
    from serving.exports.export import ExportReport
    from serving.exports.scores import Scores
    from serving.exports.waterfall import Waterfall

NAMES = (
    *("google-data-manager", "google-ads-csv", "google-ads-api", "dv360", "meta", "tiktok"),
    *("tiktok-api", "linkedin", "linkedin-csv", "pinterest", "snap", "x", "reddit"),
    *("microsoft", "amazon", "the-trade-desk", "uid2", "liveramp", "yahoo", "criteo"),
    *("spotify", "generic-csv", "webhook"),
)
"""Destinations, for the help, which must not wait for them; a test compares."""

MAX_AGE_DAYS = 30
MINIMUM_AGE = 18
MINIMUM_PEOPLE = 100


def export(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    scores: Annotated[Path, typer.Option("--scores", help="Folder of `segmenter score`.")],
    identities: Annotated[
        Path,
        typer.Option(
            "--identities",
            help="Parquet or CSV: user_id and any of email, phone, first_name, last_name, street, "
            "city, state, postal_code, country, idfa, aaid, ..., consent, tcf_string, gpp_string, "
            "age.",
        ),
    ],
    to: Annotated[
        list[str], typer.Option("--to", help=f"Destination, again for more: {', '.join(NAMES)}.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    segments: Annotated[
        str | None, typer.Option("--segments", help="Ids, as in 1,4; left out, every segment.")
    ] = None,
    level: Annotated[
        str, typer.Option("--level", help="What --segments are: macro, segment or micro.")
    ] = "segment",
    suppress: Annotated[
        list[Path] | None,
        typer.Option("--suppress", help="File of raw or hashed ids to leave out; repeatable."),
    ] = None,
    dry_run: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--dry-run", help="Show the waterfall and write nothing.")
    ] = False,
    action: Annotated[
        str | None,
        typer.Option("--action", help="add, remove or replace; left out, what states a list."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of an account, NAME=VALUE; repeatable."),
    ] = None,
    min_strength: Annotated[
        float, typer.Option("--min-strength", help="Least strength of membership, 0 to 1.")
    ] = 0.0,
    default_country: Annotated[
        str | None,
        typer.Option("--default-country", help="Two letters, where a country is not known."),
    ] = None,
    silence_is_consent: Annotated[
        str | None,
        typer.Option(
            "--silence-is-consent",
            help="Countries where a person without any signal may be exported, as in US,CA.",
        ),
    ] = None,
    tcf_vendor: Annotated[
        list[str] | None,
        typer.Option("--tcf-vendor", help="Number of a vendor, DESTINATION=NUMBER; repeatable."),
    ] = None,
    minimum_age: Annotated[
        int, typer.Option("--minimum-age", help="People known to be younger are left out.")
    ] = MINIMUM_AGE,
    minimum_people: Annotated[
        int, typer.Option("--minimum-people", help="Least number of people, 100 or more.")
    ] = MINIMUM_PEOPLE,
    segment_flags: Annotated[
        Path | None,
        typer.Option("--segment-flags", help="Table of segment_id, sensitive, evidence."),
    ] = None,
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
    from serving.exports.export import Export, export as run  # noqa: PLC0415
    from serving.exports.scores import chosen_segments, open_scores  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    opened = open_scores(scores, segment_flags, level=level)
    home = None if any_model and not mlruns.exists() else MlflowHome(mlruns)
    marks = _marks(opened, home, max_age_days, allow_stale=allow_stale, any_model=any_model)
    job = Export(
        scores=opened,
        identities=identities,
        segments=tuple(chosen_segments(opened, segments)),
        destinations=_destinations(to),
        rules=_rules(
            opened,
            min_strength=min_strength,
            minimum_age=minimum_age,
            default_country=default_country,
            silence=silence_is_consent,
            vendors=tcf_vendor or [],
            suppress=suppress or [],
        ),
        action=action,
        floor=_floor(minimum_people),
        settings=_pairs(settings or [], "--set"),
        compressed=compress,
        marks=marks,
    )
    with terminal.progress("Exporting users") as progress:
        report = run(job, None if dry_run else out, progress=progress)
    show(report, terminal)
    terminal.finish(report.to_json())
    if not any(one.is_written for one in report.waterfalls):
        message = "no audience was written; the reasons stand above"
        raise ExportRefusedError(message)


def show(report: "ExportReport", terminal: Terminal) -> None:
    """Print a waterfall for each audience, and where its files are."""
    for one in report.waterfalls:
        terminal.say(_table(one))
        style = {"refused": "bold red", "written": "green"}.get(one.verdict, "yellow")
        terminal.say(Text(f"{one.verdict}{': ' + one.why if one.why else ''}", style=style))
        for remedy in one.remedies:
            terminal.say(Text(f"  or: {remedy}"))
    if report.ignored:
        told = ", ".join(report.ignored)
        terminal.say(
            Text(f"not read, though it may say who must not leave: {told}", "bold yellow")
        )
    for mark in report.marks:
        terminal.say(Text(f"marked: {mark}", style="yellow"))
    for name, missing in report.placeholders.items():
        terminal.say(Text(f"{name}: placeholders stand for {', '.join(missing)}; pass --set"))
    if report.out is None:
        terminal.say("Nothing was written: this was a dry run.")
        return
    for name in (*report.files, "waterfall.html", "manifest.json"):
        terminal.people.print(str(report.out / name), markup=False, soft_wrap=True)


def _table(one: "Waterfall") -> "Table":
    from rich.table import Table  # noqa: PLC0415 - half a tenth of a second

    from serving.exports.waterfall import STAGES  # noqa: PLC0415

    table = Table(
        title=Text(one.title),
        title_justify="left",
    )
    table.add_column("step")
    table.add_column("people", justify="right")
    table.add_column("left out, by reason")
    for stage, label in STAGES.items():
        reasons = one.reasons.get(stage, {})
        told = "; ".join(f"{reason} {n_people:,}" for reason, n_people in reasons.items())
        table.add_row(label, f"{one.counts[stage]:,}", Text(told))
    low, high = one.match_rate
    table.add_row(
        f"may be found (assumed {low:.0%} to {high:.0%})",
        f"{one.matched[0]:,} to {one.matched[1]:,}",
        Text("an assumption, not a measurement"),
    )
    return table


def _marks(
    scores: "Scores", home: object, max_age_days: int, *, allow_stale: bool, any_model: bool
) -> tuple[str, ...]:
    """Refuse stale scores and other models than the champion, or tell what was allowed."""
    import datetime as dt  # noqa: PLC0415

    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from serving.exports.gates import model_reason, refuse, stale_reason  # noqa: PLC0415

    stale = stale_reason(scores, dt.datetime.now(dt.UTC), max_age_days)
    refuse(stale, allowed=allow_stale, option="--allow-stale")
    other = (
        model_reason(scores, home)
        if isinstance(home, MlflowHome)
        else "there is no registry to ask for the champion"
    )
    refuse(other, allowed=any_model, option="--any-model")
    return tuple(reason for reason in (stale, other) if reason is not None)


def _destinations(names: list[str]) -> "tuple[Destination, ...]":
    from serving.exports.destinations import destination_of  # noqa: PLC0415

    single = [name.strip() for several in names for name in several.split(",")]
    return tuple(destination_of(name) for name in dict.fromkeys(single))


def _rules(
    scores: "Scores",
    *,
    min_strength: float,
    minimum_age: int,
    default_country: str | None,
    silence: str | None,
    vendors: list[str],
    suppress: list[Path],
) -> "Rules":
    from segmenter.errors import ConfigError  # noqa: PLC0415
    from serving.exports.audiences import Rules  # noqa: PLC0415
    from serving.exports.suppression import read_suppression  # noqa: PLC0415

    if not 0 <= min_strength <= 1:
        message = f"--min-strength must be in 0 to 1; found {min_strength}"
        raise ConfigError(message)
    country = _countries(default_country, "--default-country")
    chosen = country[0] if country else None
    return Rules(
        min_strength=min_strength,
        minimum_age=minimum_age,
        moment=scores.moment,
        default_country=chosen,
        silence_is_consent=frozenset(_countries(silence, "--silence-is-consent")),
        vendors={name: _number(value) for name, value in _pairs(vendors, "--tcf-vendor").items()},
        suppression=read_suppression(suppress, default_country=chosen) if suppress else None,
    )


def _countries(text: str | None, option: str) -> list[str]:
    from segmenter.errors import ConfigError  # noqa: PLC0415
    from serving.exports.names import country_code  # noqa: PLC0415

    found = []
    for part in (text or "").split(","):
        code = country_code(part.strip()) if part.strip() else None
        if part.strip() and code is None:
            message = f"{option} must name countries by their codes; found {part.strip()!r}"
            raise ConfigError(message)
        found += [code] if code else []
    return found


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    from segmenter.errors import ConfigError  # noqa: PLC0415

    wrong = [text for text in texts if "=" not in text]
    if wrong:
        message = f"{option} must be of the form NAME=VALUE; found {wrong[0]!r}"
        raise ConfigError(message)
    return dict(text.split("=", 1) for text in texts)


def _number(text: str) -> int:
    from segmenter.errors import ConfigError  # noqa: PLC0415

    if not text.isdigit():
        message = f"--tcf-vendor must give the number of a vendor; found {text!r}"
        raise ConfigError(message)
    return int(text)


def _floor(minimum_people: int) -> int:
    from segmenter.errors import ConfigError  # noqa: PLC0415

    if minimum_people < MINIMUM_PEOPLE:
        message = (
            f"--minimum-people cannot be under {MINIMUM_PEOPLE}, the floor of k-anonymity; "
            f"found {minimum_people}"
        )
        raise ConfigError(message)
    return minimum_people
