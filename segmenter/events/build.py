"""The second phase of the store: hash buckets to sorted columns on disk.

While rows are collected, values of categorical fields are numbered as they come. Codes by
frequency are put in their place at the end (`segmenter.events.finish`), when the frequencies are
known.
"""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import polars as pl

from segmenter.errors import InputError
from segmenter.events.contract import Layout
from segmenter.events.ordering import USER, group_numbers
from segmenter.events.row_groups import TableWriter
from segmenter.events.store import (
    CONSENT_CODES,
    OFFSETS,
    TIMES,
    USERS,
    codes_file,
    numbers_file,
    vocabulary_file,
)

MAX_CODE = np.iinfo(np.int32).max


class Coding:
    """Provisional codes: 1, 2, ... in order of first appearance, 0 for missing.

    Parameters
    ----------
    names
        The fields to code, each with its own numbering.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._types = {name: pl.Categorical(pl.Categories.random()) for name in names}
        # polars forgets a numbering as soon as no series uses it.
        self._alive = [pl.Series([], dtype=kind) for kind in self._types.values()]

    @property
    def names(self) -> tuple[str, ...]:
        """The coded fields."""
        return tuple(self._types)

    def encode(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Replace texts by codes (UInt32)."""
        return rows.with_columns(
            (pl.col(name).cast(kind).to_physical() + 1).fill_null(0)
            for name, kind in self._types.items()
        )

    def texts(self, name: str, codes: pl.Series) -> pl.Series:
        """Texts of codes; null for missing."""
        return (codes.set(codes == 0, None) - 1).cat.to(self._types[name]).cast(pl.String)


class ColumnWriter:
    """Appends the rows of some users at a time to the columns of an unfinished store.

    Parameters
    ----------
    folder
        Of the unfinished store.
    layout
        Its fields.
    coding
        The provisional codes of the rows.

    Attributes
    ----------
    n_users, n_events
        Written so far.
    counts
        Events per provisional code, int64, for each coded field.
    sizes
        Count of values of each field that is numbered by user.
    """

    def __init__(self, folder: Path, layout: Layout, coding: Coding) -> None:
        self._folder, self._layout, self._coding = folder, layout, coding
        self._files: dict[str, BinaryIO] = {}
        self._tables: dict[str, TableWriter] = {}
        self._stack = ExitStack()
        self.n_users = self.n_events = 0
        self.counts = {name: np.zeros(1, dtype=np.int64) for name in coding.names}
        self.sizes = dict.fromkeys(layout.grouping, 0)

    def __enter__(self) -> Self:
        self._append(OFFSETS, np.zeros(1, dtype="<i8"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, rows: pl.DataFrame) -> None:
        """Append rows in store order, coded, without repeats; their users must not come again."""
        new_user = np.diff(rows[USER].to_numpy(), prepend=-1) > 0
        starts = np.flatnonzero(new_user)
        ends = np.append(starts[1:], len(rows)) + self.n_events
        self._append(OFFSETS, ends.astype("<i8"))
        self._table(USERS).add(rows.select("user").filter(pl.Series(new_user)))
        self._append(TIMES, rows["time"].to_numpy().astype("<i8"))
        for name in self._coding.names:
            codes = rows[name].to_numpy()
            self.counts[name] = _total(self.counts[name], np.bincount(codes))
            self._append(codes_file(name), codes.astype("<i4"))
        for name in self._layout.numeric:
            self._append(numbers_file(name), rows[name].fill_null(np.nan).to_numpy().astype("<f8"))
        for name in self._layout.grouping:
            self._add_grouping(name, rows)
        if "consent" in rows.columns:
            self._append(CONSENT_CODES, rows["consent"].to_numpy())
        self.n_users += len(starts)
        self.n_events += len(rows)

    def _add_grouping(self, name: str, rows: pl.DataFrame) -> None:
        codes, values = group_numbers(rows, name)
        codes[codes > 0] += self.sizes[name]
        self.sizes[name] += len(values)
        if self.sizes[name] > MAX_CODE:
            message = f"the log has more than {MAX_CODE} values of {name}; leave --{name} out"
            raise InputError(message)
        self._append(codes_file(name), codes.astype("<i4"))
        self._table(vocabulary_file(name)).add(values)

    def _append(self, name: str, values: np.ndarray) -> None:
        if name not in self._files:
            path = self._folder / name
            path.parent.mkdir(exist_ok=True)
            self._files[name] = self._stack.enter_context(path.open("wb"))
        values.tofile(self._files[name])

    def _table(self, name: str) -> TableWriter:
        if name not in self._tables:
            self._tables[name] = self._stack.enter_context(TableWriter(self._folder / name))
        return self._tables[name]


def _total(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sum of two counts of different length."""
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    total = longer.astype(np.int64)
    total[: len(shorter)] += shorter
    return total
