"""Order and repetition inside a group of rows that holds all rows of its users."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.events.cleaning import ROW
from segmenter.events.spill import HASH

USER = "<user>"
"""Internal column: number of the user inside the group, from 0."""
LAST = np.iinfo(np.int64).max
"""Place of a row without ``seq`` among those of the same time."""


@dataclass(frozen=True)
class OrderedRows:
    """Rows of some users in store order, and apart from them those that repeat another."""

    kept: pl.DataFrame
    repeated: pl.DataFrame


def order_group(rows: pl.DataFrame, *, keep_duplicates: bool) -> OrderedRows:
    """Sort the rows of some users and take out the repeats.

    Parameters
    ----------
    rows
        All rows of the users.
    keep_duplicates
        Whether repeats are ordinary rows.
    """
    ordered = sort_rows(rows)
    repeated = np.zeros(len(ordered), dtype=bool) if keep_duplicates else repeats(ordered)
    if not repeated.any():
        return OrderedRows(ordered, ordered.clear())
    return OrderedRows(ordered.filter(~repeated), ordered.filter(repeated))


def sort_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort by (user hash, user, time, seq, place in the log) and number the users.

    Parameters
    ----------
    rows
        In log order per user, with the hash; ``seq`` takes part where it is there.

    Returns
    -------
    polars.DataFrame
        The rows in store order with the number of their user.
    """
    keys = [rows["time"].to_numpy(), rows[HASH].to_numpy()]
    if "seq" in rows.columns:
        keys.insert(0, rows["seq"].fill_null(LAST).to_numpy())
    ordered = rows[np.lexsort(keys)]
    other_user = _differs(ordered["user"])
    if (other_user & ~_differs(ordered[HASH])).any():
        seq = ["seq"] if "seq" in rows.columns else []
        ordered = rows.sort(HASH, "user", "time", *seq, nulls_last=True, maintain_order=True)
        other_user = _differs(ordered["user"])
    return ordered.with_columns(pl.Series(USER, np.cumsum(other_user) - 1))


def _differs(column: pl.Series) -> np.ndarray:
    """Where a value differs from the one before it; true for the first."""
    differs = np.ones(len(column), dtype=bool)
    differs[1:] = (column[1:] != column[:-1]).to_numpy()
    return differs


def repeats(rows: pl.DataFrame) -> np.ndarray:
    """Which rows equal an earlier row in every field except ``seq``.

    Parameters
    ----------
    rows
        Rows in store order.

    Returns
    -------
    numpy.ndarray
        bool of shape ``(len(rows),)``.
    """
    users, times = rows[USER].to_numpy(), rows["time"].to_numpy()
    tied = np.zeros(len(rows) + 1, dtype=bool)
    tied[1:-1] = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
    candidates = np.flatnonzero(tied[1:] | tied[:-1])
    repeated = np.zeros(len(rows), dtype=bool)
    if len(candidates):
        compared = rows.select(pl.exclude("user", HASH, ROW, "seq"))[candidates]
        first = compared.select(pl.struct(pl.all()).is_first_distinct()).to_series()
        repeated[candidates] = ~first.to_numpy()
    return repeated


def group_numbers(rows: pl.DataFrame, name: str) -> tuple[np.ndarray, pl.DataFrame]:
    """Number the distinct values that each user has in a field, in order of first appearance.

    Parameters
    ----------
    rows
        Rows in store order.
    name
        A text field such as ``session``.

    Returns
    -------
    tuple
        int64 [len(rows)], 1, 2, ... and 0 for missing; and a frame of value and count.
    """
    first = rows.select(pl.int_range(pl.len()).first().over(USER, name)).to_series().to_numpy()
    opens = (first == np.arange(len(rows))) & rows[name].is_not_null().to_numpy()
    codes = np.where(rows[name].is_null().to_numpy(), 0, np.cumsum(opens)[first])
    counts = np.bincount(codes, minlength=int(opens.sum()) + 1)[1:]
    return codes, pl.DataFrame(
        [rows[name].filter(pl.Series(opens)).alias("value"), pl.Series("count", counts)]
    )
