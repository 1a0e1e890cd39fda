"""LiveRamp onboarding files. Specification: section 14, status verified."""

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import Destination, Minimum
from serving.exports.digests import MD5, SHA1, SHA256
from serving.exports.emails import without_spaces
from serving.exports.fields import Field, Formed, device_field, email_field, text_field
from serving.exports.names import compact_postal_code, lower, trimmed, upper
from serving.exports.people import People
from serving.exports.text import nulls

EEA = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "HR",
        "CY",
        "CZ",
        "DK",
        "EE",
        "FI",
        "FR",
        "DE",
        "GR",
        "HU",
        "IE",
        "IT",
        "LV",
        "LT",
        "LU",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SK",
        "SI",
        "ES",
        "SE",
        "IS",
        "LI",
        "NO",
    ]
)
KNOWN = (
    *("FIRSTNAME", "LASTNAME", "ADDRESS1", "ADDRESS2", "CITY", "STATE", "ZIP"),
    *("email1_SHA-256", "email1_SHA-1", "email1_MD5", "phone1_SHA-1"),
)
PLAIN = "section 14: names and addresses are never hashed"


def _national_phone(people: People) -> Formed:
    """Phone without country code, none of people in the EEA."""
    phones = people.phones
    european = people.countries.is_in(list(EEA)).fill_null(value=False)
    none = nulls(len(phones.national))
    return Formed(
        phones.national.zip_with(~european, none), phones.reasons.zip_with(~european, none)
    )


DESTINATION = Destination(
    name="liveramp",
    title="LiveRamp onboarding file",
    section="14",
    links=("https://docs.liveramp.com/connect/en/formatting-identifiers.html",),
    platforms=("liveramp",),
    fields=(
        text_field(
            "FIRSTNAME",
            "first_name",
            trimmed,
            clause=f"{PLAIN}; header FIRSTNAME",
        ),
        text_field(
            "LASTNAME",
            "last_name",
            trimmed,
            clause=f"{PLAIN}; header LASTNAME",
        ),
        text_field(
            "ADDRESS1",
            "street",
            trimmed,
            clause=f"{PLAIN}; header ADDRESS1",
        ),
        text_field(
            "ADDRESS2",
            "street_2",
            trimmed,
            clause=f"{PLAIN}; header ADDRESS2 (opt)",
        ),
        text_field(
            "CITY",
            "city",
            trimmed,
            clause=f"{PLAIN}; header CITY",
        ),
        text_field(
            "STATE",
            "state",
            trimmed,
            clause=f"{PLAIN}; header STATE",
        ),
        text_field(
            "ZIP",
            "postal_code",
            compact_postal_code,
            clause="section 14: ZIP, 5 or 9 digits, no hyphen",
        ),
        email_field(
            "email1_SHA-256",
            without_spaces,
            digest=SHA256,
            clause="section 14: lower-case, all white space removed; hash in the "
            "header; all three for match",
            aliases=("email",),
        ),
        email_field(
            "email1_SHA-1",
            without_spaces,
            digest=SHA1,
            clause="section 14: as email1_SHA-256",
        ),
        email_field(
            "email1_MD5",
            without_spaces,
            digest=MD5,
            clause="section 14: as email1_SHA-256",
        ),
        Field(
            "phone1_SHA-1",
            "phone",
            _national_phone,
            SHA1,
            "section 14: phone SHA-1 only, without country code, none in EU files",
            identifies=True,
            aliases=("phone_number", "phone"),
        ),
        device_field(
            "AAID_SHA-1",
            "aaid",
            lower,
            digest=SHA1,
            clause="section 14: device ids SHA-1, AAID lower",
        ),
        device_field(
            "IDFA_SHA-1",
            "idfa",
            upper,
            digest=SHA1,
            clause="section 14: device ids SHA-1, IDFA upper",
        ),
    ),
    layout=CsvLayout(
        CsvFile(
            columns=tuple((name, name) for name in KNOWN),
            needs=("email1_SHA-256", "phone1_SHA-1"),
            suffix="known",
        ),
        CsvFile(columns=(("AAID_SHA-1", "AAID_SHA-1"),), needs=("AAID_SHA-1",), suffix="aaid"),
        CsvFile(columns=(("IDFA_SHA-1", "IDFA_SHA-1"),), needs=("IDFA_SHA-1",), suffix="idfa"),
    ),
    minimum=Minimum(25, 1_000, "section 14: 25 records (second-hand)"),
    match_rate=(0.4, 0.8),
    tcf_vendor=97,
    note="Known and device ids stand in different files.",
)
