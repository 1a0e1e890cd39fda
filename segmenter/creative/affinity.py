"""Which assets fit which audience segments: engagement beyond what either would have anyway."""

from dataclasses import dataclass

import polars as pl
from scipy.stats import gamma

from segmenter.errors import CreativeError

USER, ASSET, EVENT, SEGMENT = "user_id", "asset_id", "event", "segment"
PRIOR = 5.0
"""Engaged users that are added to each pair at the rate to be expected of it."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Fit:
    """Assets and segments.

    Attributes
    ----------
    pairs
        Columns ``segment``, ``asset_id``, ``n_users`` who engaged, ``expected``, ``fit``, ``low``
        and ``high``: 1 is what the asset and the segment would have anyway. Every pair of which
        a user was to be expected, the best of each segment first.
    n_users
        Users who engaged and have a segment.
    n_without_segment, n_unknown_assets
        Rows of engagement that count for nothing: of users without a segment, of assets that are
        not in the library.
    """

    pairs: pl.DataFrame
    n_users: int
    n_without_segment: int
    n_unknown_assets: int


def fit_segments(
    engagement: pl.DataFrame,
    segments: pl.DataFrame,
    assets: pl.Series,
    *,
    event: str | None = None,
    shown: str | None = None,
) -> Fit:
    """Measure how well assets fit segments.

    Parameters
    ----------
    engagement
        Columns ``user_id``, ``asset_id`` and, where events are named, ``event``. A user counts
        once for an asset, however often.
    segments
        Columns ``user_id`` and ``segment``.
    assets
        Ids of the library.
    event
        The engagement that counts, such as ``click``; None takes every row but those of `shown`.
    shown
        The event that says that an asset was shown, such as ``impression``. With it a user is
        expected to engage as all who were shown the asset do; without it, as often as assets and
        segments engage in all.

    Raises
    ------
    CreativeError
        If a column is missing or no engagement has both a segment and an asset of the library.

    References
    ----------
    DuMouchel, "Bayesian data mining in large frequency tables", 1999: observed over expected
    counts with a gamma prior around 1.
    """
    needed = {USER, ASSET} | ({EVENT} if event is not None or shown is not None else set())
    for table, columns in ((engagement, needed), (segments, {USER, SEGMENT})):
        missing = sorted(columns - set(table.columns))
        if missing:
            message = f"a table must have {', '.join(sorted(columns))}; {missing[0]} is missing"
            raise CreativeError(message)
    rows = engagement.with_columns(pl.col(USER, ASSET).cast(pl.String))
    known = rows.filter(pl.col(ASSET).is_in(assets.implode()))
    placed = known.join(
        segments.select(pl.col(USER).cast(pl.String), pl.col(SEGMENT).cast(pl.String)).unique(
            USER
        ),
        on=USER,
    ).filter(pl.col(SEGMENT).is_not_null())
    engaged = _once(placed, _counts(event, shown))
    if not len(engaged):
        message = "no engagement is of a user with a segment and of an asset of the library"
        raise CreativeError(message)
    expected = _expected(engaged, None if shown is None else _once(placed, pl.col(EVENT) == shown))
    return Fit(
        pairs=_measured(engaged, expected),
        n_users=engaged[USER].n_unique(),
        n_without_segment=len(known) - len(placed),
        n_unknown_assets=len(rows) - len(known),
    )


def _counts(event: str | None, shown: str | None) -> pl.Expr:
    """Rows that are engagement."""
    if event is not None:
        return pl.col(EVENT) == event
    return pl.lit(value=True) if shown is None else pl.col(EVENT) != shown


def _once(placed: pl.DataFrame, chosen: pl.Expr) -> pl.DataFrame:
    """Each user once per asset."""
    return placed.filter(chosen).unique([USER, ASSET]).select(USER, ASSET, SEGMENT)


def _expected(engaged: pl.DataFrame, shown: pl.DataFrame | None) -> pl.DataFrame:
    """Engaged users to be expected of each pair: ``segment``, ``asset_id``, ``expected``."""
    totals = engaged.group_by(ASSET).agg(pl.len().alias("engaged"))
    if shown is not None:
        sizes = shown.group_by(SEGMENT, ASSET).agg(pl.len().alias("size"))
        whole = shown.group_by(ASSET).agg(pl.len().alias("whole"))
        pairs = sizes.join(whole, on=ASSET).join(totals, on=ASSET)
        expected = pl.col("size") * pl.col("engaged") / pl.col("whole")
    else:
        share = engaged.group_by(SEGMENT).agg((pl.len() / len(engaged)).alias("share"))
        pairs = share.join(totals, how="cross")
        expected = pl.col("share") * pl.col("engaged")
    return pairs.select(SEGMENT, ASSET, expected.alias("expected"))


def _measured(engaged: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """Observed over expected, shrunk to 1, with its interval."""
    counts = engaged.group_by(SEGMENT, ASSET).agg(pl.len().alias("n_users"))
    table = expected.join(counts, on=[SEGMENT, ASSET], how="left").with_columns(
        pl.col("n_users").fill_null(0).cast(pl.Int64)
    )
    table = table.filter(pl.col("expected") >= 1)
    shape = table["n_users"].to_numpy() + PRIOR
    rate = table["expected"].to_numpy() + PRIOR
    tail = (1 - CONFIDENCE) / 2
    figures = [
        pl.Series("fit", shape / rate),
        pl.Series("low", gamma.ppf(tail, shape) / rate),
        pl.Series("high", gamma.ppf(1 - tail, shape) / rate),
    ]
    return (
        table.with_columns(figures)
        .sort([SEGMENT, "low", ASSET], descending=[False, True, False])
        .select(SEGMENT, ASSET, "n_users", "expected", "fit", "low", "high")
    )


def best_assets(fit: Fit, *, n: int = 5) -> dict[str, pl.DataFrame]:
    """Assets of each segment whose fit is surely above 1, at most so many."""
    sure = fit.pairs.filter(pl.col("low") > 1)
    return {
        str(name): sure.filter(pl.col(SEGMENT) == name).head(n)
        for name in fit.pairs[SEGMENT].unique().sort()
    }
