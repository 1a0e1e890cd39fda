"""``segmenter creative`` drift, refresh, audit, correct and report: groups of assets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from segmenter.command_options import AsJson
from segmenter.terminal import Terminal
from serving.creative_options import By, Model, Seed, Space, encoder_of, opened, words_of

if TYPE_CHECKING:
    import numpy as np

    from segmenter.creative.store import CreativeSpace

Tag = Annotated[str, typer.Option("--group", help="Column whose values are counted.")]
Query = Annotated[list[str], typer.Option("--query", help="A search to look at. Repeatable.")]
Compare = Annotated[
    list[str] | None,
    typer.Option("--compare", help="A search to compare those with. Repeatable."),
]
DRIFT_ARRAYS = ("rows", "axis", "basis", "target", "step")
"""What a drift study is computed with and nobody reads."""


def register(creative: typer.Typer) -> None:
    """Add the commands to the group."""
    for command in (drift, refresh, audit, correct, report):
        creative.command(command.__name__)(command)


def drift(  # noqa: PLR0917 - a command's options are its parameters
    space: Space,
    by: By = "region",
    unit: Annotated[
        str | None, typer.Option("--unit", help="Column of what belongs together: a campaign.")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Measure how far each region is from the assets flagged on brand, and name the reasons."""
    from segmenter.creative.drift import measure_brand_drift  # noqa: PLC0415 - --help is fast
    from segmenter.creative.on_brand import score_on_brand  # noqa: PLC0415
    from segmenter.errors import CreativeError  # noqa: PLC0415
    from serving.creative_views import drift_lines, drift_table  # noqa: PLC0415
    from serving.space_plain import plain  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    library = opened(space)
    study = measure_brand_drift(library, words_of(space), by=by, unit=unit, seed=seed)
    terminal.say(drift_table(study))
    for line in drift_lines(study):
        terminal.say(Text(line))
    result = plain(study, without=DRIFT_ARRAYS)
    try:
        score = score_on_brand(library, seed=seed)
    except CreativeError as error:
        terminal.say(Text(str(error), "yellow"))
    else:
        line = f"On-brand score: {score.auc:.2f} AUC on assets that it was not learned from"
        terminal.say(Text(f"{line} ({score.n_yes:,} flagged yes, {score.n_no:,} no)"))
        result["on_brand_auc"] = score.auc
    terminal.finish(result)


