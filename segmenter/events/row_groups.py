"""Tables written in groups of a fixed number of rows, however they arrive.

The bytes of a file then depend on its rows alone and not on how many were read at a time.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 65_536
PARQUET = {"compression": "zstd"}


class TableWriter:
    """A Parquet or Arrow IPC file that is written piece by piece.

    Nothing is written, not even a file, until the first row arrives.

    Parameters
    ----------
    path
        Of the file; the ending ``.arrow`` means Arrow IPC, which can be memory-mapped, every other
        ending Parquet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[pa.Table] = []
        self._n_waiting = 0
        self._writer: pq.ParquetWriter | pa.ipc.RecordBatchFileWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._n_waiting:
            self._write(pa.concat_tables(self._waiting))
        if self._writer is not None:
            self._writer.close()

    def add(self, rows: pl.DataFrame) -> None:
        """Append rows; all calls must pass the same columns."""
        # Arrow's older text layout copies the texts: polars rows would keep everything alive
        # that they were filtered from.
        self._waiting.append(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
        self._n_waiting += len(rows)
        if self._n_waiting < ROWS_PER_GROUP:
            return
        together = pa.concat_tables(self._waiting)
        n_ready = len(together) // ROWS_PER_GROUP * ROWS_PER_GROUP
        self._write(together.slice(0, n_ready))
        self._waiting = [together.slice(n_ready)]
        self._n_waiting -= n_ready

    def _write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.suffix == ".arrow":
                self._writer = pa.ipc.new_file(str(self._path), table.schema)
            else:
                self._writer = pq.ParquetWriter(self._path, table.schema, **PARQUET)
        for start in range(0, len(table), ROWS_PER_GROUP):
            self._writer.write_table(table.slice(start, ROWS_PER_GROUP).combine_chunks())
