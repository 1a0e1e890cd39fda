"""Rows that could not be used: kept with their reason, counted, never dropped in silence."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl

from segmenter.events.cleaning import BROKEN_LINE, REASON, ROW
from segmenter.events.contract import Layout
from segmenter.events.row_groups import TableWriter

FOLDER = "rejected"
LINE = "line"
"""Column with the text of a line that is no row."""


class RejectLog:
    """Writes unusable rows to one Parquet file each for rows, lines and duplicates.

    Parameters
    ----------
    folder
        Of the unfinished store.
    layout
        Fields of the log.
    sources
        Its files, in the order in which they are read.

    Attributes
    ----------
    counts
        Rows set aside, by reason.
    file_starts
        Place in the log of the first row of each file that has been begun.
    """

    def __init__(self, folder: Path, layout: Layout, sources: Sequence[Path]) -> None:
        self._folder, self._fields = folder / FOLDER, list(layout.columns)
        self._sources = pl.Series([str(path) for path in sources])
        self._writers: dict[str, TableWriter] = {}
        self.counts: Counter[str] = Counter()
        self.file_starts: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._writers.values():
            writer.__exit__(kind, error, trace)

    def add_rows(self, rejected: pl.DataFrame, *, file: str = "rows") -> None:
        """Set rows aside: fields as text, the place in the log, the reason.

        Parameters
        ----------
        rejected
            The rows.
        file
            Name of the Parquet file, without ending.
        """
        if rejected.is_empty():
            return
        place = rejected[ROW].to_numpy()
        number = np.searchsorted(self.file_starts, place, side="right") - 1
        row = place - np.asarray(self.file_starts)[number] + 1
        head = [
            rejected[REASON],
            self._sources[number].alias("source"),
            pl.Series("row", row),
        ]
        self._write(file, pl.DataFrame([*head, *rejected.select(self._fields)]))
        for reason, count in rejected[REASON].value_counts().iter_rows():
            self.counts[reason] += count

    def add_lines(self, lines: Sequence[str]) -> None:
        """Set lines aside that are no row; they belong to the file begun last."""
        if not lines:
            return
        source = self._sources[len(self.file_starts) - 1]
        texts = pl.DataFrame({LINE: lines}, schema={LINE: pl.String})
        head = (pl.lit(BROKEN_LINE).alias(REASON), pl.lit(source).alias("source"), LINE)
        self._write("lines", texts.select(head))
        self.counts[BROKEN_LINE] += len(lines)

    def files(self) -> list[str]:
        """Paths, relative to the store, of what has been written."""
        return sorted(f"{FOLDER}/{name}.parquet" for name in self._writers)

    def _write(self, file: str, rows: pl.DataFrame) -> None:
        if file not in self._writers:
            self._writers[file] = TableWriter(self._folder / f"{file}.parquet")
        self._writers[file].add(rows)
