"""Yahoo DSP. Specification: section 15, second-hand."""

import polars as pl

from serving.exports.destination import REMOVE, Destination, Minimum, Order, Setting
from serving.exports.destinations.liveramp import EEA
from serving.exports.destinations.times import expiry
from serving.exports.digests import SHA256
from serving.exports.fields import device_field, email_field, phone_field
from serving.exports.json_layout import Bodies, Envelope, JsonLayout, around, quoted, row_of
from serving.exports.names import trimmed

LIFETIME_DAYS = 45
MAX_ROWS = 10_000
"""No limit is named."""

IDS = ("SHA256EMAIL", "IDFA", "GPADVID", "HASHEDID")
PROTECTED = (EEA | {"GB", "CH"}, "protected")


def _rows(cells: pl.DataFrame, order: Order) -> pl.Series:
    expires = 0 if order.action == REMOVE else expiry(order, LIFETIME_DAYS)
    segment = f"exp={expires}&seg_id={order.settings['segment_id']}&ts={order.as_of}"
    row = row_of(*(quoted(name) for name in IDS), pl.lit(f'"{segment}"'))
    known = pl.any_horizontal(pl.col(name).is_not_null() for name in IDS)
    return cells.select(pl.when(known).then(row).alias("member")).to_series()


def _envelope(*, protected: bool) -> Envelope:
    def envelope(order: Order) -> tuple[str, str]:
        body = {"schema": [*IDS, "SEGMENTS"], "data": ["@members@"], "gdpr": protected}
        if protected:
            body["gdpr_euconsent"] = order.settings["gdpr_euconsent"]
        return around(body)

    return envelope


def _bodies(*, protected: bool) -> Bodies:
    # A country that is not known is treated as protected.
    is_protected = pl.col("_country").is_in(list(PROTECTED[0])) | pl.col("_country").is_null()
    return Bodies(
        method=lambda _: "POST",
        path=lambda _: "/online/audience",
        member=_rows,
        envelope=_envelope(protected=protected),
        max_members=MAX_ROWS,
        suffix=PROTECTED[1] if protected else "open",
        keep=is_protected if protected else ~is_protected,
    )


DESTINATION = Destination(
    name="yahoo",
    title="Yahoo DSP",
    section="15",
    links=("https://github.com/segmentio/action-destinations",),
    platforms=("yahoo",),
    fields=(
        email_field(
            "SHA256EMAIL",
            digest=SHA256,
            clause="section 15: lower-case, SHA-256 hex",
        ),
        device_field(
            "IDFA",
            "idfa",
            trimmed,
            clause="section 15: MAIDs plain",
        ),
        device_field(
            "GPADVID",
            "aaid",
            trimmed,
            clause="section 15: MAIDs plain",
        ),
        phone_field(
            "HASHEDID",
            "plus",
            digest=SHA256,
            clause="section 15: phone E.164 with +, SHA-256",
        ),
    ),
    layout=JsonLayout(_bodies(protected=True), _bodies(protected=False)),
    minimum=Minimum(None, 1_000, "section 15: none named"),
    match_rate=(0.2, 0.5),
    settings=(
        Setting("segment_id", "segment to fill", "SEGMENT_ID"),
        Setting("gdpr_euconsent", "TCF string that covers the people of a request", ""),
    ),
    lifetime_days=LIFETIME_DAYS,
    tcf_vendor=25,
)
