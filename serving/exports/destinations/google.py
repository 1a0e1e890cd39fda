"""What the three programming interfaces of Google share: identifiers, consent, address parts.

What lives here: JSON of members and the consent object. It is no destination itself.
"""

from typing import Any

import polars as pl

from serving.exports.destination import GRANTED, REMOVE, UNSTATED, Order
from serving.exports.json_layout import object_of, quoted

CONSENT_GROUPS = (GRANTED, UNSTATED)
"""People whose consent is stated are sent in other requests than people without a statement."""


def identifiers(*parts: pl.Expr) -> pl.Expr:
    """A JSON list of identifiers; null where a person has none."""
    inside = pl.concat_str(list(parts), separator=",", ignore_nulls=True)
    return pl.when(inside != "").then(pl.concat_str(pl.lit("["), inside, pl.lit("]")))


def single(key: str, column: str) -> pl.Expr:
    """An identifier object with one key; null where the column is null."""
    return object_of((key, quoted(column)))


def consent_of(order: Order, group: str, value: str) -> dict[str, Any]:
    """The request's consent object, on additions with stated consent alone."""
    if group != GRANTED or order.action == REMOVE:
        return {}
    return {"consent": {"adUserData": value, "adPersonalization": value}}


def in_group(group: str) -> pl.Expr:
    """Whether a person belongs to a consent group."""
    return pl.col("_consent") == group
