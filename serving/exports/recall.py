"""Plain identifiers of leavers, made again from the identity table.

The ledger keeps no plain identifier. What was sent plain (device ids, parts of an address) is
found again where the table still says of a user what it said when they were sent, which the hash
of all cells tells.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
import polars_hash  # noqa: F401 - adds the namespaces of hash functions to polars expressions

from serving.exports.cells import cells_of
from serving.exports.destination import Destination
from serving.exports.erased import person_hashes
from serving.exports.identities import IdentityTable
from serving.exports.ledger.keyed import keyed
from serving.exports.ledger.membership import HASH, ID, PLAIN, USER
from serving.exports.off_list import is_kept
from serving.exports.people import People


@dataclass(frozen=True)
class Recall:
    """Where plain identifiers can be looked up.

    Attributes
    ----------
    table
        The identity table of now.
    salt
        Of the ledger.
    default_country
        Of people whose country is not known.
    """

    table: IdentityTable
    salt: bytes
    default_country: str | None

    def plain_cells(
        self, gone: Iterable[pl.DataFrame], destination: Destination
    ) -> pl.DataFrame | None:
        """Cells that were sent plain.

        Parameters
        ----------
        gone
            Rows of the ledger, part by part.
        destination
            Where the people were sent.

        Returns
        -------
        polars.DataFrame or None
            `HASH`, `ID` and the plain cells of every row that was found again; None where nothing
            plain was sent.
        """
        wanted = [rows.filter(PLAIN).select(HASH, ID, USER) for rows in gone]
        sought = pl.concat(wanted) if wanted else None
        if sought is None or sought.is_empty():
            return None
        users = sought[USER].implode()
        found = [
            self._cells(rows.filter(keyed(rows["user_id"], self.salt).is_in(users)), destination)
            for rows in self.table.batches()
        ]
        known = pl.concat([rows.join(sought, on=[HASH, ID], how="semi") for rows in found])
        return known.unique([HASH, ID])

    def _cells(self, rows: pl.DataFrame, destination: Destination) -> pl.DataFrame:
        people = People(rows, default_country=self.default_country)
        cells = cells_of(people, destination).frame
        plain = [field.id for field in destination.fields if not is_kept(field)]
        return cells.select(person_hashes(cells).alias(HASH), cell_hash(destination), *plain)


def cell_hash(destination: Destination) -> pl.Expr:
    """Hash of all that a destination is sent of a person, under the name `ID`."""
    cells = [pl.col(field.id).fill_null("\0") for field in destination.fields]
    whole = pl.concat_str(cells, separator="\x1f")
    return whole.nchash.wyhash().alias(ID)  # type: ignore[attr-defined] # the plugin adds it


def has_plain(destination: Destination) -> pl.Expr:
    """Whether a person can be found by something that is sent plain, under the name `PLAIN`."""
    single = [
        pl.col(field.id).is_not_null()
        for field in destination.fields
        if field.identifies and not is_kept(field)
    ]
    together = [pl.col(names[0]).is_not_null() for names in destination.together]
    return pl.any_horizontal(pl.lit(value=False), *single, *together).alias(PLAIN)
