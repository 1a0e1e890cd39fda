"""Parquet files, read a bounded number of rows at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from segmenter.errors import SourceError
from segmenter.events.source_format import HEAD_ROWS, Chunk, ReadOptions, SourceFormat

ROWS_AT_A_TIME = 500_000


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
        total = int(rows.select(pl.len()).collect().item())
        for start in range(0, total, ROWS_AT_A_TIME):
            part = rows.slice(start, ROWS_AT_A_TIME).collect()
            yield Chunk(part, (start + len(part)) / total)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _failure(path, error) from error


PARQUET = SourceFormat("Parquet", (".parquet", ".pq"), True, False, _head, _chunks)  # noqa: FBT003
