"""What one delivery is, and how its row reads and is written."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from segmenter.clock import iso, now
from segmenter.files import digest_of_json
from serving.exports.destination import WrittenFile

PREPARED, WRITTEN, DELIVERED, FAILED = "prepared", "written", "delivered", "failed"
SUPERSEDED = "superseded"
"""A later delivery to the same list was written before this one arrived."""

FULL, DELTA, FORGET = "full", "delta", "forget"
COLUMNS = (
    "d.id, d.target, t.destination, t.level, t.segment, d.segment_name, t.settings, d.kind,"
    " d.state, d.fingerprint, d.folder, d.as_of, d.model, d.n_added, d.n_removed, d.written_at"
)
JOINED = f"SELECT {COLUMNS} FROM deliveries d JOIN targets t ON t.id = d.target"  # noqa: S608 - constants


@dataclass(frozen=True)
class Draft:
    """A delivery before the ledger knows it.

    Attributes
    ----------
    destination, level, segment_id, segment_name, settings
        The list that it fills; the level is that of the segment.
    kind
        ``full``, ``delta`` or ``forget``.
    folder
        Of the export, absolute.
    as_of, model, scores
        Of the scores: seconds since the epoch, version, digest.
    n_added, n_removed
        People in its files.
    files
        In the order in which they are sent, named within the folder.
    """

    destination: str
    level: str
    segment_id: int
    segment_name: str
    settings: Mapping[str, str]
    kind: str
    folder: str
    as_of: int
    model: str
    scores: str
    n_added: int
    n_removed: int
    files: tuple[WrittenFile, ...]

    @property
    def fingerprint(self) -> str:
        """Digest of all bytes: the same for the same files."""
        return digest_of_json([[one.name, one.sha256] for one in self.files])


@dataclass(frozen=True)
class Delivery:
    """A delivery that the ledger knows.

    Attributes
    ----------
    id
        By which it is marked.
    target
        Number of the list in the ledger.
    destination, level, segment_id, segment_name, settings, kind, folder, as_of, model
        As in `Draft`.
    state
        ``prepared``, ``written``, ``delivered``, ``failed`` or ``superseded``.
    fingerprint
        Digest of its files.
    n_added, n_removed
        People in its files.
    written_at
        When, in UTC.
    """

    id: int
    target: int
    destination: str
    level: str
    segment_id: int
    segment_name: str
    settings: Mapping[str, str]
    kind: str
    state: str
    fingerprint: str
    folder: str
    as_of: int
    model: str
    n_added: int
    n_removed: int
    written_at: str

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts."""
        return {
            "id": self.id,
            "destination": self.destination,
            "level": self.level,
            "segment": self.segment_id,
            "segment_name": self.segment_name,
            "kind": self.kind,
            "state": self.state,
            "as_of": iso(self.as_of * 1_000_000),
            "model": self.model,
            "added": self.n_added,
            "removed": self.n_removed,
            "written_at": self.written_at,
            "folder": self.folder,
        }


def settings_text(settings: Mapping[str, str]) -> str:
    """Settings of an account as the ledger tells lists apart by them."""
    return json.dumps(dict(settings), sort_keys=True)


def deliveries_where(db: sqlite3.Connection, condition: str, *values: object) -> list[Delivery]:
    """Deliveries in the order in which they were written."""
    rows = db.execute(f"{JOINED} WHERE {condition} ORDER BY d.id", values)
    return [Delivery(*[*row[:6], json.loads(row[6]), *row[7:]]) for row in rows]


def insert(db: sqlite3.Connection, target: int, draft: Draft, *, salt: str) -> int:
    """Write the rows of a new delivery in state ``prepared``; its id."""
    query = "SELECT coalesce(max(id), 0) FROM deliveries WHERE target = ? AND state = ?"
    (base,) = db.execute(query, (target, DELIVERED)).fetchone()
    values = (
        *(target, draft.kind, PREPARED, draft.fingerprint, base, draft.folder),
        *(draft.segment_name, draft.as_of, draft.model, draft.scores, salt),
        *(draft.n_added, draft.n_removed, now()),
    )
    marks = ", ".join("?" * len(values))
    names = (
        "target, kind, state, fingerprint, base, folder, segment_name, as_of, model, scores, salt,"
        " n_added, n_removed, written_at"
    )
    made = db.execute(f"INSERT INTO deliveries ({names}) VALUES ({marks})", values)  # noqa: S608 - constants
    number = int(made.lastrowid or 0)
    insert_files(db, number, draft.files)
    return number


def insert_files(db: sqlite3.Connection, number: int, files: Iterable[WrittenFile]) -> None:
    """Write the rows of a delivery's files, in the order in which they are sent."""
    rows = [
        (number, place, one.name, one.sha256, one.n_people, one.method, one.path, one.n_requests)
        for place, one in enumerate(files)
    ]
    db.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