def refresh(  # noqa: PLR0917 - a command's options are its parameters
    space: Space,
    region: Annotated[str, typer.Option("--region", help="Value of the column --by.")],
    by: By = "region",
    sheet: Annotated[Path | None, typer.Option("--sheet", help="PNG of the boards.")] = None,
    brief: Annotated[Path | None, typer.Option("--brief", help="Text file for the brief.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Show where a region could go: real assets toward the brand that keep its own look."""
    from segmenter.creative.drift import measure_brand_drift  # noqa: PLC0415 - --help is fast
    from segmenter.creative.refresh import refresh_region  # noqa: PLC0415
    from segmenter.files import write_text  # noqa: PLC0415
    from serving.creative_commands import write_sheet  # noqa: PLC0415 - it registers this file
    from serving.creative_views import refresh_table  # noqa: PLC0415
    from serving.space_plain import plain  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    library = opened(space)
    study = measure_brand_drift(library, words_of(space), by=by, seed=seed)
    found = refresh_region(library, study, region=region, seed=seed)
    terminal.say(refresh_table(found))
    terminal.say(Text(found.brief()))
    if sheet is not None:
        rows = [
            (
                f"{region}, kind {place} of {len(found.boards)}: now, then toward the brand",
                [*board.ids],
            )
            for place, board in enumerate(found.boards, 1)
        ]
        write_sheet(sheet, library, rows)
        terminal.say(Text(f"The boards are on {sheet}"))
    if brief is not None:
        write_text(brief, found.brief() + "\n")
    terminal.finish(plain(found) | {"brief": found.brief()})


def report(  # noqa: PLR0917 - a command's options are its parameters
    space: Space,
    out: Annotated[Path, typer.Option("--out", help="HTML file.")],
    by: By = "region",
    title: Annotated[str, typer.Option("--title", help="Of the page.")] = "Brand drift",
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the study as one self-contained page: drift, map, spectrum and refresh boards."""
    from segmenter.creative.drift import measure_brand_drift  # noqa: PLC0415 - --help is fast
    from segmenter.creative.on_brand import score_on_brand  # noqa: PLC0415
    from segmenter.creative.page import Study, render  # noqa: PLC0415
    from segmenter.creative.refresh import refresh_region  # noqa: PLC0415
    from segmenter.errors import CreativeError  # noqa: PLC0415
    from segmenter.files import write_text  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    library = opened(space)
    drifted = measure_brand_drift(library, words_of(space), by=by, seed=seed)
    try:
        score = score_on_brand(library, seed=seed)
    except CreativeError as error:
        terminal.say(Text(str(error), "yellow"))
        score = None
    refreshes = tuple(
        refresh_region(library, drifted, region=place.name, seed=seed)
        for place in drifted.measured.groups
    )
    write_text(out, render(library, Study(title, drifted, refreshes, score)))
    terminal.say(Text(f"The page is written to {out}"))
    terminal.finish({"out": str(out), "regions": [one.region for one in refreshes]})


def asked(
    space: "CreativeSpace", model: str | None, query: list[str], *, compare: list[str] | None
) -> tuple["np.ndarray", "np.ndarray | None"]:
    """Vectors of searches, and which of them the others are compared with."""
    import numpy as np  # noqa: PLC0415 - --help must be fast

    vectors = encoder_of(space, model).texts([*query, *(compare or ())])
    if not compare:
        return vectors, None
    return vectors, np.arange(len(vectors)) >= len(query)


def audit(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    space: Space,
    group: Tag,
    query: Query,
    compare: Compare = None,
    within: Annotated[
        str | None,
        typer.Option("--within", help="Column inside which the library's own shares count."),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Hits that are looked at.")] = None,
    model: Model = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Test whether searches favour a group by more than chance."""
    from segmenter.creative.bias import audit_searches  # noqa: PLC0415 - --help must be fast
    from serving.creative_views import audit_table  # noqa: PLC0415
    from serving.space_plain import plain  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    library = opened(space)
    queries, compared = asked(library, model, query, compare=compare)
    found = audit_searches(library, queries, tag=group, compared=compared, within=within, k=k)
    terminal.say(audit_table(found))
    terminal.say("Biased: correct it" if found.biased else "No bias beyond chance")
    terminal.finish(plain(found) | {"biased": found.biased})


def correct(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    space: Space,
    group: Tag,
    query: Annotated[
        list[str] | None, typer.Option("--query", help="A search to look at. Repeatable.")
    ] = None,
    compare: Compare = None,
    how: Annotated[
        Literal["rerank", "erase"],
        typer.Option("--how", help="Re-rank every search, or erase from vectors for drift."),
    ] = "rerank",
    out: Annotated[
        Path | None, typer.Option("--out", help="Parquet file for the erased vectors.")
    ] = None,
    model: Model = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Correct a bias that an audit finds, and test the correction on other assets.

    Re-ranking holds for every search from then on; erased vectors are written for segmenter space.
    """
    from segmenter.creative.correction import keep_correction, rerank  # noqa: PLC0415 - fast --help
    from segmenter.errors import ConfigError  # noqa: PLC0415
    from serving.creative_views import audit_table  # noqa: PLC0415
    from serving.space_plain import plain  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    library = opened(space)
    if how == "erase":
        terminal.finish(erased(library, group, out, terminal=terminal, seed=seed))
        return
    if not query:
        message = "re-ranking needs the searches in which a bias is suspected; give --query"
        raise ConfigError(message)
    queries, compared = asked(library, model, query, compare=compare)
    found = rerank(library, queries, tag=group, compared=compared, seed=seed)
    terminal.say("Found on one half of the pictures:")
    terminal.say(audit_table(found.found))
    terminal.say("Tested on the other half:")
    terminal.say(audit_table(found.tested))
    keep_correction(space, group)
    terminal.say(Text(f"Every search of pictures is now re-ranked to the shares of {group}."))
    terminal.finish(plain(found) | {"how": how})


def erased(
    library: "CreativeSpace", tag: str, out: Path | None, *, terminal: Terminal, seed: int
) -> dict[str, object]:
    """Erase a tag, write the vectors, and tell what is still read."""
    import polars as pl  # noqa: PLC0415 - --help must be fast

    from segmenter.creative.correction import erase  # noqa: PLC0415
    from serving.space_plain import plain  # noqa: PLC0415
    from serving.space_points import write_table  # noqa: PLC0415

    found = erase(library, tag=tag, seed=seed)
    line = f"{tag} is read at {found.before.figure:.2f} before and {found.after.figure:.2f} after"
    terminal.say(Text(f"{line} the erasure, on pictures that it was not learned from."))
    terminal.say("For drift and clusters; in searches it costs what captions say of it.")
    if out is not None:
        user = library.pictures.ids.alias("user_id")
        write_table(out, pl.DataFrame([user, pl.Series("embedding", found.vectors.tolist())]))
        terminal.say(Text(f"The vectors are written to {out}"))
    return {"how": "erase", **plain(found, without=("vectors",))}
