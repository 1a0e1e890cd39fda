"""Fields of the two destinations that are no platform's. It is no destination itself."""

from serving.exports.digests import SHA256
from serving.exports.fields import (
    country_field,
    device_field,
    email_field,
    phone_field,
    text_field,
)
from serving.exports.names import lower, trimmed

CLAUSE = "issue 7, destinations generic-csv and webhook"
FIELDS = (
    text_field(
        "user_id",
        "user_id",
        trimmed,
        clause=f"{CLAUSE}: own id",
        identifies=True,
    ),
    email_field(
        "email_sha256",
        digest=SHA256,
        clause=f"{CLAUSE}: plain form, section 0 (trim and lower)",
    ),
    phone_field(
        "phone_sha256",
        "plus",
        digest=SHA256,
        clause=f"{CLAUSE}: E.164 with +, section 0",
    ),
    device_field(
        "device_sha256",
        "device",
        lower,
        digest=SHA256,
        clause=f"{CLAUSE}: lower case, hashed",
    ),
    country_field(
        "country",
        clause=f"{CLAUSE}: ISO 3166-1 alpha-2",
    ),
)
