"""What a reader of one file format must offer; each format is one value of `SourceFormat`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

HEAD_ROWS = 10_000
"""Rows by which columns and their kinds are known before a file is read."""


@dataclass(frozen=True)
class ReadOptions:
    """How files are read, where the format leaves a choice.

    Attributes
    ----------
    delimiter
        Between the fields of a line; None takes the format's own.
    """

    delimiter: str | None = None


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of one file.

    Attributes
    ----------
    rows
        The wanted columns as the file has them.
    share
        Share of the file that has been read up to here, in [0, 1].
    broken
        Lines that are no row.
    """

    rows: pl.DataFrame
    share: float
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SourceFormat:
    """One file format.

    Attributes
    ----------
    name
        For people.
    suffixes
        Endings of file names, lower case.
    typed
        Whether the format itself says which columns are numbers.
    open_ended
        Whether a column may be absent from some files, since every row names its own.
    head
        ``head(path, options)``: every column of the first rows. Raises `SourceError`.
    chunks
        ``chunks(path, columns, options)``: the named columns, in order, a bounded number of rows
        at a time. Raises `SourceError`.
    """

    name: str
    suffixes: tuple[str, ...]
    typed: bool
    open_ended: bool
    head: Callable[[Path, ReadOptions], pl.DataFrame]
    chunks: Callable[[Path, Sequence[str], ReadOptions], Iterator[Chunk]]
