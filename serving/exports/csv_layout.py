"""Delimited files: header, rows, parts within the destination's limits."""

import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl

from segmenter.files import digest_of_file
from serving.exports.destination import Order, WrittenFile

SLICE_ROWS = 50_000


@dataclass(frozen=True)
class CsvFile:
    """One kind of file of a destination.

    Attributes
    ----------
    columns
        Pairs of the header and the column of the cells; a header may come more than once.
    needs
        Columns of the cells of which a row must have one.
    suffix
        Part of the name that tells it from the destination's other files; empty for the only one.
    has_header
        Whether the first line names the columns.
    max_rows, max_bytes
        Of one file, the header aside; None where there is no limit.
    rows
        From the cells and the order to the rows, where they are more than the columns.
    preamble
        Lines that stand after the header.
    extension
        Of the name.
    delimiter
        Between cells.
    """

    columns: tuple[tuple[str, str], ...]
    needs: tuple[str, ...]
    suffix: str = ""
    has_header: bool = True
    max_rows: int | None = None
    max_bytes: int | None = None
    rows: Callable[[pl.DataFrame, Order], pl.DataFrame] | None = None
    preamble: Callable[[Order], str] | None = None
    extension: str = "csv"
    delimiter: str = ","


class CsvLayout:
    """Delimited files of one or several kinds.

    Parameters
    ----------
    kinds
        Files of the destination; a person may stand in several.
    compressed
        Whether files are written with gzip.
    """

    def __init__(self, *kinds: CsvFile, compressed: bool = False) -> None:
        self.kinds, self.compressed = kinds, compressed

    def write(
        self, cells: Iterable[pl.DataFrame], order: Order, *, folder: Path, stem: str
    ) -> list[WrittenFile]:
        """Write the files; see `serving.exports.destination.Layout`."""
        place = folder / stem
        parts = [_Parts(kind, order, place, compressed=self.compressed) for kind in self.kinds]
        for frame in cells:
            for part in parts:
                part.add(frame)
        return [written for part in parts for written in part.close()]


class _Parts:
    """The growing files of one kind."""

    def __init__(self, kind: CsvFile, order: Order, place: Path, *, compressed: bool) -> None:
        self.kind, self.order, self.compressed = kind, order, compressed
        self.folder = place.parent
        self.stem = f"{place.name}_{kind.suffix}" if kind.suffix else place.name
        self.head = _head(kind, order)
        self.finished: list[WrittenFile] = []
        self.part: _Part | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """Append the people of a frame that have something to be found by."""
        needed = [name for name in self.kind.needs if frame[name].null_count() < len(frame)]
        if not needed:
            return
        found = frame.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in needed))
        table = self.kind.rows(found, self.order) if self.kind.rows else found
        for rows in self._slices(table):
            text = _csv(rows, self.kind)
            self._append(len(rows), text)

    def close(self) -> list[WrittenFile]:
        """Finish the last file; the files in order."""
        if self.part is not None:
            self.finished.append(self.part.close())
        return self.finished

    def _slices(self, table: pl.DataFrame) -> Iterator[pl.DataFrame]:
        step = min(SLICE_ROWS, self.kind.max_rows or SLICE_ROWS)
        start = 0
        while start < len(table):
            room = step
            if self.kind.max_rows is not None and self.part is not None:
                room = min(step, self.kind.max_rows - self.part.n_rows) or step
            yield table.slice(start, room)
            start += room

    def _append(self, n_rows: int, text: bytes) -> None:
        part, kind = self.part, self.kind
        if part is not None and (
            (kind.max_rows is not None and part.n_rows + n_rows > kind.max_rows)
            or (kind.max_bytes is not None and part.n_bytes + len(text) > kind.max_bytes)
        ):
            self.finished.append(part.close())
            part = None
        if part is None:
            number = len(self.finished) + 1
            ending = f"{kind.extension}.gz" if self.compressed else kind.extension
            path = self.folder / f"{self.stem}_{number:04d}.{ending}"
            part = self.part = _Part(path, self.head, compressed=self.compressed)
        part.add(n_rows, text)


class _Part:
    """One open file."""

    def __init__(self, path: Path, head: bytes, *, compressed: bool) -> None:
        self.path, self.n_rows, self.n_bytes = path, 0, 0
        self._file = path.open("wb")
        self._out: IO[bytes] | gzip.GzipFile = (
            compressed_writer(self._file) if compressed else self._file
        )
        self.add(0, head)

    def add(self, n_rows: int, text: bytes) -> None:
        self._out.write(text)
        self.n_rows += n_rows
        self.n_bytes += len(text)

    def close(self) -> WrittenFile:
        if self._out is not self._file:
            self._out.close()
        self._file.close()
        return written_file(self.path, self.n_rows)


def compressed_writer(file: IO[bytes]) -> gzip.GzipFile:
    """A gzip stream whose bytes depend on nothing but the content."""
    return gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0)


def written_file(place: Path, n_people: int, **request: object) -> WrittenFile:
    """Record of a finished file."""
    size, digest = place.stat().st_size, digest_of_file(place)
    return WrittenFile(place.name, n_people, size, digest, **request)  # type: ignore[arg-type] # of the record's own fields


def _head(kind: CsvFile, order: Order) -> bytes:
    header = kind.delimiter.join(name for name, _ in kind.columns) + "\n"
    text = header if kind.has_header else ""
    return (text + (kind.preamble(order) if kind.preamble else "")).encode()


def _csv(rows: pl.DataFrame, kind: CsvFile) -> bytes:
    buffer = io.BytesIO()
    cells = rows.select(
        pl.col(column).alias(str(number)) for number, (_, column) in enumerate(kind.columns)
    )
    cells.write_csv(buffer, include_header=False, separator=kind.delimiter, line_terminator="\n")
    return buffer.getvalue()
