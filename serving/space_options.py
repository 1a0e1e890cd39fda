"""Options that the commands of ``segmenter space`` share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segmenter.terminal import Terminal

if TYPE_CHECKING:
    from serving.space_tables import OpenedSpace

Embeddings = Annotated[
    Path | None,
    typer.Option(
        "--embeddings", help="Parquet: user_id and embedding, or a numeric column per dimension."
    ),
]
Scores = Annotated[
    Path | None, typer.Option("--scores", help="Folder that segmenter score wrote.")
]
Metadata = Annotated[
    Path | None,
    typer.Option("--metadata", help="Parquet or CSV: user_id and what is known of users."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of everything that is drawn by lot.")]
Neighbors = Annotated[int, typer.Option("--k", min=1, help="Nearest users to show.")]
GROUP_HELP = "A group, such as 'age=65+ & spend>100'."
PLACE_HELP = "A place: user:ID, or a group, whose centroid is taken."


def opened(
    terminal: Terminal,
    *,
    embeddings: Path | None,
    scores: Path | None,
    metadata: Path | None,
) -> "OpenedSpace":
    """Read the space that the options name, and say what a reader should know of it."""
    from serving.space_tables import open_space  # noqa: PLC0415 - --help must not wait for polars

    found = open_space(embeddings=embeddings, scores=scores, metadata=metadata)
    for note in found.notes:
        terminal.say(f"[yellow]{note}[/yellow]")
    return found
