"""Options that the commands of ``segmenter creative`` share, and how they open a space."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from segmenter.creative.encoder import Encoder
    from segmenter.creative.store import CreativeSpace
    from segmenter.creative.words import Words

Space = Annotated[Path, typer.Option("--space", help="Folder of the creative space.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Checkpoint: a folder or a name; left out, that of the space."),
]
By = Annotated[str, typer.Option("--by", help="Column of the manifest, or year.")]
Download = Annotated[
    bool, typer.Option("--allow-download", help="Fetch a checkpoint that is not on this machine.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of everything that is drawn by lot.")]


def opened(space: Path) -> "CreativeSpace":
    """Open a space, once the extra is known to be there."""
    from segmenter.creative.extras import require_extra  # noqa: PLC0415 - --help must be fast

    require_extra()
    from segmenter.creative.store import open_creative_space  # noqa: PLC0415

    return open_creative_space(space)


def words_of(space: Path) -> "Words":
    """The words of a space."""
    from segmenter.creative.words import open_words  # noqa: PLC0415 - --help must be fast

    return open_words(space)


def encoder_of(space: "CreativeSpace", model: str | None) -> "Encoder":
    """Load the encoder that made a space.

    Raises
    ------
    EncoderError
        If the checkpoint is not there, or is another one.
    """
    from segmenter.creative.encoder import load_encoder  # noqa: PLC0415 - --help must be fast
    from segmenter.errors import EncoderError  # noqa: PLC0415

    encoder = load_encoder(model or space.encoder["checkpoint"])
    if encoder.identity["weights"] != space.encoder["weights"]:
        message = (
            f"{encoder.identity['name']} did not make this space: its weights differ from those "
            f"of {space.encoder['name']}; give the right --model or index anew"
        )
        raise EncoderError(message)
    return encoder
