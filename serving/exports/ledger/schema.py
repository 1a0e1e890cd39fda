"""The tables of a ledger, and what keeps them whole.

What lives here: one SQLite file, its tables, its salt. Nothing in it is a raw identifier: people
are digests as they were sent, users are salted hashes.
"""

import hashlib
import os
import secrets
import sqlite3
from pathlib import Path

from segmenter.errors import LedgerError

FORMAT = "segmenter export ledger 1"
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE targets (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL, level TEXT NOT NULL,
    segment INTEGER NOT NULL, settings TEXT NOT NULL, settled INTEGER NOT NULL DEFAULT 0,
    UNIQUE (destination, level, segment, settings));
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES targets, kind TEXT NOT NULL,
    state TEXT NOT NULL, fingerprint TEXT NOT NULL, base INTEGER NOT NULL, folder TEXT NOT NULL,
    segment_name TEXT NOT NULL, as_of INTEGER NOT NULL, model TEXT NOT NULL, scores TEXT NOT NULL,
    salt TEXT NOT NULL, n_added INTEGER NOT NULL, n_removed INTEGER NOT NULL,
    written_at TEXT NOT NULL, decided_at TEXT NOT NULL DEFAULT '');
CREATE INDEX deliveries_of_target ON deliveries (target, id);
CREATE TABLE files (
    delivery INTEGER NOT NULL REFERENCES deliveries, place INTEGER NOT NULL, name TEXT NOT NULL,
    sha256 TEXT NOT NULL, n_people INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    n_requests INTEGER NOT NULL, PRIMARY KEY (delivery, place)) WITHOUT ROWID;
CREATE TABLE acknowledged (
    delivery INTEGER NOT NULL REFERENCES deliveries, place INTEGER NOT NULL,
    line INTEGER NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (delivery, place, line)
    ) WITHOUT ROWID;
CREATE TABLE members (
    target INTEGER NOT NULL REFERENCES targets, part INTEGER NOT NULL, n_parts INTEGER NOT NULL,
    frame BLOB NOT NULL, PRIMARY KEY (target, part));
CREATE TABLE arms (id INTEGER PRIMARY KEY, frame BLOB NOT NULL);
CREATE TABLE erased (
    kind TEXT NOT NULL, hash INTEGER NOT NULL, PRIMARY KEY (kind, hash)) WITHOUT ROWID;
"""


def connect(path: Path, salt: bytes | None = None) -> sqlite3.Connection:
    """Open the file of a ledger; make it, readable by its owner alone, where there is none.

    Parameters
    ----------
    path
        Of the file.
    salt
        Of a new ledger; None draws one.

    Raises
    ------
    LedgerError
        If something else stands there, or it cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(path, isolation_level=None)
        try:
            # What is erased is overwritten, not only unlinked.
            db.execute("PRAGMA secure_delete = ON")
            _make(db, salt)
        except BaseException:
            db.close()
            raise
    except (OSError, sqlite3.Error) as error:
        message = f"--ledger must be a file that this tool writes; found {path}: {error}"
        raise LedgerError(message) from error
    return db


def salt_of(db: sqlite3.Connection) -> bytes:
    """The secret that salts every hash of a user in this ledger."""
    return bytes(db.execute("SELECT value FROM meta WHERE key = 'salt'").fetchone()[0])


def salt_id(salt: bytes) -> str:
    """What names a salt without telling it."""
    return hashlib.sha256(b"id" + salt).hexdigest()[:12]


def _make(db: sqlite3.Connection, salt: bytes | None) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        known = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not known:
            for statement in TABLES.split(";"):
                db.execute(statement)
            made = {"format": FORMAT.encode(), "salt": salt or secrets.token_bytes(16)}
            db.executemany("INSERT INTO meta VALUES (?, ?)", made.items())
        found = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    if found is None or bytes(found[0]).decode(errors="replace") != FORMAT:
        message = f"the file is no {FORMAT!r}"
        raise sqlite3.DatabaseError(message)
