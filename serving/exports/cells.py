"""From people to the cells of a destination, and who among them can be found there.

What lives here: which identifiers are sent of whom, why others are not, and who is one person.
"""

from dataclasses import dataclass

import polars as pl

from serving.exports.destination import Destination
from serving.exports.fields import Formed
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
        Why identifiers were left out, with their number.
    """

    frame: pl.DataFrame
    has_identifier: pl.Series
    reasons: dict[str, int]


def cells_of(people: People, destination: Destination) -> Cells:
    """Normalise, check and hash what a destination wants to know of people."""
    formed = {field.id: field.cells(people) for field in destination.fields}
    frame = pl.DataFrame([one.values.alias(name) for name, one in formed.items()])
    for names in destination.together:
        complete = pl.all_horizontal(pl.col(name).is_not_null() for name in names)
        frame = frame.with_columns(pl.when(complete).then(pl.col(name)) for name in names)
    keys = [field.id for field in destination.fields if field.identifies]
    keys += [names[0] for names in destination.together]
    key = pl.coalesce(
        pl.concat_str(pl.lit(f"{number}:"), pl.col(name)) for number, name in enumerate(keys)
    )
    tried = [
        formed[name].values.is_not_null() | formed[name].reasons.is_not_null() for name in keys
    ]
    has = pl.DataFrame([one.alias(str(n)) for n, one in enumerate(tried)]).select(
        pl.any_horizontal(pl.all()).alias("has")
    )
    return Cells(frame.with_columns(key.alias(PERSON_KEY)), has.to_series(), _reasons(formed))


def _reasons(formed: dict[str, Formed]) -> dict[str, int]:
    """Counts of each reason, of each column of the identity table once."""
    counts: dict[str, int] = {}
    for one in formed.values():
        if one.reasons.null_count() == len(one.reasons):
            continue
        for reason, count in one.reasons.drop_nulls().value_counts(sort=True).rows():
            counts[reason] = max(counts.get(reason, 0), count)
    return dict(sorted(counts.items()))
