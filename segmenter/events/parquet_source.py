"""Parquet files, read a bounded number of rows at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from segmenter.errors import SourceError
from segmenter.events.source_format import HEAD_ROWS, Chunk, ReadOptions, SourceFormat

ROWS_AT_A_TIME = 500_000
BUFFER_BYTES = 1 << 20


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        message = f"{path} is no readable Parquet file: {error}"
        raise SourceError(message) from error


def _head(path: Path, options: ReadOptions) -> pl.DataFrame:  # noqa: ARG001 - one shape for all
    with _open(path) as opened:
        names = opened.schema_arrow.names
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            message = f"{path} has two columns named {double}; rename one"
            raise SourceError(message)
        first = next(opened.iter_batches(batch_size=HEAD_ROWS), None)
        table = pa.Table.from_batches([first] if first else [], opened.schema_arrow)
        return pl.DataFrame(pl.from_arrow(table))


def _chunks(
    path: Path,
    columns: Sequence[str],
    options: ReadOptions,  # noqa: ARG001 - one shape for all formats
) -> Iterator[Chunk]:
    with _open(path) as opened:
        n_rows, n_read = max(opened.metadata.num_rows, 1), 0
        try:
            for batch in opened.iter_batches(batch_size=ROWS_AT_A_TIME, columns=list(columns)):
                table = pa.Table.from_batches([batch])
                n_read += len(batch)
                yield Chunk(pl.DataFrame(pl.from_arrow(table)), n_read / n_rows)
        except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
            message = f"{path} is a damaged Parquet file: {error}"
            raise SourceError(message) from error


PARQUET = SourceFormat("Parquet", (".parquet", ".pq"), True, False, _head, _chunks)  # noqa: FBT003
