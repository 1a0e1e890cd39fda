"""What a point looks like where there is no decoder: what is known of the users around it."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.space.paths import Profile, neighbor_profile
from segmenter.space.whitening import Whitening

MAX_VALUES = 20
"""The most frequent values of a text that are told apart."""


@dataclass(frozen=True)
class Features:
    """Numbers of users, in units in which they can be compared.

    Attributes
    ----------
    names
        A column, with its value where it is a text.
    values
        float64 [n, p], standardised.
    mean, spread
        float64 [p], that undo it.
    """

    names: tuple[str, ...]
    values: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


def metadata_features(metadata: pl.DataFrame) -> Features:
    """Columns as numbers: a number as it is (the mean where missing), a text as 0 and 1 per value.

    Columns that do not vary have no part.
    """
    named: dict[str, np.ndarray] = {}
    for column in metadata:
        if column.dtype.is_numeric():
            number = column.cast(pl.Float64).fill_nan(None)
            named[column.name] = number.fill_null(number.mean() or 0.0).to_numpy()
        else:
            texts = column.cast(pl.String)
            frequent = (
                texts.drop_nulls()
                .value_counts()
                .sort("count", texts.name, descending=[True, False])
            )
            for value in frequent[texts.name].head(MAX_VALUES).to_list():
                has = (texts == value).fill_null(value=False)
                named[f"{column.name} = {value}"] = has.to_numpy().astype(np.float64)
    varying = {name: values for name, values in named.items() if values.std() > 0}
    if not varying:
        return Features((), np.empty((len(metadata), 0)), np.empty(0), np.empty(0))
    table = np.stack([*varying.values()], axis=1)
    mean, spread = table.mean(axis=0), table.std(axis=0)
    return Features(tuple(varying), (table - mean) / spread, mean, spread)


def metadata_profile(
    vectors: np.ndarray, metadata: pl.DataFrame, *, whitening: Whitening
) -> Profile:
    """A profile from what is known of the users around a point.

    Parameters
    ----------
    vectors
        float [n, d].
    metadata
        n rows, or no columns: then a point looks like its whitened coordinates.
    whitening
        Of the vectors.
    """
    features = metadata_features(metadata)
    if not features.names:
        return whitening
    return neighbor_profile(vectors, features.values)
