"""Which batches of a delivery the receiver has acknowledged."""

import sqlite3

from serving.exports.destination import WrittenFile


def files_of(db: sqlite3.Connection, number: int) -> dict[int, WrittenFile]:
    """Files of a delivery by their place in the order in which they are sent."""
    query = (
        "SELECT place, name, n_people, sha256, method, path, n_requests FROM files"
        " WHERE delivery = ? ORDER BY place"
    )
    return {
        place: WrittenFile(name, n_people, 0, sha256, *more)
        for place, name, n_people, sha256, *more in db.execute(query, (number,))
    }


def acknowledged(db: sqlite3.Connection, number: int) -> set[tuple[int, int]]:
    """Place of the file and line of every batch that was acknowledged."""
    query = "SELECT place, line FROM acknowledged WHERE delivery = ?"
    return set(db.execute(query, (number,)).fetchall())


def acknowledge(db: sqlite3.Connection, number: int, batch: tuple[int, int], *, job: str) -> None:
    """A batch was acknowledged; `job` is what later addresses name, if anything."""
    db.execute("INSERT OR REPLACE INTO acknowledged VALUES (?, ?, ?, ?)", (number, *batch, job))


def last_job(db: sqlite3.Connection, number: int) -> str:
    """What the last answer that named a job named; empty for none."""
    query = (
        "SELECT answer FROM acknowledged WHERE delivery = ? AND answer <> ''"
        " ORDER BY place DESC, line DESC LIMIT 1"
    )
    return str((db.execute(query, (number,)).fetchone() or ("",))[0])
