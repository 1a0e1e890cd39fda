"""Groups of users by what is known of them: ``age=65+ & segment_id=7``."""

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from segmenter.errors import SpaceError

AND = " & "
CONDITION = re.compile(r"\s*(?P<column>.+?)\s*(?P<sign>!=|>=|<=|=|>|<)\s*(?P<value>.*?)\s*")
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def select(metadata: pl.DataFrame, text: str) -> np.ndarray:
    """Users of whom a text is true.

    Parameters
    ----------
    metadata
        n rows.
    text
        Conditions joined by `` & ``: a column, one of ``= != >= <= > <``, and a value without
        quotes. Texts and booleans know ``=`` and ``!=`` alone. Nothing is true of a missing value.

    Returns
    -------
    numpy.ndarray
        bool [n].

    Raises
    ------
    SpaceError
        If a condition cannot be read, its column is unknown, its value does not fit the column,
        or it is true of nobody.

    Examples
    --------
    >>> people = pl.DataFrame({"age": ["65+", "19-24"], "spend": [10.0, 90.0]})
    >>> select(people, "age=65+").tolist(), select(people, "spend>5 & age!=65+").tolist()
    ([True, False], [False, True])
    """
    chosen = np.ones(len(metadata), dtype=bool)
    for part in text.split(AND):
        chosen &= _holds(metadata, part)
    if not chosen.any():
        message = f"a group must have members; nobody has {text!r}"
        raise SpaceError(message)
    return chosen


def _holds(metadata: pl.DataFrame, condition: str) -> np.ndarray:
    """Users of whom one condition is true, bool [n]."""
    found = CONDITION.fullmatch(condition)
    if found is None:
        message = (
            f"a condition must read COLUMN=VALUE (or != >= <= > <), several joined by '{AND}'; "
            f"found {condition!r}"
        )
        raise SpaceError(message)
    column = column_of(metadata, found["column"])
    if column.dtype.is_numeric():
        value: object = _number(found["value"], condition)
    elif found["sign"] in {"=", "!="}:
        column, value = column.cast(pl.String), found["value"]
    else:
        message = f"{found['column']} is no number, so {condition!r} has no meaning; use = or !="
        raise SpaceError(message)
    return SIGNS[found["sign"]](column, value).fill_null(value=False).to_numpy()


def _number(text: str, condition: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        message = f"{condition!r} compares a number with {text!r}; give a number"
        raise SpaceError(message) from error


def columns_in(text: str) -> set[str]:
    """Names of the columns that the conditions of a text are about."""
    found = (CONDITION.fullmatch(part) for part in text.split(AND))
    return {one["column"] for one in found if one is not None}


def column_of(metadata: pl.DataFrame, name: str) -> pl.Series:
    """A column by name; SpaceError names those there are."""
    if name not in metadata.columns:
        known = ", ".join(metadata.columns) or "none"
        message = f"nothing is known as {name!r}; the metadata has the columns: {known}"
        raise SpaceError(message)
    return metadata[name]
