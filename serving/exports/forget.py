"""People who ask to be deleted: off every list they were sent to, out of the ledger, for good.

What lives here: finding the people of a deletion list in the ledger, the payloads that take them
off, what the ledger keeps so that they never leave again, and the receipt, which names nobody.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import polars as pl

from segmenter.clock import now
from segmenter.errors import OutputError
from segmenter.files import atomic_folder, digest_of_file, read_json, write_json
from serving.exports.cells import cells_of
from serving.exports.destination import REMOVE, Destination, Order, WrittenFile
from serving.exports.destinations import DESTINATIONS
from serving.exports.digests import recoded
from serving.exports.erased import erase, named_by
from serving.exports.identities import IdentityTable
from serving.exports.ledger.deliveries import (
    FAILED,
    FORGET,
    PREPARED,
    WRITTEN,
    Delivery,
    Draft,
    deliveries_where,
)
from serving.exports.ledger.keyed import keyed
from serving.exports.ledger.ledger import Ledger
from serving.exports.ledger.membership import HASH, OTHERS, SURE, USER, parts_of, rewrite
from serving.exports.off_list import (
    FOUND,
    findable_in,
    held_by,
    is_kept,
    known_cells,
    off_list,
    with_plain,
)
from serving.exports.people import People
from serving.exports.recall import Recall
from serving.exports.suppression import Suppression, read_suppression

FORMAT = "segmenter deletion receipt"
PENDING = (PREPARED, WRITTEN, FAILED)
"""States of an export that may name the people and must not arrive any more."""


@dataclass(frozen=True)
class Entries:
    """A deletion list, and the cells that destinations were sent of whom it names.

    Attributes
    ----------
    named
        The list as it was read.
    users
        Salted hashes of everything on it, taken for a user id.
    """

    named: Suppression
    users: pl.Series
    default_country: str | None

    def found_in(self, rows: pl.DataFrame, destination: Destination) -> pl.Series:
        """Whether each row of a ledger is a person of the list."""
        users = self.users.implode()
        others = rows.select(
            pl.col(OTHERS).list.eval(pl.element().is_in(users)).list.any()
        ).to_series()
        hits = [rows[USER].is_in(users), others]
        digests = self.named.digests.implode()
        for name, cells in self._cells(destination).items():
            column = known_cells(rows, name)
            hits += [column.is_in(cells.implode()), recoded(column, "hex-lower").is_in(digests)]
        nobody = pl.repeat(False, len(rows), dtype=pl.Boolean, eager=True)  # noqa: FBT003 - a value
        found = reduce(or_, (hit.fill_null(value=False) for hit in hits), nobody)
        # A person whose cells have changed may stand in several rows, all of them in one part.
        return rows[HASH].is_in(rows.filter(found)[HASH].implode())

    def _cells(self, destination: Destination) -> dict[str, pl.Series]:
        """What a destination is sent of the addresses, numbers and devices of the list."""
        raw = self.named.user_ids.filter(~self.named.user_ids.is_in(self.named.digests.implode()))
        tables = [pl.DataFrame({source: raw}) for source in ("email", "phone", "device_id")]
        formed = [
            cells_of(People(table, default_country=self.default_country), destination).frame
            for table in tables
        ]
        names = [one.id for one in destination.fields if is_kept(one) and one.identifies]
        return {name: pl.concat([frame[name] for frame in formed]).drop_nulls() for name in names}


@dataclass(frozen=True)
class _Removal:
    """What takes people off one list."""

    last: Delivery
    n_people: int
    n_removed: int
    n_stuck: int
    files: tuple[WrittenFile, ...]
    can_remove: bool

    def to_json(self) -> dict[str, Any]:
        how = "remove" if self.can_remove else "the next export replaces the list without them"
        return {
            "destination": self.last.destination,
            "level": self.last.level,
            "segment": self.last.segment_id,
            "people": self.n_people,
            "how": how,
            "without_payload": self.n_stuck,
            "files": {one.name: one.sha256 for one in self.files},
            "void_delivery": self.last.id if self.last.state in PENDING else None,
        }


def forget(
    ledger: Ledger,
    path: Path,
    *,
    receipt: Path,
    out: Path,
    identities: Path | None = None,
    default_country: str | None = None,
) -> dict[str, Any]:
    """Forget the people of a list.

    Parameters
    ----------
    ledger
        That knows what was sent.
    path
        Text or CSV: user ids, addresses, numbers, devices or digests.
    receipt
        JSON file to write: what, where, when, digests; no id.
    out
        Folder of the payloads that take the people off.
    identities
        Table that says what plain identifiers they were sent by; None for none.
    default_country
        Of telephone numbers without a country.

    Returns
    -------
    dict
        The receipt.

    Raises
    ------
    SourceError
        If the list cannot be read.
    OutputError
        If there is a receipt already.
    """
    digest = digest_of_file(path) if path.is_file() else ""
    named = read_suppression([path], default_country=default_country, option="the deletion list")
    _refuse_known(ledger, receipt, digest)
    entries = Entries(named, keyed(named.user_ids, ledger.salt), default_country)
    try:
        with atomic_folder(out) as folder:
            removals = [
                _removal(ledger, one, entries, folder=folder, identities=identities)
                for one in _lists(ledger)
            ]
        found = [one for one in removals if one.n_people]
        plain = _receipt(ledger, found, digest=digest, n_entries=len(named))
        write_json(receipt, plain)
    except OSError as error:
        message = f"cannot write {receipt} or {out}: {error.strerror}"
        raise OutputError(message) from error
    with ledger.transaction():
        for one in found:
            _forget_list(ledger, one, entries, out=out)
        for kind, values in named_by(named).items():
            erase(ledger, kind, values)
        ledger.erase_arms(entries.users)
        ledger.set(f"forgotten {digest}", plain["written_at"])
    return plain


def _refuse_known(ledger: Ledger, receipt: Path, digest: str) -> None:
    """Never write over the receipt of something that has happened."""
    if not receipt.exists():
        return
    try:
        known = read_json(receipt)
        is_unfinished = known["format"] == FORMAT and known["list_sha256"] == digest
    except (OSError, ValueError, KeyError, TypeError):
        is_unfinished = False
    if not is_unfinished or ledger.setting(f"forgotten {digest}") is not None:
        message = f"{receipt} exists; a receipt is never written over: pass another --receipt"
        raise OutputError(message)


def _lists(ledger: Ledger) -> list[Delivery]:
    """The last export to every list."""
    query = "d.id IN (SELECT max(id) FROM deliveries WHERE kind <> ? GROUP BY target)"
    return deliveries_where(ledger.db, query, FORGET)


def _removal(
    ledger: Ledger, last: Delivery, entries: Entries, *, folder: Path, identities: Path | None
) -> _Removal:
    """Write what takes the people of a list off; nothing where none of them was sent."""
    one = DESTINATIONS[last.destination]
    found = [rows.filter(entries.found_in(rows, one)) for rows in parts_of(ledger.db, last.target)]
    n_people = sum(len(rows) for rows in found)
    if not n_people or not one.can_remove:
        return _Removal(last, n_people, 0, 0, (), can_remove=one.can_remove)
    plain = None
    if identities is not None:
        table = IdentityTable(identities, [one])
        recall = Recall(table, ledger.salt, entries.default_country)
        plain = recall.plain_cells(found, one)
    known = [with_plain(rows, plain, one) for rows in found]
    findable = [rows.filter(findable_in(rows, one)) for rows in known]
    held = held_by(one, findable, _others(ledger, last, entries))
    place = folder / one.name / f"{last.level}-{last.segment_id}-{last.target}"
    place.mkdir(parents=True)
    moment = dt.datetime.now(dt.UTC)
    order = Order(
        last.segment_id, last.segment_name, int(moment.timestamp()), REMOVE, last.settings
    )
    stem = f"{one.name}_{last.level}-{last.segment_id}_{moment:%Y%m%dT%H%M%SZ}_forget"
    frames = (off_list(rows, one, held) for rows in findable if len(rows))
    written = one.layout.write(frames, order, folder=place, stem=stem)
    inside = place.relative_to(folder).as_posix()
    files = tuple(replace(file, name=f"{inside}/{file.name}") for file in written)
    n_stuck = sum(int((~rows[FOUND]).sum()) for rows in known)
    n_removed = sum(len(rows) for rows in findable)
    return _Removal(last, n_people, n_removed, n_stuck, files, can_remove=True)


def _others(ledger: Ledger, last: Delivery, entries: Entries) -> Iterator[pl.DataFrame]:
    """Rows of people who stay on a list."""
    for rows in parts_of(ledger.db, last.target):
        yield rows.filter(~entries.found_in(rows, DESTINATIONS[last.destination]))


def _forget_list(ledger: Ledger, removal: _Removal, entries: Entries, *, out: Path) -> None:
    """Take people out of the rows of a list, and write the delivery down."""
    last, one = removal.last, DESTINATIONS[removal.last.destination]
    ledger.supersede(last.target)

    def without(rows: pl.DataFrame) -> pl.DataFrame:
        found = entries.found_in(rows, one)
        gone = rows.filter(found)
        ledger.erase_users(gone[USER], gone[OTHERS].explode())
        erase(ledger, "person", gone[HASH].cast(pl.String))
        stay = rows.filter(~found)
        # A list that can only be replaced has to be: nobody on it is where they should be.
        return stay if one.can_remove else stay.with_columns(pl.lit(value=False).alias(SURE))

    rewrite(ledger.db, last.target, without)
    if not removal.files:
        return
    draft = Draft(
        destination=last.destination,
        level=last.level,
        segment_id=last.segment_id,
        segment_name=last.segment_name,
        settings=last.settings,
        kind=FORGET,
        folder=str(out.resolve()),
        as_of=last.as_of,
        model=last.model,
        scores="",
        n_added=0,
        n_removed=removal.n_removed,
        files=removal.files,
    )
    ledger.insert(last.target, draft)


def _receipt(
    ledger: Ledger, found: list[_Removal], *, digest: str, n_entries: int
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": 1,
        "written_at": now(),
        "list_sha256": digest,
        "entries": n_entries,
        "lists": [one.to_json() for one in found],
        "ledger": "salted hashes alone are kept, so that nobody of the list is exported again",
        "salt": ledger.salt_id,
    }
