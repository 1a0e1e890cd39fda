"""TikTok segment mapping, streamed. Specification: section 5, the schema second-hand."""

import polars as pl

from serving.exports.destination import REMOVE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256
from serving.exports.emails import tiktok_without_suffix, without_spaces
from serving.exports.fields import device_field, email_field, phone_field
from serving.exports.json_layout import Bodies, JsonLayout, around, compact, object_of, quoted
from serving.exports.names import lower

MAX_USERS = 10_000
"""No limit is named."""

SCHEMA = ("EMAIL_SHA256", "PHONE_SHA256", "IDFA_SHA256", "AAID_SHA256")
SECOND = {"EMAIL_SHA256": "email without suffix", "PHONE_SHA256": "phone with plus"}


def _envelope(order: Order) -> tuple[str, str]:
    return around(
        {
            "advertiser_ids": [order.settings["advertiser_id"]],
            "action": "delete" if order.action == REMOVE else "add",
            "id_schema": list(SCHEMA),
            "batch_data": ["@members@"],
        }
    )


def _users(cells: pl.DataFrame, order: Order) -> pl.Series:
    """One row for the first form of every id, a second one where another form differs."""
    audiences = pl.lit(compact([order.settings["audience_id"]]))

    def row(columns: tuple[str, ...]) -> pl.Expr:
        entries = [
            pl.when(pl.col(name).is_not_null())
            .then(object_of(("id", quoted(name)), ("audience_ids", audiences)))
            .otherwise(pl.lit("{}"))
            for name in columns
        ]
        listed = pl.concat_str(entries, separator=",")
        return pl.concat_str(pl.lit("["), listed, pl.lit("]"))

    first = pl.any_horizontal(pl.col(name).is_not_null() for name in SCHEMA)
    others = [pl.col(key).ne_missing(pl.col(name)) for name, key in SECOND.items()]
    second = tuple(SECOND.get(name, name) for name in SCHEMA)
    both = pl.concat_str(
        pl.when(first).then(row(SCHEMA)),
        pl.when(first & pl.any_horizontal(others)).then(row(second)),
        separator=",",
        ignore_nulls=True,
    )
    return cells.select(pl.when(first).then(both).alias("member")).to_series()


DESTINATION = Destination(
    name="tiktok-api",
    title="TikTok segment mapping",
    section="5",
    links=("https://business-api.tiktok.com/portal/docs?id=1739940585975809",),
    platforms=("tiktok_api",),
    fields=(
        email_field(
            "EMAIL_SHA256",
            without_spaces,
            digest=SHA256,
            clause="section 5: id_schema EMAIL_SHA256; September 2025 form",
        ),
        email_field(
            "EMAIL_SHA256",
            tiktok_without_suffix,
            digest=SHA256,
            clause="section 5: June and August 2025 form; advice: send both",
            key=SECOND["EMAIL_SHA256"],
        ),
        phone_field(
            "PHONE_SHA256",
            "digits",
            digest=SHA256,
            clause="section 5: id_schema PHONE_SHA256; August 2025 form",
        ),
        phone_field(
            "PHONE_SHA256",
            "plus",
            digest=SHA256,
            clause="section 5: June and September 2025 form; advice: send both",
            key=SECOND["PHONE_SHA256"],
        ),
        device_field(
            "IDFA_SHA256",
            "idfa",
            lower,
            digest=SHA256,
            clause="section 5: id_schema IDFA_SHA256",
        ),
        device_field(
            "AAID_SHA256",
            "aaid",
            lower,
            digest=SHA256,
            clause="section 5: id_schema AAID_SHA256",
        ),
    ),
    layout=JsonLayout(
        Bodies(
            method=lambda _: "POST",
            path=lambda _: "/open_api/v1.3/segment/mapping/",
            member=_users,
            envelope=_envelope,
            max_members=MAX_USERS // 2,
        )
    ),
    minimum=Minimum(1_000, 1_000, "section 0: 1,000"),
    match_rate=(0.2, 0.5),
    settings=(
        Setting("advertiser_id", "advertiser", "ADVERTISER_ID"),
        Setting("audience_id", "audience to fill", "AUDIENCE_ID"),
    ),
    lifetime_days=365,
)
