"""What a manifest says of pictures, and what the encoder can see of it."""

from typing import Any

import numpy as np
import polars as pl

from segmenter.creative.manifest import FLAG, OWN, UNSEEN
from segmenter.errors import SpaceError, UnreadableError
from segmenter.space.attributes import encode_attribute
from segmenter.space.readability import MIN_AUC, MIN_R, measure_readability

MIN_KNOWN = 60
"""Pictures of which a column must be known before its readability is measured."""
NO_TAGS = OWN | {"date", "reviewer", "reviewed_on", "caption", "near_duplicate_of", "picture_hash"}


def readable_tags(pictures: pl.DataFrame, vectors: np.ndarray) -> dict[str, dict[str, Any]]:
    """How well each tag is read, beyond what the other tags say of it.

    Parameters
    ----------
    pictures
        n rows with any columns; those that are names, dates or texts are passed over.
    vectors
        float32 [n, d].

    Returns
    -------
    dict
        Column to ``figure``, ``is_number``, ``readable``, ``by_value`` and ``n``.
    """
    tags = {column.name: column for column in map(_plain, pictures) if _is_tag(column)}
    found = {}
    for name, column in tags.items():
        known = column.is_not_null().to_numpy()
        attribute = encode_attribute(name, _values(column.filter(pl.Series(known))))
        others = [one for one in tags.values() if one.name not in {name, FLAG} and name != FLAG]
        beside = [_columns(one)[known] for one in others]
        reading = measure_readability(
            vectors[known], attribute, beside=np.hstack(beside) if beside else None
        )
        found[name] = {
            "figure": reading.figure,
            "is_number": reading.is_number,
            "readable": reading.readable,
            "by_value": dict(reading.by_value),
            "n": reading.n_users,
        }
    return found


def _plain(column: pl.Series) -> pl.Series:
    """A column with nothing where nothing is known."""
    return column.replace(UNSEEN, None) if column.name == FLAG else column


def _is_tag(column: pl.Series) -> bool:
    """Whether a column is known of enough pictures and has the values of a tag."""
    known = column.drop_nulls()
    if column.name in NO_TAGS or len(known) < MIN_KNOWN:
        return False
    try:
        encode_attribute(column.name, _values(known))
    except SpaceError:  # one value, or a name of each
        return False
    return True


def _values(known: pl.Series) -> np.ndarray:
    """Numbers, or texts."""
    if known.dtype.is_numeric():
        return known.to_numpy()
    return known.cast(pl.String).to_numpy().astype(str)


def _columns(column: pl.Series) -> np.ndarray:
    """A tag as numbers float64 [n, c], for what it says of other tags."""
    if column.dtype.is_numeric():
        numbers = column.cast(pl.Float64)
        return numbers.fill_null(numbers.mean()).to_numpy()[:, None]
    return encode_attribute(
        column.name, column.cast(pl.String).fill_null("").to_numpy().astype(str)
    ).targets


def tag_of(readability: dict[str, dict[str, Any]], words: str) -> str | None:
    """The tag that a word or phrase is a value or the name of, or None."""
    asked = words.strip().lower()
    for name, reading in readability.items():
        if asked == name.lower() or asked in {value.lower() for value in reading["by_value"]}:
            return name
    return None


def is_readable(readability: dict[str, dict[str, Any]], words: str) -> bool | None:
    """Whether the encoder reads what a phrase is about; None where no tag tells."""
    name = tag_of(readability, words)
    if name is None:
        return None
    reading = readability[name]
    values = {value.lower(): figure for value, figure in reading["by_value"].items()}
    figure = values.get(words.strip().lower(), reading["figure"])
    return bool(figure >= (MIN_R if reading["is_number"] else MIN_AUC))


def require_readable(readability: dict[str, dict[str, Any]], tag: str) -> None:
    """Nothing where a tag is readable.

    Raises
    ------
    UnreadableError
        If it was not measured, or the encoder does not see it.
    """
    if tag not in readability:
        known = ", ".join(readability) or "none"
        message = f"nothing is known of how well {tag!r} is read; measured are: {known}"
        raise UnreadableError(message)
    reading = readability[tag]
    if not reading["readable"]:
        least = MIN_R if reading["is_number"] else MIN_AUC
        message = (
            f"the encoder does not see {tag!r}: it is read at {reading['figure']:.2f} where "
            f"{least} is the least; ask for another tag or use another encoder"
        )
        raise UnreadableError(message)
