"""Files of event logs: which formats there are, and what a list of files and folders holds.

A further format (an export of another collector) is one file with a `SourceFormat` and one entry
in `FORMATS`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from segmenter.errors import ColumnError, SourceError
from segmenter.events.cleaning import UNREAD
from segmenter.events.contract import ColumnMapping, Kind, Layout, choose_columns
from segmenter.events.csv_source import CSV
from segmenter.events.json_source import JSON_LINES
from segmenter.events.parquet_source import PARQUET
from segmenter.events.source_format import Chunk, ReadOptions, SourceFormat
from segmenter.files import digest_of_file

FORMATS = (PARQUET, CSV, JSON_LINES)
LEADING_ZERO = r"^[+-]?0\d"
"""How ids and postal codes begin, but no number."""


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
        """The rows of one file, columns named by field, a bounded number at a time.

        Where repeats are looked for, the columns that carry no field come along as one hash.
        """
        used = list(dict.fromkeys(self.layout.columns.values()))
        unread = list(self.layout.ignored) if self.options.find_repeats else []
        named = [pl.col(its).alias(name) for name, its in self.layout.columns.items()]
        for chunk in self.format.chunks(file.path, [*used, *unread], self.options):
            rows = chunk.rows.select(named)
            if unread:
                rows = rows.with_columns(_row_hashes(chunk.rows.select(unread)).alias(UNREAD))
            yield replace(chunk, rows=rows)


def _row_hashes(rows: pl.DataFrame) -> pl.Series:
    """Equal for equal rows, in whichever chunk they stand."""
    return rows.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)).hash_rows()


def open_log(
    sources: Sequence[Path],
    mapping: ColumnMapping,
    *,
    options: ReadOptions,
    outside: Path | None = None,
) -> EventLog:
    """Look at every file and choose the columns, before anything is read in full.

    Parameters
    ----------
    sources
        Files and folders; a folder stands for the event files in it, at any depth.
    mapping
        What the caller says about columns.
    options
        How files are read.
    outside
        A folder that is no part of any source folder: the store, which may stand in one.

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
    paths = find_files(sources, outside=outside)
    source_format = _common_format(paths)
    looks = {path: _look(path, source_format, options) for path in paths}
    columns = list(dict.fromkeys(name for look in looks.values() for name in look.kinds))
    kinds = {name: _common_kind(name, looks.values()) for name in columns}
    layout = choose_columns(columns, mapping, kind_of=kinds)
    _check_looks(looks, layout, open_ended=source_format.open_ended)
    files = [SourceFile(path, path.stat().st_size, digest_of_file(path)) for path in paths]
    return EventLog(tuple(files), source_format, layout, options)


def _common_format(paths: Sequence[Path]) -> SourceFormat:
    first = format_of(paths[0])
    for path in paths:
        its = format_of(path)
        if its is not first:
            message = (
                f"{paths[0]} is {first.name} and {path} is {its.name}; "
                "ingest files of one format at a time"
            )
            raise SourceError(message)
    return first


def find_files(sources: Sequence[Path], *, outside: Path | None = None) -> list[Path]:
    """Every event file that the sources name, without repetition, folders sorted by path.

    Hidden files and folders are passed over, and so is what lies under `outside`.

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
            files += _files_of_folder(source, outside)
        elif source.exists():
            files.append(source)
        else:
            message = f"{source} does not exist"
            raise SourceError(message)
    return list(dict.fromkeys(files))


def _files_of_folder(folder: Path, outside: Path | None) -> list[Path]:
    present = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part[0] in "._" for part in path.relative_to(folder).parts)
        and not (outside and path.resolve().is_relative_to(outside.resolve()))
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


@dataclass(frozen=True)
class _Look:
    """What the first rows of a file say: how each column would be read as an extra, and types.

    A column without any value says nothing.
    """

    kinds: dict[str, Kind | None]
    types: dict[str, pl.DataType]


def _look(path: Path, source_format: SourceFormat, options: ReadOptions) -> _Look:
    head = source_format.head(path, options)
    kinds = {column.name: _kind_of(column, typed=source_format.typed) for column in head}
    return _Look(kinds, dict(head.schema))


def _common_kind(name: str, looks: Iterable[_Look]) -> Kind:
    """What the first file that says something of a column says."""
    said = (look.kinds.get(name) for look in looks)
    return next((kind for kind in said if kind is not None), "text")


def _kind_of(column: pl.Series, *, typed: bool) -> Kind | None:
    """A column's kind by its type; in a format without types, by how its values look."""
    if column.dtype.is_numeric():
        return "number"
    if column.null_count() == len(column):
        return None
    if typed:
        return "text"
    texts = column.drop_nulls().str.strip_chars()
    are_numbers = texts.cast(pl.Float64, strict=False).is_not_null().all()
    return "number" if are_numbers and not texts.str.contains(LEADING_ZERO).any() else "text"


def _check_looks(looks: Mapping[Path, _Look], layout: Layout, *, open_ended: bool) -> None:
    """Refuse columns that some files lack, and columns of nested values."""
    for path, look in looks.items():
        for name, column in layout.columns.items():
            if column not in look.types:
                if open_ended:
                    continue
                other = next(other for other, its in looks.items() if column in its.types)
                message = (
                    f"{path} has no column {column}, which {other} has; "
                    "files of one ingest must share the columns that are used"
                )
                raise ColumnError(message)
            if look.types[column].is_nested():
                message = (
                    f"column {column} of {path} holds {look.types[column].base_type()} values; "
                    f"the {name} must be a plain value: flatten it first"
                )
                raise ColumnError(message)
