"""``segmenter creative fit``: which assets fit which audience segments."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import AsJson
from segmenter.terminal import Terminal
from serving.creative_options import Space, opened

if TYPE_CHECKING:
    import polars as pl

    from segmenter.creative.affinity import Fit


def fit(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    space: Space,
    engagement: Annotated[
        Path, typer.Option("--engagement", help="CSV or Parquet: user_id, asset_id, event.")
    ],
    scores: Annotated[Path, typer.Option("--scores", help="Folder that segmenter score wrote.")],
    event: Annotated[
        str | None, typer.Option("--event", help="The engagement that counts, such as click.")
    ] = None,
    shown: Annotated[
        str | None, typer.Option("--shown", help="The event of being shown, such as impression.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Assets to show per segment.")] = 5,
    out: Annotated[
        Path | None, typer.Option("--out", help="Parquet file for the table of all pairs.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Tell which assets a segment engages with more than either would have anyway."""
    import polars as pl  # noqa: PLC0415 - --help must be fast

    from segmenter.creative.affinity import best_assets, fit_segments  # noqa: PLC0415
    from serving.space_points import write_table  # noqa: PLC0415
    from serving.space_tables import read_users  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    library = opened(space)
    assigned = read_users(scores / "assignments").filter(pl.col("segment_name").is_not_null())
    segments = assigned.select("user_id", pl.col("segment_name").alias("segment"))
    found = fit_segments(
        read_users(engagement), segments, library.assets["id"], event=event, shown=shown
    )
    best = best_assets(found, n=n)
    say(terminal, found, best)
    if out is not None:
        write_table(out, found.pairs)
        terminal.say(Text(f"All {len(found.pairs):,} pairs are written to {out}"))
    terminal.finish(
        {
            "segments": {name: table.to_dicts() for name, table in best.items()},
            "n_users": found.n_users,
            "n_without_segment": found.n_without_segment,
            "n_unknown_assets": found.n_unknown_assets,
        }
    )


def say(terminal: Terminal, found: "Fit", best: "dict[str, pl.DataFrame]") -> None:
    """Print each segment's best assets with intervals, and what counted for nothing."""
    from serving.space_views import table_of  # noqa: PLC0415 - --help must be fast

    headings = ["segment", "asset", "engaged", "expected", "fit"]
    table = table_of("Assets that fit a segment", headings, texts=2)
    for name, assets in best.items():
        for row in assets.iter_rows(named=True):
            table.add_row(
                Text(name),
                Text(row["asset_id"]),
                f"{row['n_users']:,}",
                f"{row['expected']:.1f}",
                f"{row['fit']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
            )
    terminal.say(table)
    none = [name for name, assets in best.items() if not len(assets)]
    if none:
        terminal.say(Text(f"No asset surely fits: {', '.join(none)}"))
    if found.n_without_segment or found.n_unknown_assets:
        terminal.say(
            f"Not counted: {found.n_without_segment:,} rows of users without a segment, "
            f"{found.n_unknown_assets:,} of assets that are not in the library"
        )
