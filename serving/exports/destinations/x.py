"""X custom audiences. Specification: section 9, status verified."""

import polars as pl

from serving.exports.destination import REMOVE, Destination, Minimum, Order, Setting
from serving.exports.destinations.times import expiry, zulu
from serving.exports.digests import SHA256
from serving.exports.fields import device_field, email_field, phone_field, text_field
from serving.exports.json_layout import (
    Bodies,
    JsonLayout,
    compact,
    free_text,
    list_of,
    object_of,
    quoted,
)
from serving.exports.names import lower, trimmed

MAX_OPERATIONS, MAX_BYTES = 2_500, 5_000_000
LIFETIME_DAYS = 395
HASHED = ("email", "device_id", "handle", "twitter_id", "phone_number")


def _handle(values: pl.Series) -> pl.Series:
    return values.str.strip_prefix("@")


def _operations(cells: pl.DataFrame, order: Order) -> pl.Series:
    removes = order.action == REMOVE
    start = {"effective_at": zulu(order.as_of)}
    times = start if removes else start | {"expires_at": zulu(expiry(order, LIFETIME_DAYS))}
    known = [(name, list_of(quoted(name))) for name in HASHED]
    has_one = pl.any_horizontal(pl.col(name).is_not_null() for name in HASHED)
    user = object_of(*known, ("partner_user_id", list_of(free_text("partner_user_id"))))
    kind = "Delete" if removes else "Update"
    head = f'{{"operation_type":"{kind}","params":{compact(times)[:-1]},"users":['
    operation = pl.concat_str(pl.lit(head), user, pl.lit("]}}"))
    return cells.select(pl.when(has_one).then(operation).alias("member")).to_series()


DESTINATION = Destination(
    name="x",
    title="X custom audience",
    section="9",
    links=("https://docs.x.com/x-ads-api/audiences/reference",),
    platforms=("x_twitter", "x", "twitter"),
    fields=(
        email_field(
            "email",
            digest=SHA256,
            clause="section 9: email[], hashed; trim and lower",
        ),
        device_field(
            "device_id",
            "device",
            lower,
            digest=SHA256,
            clause="section 9: IDFA lower with dashes",
        ),
        text_field(
            "handle",
            "x_handle",
            lower,
            _handle,
            digest=SHA256,
            clause="section 9: handle without @, lower, trimmed",
            identifies=True,
        ),
        text_field(
            "twitter_id",
            "x_user_id",
            trimmed,
            digest=SHA256,
            clause="section 9: user id integer, hashed",
            identifies=True,
        ),
        phone_field(
            "phone_number",
            "plus",
            digest=SHA256,
            clause="section 9: phone_number[], hashed; form not stated, E.164 with + is sent",
        ),
        text_field(
            "partner_user_id",
            "user_id",
            trimmed,
            clause="section 9: all hashed except it",
        ),
    ),
    layout=JsonLayout(
        Bodies(
            method=lambda _: "POST",
            path=lambda _: "/12/accounts/{account_id}/custom_audiences/{audience_id}/users",
            member=_operations,
            envelope=lambda _: ("[", "]"),
            max_members=MAX_OPERATIONS,
            max_bytes=MAX_BYTES,
        )
    ),
    minimum=Minimum(
        100, 500, "section 9: 100 matched; under 500 it is not offered in the ads interface"
    ),
    match_rate=(0.2, 0.5),
    settings=(
        Setting("account_id", "ads account", "ACCOUNT_ID"),
        Setting("audience_id", "custom audience to fill", "AUDIENCE_ID"),
    ),
    lifetime_days=LIFETIME_DAYS,
    requests_per_minute=1_500,
    note="A batch succeeds or fails as a whole; at most one add and one remove in 6 to 8 hours.",
)
