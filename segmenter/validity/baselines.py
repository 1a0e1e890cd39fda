"""Segmentations that need no learning: the rows that learned segments must beat.

Everything here is made from events before ``until`` (or from attributes that were given), and
answers with one text label or number per user. Whether they predict anything is measured in
`segmenter.validity.lift`.
"""

import itertools

import numpy as np
import polars as pl
from scipy.stats import rankdata
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from segmenter.events.store import EventStore
from segmenter.validity.features import plain_features
from segmenter.validity.window import EventWindow, windows

UNKNOWN = "unknown"
OTHER = "other"
MAX_PAIRED = 5
"""Attributes with the best coverage whose pairs become rules too."""
MAX_VALUES = 30
"""Values of an attribute that make a group of their own; the rest are one group."""
N_BANDS = 5
"""Bands of equal size that a numeric attribute with many values is cut into."""
N_COMPONENTS = 64
N_STARTS = 4
N_DECIMALS = 6


def quantile_cells(values: np.ndarray, bins: int) -> np.ndarray:
    """Cut users into bins of about equal size by rank; equal values share a bin.

    Parameters
    ----------
    values
        float64 [n].
    bins
        Number of bins.

    Returns
    -------
    numpy.ndarray
        int64 [n], 0 for the smallest values to ``bins - 1``.
    """
    rank = rankdata(values, method="average")
    return ((rank - 1) * bins // max(len(values), 1)).astype(np.int64)


def rfm_cells(store: EventStore, users: np.ndarray, *, until: int, bins: int) -> np.ndarray:
    """Recency x frequency x monetary value, each cut into quantiles of these users.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    until
        Only events before this time are read, microseconds.
    bins
        Quantiles of each of the three.

    Returns
    -------
    numpy.ndarray
        int64 [n], the cell 0..bins**3-1. Recency is the time of the last event, frequency the
        number of active days, value the sum of values, or the number of events where none of them
        had a value yet.
    """
    has_value = "value" in store.numeric
    blocks = [_rfm_of(block, has_value=has_value) for block in windows(store, users, end=until)]
    last, days, events, values, worth = (
        np.concatenate(part) for part in zip(*blocks, strict=True)
    )
    parts = (last, days, worth if values.any() else events)
    recency, frequency, money = (quantile_cells(part, bins) for part in parts)
    return (recency * bins + frequency) * bins + money


def _rfm_of(block: EventWindow, *, has_value: bool) -> tuple[np.ndarray, ...]:
    """Time of the last event, active days, events, those with a value, and their sum."""
    value = block.numbers("value") if has_value else np.full(len(block.owner), np.nan)
    known, worth = block.total(~np.isnan(value)), block.total(np.nan_to_num(value))
    return block.greatest(block.times), block.active_days(), block.total(), known, worth


def demographic_rules(attributes: pl.DataFrame, user_ids: pl.Series) -> dict[str, np.ndarray]:
    """Segmentations by each attribute and by pairs of those with the best coverage.

    Parameters
    ----------
    attributes
        One row per user: ``user_id`` as text and attribute columns.
    user_ids
        The n users to be segmented, in order.

    Returns
    -------
    dict
        Rule, such as ``"age x income"``, to int64 [n] group numbers. Users without a value form
        the group "unknown"; numbers with many values are cut into bands. Columns that have one
        value, or a different one for almost everybody, make no rule.
    """
    table = pl.DataFrame({"user_id": user_ids}).join(
        attributes.unique("user_id", keep="first", maintain_order=True),
        on="user_id",
        how="left",
        maintain_order="left",
    )
    columns = {name: _groups(table[name]) for name in table.columns if name != "user_id"}
    usable = {name: column for name, column in columns.items() if column is not None}
    covered = sorted(usable, key=lambda name: int((usable[name] == UNKNOWN).sum()))
    rules = {name: _numbered([usable[name]]) for name in usable}
    for one, other in itertools.combinations(covered[:MAX_PAIRED], 2):
        rules[f"{one} x {other}"] = _numbered([usable[one], usable[other]])
    return rules


def _groups(column: pl.Series) -> pl.Series | None:
    """Texts of the groups that an attribute makes, or None where it makes no sensible ones."""
    if column.dtype.is_nested() or column.dtype == pl.Binary:
        return None
    if column.dtype.is_float():
        column = column.fill_nan(None)
    known = column.drop_nulls()
    n_distinct = known.n_unique()
    if n_distinct > MAX_VALUES and column.dtype.is_numeric():
        bands = quantile_cells(known.to_numpy(), N_BANDS)
        column = column.scatter(np.flatnonzero(column.is_not_null()), bands)
    elif n_distinct < 2 or n_distinct > max(MAX_VALUES, len(known) // 2):
        return None
    text = column.cast(pl.String)
    counts = text.drop_nulls().value_counts(name="count")
    common = counts.sort(["count", column.name], descending=[True, False])[column.name]
    kept = text.is_in(common.head(MAX_VALUES).implode())
    return text.zip_with(kept | text.is_null(), pl.Series([OTHER])).fill_null(UNKNOWN)


def _numbered(columns: list[pl.Series]) -> np.ndarray:
    """One number per distinct combination, int64 [n]."""
    texts = pl.DataFrame({str(place): column for place, column in enumerate(columns)})
    return texts.select(pl.struct(pl.all()).rank("dense")).to_series().to_numpy().astype(np.int64)


def kmeans_cells(
    store: EventStore, users: np.ndarray, *, until: int, n_segments: int, seed: int
) -> np.ndarray:
    """KMeans on plain features: the strongest segmentation that needs no network.

    Parameters
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    until
        Only events before this time are read, microseconds.
    n_segments
        Clusters; fewer where users are fewer or alike.
    seed
        Of the features and of the clustering.

    Returns
    -------
    numpy.ndarray
        int64 [n], the cluster of each user.
    """
    features = plain_features(store, users, until=until, seed=seed)
    return clusters_of(features, n_segments=n_segments, seed=seed)


def clusters_of(features: np.ndarray, *, n_segments: int, seed: int) -> np.ndarray:
    """KMeans on the main directions of any numbers per user.

    Parameters
    ----------
    features
        float [n, F].
    n_segments
        Clusters; fewer where users are fewer or alike.
    seed
        Of the clustering.

    Returns
    -------
    numpy.ndarray
        int64 [n], the cluster of each user.
    """
    width = min(N_COMPONENTS, *features.shape)
    if width == 0:
        return np.zeros(len(features), dtype=np.int64)
    reduced = PCA(width, random_state=seed).fit_transform(features)
    # Users who did the same differ by rounding.
    n_distinct = len(np.unique(np.round(reduced, N_DECIMALS), axis=0))
    means = KMeans(min(n_segments, n_distinct), n_init=N_STARTS, random_state=seed)
    return means.fit_predict(reduced).astype(np.int64)
