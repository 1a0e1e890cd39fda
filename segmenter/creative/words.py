"""Words for what is seen, and texts that are about nothing in particular.

Words name directions and causes; the user's own come first. The other texts tell how high a
query scores that has no answer in a library.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from segmenter.creative.encoder import Encoder
from segmenter.errors import CreativeError
from segmenter.files import atomic_file

WORDS = "words.parquet"
DEFAULT = (
    *("red", "orange colors", "yellow", "green", "blue", "violet", "pink", "brown", "black"),
    *("white", "grey", "gold", "warm colors", "cool colors", "muted colors", "vivid colors"),
    *("pastel colors", "black and white", "high contrast", "soft light", "hard light", "backlit"),
    *("daylight", "night", "golden hour", "studio light", "bright", "dark", "blurred", "sharp"),
    *("energetic", "calm", "dynamic", "still", "playful", "serious", "elegant", "raw", "cozy"),
    *("luxurious", "cheap", "modern", "retro", "futuristic", "rustic", "romantic", "sporty"),
    *("minimal", "busy", "clean layout", "cluttered", "symmetrical", "close-up", "wide shot"),
    *("from above", "low angle", "portrait", "group of people", "single person", "no people"),
    *("woman", "man", "child", "family", "friends", "hands", "face", "smiling", "crowd"),
    *("indoor", "outdoor", "kitchen", "living room", "office", "street", "city", "nature"),
    *("beach", "mountains", "forest", "snow", "water", "sky", "garden", "sports field", "shop"),
    *("product on a plain background", "product in use", "packaging", "bottle", "food", "drink"),
    *("logo", "large logo", "no logo", "text overlay", "large headline", "price tag", "badge"),
    *("illustration", "photograph", "3d render", "collage", "pattern", "texture", "frame"),
    *("celebration", "holiday", "travel", "work", "sport", "music", "technology", "fashion"),
)
NOTHING = (
    *("annual report of a bank", "tax law", "giraffe", "submarine", "volcano", "chess game"),
    *("x-ray of a hand", "circuit diagram", "map of rivers", "knitting", "beehive", "anchor"),
    *("saxophone", "igloo", "microscope", "cathedral", "tractor", "fossil", "telescope", "loom"),
    *("sheet music", "oil rig", "crossword", "lighthouse", "cactus", "penguin", "helicopter"),
    *("abacus", "windmill", "parliament", "glacier", "typewriter"),
)


@dataclass(frozen=True)
class Words:
    """Texts with their vectors.

    Attributes
    ----------
    words
        Names of directions.
    vectors
        float32 [w, d], of unit length.
    nothing
        float32 [m, d], of texts about nothing in particular.
    """

    words: tuple[str, ...]
    vectors: np.ndarray
    nothing: np.ndarray


def read_words(path: Path) -> tuple[str, ...]:
    """A user's words, one on a line; what follows a ``#`` is a remark.

    Raises
    ------
    CreativeError
        If the file cannot be read or has fewer than two words.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"the words in {path} cannot be read: {error}"
        raise CreativeError(message) from error
    listed = (line.partition("#")[0].strip() for line in lines)
    words = tuple(dict.fromkeys(word for word in listed if word))
    if len(words) < 2:
        message = f"a list of words needs at least two, one on a line; {path} has {len(words)}"
        raise CreativeError(message)
    return words


def keep_words(space: Path, encoder: Encoder, *, first: tuple[str, ...]) -> None:
    """Encode words and keep them in a space: the user's first, then the usual ones.

    Parameters
    ----------
    space
        Folder of the space.
    encoder
        That made it.
    first
        The user's words and the values of tags.
    """
    words = tuple(dict.fromkeys((*first, *DEFAULT)))
    path = space / WORDS
    old = pl.read_parquet(path, glob=False) if path.exists() else None
    listed = [*words, *NOTHING]
    if old is not None and old["word"].to_list() == listed:
        return
    vectors = encoder.texts(listed)
    table = pl.DataFrame(
        {
            "word": listed,
            "own": [place < len(first) for place in range(len(listed))],
            "is_name": [place < len(words) for place in range(len(listed))],
            "vector": pl.Series(vectors.tolist(), dtype=pl.List(pl.Float32)),
        }
    )
    with atomic_file(path) as temporary:
        table.write_parquet(temporary)


def open_words(space: Path) -> Words:
    """The words of a space.

    Raises
    ------
    CreativeError
        If it has none.
    """
    path = space / WORDS
    if not path.exists():
        message = f"{space} has no words; run segmenter creative index again"
        raise CreativeError(message)
    table = pl.read_parquet(path, glob=False)
    vectors = np.array(table["vector"].to_list(), dtype=np.float32)
    names = table["is_name"].to_numpy()
    return Words(tuple(table["word"].filter(table["is_name"])), vectors[names], vectors[~names])
