"""Amazon Ads hashed audiences. Specification: section 12, second-hand."""

import polars as pl

from serving.exports.destination import GRANTED, REMOVE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256
from serving.exports.emails import amazon
from serving.exports.fields import country_field, email_field, phone_field, text_field
from serving.exports.json_layout import (
    Bodies,
    JsonLayout,
    around,
    free_text,
    list_of,
    object_of,
    quoted,
)
from serving.exports.names import letters_and_digits, trimmed
from serving.exports.text import nulls

MAX_RECORDS = 10_000
"""No limit is named; this keeps a body at some 9 MB."""

TTL_DAYS = 34_300_800 // 86_400
HASHED = (*("firstname", "lastname", "phone", "city", "state", "postal", "email", "address"),)
ALPHABET = "section 12: SHA-256 hex; only a-z and 0-9"


def _external(values: pl.Series) -> pl.Series:
    """Ids that the platform takes; another is left out."""
    fits = values.str.contains(r"^[0-9a-zA-Z_-]{1,128}$")
    return values.zip_with(fits, nulls(len(values)))


def _signal() -> pl.Expr:
    """The consent of a record: TCF or GPP where there is one, else Amazon's own where stated."""
    granted = pl.lit('{"amznAdStorage":"GRANTED","amznUserData":"GRANTED"}')
    own = pl.when(pl.col("_consent") == GRANTED).then(granted)
    tcf, gpp = free_text("_tcf"), free_text("_gpp")
    no_string = tcf.is_null() & gpp.is_null()
    return object_of(
        ("amzn", pl.when(no_string).then(own)),
        ("tcf", tcf),
        ("gpp", pl.when(tcf.is_null()).then(gpp)),
    )


def _records(cells: pl.DataFrame, order: Order) -> pl.Series:
    removes = order.action == REMOVE
    place = object_of(("countryCode", quoted("countryCode")))
    consent = object_of(("geo", place), ("consent", _signal()))
    known = object_of(*((name, quoted(name)) for name in HASHED))
    record = object_of(
        ("externalUserId", free_text("externalUserId")),
        ("countryCode", quoted("countryCode")),
        ("action", pl.lit('"DELETE"' if removes else '"CREATE"')),
        ("hashedPII", list_of(known)),
        ("userConsent", pl.when(pl.lit(not removes)).then(consent)),
    )
    return cells.select(pl.when(known.is_not_null()).then(record).alias("member")).to_series()


def _envelope(order: Order) -> tuple[str, str]:
    audience = order.settings["audience_id"]
    number = int(audience) if audience.isdigit() else audience
    return around({"audienceId": number, "records": ["@members@"]})


DESTINATION = Destination(
    name="amazon",
    title="Amazon Ads audience",
    section="12",
    links=("https://advertising.amazon.com/help/GCCXMZYCK4RXWS6C",),
    platforms=("amazon_ads", "amazon"),
    fields=(
        email_field(
            "email",
            amazon,
            digest=SHA256,
            clause="section 12: SHA-256 hex; keeps only a-z 0-9 . @ -",
        ),
        phone_field(
            "phone",
            "digits",
            digest=SHA256,
            clause="section 12: SHA-256 hex; digits only",
        ),
        text_field(
            "firstname",
            "first_name",
            letters_and_digits,
            digest=SHA256,
            clause=ALPHABET,
        ),
        text_field(
            "lastname",
            "last_name",
            letters_and_digits,
            digest=SHA256,
            clause=ALPHABET,
        ),
        text_field(
            "address",
            "street",
            letters_and_digits,
            digest=SHA256,
            clause=ALPHABET,
        ),
        text_field(
            "city",
            "city",
            letters_and_digits,
            digest=SHA256,
            clause=ALPHABET,
        ),
        text_field(
            "state",
            "state",
            letters_and_digits,
            digest=SHA256,
            clause=ALPHABET,
        ),
        text_field(
            "postal",
            "postal_code",
            letters_and_digits,
            digest=SHA256,
            clause=ALPHABET,
        ),
        country_field(
            "countryCode",
            clause="section 12: countryCode ISO-2, needed for a good match",
        ),
        text_field(
            "externalUserId",
            "user_id",
            trimmed,
            _external,
            clause="section 12: externalUserId ^[0-9a-zA-Z-_]{1,128}$, plain",
        ),
    ),
    layout=JsonLayout(
        Bodies(
            method=lambda _: "POST",
            path=lambda _: "/amc/audiences/records",
            member=_records,
            envelope=_envelope,
            max_members=MAX_RECORDS,
        )
    ),
    minimum=Minimum(None, 1_000, "section 12: minimum size not found"),
    match_rate=(0.3, 0.6),
    settings=(Setting("audience_id", "audience to fill, a number", "0"),),
    lifetime_days=TTL_DAYS,
    tcf_vendor=793,
    headers=(("Content-Type", "application/vnd.amcaudiences.v1+json"),),
    note="Records of the UK, the EEA and "
    "Switzerland carry their consent; denied ones are left out here.",
)
