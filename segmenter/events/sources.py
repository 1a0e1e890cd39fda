"""Files of event logs: which formats there are, and what a list of files and folders holds.

A further format (an export of another collector) is one file with a `SourceFormat` and one entry
in `FORMATS`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from segmenter.errors import ColumnError, SourceError
from segmenter.events.contract import ColumnMapping, Kind, Layout, choose_columns
from segmenter.events.csv_source import CSV
from segmenter.events.json_source import JSON_LINES
from segmenter.events.parquet_source import PARQUET
from segmenter.events.source_format import Chunk, ReadOptions, SourceFormat
from segmenter.files import digest_of_file

FORMATS = (PARQUET, CSV, JSON_LINES)


@dataclass(frozen=True)
class SourceFile:
    """One file of a log.

    Attributes
    ----------
    path
        Where it is.
    size
        Bytes.
    digest
        SHA-256 of its bytes.
    """

    path: Path
    size: int
    digest: str


@dataclass(frozen=True)
class EventLog:
    """Files of one format whose columns have been assigned to fields.

    Attributes
    ----------
    files
        In the order in which they are read.
    format
        Their format.
    layout
        Which column carries which field.
    options
        How they are read.
    """

    files: tuple[SourceFile, ...]
    format: SourceFormat
    layout: Layout
    options: ReadOptions

    def chunks(self, file: SourceFile) -> Iterator[Chunk]:
        """The rows of one file, columns named by field, a bounded number at a time."""
        columns = list(dict.fromkeys(self.layout.columns.values()))
        named = [pl.col(its).alias(name) for name, its in self.layout.columns.items()]
        for chunk in self.format.chunks(file.path, columns, self.options):
            yield replace(chunk, rows=chunk.rows.select(named))


def open_log(sources: Sequence[Path], mapping: ColumnMapping, *, options: ReadOptions) -> EventLog:
    """Look at every file and choose the columns, before anything is read in full.

    Parameters
    ----------
    sources
        Files and folders; a folder stands for the event files in it, at any depth.
    mapping
        What the caller says about columns.
    options
        How files are read.

    Returns
    -------
    EventLog
        The log, ready to be read.

    Raises
    ------
    SourceError
        If a file is missing, empty, damaged, of an unknown or of another format than the first.
    ColumnError
        If the columns do not fit the contract, or differ between files.
    """
    paths = find_files(sources)
    found = [format_of(path) for path in paths]
    for path, its in zip(paths, found, strict=True):
        if its is not found[0]:
            message = (
                f"{paths[0]} is {found[0].name} and {path} is {its.name}; "
                "ingest files of one format at a time"
            )
            raise SourceError(message)
    heads = {path: found[0].head(path, options) for path in paths}
    looks = [look for head in heads.values() for look in _kinds(head, found[0])]
    kinds = dict(reversed(looks))
    columns = list(dict.fromkeys(name for head in heads.values() for name in head.columns))
    layout = choose_columns(columns, mapping, kind_of=kinds)
    _check_heads(heads, found[0], layout)
    files = [SourceFile(path, path.stat().st_size, digest_of_file(path)) for path in paths]
    return EventLog(tuple(files), found[0], layout, options)


def find_files(sources: Sequence[Path]) -> list[Path]:
    """Every event file that the sources name, without repetition, folders sorted by path.

    Raises
    ------
    SourceError
        If there is no source, one does not exist, or a folder holds no event file.
    """
    if not sources:
        message = "no event file was named"
        raise SourceError(message)
    files: list[Path] = []
    for source in sources:
        if source.is_dir():
            files += _files_of_folder(source)
        elif source.exists():
            files.append(source)
        else:
            message = f"{source} does not exist"
            raise SourceError(message)
    return list(dict.fromkeys(files))


def _files_of_folder(folder: Path) -> list[Path]:
    present = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    )
    files = [path for path in present if _format_or_none(path)]
    if not files:
        endings = sorted({path.suffix or path.name for path in present})
        holds = f"holds only {', '.join(endings)}" if endings else "is empty"
        message = f"folder {folder} {holds}; event files end in {_endings()}"
        raise SourceError(message)
    return files


def format_of(path: Path) -> SourceFormat:
    """The format of a file by its ending.

    Raises
    ------
    SourceError
        If the ending is unknown or the file is empty.
    """
    found = _format_or_none(path)
    if found is None:
        message = f"{path} has no ending of a known format; event files end in {_endings()}"
        raise SourceError(message)
    if path.stat().st_size == 0:
        message = f"{path} is empty"
        raise SourceError(message)
    return found


def _format_or_none(path: Path) -> SourceFormat | None:
    name = path.name.lower()
    return next((one for one in FORMATS if name.endswith(one.suffixes)), None)


def _endings() -> str:
    return ", ".join(suffix for one in FORMATS for suffix in one.suffixes)


def _kinds(head: pl.DataFrame, source_format: SourceFormat) -> Iterator[tuple[str, Kind]]:
    """How each column would be read as an extra: by its type, or in text formats by its look."""
    for column in head:
        if column.dtype.is_numeric():
            yield column.name, "number"
        elif source_format.typed or column.null_count() == len(column):
            yield column.name, "text"
        else:
            numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
            looks = numbers.null_count() == column.null_count()
            yield column.name, "number" if looks else "text"


def _check_heads(heads: Mapping[Path, pl.DataFrame], log: SourceFormat, layout: Layout) -> None:
    """Refuse columns that some files lack, and columns of nested values."""
    for path, head in heads.items():
        for name, column in layout.columns.items():
            if column in head.columns:
                _check_plain(head.schema[column], path, f"column {column} for the {name}")
            elif not log.open_ended:
                other = next(path for path, head in heads.items() if column in head.columns)
                message = (
                    f"{path} has no column {column}, which {other} has; "
                    "files of one ingest must share the columns that are used"
                )
                raise ColumnError(message)


def _check_plain(kind: pl.DataType, path: Path, what: str) -> None:
    if kind.is_nested():
        message = f"{what} of {path} holds {kind} values; flatten it to plain values first"
        raise ColumnError(message)
