"""The ledger: lists, deliveries and their states, in one SQLite file.

What lives here: the steps of a delivery, each one transaction. A delivery is prepared before its
files get their final name, so that no file can leave of which the ledger knows nothing; one that
a kill interrupted is found again when the ledger is next opened.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from segmenter.clock import now
from segmenter.errors import LedgerError
from serving.exports.ledger import deliveries as rows
from serving.exports.ledger.deliveries import (
    DELIVERED,
    FAILED,
    FORGET,
    PREPARED,
    SUPERSEDED,
    WRITTEN,
    Delivery,
    Draft,
    deliveries_where,
    settings_text,
)
from serving.exports.ledger.keyed import signed, unsigned
from serving.exports.ledger.membership import (
    packed,
    read_part,
    replace_parts,
    settle,
    unpacked,
    unsettle,
)
from serving.exports.ledger.schema import connect, salt_id, salt_of

MANIFEST = "manifest.json"
LOCK_TIMEOUT_S = 60
Parts = Iterable[tuple[int, int, bytes]]
"""Number of a part, how many there are, packed rows."""


class Ledger:
    """An open ledger; see `open_ledger`.

    Parameters
    ----------
    path
        Of the file.
    salt
        Of a new ledger; None draws one.

    Attributes
    ----------
    db
        The open file.
    salt
        Of hashes of users.
    salt_id
        What names it.
    """

    def __init__(self, path: Path, *, salt: bytes | None = None) -> None:
        self.path = path
        self.db = connect(path, salt)
        self.salt = salt_of(self.db)
        self.salt_id = salt_id(self.salt)
        self._recover()

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of what happens inside."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def target(
        self, destination: str, segment: tuple[str, int], settings: Mapping[str, str]
    ) -> int:
        """Number of the list of a segment (level, id); 0 for one that nothing was sent to."""
        names = "destination = ? AND level = ? AND segment = ? AND settings = ?"
        values = (destination, *segment, settings_text(settings))
        found = self.db.execute(f"SELECT id FROM targets WHERE {names}", values)  # noqa: S608 - constants
        return int((found.fetchone() or (0,))[0])

    def members(self, target: int, part: tuple[int, int]) -> pl.DataFrame | None:
        """Rows of a list in one part of the range; see `membership.read_part`."""
        return read_part(self.db, target, part)

    def deliveries(self) -> list[Delivery]:
        """Every delivery in the order in which they were written."""
        return deliveries_where(self.db, "1")

    def delivery(self, number: int) -> Delivery:
        """One delivery.

        Raises
        ------
        LedgerError
            If there is none of that number.
        """
        found = deliveries_where(self.db, "d.id = ?", number)
        if not found:
            message = f"{self.path} has no delivery {number}; `segmenter deliveries` lists them"
            raise LedgerError(message)
        return found[0]

    def newest(self, target: int) -> Delivery | None:
        """The last export to a list, whatever its state."""
        found = deliveries_where(self.db, "d.target = ? AND d.kind <> ?", target, FORGET)
        return found[-1] if found else None

    def prepare(
        self, drafts: Sequence[tuple[Draft, Parts]], arms: pl.DataFrame | None = None
    ) -> list[int]:
        """Write down deliveries, the people of their lists, and new arms, before files appear.

        Parameters
        ----------
        drafts
            Deliveries, each with the rows of its list.
        arms
            Newly drawn users of the control group and their counterparts; None for none.

        Returns
        -------
        list of int
            Ids; the one that is known already where the same files were written before.
        """
        with self.transaction():
            if arms is not None and len(arms):
                self.db.execute("INSERT INTO arms (frame) VALUES (?)", (packed(arms),))
            return [self._prepare(draft, parts) for draft, parts in drafts]

    def written(self, numbers: Iterable[int]) -> None:
        """The files of prepared deliveries stand under their final names."""
        with self.transaction():
            for number in numbers:
                self._state(number, WRITTEN, of=(PREPARED,))

    def delivered(self, number: int) -> None:
        """A delivery has arrived: what it wants is so from now on.

        Raises
        ------
        LedgerError
            If it was never written, or a later one was.
        """
        one = self.markable(number)
        if one.state == DELIVERED:
            return
        with self.transaction():
            self._state(number, DELIVERED, of=(WRITTEN, FAILED))
            if one.kind != FORGET:
                settle(self.db, one.target)

    def failed(self, number: int, *, keep_acknowledged: bool = False) -> None:
        """A delivery has not arrived, or not whole: the next one sends its people again.

        Parameters
        ----------
        number
            Of the delivery.
        keep_acknowledged
            Whether batches that the receiver has acknowledged count as sent.

        Raises
        ------
        LedgerError
            If it was never written, or a later one was.
        """
        one = self.markable(number)
        newest = self.newest(one.target)
        is_newest = newest is not None and newest.id == number
        if one.state == DELIVERED and one.kind != FORGET and not is_newest:
            message = (
                f"delivery {number} has arrived, and a later one to the same list was written"
            )
            raise LedgerError(message)
        with self.transaction():
            if one.state == DELIVERED and is_newest:
                unsettle(self.db, one.target)
            self._state(number, FAILED, of=(WRITTEN, FAILED, DELIVERED))
            if not keep_acknowledged:
                self.db.execute("DELETE FROM acknowledged WHERE delivery = ?", (number,))

    def arms(self) -> pl.DataFrame | None:
        """Users of the control group and their counterparts; None where nobody was drawn."""
        frames = self.db.execute("SELECT frame FROM arms ORDER BY id").fetchall()
        return pl.concat([unpacked(one) for (one,) in frames]) if frames else None

    def insert(self, target: int, draft: Draft) -> int:
        """Write down a delivery whose files stand, and leave the rows of its list alone.

        Inside a transaction, so that a kill leaves no delivery that nobody can send.
        """
        number = rows.insert(self.db, target, draft, salt=self.salt_id)
        self._state(number, WRITTEN, of=(PREPARED,))
        return number

    def erase_users(self, *hashes: pl.Series) -> None:
        """Keep salted hashes of users who must not leave again; inside a transaction."""
        numbers = signed(pl.concat([one.cast(pl.UInt64) for one in hashes]).drop_nulls())
        values = [("user", number) for number in numbers]
        self.db.executemany("INSERT OR IGNORE INTO erased VALUES (?, ?)", values)
        self.erase_arms(unsigned(numbers))

    def erase_arms(self, hashes: pl.Series) -> None:
        """Forget the arms of users, by their salted hashes; inside a transaction."""
        for number, frame in self.db.execute("SELECT id, frame FROM arms").fetchall():
            before = unpacked(frame)
            after = before.filter(~pl.col("user").is_in(hashes.implode()))
            if len(after) < len(before):
                update = "UPDATE arms SET frame = ? WHERE id = ?"
                self.db.execute(update, (packed(after), number))

    def setting(self, name: str) -> str | None:
        """A setting that holds for the whole ledger."""
        found = self.db.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def set(self, name: str, value: str) -> None:
        """Keep a setting for the whole ledger."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def supersede(self, target: int) -> list[int]:
        """Exports to a list that have not arrived must not do so any more; which they are."""
        condition = "d.target = ? AND d.kind <> ? AND d.state NOT IN (?, ?)"
        found = deliveries_where(self.db, condition, target, FORGET, DELIVERED, SUPERSEDED)
        for one in found:
            self._state(one.id, SUPERSEDED, of=(PREPARED, WRITTEN, FAILED))
        return [one.id for one in found]

    def _prepare(self, draft: Draft, parts: Parts) -> int:
        segment = (draft.level, draft.segment_id)
        target = self.target(draft.destination, segment, draft.settings)
        if not target:
            values = (draft.destination, *segment, settings_text(draft.settings))
            names = "destination, level, segment, settings"
            made = self.db.execute(
                f"INSERT INTO targets ({names}) VALUES (?, ?, ?, ?)",  # noqa: S608 - constants
                values,
            )
            target = int(made.lastrowid or 0)
        newest = self.newest(target)
        if (
            newest is not None
            and newest.fingerprint == draft.fingerprint
            and newest.state != SUPERSEDED
        ):
            if newest.state != DELIVERED:
                self._again(newest, draft, parts)
            return newest.id
        self.supersede(target)
        replace_parts(self.db, target, parts)
        return rows.insert(self.db, target, draft, salt=self.salt_id)

    def _again(self, newest: Delivery, draft: Draft, parts: Parts) -> None:
        """The same files as before, which have not arrived: no new line, perhaps a new folder."""
        self.db.execute(
            "UPDATE deliveries SET state = ?, folder = ? WHERE id = ?",
            (PREPARED, draft.folder, newest.id),
        )
        replace_parts(self.db, newest.target, parts)

    def markable(self, number: int) -> Delivery:
        """A delivery whose files stand and that nothing has overtaken.

        Raises
        ------
        LedgerError
            If it is another.
        """
        one = self.delivery(number)
        if one.state == SUPERSEDED:
            message = (
                f"delivery {number} was overtaken by a later export to the same list; deliver and "
                "mark the newest one, which sends its people again"
            )
            raise LedgerError(message)
        if one.state == PREPARED:
            message = f"the export of delivery {number} was interrupted; run it again"
            raise LedgerError(message)
        return one

    def _state(self, number: int, state: str, *, of: tuple[str, ...]) -> None:
        marks = ", ".join("?" * len(of))
        self.db.execute(
            f"UPDATE deliveries SET state = ?, decided_at = ? WHERE id = ? AND state IN ({marks})",  # noqa: S608 - question marks
            (state, now(), number, *of),
        )

    def _recover(self) -> None:
        """Find deliveries whose files got their names before a kill."""
        for one in deliveries_where(self.db, "d.state = ?", PREPARED):
            if one.id in _listed(Path(one.folder) / MANIFEST):
                self.written([one.id])


def _listed(manifest: Path) -> set[int]:
    """Deliveries that a manifest names."""
    try:
        plain = json.loads(manifest.read_text(encoding="utf-8"))
        return {int(number) for number in plain["deliveries"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def open_ledger(path: Path, *, salt: bytes | None = None) -> Iterator[Ledger]:
    """Open a ledger for one command alone; a missing one is made.

    Parameters
    ----------
    path
        Of the file.
    salt
        Of a new ledger; None draws one.

    Raises
    ------
    LedgerError
        If the file is something else, or another command keeps it too long.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_TIMEOUT_S):
            ledger = Ledger(path, salt=salt)
            try:
                yield ledger
            finally:
                ledger.close()
    except Timeout as error:
        message = f"another command uses {path}; wait for it, or pass another --ledger"
        raise LedgerError(message) from error
