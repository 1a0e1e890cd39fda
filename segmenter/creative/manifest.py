"""What is known of assets besides themselves: a table with a row per file, or per text."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from segmenter.errors import CreativeError

FILE, ID, TEXT, FLAG = "file", "id", "text", "on_brand"
YES, NO, UNSEEN = "yes", "no", "not reviewed"
FLAG_WORDS = {
    **dict.fromkeys(("yes", "true", "1", "on", "on brand"), YES),
    **dict.fromkeys(("no", "false", "0", "off", "off brand"), NO),
    **dict.fromkeys(("not reviewed", "unknown", "none", "null", ""), UNSEEN),
}
OWN = frozenset({"id", "file", "hash", "modality", "text", "width", "height", "notes"})
"""Columns of a space that are about the file and not about what it shows."""


@dataclass(frozen=True)
class Manifest:
    """A table of assets.

    Attributes
    ----------
    table
        Columns ``id``, ``file`` (null of a text without a file), ``text`` (null of a file), and
        anything else; ``on_brand`` is yes, no or not reviewed.
    """

    table: pl.DataFrame


EMPTY = Manifest(pl.DataFrame(schema={ID: pl.String, FILE: pl.String, TEXT: pl.String}))


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Parameters
    ----------
    path
        CSV or Parquet. ``file`` is a path below the library's folder; a row with a ``text`` and
        no file is a text asset. ``id`` is the file where it is not given.

    Raises
    ------
    CreativeError
        If the file cannot be read, has neither ``file`` nor ``text``, an asset comes twice, or
        the flag is another word than yes, no or not reviewed.
    """
    try:
        table = (
            pl.read_csv(path, infer_schema_length=None, glob=False)
            if path.suffix == ".csv"
            else pl.read_parquet(path, glob=False)
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"the manifest {path} cannot be read: {error}; give CSV or Parquet"
        raise CreativeError(message) from error
    if FILE not in table.columns and TEXT not in table.columns:
        found = ", ".join(table.columns)
        message = f"a manifest must have a column file (or text); {path} has {found}"
        raise CreativeError(message)
    taken = sorted({"hash", "modality", "width", "height", "notes"} & set(table.columns))
    if taken:
        message = f"the manifest's column {taken[0]} is kept for the space itself: rename it"
        raise CreativeError(message)
    return Manifest(_checked(_completed(table), path))


def _completed(table: pl.DataFrame) -> pl.DataFrame:
    """The same with every own column, as text."""
    for name in (FILE, TEXT, ID):
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, pl.String).alias(name))
    table = table.with_columns(
        pl.col(FILE, TEXT, ID).cast(pl.String).replace("", None),
    )
    numbered = pl.format("text {}", pl.int_range(1, pl.len() + 1))
    table = table.with_columns(pl.coalesce(ID, FILE, numbered).alias(ID))
    return table.filter(pl.col(FILE).is_not_null() | pl.col(TEXT).is_not_null())


def _checked(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    for name in (ID, FILE):
        known = table[name].drop_nulls()
        if known.n_unique() < len(known):
            twice = known.filter(known.is_duplicated())[0]
            message = f"every asset must come once; {path} has the {name} {twice!r} again"
            raise CreativeError(message)
    if FLAG not in table.columns:
        return table
    words = table[FLAG].cast(pl.String).fill_null("").str.strip_chars().str.to_lowercase()
    flags = words.replace_strict(FLAG_WORDS, default=None)
    if flags.null_count():
        odd = words.filter(flags.is_null())[0]
        message = f"on_brand must be yes, no or not reviewed; {path} has {odd!r}"
        raise CreativeError(message)
    return table.with_columns(flags.alias(FLAG))
