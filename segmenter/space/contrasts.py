"""What is different between two groups of users, in terms of what is known of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

MAX_VALUES = 200
"""Texts with more values are names of users, not properties of groups."""


@dataclass(frozen=True)
class Contrast:
    """One thing that two groups have to different degrees.

    Attributes
    ----------
    what
        A column, with its value where it is a text.
    group, reference
        Share of those known who have it, or the mean of a number.
    z
        Difference in standard errors: above 0 the group has more.
    is_share
        Whether the figures are shares.
    """

    what: str
    group: float
    reference: float
    z: float
    is_share: bool


def contrasts(
    metadata: pl.DataFrame, group: np.ndarray, reference: np.ndarray
) -> tuple[Contrast, ...]:
    """Everything known of two groups, the surest difference first.

    Parameters
    ----------
    metadata
        n rows; missing values are left out column by column.
    group, reference
        bool [n]; where they overlap they are compared as they are.
    """
    found = [one for column in metadata for one in _of(column, group, reference)]
    return tuple(sorted(found, key=lambda one: (-round(abs(one.z), 9), one.what)))


def _of(column: pl.Series, group: np.ndarray, reference: np.ndarray) -> Iterator[Contrast]:
    known = column.is_not_null().to_numpy()
    sides = [np.flatnonzero(side & known) for side in (group, reference)]
    if min(len(side) for side in sides) < 2:
        return
    if column.dtype.is_numeric():
        numbers = column.fill_null(0).to_numpy().astype(np.float64)
        yield _contrast(column.name, [numbers[side] for side in sides], is_share=False)
        return
    texts = column.cast(pl.String)
    values = texts.gather(np.concatenate(sides)).unique().drop_nulls().sort().to_list()
    if len(values) <= MAX_VALUES:
        for value in values:
            has = (texts == value).fill_null(value=False).to_numpy().astype(np.float64)
            name = f"{column.name} = {value}"
            yield _contrast(name, [has[side] for side in sides], is_share=True)


def _contrast(what: str, sides: list[np.ndarray], *, is_share: bool) -> Contrast:
    """Two samples and their difference in standard errors of the pooled spread."""
    means = [float(side.mean()) for side in sides]
    spread = float(np.concatenate(sides).std())
    error = spread * float(np.sqrt(sum(1 / len(side) for side in sides)))
    z = (means[0] - means[1]) / error if error > 0 else 0.0
    return Contrast(what, means[0], means[1], z, is_share)
