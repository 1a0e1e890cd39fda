"""Parquet files, read a bounded number of rows at a time."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from segmenter.errors import SourceError
from segmenter.events.source_format import HEAD_ROWS, Chunk, ReadOptions, SourceFormat

MOST_ROWS, FEWEST_ROWS = 500_000, 20_000
MOST_BYTES = 128 << 20
"""Rows are read by the half million, and fewer where they are long."""
VALUE_BYTES = 16
"""What a value takes in memory at least, if it is a text."""


def _failure(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path} is no readable Parquet file: {error}")


def _head(path: Path, options: ReadOptions) -> pl.DataFrame:  # noqa: ARG001 - one shape for all
    try:
        return pl.scan_parquet(path, glob=False).head(HEAD_ROWS).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _failure(path, error) from error


def _chunks(
    path: Path,
    columns: Sequence[str],
    options: ReadOptions,  # noqa: ARG001 - one shape for all formats
) -> Iterator[Chunk]:
    """Slice after slice: what lies before a slice is skipped unread, and memory stays flat."""
    rows = pl.scan_parquet(path, glob=False).select(columns)
    try:
        metadata = pq.read_metadata(path)
        for start, stop in _slices(metadata, _rows_at_a_time(metadata, columns)):
            yield Chunk(rows.slice(start, stop - start).collect(), stop / metadata.num_rows)
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        raise _failure(path, error) from error


def _rows_at_a_time(metadata: pq.FileMetaData, columns: Sequence[str]) -> int:
    """How many rows of these columns fit into `MOST_BYTES`, between the fewest and the most."""
    wanted = set(columns)
    n_bytes = len(columns) * VALUE_BYTES * metadata.num_rows
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        parts = (group.column(place) for place in range(group.num_columns))
        n_bytes += sum(
            part.total_uncompressed_size
            for part in parts
            if part.path_in_schema.partition(".")[0] in wanted
        )
    fitting = MOST_BYTES * metadata.num_rows // max(n_bytes, 1)
    return min(MOST_ROWS, max(FEWEST_ROWS, fitting))


def _slices(metadata: pq.FileMetaData, most_rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows that end where row groups end, so that few are decoded twice."""
    start = end = 0
    for number in range(metadata.num_row_groups):
        begin, end = end, end + metadata.row_group(number).num_rows
        if end - start > most_rows and begin > start:
            yield start, begin
            start = begin
        for left in range(math.ceil((end - start) / most_rows), 1, -1):
            stop = start + (end - start) // left
            yield start, stop
            start = stop
    if end > start:
        yield start, end


PARQUET = SourceFormat("Parquet", (".parquet", ".pq"), True, False, _head, _chunks)  # noqa: FBT003
