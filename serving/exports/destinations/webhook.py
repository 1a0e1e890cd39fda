"""Bodies for any receiver: own id, digests, segment and strength as JSON."""

import polars as pl

from serving.exports.destination import Destination, Minimum, Order, Setting
from serving.exports.destinations.generic import FIELDS
from serving.exports.destinations.times import zulu
from serving.exports.json_layout import Bodies, JsonLayout, around, free_text, object_of, quoted

MAX_MEMBERS, MAX_BYTES = 1_000, 1_000_000


def _members(cells: pl.DataFrame, _: Order) -> pl.Series:
    strength = pl.col("_strength").cast(pl.Float64).round(4).cast(pl.String)
    member = object_of(
        ("user_id", free_text("user_id")),
        ("strength", strength),
        ("email_sha256", quoted("email_sha256")),
        ("phone_sha256", quoted("phone_sha256")),
        ("device_sha256", quoted("device_sha256")),
        ("country", quoted("country")),
    )
    return cells.select(member.alias("member")).to_series()


def _envelope(order: Order) -> tuple[str, str]:
    return around(
        {
            "action": order.action,
            "segment": {"id": order.segment_id, "name": order.segment_name},
            "as_of": zulu(order.as_of),
            "members": ["@members@"],
        }
    )


DESTINATION = Destination(
    name="webhook",
    title="Webhook",
    section="issue 7",
    links=(),
    platforms=("webhook",),
    fields=FIELDS,
    layout=JsonLayout(
        Bodies(
            method=lambda _: "POST",
            path=lambda _: "{path}",
            member=_members,
            envelope=_envelope,
            max_members=MAX_MEMBERS,
            max_bytes=MAX_BYTES,
        )
    ),
    minimum=Minimum(None, 1_000, "section 22: k-anonymity floor"),
    match_rate=(1.0, 1.0),
    settings=(Setting("path", "path of the receiver", "/"),),
    gzip=True,
)
