"""Plain identifiers of leavers, made again from the identity table.

The ledger keeps no plain identifier. What was sent plain (device ids, parts of an address) is
found again where the table still says of a user what was sent, which a salted hash of it tells.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
import polars_hash  # noqa: F401 - adds the namespaces of hash functions to polars expressions

from serving.exports.cells import cells_of
from serving.exports.destination import Destination
from serving.exports.identities import IdentityTable
from serving.exports.ledger.keyed import keyed
from serving.exports.ledger.membership import ID, PLAIN, USER
from serving.exports.off_list import plain_of
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
            `USER`, plain cells of now and their salted hashes; None where nothing plain was sent.
        """
        users = pl.concat([rows.filter(PLAIN)[USER] for rows in gone]).unique()
        if users.is_empty():
            return None
        found = [self._cells(rows, users, destination) for rows in self.table.batches()]
        return pl.concat(found).unique(USER, keep="first", maintain_order=True)

    def _cells(
        self, rows: pl.DataFrame, users: pl.Series, destination: Destination
    ) -> pl.DataFrame:
        chosen = rows.with_columns(keyed(rows["user_id"], self.salt).alias(USER)).filter(
            pl.col(USER).is_in(users.implode())
        )
        people = People(chosen, default_country=self.default_country)
        cells = cells_of(people, destination).frame
        ways = plain_of(destination)
        names = {name for some in ways.values() for name in some}
        return cells.select(
            chosen[USER], *sorted(names), *plain_hashes(cells, destination, self.salt)
        )


def plain_hashes(cells: pl.DataFrame, destination: Destination, salt: bytes) -> list[pl.Series]:
    """Salted hashes of the cells by which people are found and which are sent plain."""
    whole = [
        pl.concat_str(list(names), separator="\x1f").alias(hashed)
        for hashed, names in plain_of(destination).items()
    ]
    texts = cells.select(whole)
    return [keyed(texts[name], salt, "cell").alias(name) for name in texts.columns]


def cell_hash(destination: Destination) -> pl.Expr:
    """Hash of all that a destination is sent of a person, under the name `ID`."""
    cells = [pl.col(field.id).fill_null("\0") for field in destination.fields]
    whole = pl.concat_str(cells, separator="\x1f")
    return whole.nchash.wyhash().alias(ID)  # type: ignore[attr-defined] # the plugin adds it
