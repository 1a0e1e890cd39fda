"""From people to the cells of a destination, and who among them can be found there.

What lives here: which identifiers are sent of whom, why others are not, and who is one person.
"""

from dataclasses import dataclass

import polars as pl

from serving.exports.destination import Destination
from serving.exports.people import People

PERSON_KEY = "_person"


@dataclass(frozen=True)
class Cells:
    """A batch of people in the form of a destination.

    Attributes
    ----------
    frame
        A String column for each field's id, and ``_person``: what tells people of the destination
        apart, null for those who cannot be found.
    has_identifier
        Boolean [n], whether a person has anything that the destination looks for, valid or not.
    reasons
        String [n] for each column of the identity table: why an identifier was left out.
    """

    frame: pl.DataFrame
    has_identifier: pl.Series
    reasons: tuple[pl.Series, ...]


def cells_of(people: People, destination: Destination) -> Cells:
    """Normalise, check and hash what a destination wants to know of people.

    A person is told by the first identifier that the destination looks for, in the order of its
    fields, so that two users with one e-mail address are one person.
    """
    formed = {field.id: field.cells(people) for field in destination.fields}
    frame = pl.DataFrame([one.values.alias(name) for name, one in formed.items()])
    for names in destination.together:
        complete = pl.all_horizontal(pl.col(name).is_not_null() for name in names)
        frame = frame.with_columns(pl.when(complete).then(pl.col(name)) for name in names)
    looked_for = [field for field in destination.fields if field.identifies]
    # An address tells people apart by all of its parts: many share a first name.
    ways = [(field.id,) for field in looked_for] + list(destination.together)
    key = pl.coalesce(
        pl.concat_str(pl.lit(f"{number}:"), *names, separator="|")
        for number, names in enumerate(ways)
    )
    has = pl.DataFrame([people.text(field.source).alias(field.id) for field in looked_for])
    has_any = pl.concat(
        [has, frame.select(names[0] for names in destination.together)], how="horizontal"
    ).select(pl.any_horizontal(pl.all().is_not_null()).alias("has"))
    by_source = {field.source: formed[field.id].reasons for field in reversed(looked_for)}
    reasons = tuple(one for one in by_source.values() if one.null_count() < len(one))
    return Cells(frame.with_columns(key.alias(PERSON_KEY)), has_any.to_series(), reasons)
