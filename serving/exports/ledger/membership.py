"""Who is on a list: rows of people in parts by the hash of the person, as the ledger keeps them.

What lives here: reading and rewriting parts. Rows are written once for a delivery; that it has
arrived is one mark for the whole list, which reading takes into account. A row says whether a
person is surely on the list (`SURE`: the last word of the platform is known) and whether the
newest delivery wants them there (`WANTED`: yes, no, or null where it does not touch them). A row
that is not sure is one that may be on the list or not: both an addition and a removal of it are
sent again.
"""

import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator

import polars as pl

from serving.exports.spill import range_part

HASH, ID, USER, OTHERS = "_hash", "_id", "_user", "_others"
"""Hash of the person, hash of all cells, salted hash of the user and of further users."""

PLAIN = "_plain"
"""Whether something was sent plain by which the person can be found, which is not kept."""

SURE, WANTED, SINCE = "_sure", "_wanted", "_since"
"""What is known of the platform, what the newest delivery wants, day of the last addition."""

BOOKKEEPING: dict[str, pl.DataType | type[pl.DataType]] = {
    HASH: pl.UInt64,
    ID: pl.UInt64,
    USER: pl.UInt64,
    OTHERS: pl.List(pl.UInt64),
    PLAIN: pl.Boolean,
    SURE: pl.Boolean,
    WANTED: pl.Boolean,
    SINCE: pl.Int32,
}


def packed(frame: pl.DataFrame) -> bytes:
    """A frame as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
    return buffer.getvalue()


def unpacked(frame: bytes) -> pl.DataFrame:
    """The frame of bytes that `packed` made."""
    return pl.read_parquet(io.BytesIO(frame))


def parts_of(db: sqlite3.Connection, target: int) -> Iterator[pl.DataFrame]:
    """Every part of a list in order."""
    numbers = db.execute("SELECT part FROM members WHERE target = ? ORDER BY part", (target,))
    for (number,) in numbers.fetchall():
        yield _read(db, target, number)


def read_part(db: sqlite3.Connection, target: int, part: tuple[int, int]) -> pl.DataFrame | None:
    """Rows of a list in one part of the range of hashes.

    Parameters
    ----------
    db
        The ledger.
    target
        The list.
    part
        Number of the part and how many there are; another number than the rows are kept in will
        do.

    Returns
    -------
    polars.DataFrame or None
        Rows in the order of their hash; None where there are none.
    """
    number, n_parts = part
    near = db.execute(
        "SELECT part FROM members WHERE target = ? AND CASE WHEN n_parts = ? THEN part = ?"
        " ELSE part * ? <= ? * n_parts AND (part + 1) * ? >= ? * n_parts END ORDER BY part",
        (target, n_parts, number, n_parts, number + 1, n_parts, number),
    ).fetchall()
    frames = [
        _read(db, target, one).filter(range_part(pl.col(HASH), n_parts) == number)
        for (one,) in near
    ]
    found = pl.concat(frames, how="diagonal") if frames else None
    return None if found is None or found.is_empty() else found


def replace_parts(
    db: sqlite3.Connection, target: int, parts: Iterable[tuple[int, int, bytes]]
) -> None:
    """Put new parts in place of all old ones; `parts` gives number, how many, packed frame."""
    db.execute("DELETE FROM members WHERE target = ?", (target,))
    db.execute("UPDATE targets SET settled = 0 WHERE id = ?", (target,))
    db.executemany(
        "INSERT INTO members (target, part, n_parts, frame) VALUES (?, ?, ?, ?)",
        ((target, *part) for part in parts),
    )


def rewrite(
    db: sqlite3.Connection, target: int, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """Change the rows of every part; a part that is left empty goes."""
    numbers = db.execute("SELECT part FROM members WHERE target = ?", (target,)).fetchall()
    for (number,) in numbers:
        before = _read(db, target, number)
        after = change(before)
        if after.is_empty():
            db.execute("DELETE FROM members WHERE target = ? AND part = ?", (target, number))
        elif not after.equals(before):
            update = "UPDATE members SET frame = ? WHERE target = ? AND part = ?"
            db.execute(update, (packed(after), target, number))


def settle(db: sqlite3.Connection, target: int) -> None:
    """The newest delivery to a list has arrived."""
    db.execute("UPDATE targets SET settled = 1 WHERE id = ?", (target,))


def unsettle(db: sqlite3.Connection, target: int) -> None:
    """A delivery that had arrived was sent again and did not: all of its people may be missing."""

    def doubted(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.lit(value=False).alias(SURE), pl.lit(value=True).alias(WANTED))

    rewrite(db, target, doubted)
    db.execute("UPDATE targets SET settled = 0 WHERE id = ?", (target,))


def settled(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows after the newest delivery has arrived: what it wants is so."""
    kept = frame.filter(pl.col(WANTED).fill_null(value=True))
    arrived = pl.col(SURE) | pl.col(WANTED).fill_null(value=False)
    return kept.with_columns(arrived.alias(SURE), pl.lit(None, pl.Boolean).alias(WANTED))


def _read(db: sqlite3.Connection, target: int, number: int) -> pl.DataFrame:
    query = (
        "SELECT frame, settled FROM members JOIN targets ON targets.id = target"
        " WHERE target = ? AND part = ?"
    )
    frame, is_settled = db.execute(query, (target, number)).fetchone()
    return settled(unpacked(frame)) if is_settled else unpacked(frame)
