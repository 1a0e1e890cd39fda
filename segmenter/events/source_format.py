"""What a reader of one file format must offer; each format is one value of `SourceFormat`."""

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from segmenter.errors import ConfigError, SourceError

UTF_8 = "utf-8"
HEAD_ROWS = 10_000
"""Rows by which columns and their kinds are known before a file is read."""


@dataclass(frozen=True)
class ReadOptions:
    """How files are read, where the format leaves a choice.

    Attributes
    ----------
    delimiter
        Between the fields of a line; None takes the format's own.
    encoding
        Of text files, as Python names it.
    find_repeats
        Whether columns that carry no field are looked at too, since rows that differ there are
        no repeats.
    """

    delimiter: str | None = None
    encoding: str = UTF_8
    find_repeats: bool = True

    @property
    def codec(self) -> str:
        """The encoding by which Python reads a file from its beginning, byte order mark or not."""
        return "utf-8-sig" if codecs.lookup(self.encoding).name == UTF_8 else self.encoding


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


def check_encoding(encoding: str) -> None:
    """Refuse an encoding of which Python knows nothing, or that is none of texts.

    Raises
    ------
    ConfigError
        Naming it.
    """
    try:
        "".encode(encoding)
    except LookupError as error:
        message = f"unknown --encoding {encoding!r}; pass a name like cp1252 or utf-16"
        raise ConfigError(message) from error


def encoding_error(path: Path, options: ReadOptions, detail: object) -> SourceError:
    """What to raise where the bytes of a file are not in the encoding that was said."""
    name = "UTF-8" if codecs.lookup(options.encoding).name == UTF_8 else options.encoding
    message = f"{path} is not {name} ({detail}); pass its --encoding, for example cp1252 or utf-16"
    return SourceError(message)
