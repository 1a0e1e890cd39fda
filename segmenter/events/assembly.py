"""The two phases of building a store, out of core.

First every chunk of the log is cleaned, coded and spilled to disk by the hash of its users; then
the rows of a range of hashes at a time are sorted and appended to the columns. Memory holds one
chunk or one range, the vocabularies, and counts.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from segmenter.errors import NoUsableRowsError
from segmenter.events.build import Coding, ColumnWriter
from segmenter.events.cleaning import CONSENT, DUPLICATE, REASON, ROW, clean_rows
from segmenter.events.finish import finish_store
from segmenter.events.ingest_options import IngestOptions
from segmenter.events.ordering import order_group
from segmenter.events.rejects import RejectLog
from segmenter.events.sources import EventLog
from segmenter.events.spill import Spill
from segmenter.terminal import ProgressCallback

STEPS = 1000
READING_SHARE = 0.6
"""Share of the time that reading the log takes; sorting and writing is the rest."""
SPILL = "spill"
HINTS = {
    "no user": "pass --user with the column of user ids",
    "no event": "pass --event with the column of event types",
    "unreadable time": "times are ISO 8601 or epoch numbers; pass --time with their column",
    "time in the future": "pass --time-unit with the unit of the times",
    "unreadable line": "pass --delimiter if fields are not divided by commas",
}
IMPOSSIBLE_HINT = "numbers are written like 1234.5; leave the column out or map another"


def assemble(
    folder: Path,
    log: EventLog,
    options: IngestOptions,
    *,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Fill an empty folder with the columns of a store.

    Parameters
    ----------
    folder
        The unfinished store.
    log
        What to read.
    options
        How it is read.
    progress
        Called with (steps done, steps in all).

    Returns
    -------
    dict
        The manifest, but for where the log came from.

    Raises
    ------
    InputError
        If the log cannot be used.
    """
    move = progress or _say_nothing
    spill = Spill(folder / SPILL)
    coding = Coding(log.layout.coded)
    with RejectLog(folder, log.layout, [file.path for file in log.files]) as rejects:
        reading = _Reading(log, options, coding=coding, spill=spill, rejects=rejects)
        reading.run(lambda share: move(int(STEPS * READING_SHARE * share), STEPS))
        groups = spill.groups(options.group_rows)
        if not groups:
            raise NoUsableRowsError(reading.nothing_message())
        with ColumnWriter(folder, log.layout, coding) as columns:
            for number, group in enumerate(groups, start=1):
                rows = order_group(spill.read(group), keep_duplicates=options.keep_duplicates)
                columns.add(rows.kept)
                reading.set_aside_repeats(rows.repeated)
                share = READING_SHARE + (1 - READING_SHARE) * number / (len(groups) + 1)
                move(int(STEPS * share), STEPS)
    shutil.rmtree(folder / SPILL)
    manifest = finish_store(folder, log.layout, coding=coding, written=columns)
    move(STEPS, STEPS)
    counts = dict(sorted(rejects.counts.items()))
    manifest["log"] = {
        "n_read": reading.n_read,
        "n_after_until": reading.n_after_until,
        "rejected": counts,
        "rejected_files": rejects.files(),
    }
    return manifest


def _say_nothing(done: int, total: int) -> None:
    """Progress for nobody."""


class _Reading:
    """The first phase: chunks of the log to the spill, and what became of their rows."""

    def __init__(
        self,
        log: EventLog,
        options: IngestOptions,
        *,
        coding: Coding,
        spill: Spill,
        rejects: RejectLog,
    ) -> None:
        self.log, self.rules, self.chunk_rows = log, options.rules(), options.chunk_rows
        self.coding, self.spill, self.rejects = coding, spill, rejects
        self.n_read = self.n_rows = self.n_after_until = 0

    def run(self, move: Callable[[float], None]) -> None:
        """Read every file; `move` is told the share of the log that has been read."""
        total = sum(file.size for file in self.log.files)
        before = 0
        for file in self.log.files:
            self.rejects.file_starts.append(self.n_rows)
            for chunk in self.log.chunks(file):
                self.rejects.add_lines(chunk.broken)
                self.n_read += len(chunk.broken)
                for rows in chunk.rows.iter_slices(self.chunk_rows):
                    self.add(rows)
                move((before + file.size * chunk.share) / total)
            before += file.size

    def add(self, raw: pl.DataFrame) -> None:
        """Clean, code and spill some rows."""
        numbered = raw.with_columns(
            pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW) + self.n_rows
        )
        self.n_rows += len(raw)
        self.n_read += len(raw)
        cleaned = clean_rows(numbered, self.log.layout, self.rules)
        self.n_after_until += cleaned.n_after_until
        self.rejects.add_rows(cleaned.rejected)
        self.spill.add(self.coding.encode(cleaned.rows))

    def set_aside_repeats(self, rows: pl.DataFrame) -> None:
        """Keep repeated rows, in words again, among the rejected."""
        if rows.is_empty():
            return
        words = [self.coding.texts(name, rows[name]).alias(name) for name in self.coding.names]
        if "consent" in rows.columns:
            said = dict(enumerate(CONSENT, start=1))
            words.append(
                rows["consent"].replace_strict(said, default=None, return_dtype=pl.String)
            )
        times = pl.from_epoch("time", "us").dt.to_string("iso:strict") + "Z"
        told = rows.with_columns(*words, times, pl.lit(DUPLICATE).alias(REASON))
        numbers = [name for name in self.log.layout.columns if told[name].dtype != pl.String]
        self.rejects.add_rows(told.cast(dict.fromkeys(numbers, pl.String)), file="duplicates")

    def nothing_message(self) -> str:
        """Why there is nothing to store, and what would mend the most frequent cause."""
        counts, n_files = self.rejects.counts, len(self.log.files)
        where = str(self.log.files[0].path) + (f" and {n_files - 1} more" if n_files > 1 else "")
        if self.n_read == 0:
            return f"{where}: there is a header but no row"
        told = [f"{count} {reason}" for reason, count in counts.most_common()]
        if self.n_after_until:
            told.append(f"{self.n_after_until} not before --until")
        top = counts.most_common(1)[0][0] if counts else ""
        hint = HINTS.get(top, IMPOSSIBLE_HINT) if counts else "pass a later --until"
        return f"{where}: no usable row among {self.n_read}: {', '.join(told)}; {hint}"
