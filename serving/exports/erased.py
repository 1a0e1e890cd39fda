"""People who were forgotten and must never leave again, by salted hashes of what named them."""

from dataclasses import dataclass

import polars as pl
import polars_hash  # noqa: F401 - adds the namespaces of hash functions to polars expressions

from serving.exports.cells import PERSON_KEY
from serving.exports.emails import canonical
from serving.exports.ledger.keyed import keyed, signed, unsigned
from serving.exports.ledger.ledger import Ledger
from serving.exports.people import People
from serving.exports.suppression import Suppression, digests_of

KINDS = ("user", "person", "mailbox", "number", "device", "digest")
DEVICES = ("device_id", "idfa", "aaid")


@dataclass(frozen=True)
class Erased:
    """Salted hashes of what named the forgotten.

    Attributes
    ----------
    salt
        Of the ledger.
    hashes
        UInt64 each, by kind: user ids, people as a destination tells them apart, canonical
        addresses, E.164 digits, devices, hexadecimal digests.
    """

    salt: bytes
    hashes: dict[str, pl.Series]

    def hits(self, people: People, cells: pl.DataFrame) -> pl.Series:
        """Whether each person was forgotten.

        Parameters
        ----------
        people
            With any identifiers.
        cells
            What a destination would be sent of them, with the person's key.
        """
        found = self._within("user", people.text("user_id"))
        if "person" in self.hashes:
            found |= self._within("person", person_hashes(cells).cast(pl.String))
        if "mailbox" in self.hashes:
            found |= self._within("mailbox", canonical(people.emails))
        if "number" in self.hashes:
            found |= self._within("number", people.phones.digits)
        if "device" in self.hashes:
            for source in DEVICES:
                found |= self._within("device", people.text(source).str.to_lowercase())
        if "digest" in self.hashes:
            for digests in digests_of(people, cells):
                found |= self._within("digest", digests)
        return found

    def _within(self, kind: str, values: pl.Series) -> pl.Series:
        if kind not in self.hashes:
            return pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)  # noqa: FBT003 - a value
        hashes = keyed(values, self.salt, kind)
        return hashes.is_in(self.hashes[kind].implode()).fill_null(value=False)


def person_hashes(cells: pl.DataFrame) -> pl.Series:
    """Hashes by which the ledger and the order of files tell people of a destination apart."""
    hashed = pl.col(PERSON_KEY).nchash.wyhash()  # type: ignore[attr-defined] # the plugin adds it
    return cells.select(hashed).to_series()


def erased_of(ledger: Ledger) -> Erased | None:
    """Everybody whom a ledger has forgotten; None where there is nobody."""
    found: dict[str, list[int]] = {}
    for kind, number in ledger.db.execute("SELECT kind, hash FROM erased"):
        found.setdefault(kind, []).append(number)
    if not found:
        return None
    return Erased(ledger.salt, {kind: unsigned(numbers) for kind, numbers in found.items()})


def named_by(entries: Suppression) -> dict[str, pl.Series]:
    """What a list of people names, by kind."""
    return {
        "user": entries.user_ids,
        "mailbox": entries.mailboxes,
        "number": entries.numbers,
        "device": entries.devices,
        "digest": entries.digests,
    }


def erase(ledger: Ledger, kind: str, values: pl.Series) -> None:
    """Keep salted hashes of what named people; inside a transaction of the ledger."""
    hashes = signed(keyed(values.drop_nulls(), ledger.salt, kind))
    ledger.db.executemany(
        "INSERT OR IGNORE INTO erased VALUES (?, ?)", [(kind, number) for number in hashes]
    )
