"""CSV files, plain or gzipped; every value is read as text, so that ids keep their form."""

import csv
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from segmenter.errors import SourceError
from segmenter.events.source_format import (
    HEAD_ROWS,
    Chunk,
    ReadOptions,
    SourceFormat,
    encoding_error,
)

BLOCK_BYTES = 16 << 20
HEAD_BYTES = 4 << 20
OTHER_DELIMITERS = {";": "';'", "\t": "'\\t'", "|": "'|'", ",": "','"}
"""What else may stand between fields, and how a person types it."""


def _delimiter(path: Path, options: ReadOptions) -> str:
    if options.delimiter is not None:
        return options.delimiter
    return "\t" if ".tsv" in path.name.lower() else ","


def _header(path: Path, options: ReadOptions) -> list[str]:
    """Names in the first line, but for unnamed columns; refuses what cannot be the header."""
    delimiter = _delimiter(path, options)
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rt", encoding=options.codec, newline="") as opened:
            names = next(csv.reader(opened, delimiter=delimiter), [])
    except UnicodeError as error:
        raise encoding_error(path, options, error) from error
    except (OSError, EOFError, csv.Error) as error:
        message = f"cannot read {path}: {error}"
        raise SourceError(message) from error
    names = [name for name in names if name.strip()]
    if not names:
        message = f"{path} is empty: it has no header line with column names"
        raise SourceError(message)
    found = next((other for other in OTHER_DELIMITERS if other in names[0]), None)
    if len(names) == 1 and found is not None:
        message = (
            f"{path} has one column, {names[0]!r}, when split at {delimiter!r}; "
            f"pass --delimiter {OTHER_DELIMITERS[found]}"
        )
        raise SourceError(message)
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        message = f"{path} has two columns named {double}; rename one"
        raise SourceError(message)
    return names


def _batches(
    path: Path, columns: Sequence[str], options: ReadOptions, *, block_bytes: int
) -> Iterator[Chunk]:
    """Stream blocks; lines with a wrong number of fields are handed over as broken."""
    broken: list[str] = []

    def set_aside(row: pc.InvalidRow) -> str:
        broken.append(row.text)
        return "skip"

    gzipped = path.suffix.lower() == ".gz"
    try:
        with (
            pa.OSFile(str(path)) as file,
            pc.open_csv(
                pa.CompressedInputStream(file, "gzip") if gzipped else file,
                read_options=pc.ReadOptions(
                    use_threads=False, block_size=block_bytes, encoding=options.encoding
                ),
                parse_options=pc.ParseOptions(
                    delimiter=_delimiter(path, options),
                    newlines_in_values=True,
                    invalid_row_handler=set_aside,
                ),
                convert_options=pc.ConvertOptions(
                    include_columns=list(columns),
                    column_types=dict.fromkeys(columns, pa.large_string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            ) as reader,
        ):
            for batch in reader:
                rows = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
                found, broken[:] = list(broken), []
                yield Chunk(rows, file.tell() / file.size(), found)
    except UnicodeError as error:
        raise encoding_error(path, options, error) from error
    except (pa.ArrowException, OSError, EOFError) as error:
        if "UTF8" in str(error):
            raise encoding_error(path, options, error) from error
        message = f"cannot read {path} as CSV: {error}"
        raise SourceError(message) from error
    if broken:
        yield Chunk(pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), 1.0, broken)


def _head(path: Path, options: ReadOptions) -> pl.DataFrame:
    names = _header(path, options)
    for chunk in _batches(path, names, options, block_bytes=HEAD_BYTES):
        return chunk.rows.head(HEAD_ROWS)
    return pl.DataFrame(schema=dict.fromkeys(names, pl.String))


def _chunks(path: Path, columns: Sequence[str], options: ReadOptions) -> Iterator[Chunk]:
    yield from _batches(path, columns, options, block_bytes=BLOCK_BYTES)


SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
CSV = SourceFormat("CSV", SUFFIXES, False, False, _head, _chunks)  # noqa: FBT003
