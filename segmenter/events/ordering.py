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
    keys = ["time", "seq"] if "seq" in rows.columns else ["time"]
    ordered = rows[_radix_order(rows[HASH].to_numpy(), np.arange(len(rows)))]
    if not _is_sorted(ordered, keys):
        within = np.lexsort([rows[key].fill_null(LAST).to_numpy() for key in reversed(keys)])
        ordered = rows[_radix_order(rows[HASH].to_numpy(), within)]
    other_user = _differs(ordered["user"])
    if (other_user & ~_differs(ordered[HASH])).any():
        ordered = rows.sort(HASH, "user", *keys, nulls_last=True, maintain_order=True)
        other_user = _differs(ordered["user"])
    return ordered.with_columns(pl.Series(USER, np.cumsum(other_user) - 1))


def _radix_order(hashes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rows by hash, equal ones as in `order`; linear in the number of rows."""
    for shift in (0, 16, 32, 48):
        digits = (hashes >> np.uint64(shift)).astype(np.uint16)
        order = order[np.argsort(digits[order], kind="stable")]
    return order


def _is_sorted(rows: pl.DataFrame, keys: list[str]) -> bool:
    """Whether rows of one hash follow each other by the keys; ties count as sorted."""
    tied = ~_differs(rows[HASH])[1:]
    for key in keys:
        values = rows[key].fill_null(LAST).to_numpy()
        if (tied & (values[1:] < values[:-1])).any():
            return False
        tied &= values[1:] == values[:-1]
    return True


def _differs(column: pl.Series) -> np.ndarray:
    """Where a value differs from the one before it; true for the first."""
    differs = np.ones(len(column), dtype=bool)
    differs[1:] = (column[1:] != column[:-1]).to_numpy()
    return differs


def repeats(rows: pl.DataFrame) -> np.ndarray:
    """Which rows equal an earlier row in every column of the log except that of ``seq``.

    Parameters
    ----------
    rows
        Rows in store order, with the hash of the columns that are not read where there are some.

    Returns
    -------
    numpy.ndarray
        bool of shape ``(len(rows),)``.
    """
    users, times = rows[USER].to_numpy(), rows["time"].to_numpy()
    tied = np.zeros(len(rows) + 1, dtype=bool)
    tied[1:-1] = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
    candidates = tied[1:] | tied[:-1]
    repeated = np.zeros(len(rows), dtype=bool)
    if candidates.any():
        compared = rows.select(pl.exclude("user", HASH, ROW, "seq")).filter(candidates)
        # Few rows share a hash, and only those are worth the comparison of every value.
        alike = compared.hash_rows().is_duplicated()
        first = compared.filter(alike).select(pl.struct(pl.all()).is_first_distinct())
        repeated[np.flatnonzero(candidates)[alike.to_numpy()]] = ~first.to_series().to_numpy()
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
    users = rows[USER].to_numpy()
    opens_run = _differs(rows[name].fill_null(""))
    opens_run[1:] |= users[1:] != users[:-1]
    starts = np.flatnonzero(opens_run)
    runs = rows.select(USER, name)[starts]
    pairs = pl.struct(USER, name)
    runs = runs.select(
        USER, name, first=pl.col(name).is_not_null() & pairs.is_first_distinct()
    ).with_columns(code=pl.col("first").cum_sum())
    known = runs.filter("first")
    if len(known) + runs[name].null_count() < len(runs):
        again = runs.select(USER, name).join(
            known.drop("first"), on=[USER, name], how="left", maintain_order="left"
        )
        runs = runs.with_columns(again["code"])
    code_of_run = runs.select(pl.when(pl.col(name).is_null()).then(0).otherwise("code"))
    codes = np.repeat(
        code_of_run.to_series().to_numpy().astype(np.int64), np.diff(starts, append=len(rows))
    )
    counts = np.bincount(codes, minlength=len(known) + 1)[1:]
    return codes, pl.DataFrame({"value": known[name], "count": counts})
