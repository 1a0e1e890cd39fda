"""Histories in an SQLite file, which several processes of one machine may share."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segmenter.errors import ConfigError, StateUnreachableError
from serving.state.stores import Change, Retention

SWEEP_WRITES = 1_000
"""Writes between two sweeps."""
BUSY_S = 5.0
TABLE = """
CREATE TABLE IF NOT EXISTS histories (
    key BLOB PRIMARY KEY, written REAL NOT NULL, content BLOB NOT NULL
) WITHOUT ROWID
"""
BY_AGE = "CREATE INDEX IF NOT EXISTS histories_by_age ON histories (written)"
WRITE = "INSERT OR REPLACE INTO histories (key, written, content) VALUES (?, ?, ?)"
READ = "SELECT content FROM histories WHERE key = ? AND written >= ?"
SURPLUS = """
DELETE FROM histories WHERE key IN (
    SELECT key FROM histories ORDER BY written DESC LIMIT -1 OFFSET ?
)
"""


class SqliteStore:
    """Keeps histories in a file; what is forgotten is overwritten there.

    Parameters
    ----------
    path
        The file; made when missing.
    retention
        Its bounds; swept at the start and every `SWEEP_WRITES` writes, so that the file holds at
        most so many users more.
    clock
        Seconds since 1970.

    Raises
    ------
    ConfigError
        If the file cannot be used.
    """

    def __init__(
        self, path: Path, retention: Retention, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.retention, self.clock = retention, clock
        self._n_writes = 0
        try:
            self._file = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
                self._file.execute(f"PRAGMA {pragma}")
            self._file.execute(TABLE)
            self._file.execute(BY_AGE)
            self.sweep()
        except (sqlite3.Error, StateUnreachableError) as error:
            message = f"--state sqlite:{path} must name a file that can be written: {error}"
            raise ConfigError(message) from error

    def update(self, key: bytes, change: Change) -> None:
        """See `StateStore.update`.

        Raises
        ------
        StateUnreachableError
            If the file cannot be read or written now.
        """
        with self._writing():
            found = self._file.execute(READ, (key, self._oldest())).fetchone()
            after = change(None if found is None else found[0])
            if after is not None:
                self._file.execute(WRITE, (key, self.clock(), after))
        self._n_writes += 1
        if self._n_writes % SWEEP_WRITES == 0:
            self.sweep()

    def forget(self, key: bytes) -> bool:
        """See `StateStore.forget`."""
        with self._writing():
            done = self._file.execute("DELETE FROM histories WHERE key = ?", (key,))
        # The write-ahead log holds older pages until it is emptied.
        self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return done.rowcount > 0

    def sweep(self) -> None:
        """Forget those whose time is over, and those written longest ago beyond the bound."""
        with self._writing():
            self._file.execute("DELETE FROM histories WHERE written < ?", (self._oldest(),))
            self._file.execute(SURPLUS, (self.retention.max_users,))

    def close(self) -> None:
        """See `StateStore.close`."""
        self._file.close()

    def _oldest(self) -> float:
        return self.clock() - self.retention.max_age_s

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction that no other process writes beside."""
        try:
            with self._file:  # commits, or rolls back
                self._file.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            message = f"histories must be within reach; their file is not: {error}; try again"
            raise StateUnreachableError(message) from error
