"""Meta Custom Audiences, user payloads. Specification: section 4, status verified."""

import hashlib
from typing import Any

import polars as pl

from serving.exports.destination import REMOVE, REPLACE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256
from serving.exports.emails import meta
from serving.exports.fields import (
    country_field,
    device_field,
    email_field,
    phone_field,
    place_field,
    text_field,
)
from serving.exports.json_layout import (
    Bodies,
    JsonLayout,
    around,
    free_text,
    quoted,
    row_of,
    rows_of,
)
from serving.exports.names import (
    day,
    gender,
    initial,
    letters,
    meta_name,
    meta_postal_code,
    meta_state,
    month,
    trimmed,
    year,
)

MAX_ROWS = 10_000
SCHEMA = (
    *("EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI"),
    *("CT", "ST", "ZIP", "COUNTRY", "MADID", "EXTERN_ID", "DATA_PROCESSING_OPTIONS"),
)
FREE = {"MADID", "EXTERN_ID"}
LIMITED = pl.when("_limited").then(pl.lit('["LDU"]')).otherwise(pl.lit("[]"))
HASHED = "section 4: hashed (SHA-256, lower-case hex)"


def _envelope(order: Order) -> tuple[str, str]:
    body: dict[str, Any] = {"payload": {"schema": list(SCHEMA), "data": ["@members@"]}}
    if order.action != REMOVE:
        body["customer_consent"] = True
    return around(body)


def _session(order: Order, number: int, is_last: bool) -> tuple[str, Any]:  # noqa: FBT001 - one shape for all
    """The session that ties the bodies of one upload together."""
    name = f"{order.segment_id} {order.as_of} {order.action} {order.settings['audience_id']}"
    session_id = int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)
    return "session", {"session_id": session_id, "batch_seq": number, "last_batch_flag": is_last}


def _lower(names: pl.Series) -> pl.Series:
    return names.str.to_lowercase()


cells = [free_text(name) if name in FREE else quoted(name) for name in SCHEMA[:-1]]

DESTINATION = Destination(
    name="meta",
    title="Meta Custom Audiences",
    section="4",
    links=(
        "https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences",
        "https://developers.facebook.com/docs/marketing-api/reference/custom-audience/users",
    ),
    platforms=("meta", "facebook"),
    fields=(
        email_field(
            "EMAIL",
            meta,
            digest=SHA256,
            clause=f"{HASHED}; trim and lower, no gmail rule",
            aliases=("EMAIL_SHA256",),
        ),
        phone_field(
            "PHONE",
            "digits",
            digest=SHA256,
            clause=f"{HASHED}; digits with country code, no plus, no leading zeros",
            aliases=("PHONE_SHA256",),
        ),
        text_field(
            "GEN",
            "gender",
            gender,
            digest=SHA256,
            clause=f"{HASHED}; m or f",
        ),
        text_field(
            "DOBY",
            "birth_year",
            year,
            digest=SHA256,
            clause=f"{HASHED}; YYYY",
        ),
        text_field(
            "DOBM",
            "birth_month",
            month,
            digest=SHA256,
            clause=f"{HASHED}; two digits",
        ),
        text_field(
            "DOBD",
            "birth_day",
            day,
            digest=SHA256,
            clause=f"{HASHED}; two digits",
        ),
        text_field(
            "LN",
            "last_name",
            meta_name,
            digest=SHA256,
            clause=f"{HASHED}; lower, no punctuation, UTF-8 kept",
        ),
        text_field(
            "FN",
            "first_name",
            meta_name,
            digest=SHA256,
            clause=f"{HASHED}; lower, no punctuation, UTF-8 kept",
        ),
        text_field(
            "FI",
            "first_name",
            initial,
            digest=SHA256,
            clause=f"{HASHED}; first letter",
        ),
        text_field(
            "CT",
            "city",
            letters,
            digest=SHA256,
            clause=f"{HASHED}; letters only, lower, no spaces",
        ),
        place_field(
            "ST",
            "state",
            meta_state,
            digest=SHA256,
            clause=f"{HASHED}; two-letter US code, else letters",
        ),
        place_field(
            "ZIP",
            "postal_code",
            meta_postal_code,
            digest=SHA256,
            clause=f"{HASHED}; no spaces, US first five digits",
        ),
        country_field(
            "COUNTRY",
            _lower,
            clause=f"{HASHED}; ISO alpha-2, lower case",
            digest=SHA256,
        ),
        device_field(
            "MADID",
            "device",
            trimmed,
            clause="section 4: not hashed",
            aliases=("MOBILE_ADVERTISER_ID",),
        ),
        text_field(
            "EXTERN_ID",
            "user_id",
            trimmed,
            clause="section 4: not hashed",
        ),
    ),
    layout=JsonLayout(
        Bodies(
            method=lambda action: "DELETE" if action == REMOVE else "POST",
            path=lambda action: (
                f"/{{audience_id}}/{'usersreplace' if action == REPLACE else 'users'}"
            ),
            member=rows_of(row_of(*cells, LIMITED)),
            envelope=_envelope,
            max_members=MAX_ROWS,
            session=_session,
        )
    ),
    minimum=Minimum(None, 1_000, "section 4: minimum size not found"),
    match_rate=(0.4, 0.7),
    settings=(Setting("audience_id", "custom audience to fill", "AUDIENCE_ID"),),
    can_replace=True,
    note="The keys of the session are second-hand. Create the audience with "
    "customer_file_source; names that suggest health or money are refused (status 471).",
)
