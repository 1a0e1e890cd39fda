"""Advertising ids of mobile devices: IDFA of Apple, AAID (GAID) of Google.

Apple writes capitals and Google small letters; whether a platform hashes one or the other, or
neither, its specification says.
"""

import polars as pl

from serving.exports.text import nulls, where

UUID = r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"
ZERO = r"^[0-]+$"


def device_reasons(ids: pl.Series) -> pl.Series:
    """Why an id cannot be one of a device, null where it can or where there is none.

    The id of zeros alone is what a device gives whose owner limits tracking.
    """
    column = pl.col("id")
    reason = (
        pl.when(column.str.contains(ZERO))
        .then(pl.lit("device id of zeros: its owner limits tracking"))
        .otherwise(pl.lit("device id that is no UUID"))
    )
    nothing = nulls(len(ids))
    bad = ids.is_not_null() & (~ids.str.contains(UUID) | ids.str.contains(ZERO))
    frame = pl.DataFrame({"id": ids.filter(bad)})
    return where(nothing, bad, lambda _: frame.select(reason.alias("reason")).to_series())
