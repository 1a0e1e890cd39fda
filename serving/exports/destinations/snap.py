"""Snapchat customer lists. Specification: section 8, verified in part."""

from serving.exports.destination import REMOVE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256
from serving.exports.fields import device_field, email_field, phone_field
from serving.exports.json_layout import (
    Bodies,
    Envelope,
    JsonLayout,
    around,
    list_of,
    quoted,
    rows_of,
)
from serving.exports.names import lower

MAX_IDENTIFIERS = 100_000
SCHEMAS = ("EMAIL_SHA256", "PHONE_SHA256", "MOBILE_AD_ID_SHA256")


def _envelope(schema: str) -> Envelope:
    def envelope(_: Order) -> tuple[str, str]:
        return around({"users": [{"schema": [schema], "data": ["@members@"]}]})

    return envelope


def _bodies(schema: str) -> Bodies:
    return Bodies(
        method=lambda action: "DELETE" if action == REMOVE else "POST",
        path=lambda _: "/v1/segments/{segment_id}/users",
        member=rows_of(list_of(quoted(schema))),
        envelope=_envelope(schema),
        max_members=MAX_IDENTIFIERS,
        is_set=True,
        suffix=schema,
    )


DESTINATION = Destination(
    name="snap",
    title="Snapchat customer list",
    section="8",
    links=(
        "https://developers.snap.com/api/marketing-api/Ads-API/customer-lists",
        "https://developers.snap.com/api/marketing-api/Conversions-API/BestPractices",
    ),
    platforms=("snapchat", "snap"),
    fields=(
        email_field(
            "EMAIL_SHA256",
            digest=SHA256,
            clause="section 8: trim and lower, SHA-256 lower-case hex",
        ),
        phone_field(
            "PHONE_SHA256",
            "digits",
            digest=SHA256,
            clause="section 8: country code, no 00, no leading 0, digits only",
        ),
        device_field(
            "MOBILE_AD_ID_SHA256",
            "device",
            lower,
            digest=SHA256,
            clause="section 8: lower-case, hyphens kept",
        ),
    ),
    layout=JsonLayout(*(_bodies(schema) for schema in SCHEMAS)),
    minimum=Minimum(1_000, 1_000, "section 8: minimum 1,000 matched (second-hand)"),
    match_rate=(0.2, 0.5),
    settings=(Setting("segment_id", "segment to fill", "SEGMENT_ID"),),
    note="One type of identifier in each request.",
)
