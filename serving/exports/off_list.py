"""Taking people off a list by what the ledger knows of them: digests, own ids and countries.

What lives here: which cells of a destination the ledger keeps, and their way back into cells.
"""

from collections.abc import Iterable
from functools import reduce
from operator import and_, or_

import polars as pl

from serving.exports.destination import GRANTED, Destination
from serving.exports.fields import Field
from serving.exports.ledger.membership import USER
from serving.exports.text import nulls

FOUND = "_found"
HASHED = "_hash of "
"""Before the name of a plain field: the column of its salted hashes."""

KEPT_SOURCES = frozenset({"user_id", "country"})
"""Columns that the ledger keeps as they are sent; of the others only digests are kept."""


def is_kept(field: Field) -> bool:
    """Whether the ledger keeps the cells of a field: digests, own ids and countries."""
    return field.digest is not None or field.source in KEPT_SOURCES


def plain_of(destination: Destination) -> dict[str, tuple[str, ...]]:
    """Ways to find a person that are sent plain: fields by the name of their salted hash."""
    single = {
        f"{HASHED}{field.id}": (field.id,)
        for field in destination.fields
        if field.identifies and not is_kept(field)
    }
    return single | {f"{HASHED}{names[0]}": names for names in destination.together}


def known_cells(rows: pl.DataFrame, name: str) -> pl.Series:
    """A column of a ledger's rows; nulls where none of them has it."""
    return rows.get_column(name, default=nulls(len(rows)))


def ways_of(destination: Destination) -> list[Field]:
    """Fields by which the platform tells people apart and the ledger knows them."""
    return [
        field
        for field in destination.fields
        if is_kept(field) and (field.identifies or field.source == "user_id")
    ]


def off_list(
    rows: pl.DataFrame, destination: Destination, held: dict[str, pl.Series]
) -> pl.DataFrame:
    """Rows of a ledger as cells of a destination that take people off its list.

    Parameters
    ----------
    rows
        Of people who leave, perhaps with plain cells beside.
    destination
        Whose cells they are.
    held
        Hashes of identifiers, by column, that somebody else on the list has.
    """
    cells, touched = _kept_cells(rows, destination, held)
    none = nulls(len(rows))
    plain = plain_of(destination)
    own = {name for names in plain.values() for name in names}
    for field in destination.fields:
        if field.id not in cells:
            known = known_cells(rows, field.id)
            # Names and addresses of somebody who stays with another identifier say nothing.
            cells[field.id] = known if field.id in own else known.zip_with(~touched, none)
    for hashed in plain.keys() & held.keys():
        still = known_cells(rows, hashed).hash().is_in(held[hashed].implode())
        cells |= {name: cells[name].zip_with(~still, none) for name in plain[hashed]}
    frame = pl.DataFrame([cells[field.id].alias(field.id) for field in destination.fields])
    for names in destination.together:
        complete = pl.all_horizontal(pl.col(name).is_not_null() for name in names)
        frame = frame.with_columns(pl.when(complete).then(pl.col(name)) for name in names)
    ways = [field.id for field in destination.fields if field.identifies]
    ways += [names[0] for names in destination.together]
    return frame.with_columns(
        rows["_country"].cast(pl.String),
        rows["_consent"].cast(pl.String).fill_null(GRANTED),
        *(pl.lit(None, pl.String).alias(name) for name in ("_user_id", "_tcf", "_gpp")),
        pl.lit(None, pl.Float32).alias("_strength"),
        pl.lit(False).alias("_limited"),  # noqa: FBT003 - a value
    ).filter(pl.any_horizontal(pl.col(name).is_not_null() for name in ways))


def _kept_cells(
    rows: pl.DataFrame, destination: Destination, held: dict[str, pl.Series]
) -> tuple[dict[str, pl.Series], pl.Series]:
    """Cells of identifiers that the ledger keeps, and of whom one is held by somebody else."""
    touched = pl.repeat(False, len(rows), dtype=pl.Boolean, eager=True)  # noqa: FBT003 - a value
    cells = {}
    for field in ways_of(destination):
        values = known_cells(rows, field.id)
        if field.id in held:
            still = values.hash().is_in(held[field.id].implode()) & values.is_not_null()
            values, touched = values.zip_with(~still, nulls(len(rows))), touched | still
        cells[field.id] = values
    return cells, touched


def findable_in(rows: pl.DataFrame, destination: Destination) -> pl.Series:
    """Whether what is known of people can take them off a list."""
    single = [
        known_cells(rows, field.id).is_not_null()
        for field in destination.fields
        if field.identifies
    ]
    together = [
        reduce(and_, (known_cells(rows, name).is_not_null() for name in names))
        for names in destination.together
    ]
    nobody = pl.repeat(False, len(rows), dtype=pl.Boolean, eager=True)  # noqa: FBT003 - a value
    return reduce(or_, [*single, *together], nobody)


def with_plain(
    rows: pl.DataFrame, plain: pl.DataFrame | None, destination: Destination
) -> pl.DataFrame:
    """Rows of the ledger with the plain cells that were sent.

    Parameters
    ----------
    rows
        Of people who leave.
    plain
        `USER`, plain cells of now and their salted hashes; None for nobody.
    destination
        Where they were sent.

    Returns
    -------
    polars.DataFrame
        With a column `FOUND`, whether all that was sent plain of each is there.
    """
    ways = {name: some for name, some in plain_of(destination).items() if name in rows.columns}
    if plain is None or not ways:
        sent = [pl.col(name).is_null() for name in ways]
        return rows.with_columns(pl.all_horizontal(pl.lit(value=True), *sent).alias(FOUND))
    cells = {name for some in ways.values() for name in some}
    joined = rows.drop(cells & set(rows.columns)).join(
        plain, on=USER, how="left", maintain_order="left", suffix=" now"
    )
    same = {name: pl.col(name).eq_missing(pl.col(f"{name} now")) for name in ways}
    found = [pl.col(name).is_null() | one for name, one in same.items()]
    kept = [
        pl.when(same[name]).then(pl.col(cell)).alias(cell)
        for name, some in ways.items()
        for cell in some
    ]
    return joined.with_columns(pl.all_horizontal(*found).alias(FOUND), *kept)


def held_by(
    destination: Destination, gone: Iterable[pl.DataFrame], stay: Iterable[pl.DataFrame]
) -> dict[str, pl.Series]:
    """Identifiers of leavers that somebody on the list still has.

    Parameters
    ----------
    destination
        Whose list it is.
    gone, stay
        Rows of the ledger, part by part.

    Returns
    -------
    dict of str to polars.Series
        Hashes of cells, by column.
    """
    names = [*(field.id for field in ways_of(destination)), *plain_of(destination)]
    lost: dict[str, list[pl.Series]] = {name: [] for name in names}
    for rows in gone:
        for name in names:
            lost[name].append(known_cells(rows, name).drop_nulls().hash())
    wanted = {name: pl.concat(some) for name, some in lost.items() if some}
    held: dict[str, list[pl.Series]] = {name: [] for name in wanted}
    for rows in stay:
        for name, some in wanted.items():
            hashes = known_cells(rows, name).drop_nulls().hash()
            held[name].append(hashes.filter(hashes.is_in(some.implode())))
    return {name: pl.concat(some) for name, some in held.items() if some}
