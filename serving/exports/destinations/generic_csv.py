"""A plain file for anything else: own id, digests, segment and strength."""

import polars as pl

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import Destination, Minimum, Order
from serving.exports.destinations.generic import FIELDS

COLUMNS = (
    *("user_id", "segment_id", "segment_name", "strength"),
    *("email_sha256", "phone_sha256", "device_sha256", "country"),
)


def _rows(cells: pl.DataFrame, order: Order) -> pl.DataFrame:
    return cells.with_columns(
        segment_id=pl.lit(order.segment_id),
        segment_name=pl.lit(order.segment_name),
        strength=pl.col("_strength").round(4),
    )


DESTINATION = Destination(
    name="generic-csv",
    title="Plain CSV",
    section="issue 7",
    links=(),
    platforms=("generic_csv",),
    fields=FIELDS,
    layout=CsvLayout(
        CsvFile(columns=tuple((name, name) for name in COLUMNS), needs=("user_id",), rows=_rows)
    ),
    minimum=Minimum(None, 1_000, "section 22: k-anonymity floor"),
    match_rate=(1.0, 1.0),
    can_replace=True,
    gzip=True,
)
