"""Google Display & Video 360, editCustomerMatchMembers. Specification: section 3, verified."""

from typing import Any

from serving.exports.destination import GRANTED, REMOVE, Destination, Minimum, Order, Setting
from serving.exports.destinations.google import CONSENT_GROUPS, consent_of, in_group
from serving.exports.digests import SHA256
from serving.exports.emails import without_spaces
from serving.exports.fields import (
    country_field,
    device_field,
    email_field,
    phone_field,
    text_field,
)
from serving.exports.json_layout import (
    Bodies,
    Envelope,
    JsonLayout,
    around,
    free_text,
    list_of,
    object_of,
    quoted,
    rows_of,
)
from serving.exports.names import lower_without_spaces, trimmed

MAX_MEMBERS = 10_000
"""The page names no limit; that of the Data Manager API is kept."""

ADDRESS = ("hashedFirstName", "hashedLastName", "zipCodes", "countryCode")
CONTACT = object_of(
    ("hashedEmails", list_of(quoted("hashedEmails"))),
    ("hashedPhoneNumbers", list_of(quoted("hashedPhoneNumbers"))),
    ("hashedFirstName", quoted("hashedFirstName")),
    ("hashedLastName", quoted("hashedLastName")),
    ("zipCodes", list_of(free_text("zipCodes"))),
    ("countryCode", quoted("countryCode")),
)
LISTS = {
    "contacts": ("ContactInfoList", "contactInfos"),
    "devices": ("MobileDeviceIdList", "mobileDeviceIds"),
}


def _envelope(kind: str, group: str) -> Envelope:
    def envelope(order: Order) -> tuple[str, str]:
        outer, inner = LISTS[kind]
        verb = "removed" if order.action == REMOVE else "added"
        members: dict[str, Any] = {inner: ["@members@"]}
        consent = consent_of(order, group, f"CONSENT_STATUS_{GRANTED.upper()}")
        return around(
            {"advertiserId": order.settings["advertiser_id"], verb + outer: members | consent}
        )

    return envelope


def _bodies(kind: str, group: str) -> Bodies:
    return Bodies(
        method=lambda _: "POST",
        path=lambda _: "/v4/firstPartyAndPartnerAudiences/{audience_id}:editCustomerMatchMembers",
        member=rows_of(CONTACT if kind == "contacts" else quoted("mobileDeviceIds")),
        envelope=_envelope(kind, group),
        max_members=MAX_MEMBERS,
        suffix=f"{kind}-{group}",
        keep=in_group(group),
    )


DESTINATION = Destination(
    name="dv360",
    title="Google Display & Video 360",
    section="3",
    links=(
        "https://developers.google.com/display-video/api/guides/audiences/upload-customer-match",
    ),
    platforms=("google_dv360", "dv360"),
    fields=(
        email_field(
            "hashedEmails",
            without_spaces,
            digest=SHA256,
            clause="section 3: hashedEmails, SHA-256 hex, all white space removed, lower case",
        ),
        phone_field(
            "hashedPhoneNumbers",
            "plus",
            digest=SHA256,
            clause="section 3: E.164 with country code",
        ),
        text_field(
            "hashedFirstName",
            "first_name",
            lower_without_spaces,
            digest=SHA256,
            clause="section 3: all white space removed, lower case",
        ),
        text_field(
            "hashedLastName",
            "last_name",
            lower_without_spaces,
            digest=SHA256,
            clause="section 3: all white space removed, lower case",
        ),
        text_field(
            "zipCodes",
            "postal_code",
            trimmed,
            clause="section 3: zip must not be hashed",
        ),
        country_field(
            "countryCode",
            clause="section 3: country must not be hashed",
        ),
        device_field(
            "mobileDeviceIds",
            "device",
            clause="section 3: addedMobileDeviceIdList, plain",
        ),
    ),
    layout=JsonLayout(*(_bodies(kind, group) for kind in LISTS for group in CONSENT_GROUPS)),
    minimum=Minimum(100, 1_000, "section 0: none named; as for Google Ads (section 1)"),
    match_rate=(0.3, 0.6),
    together=(ADDRESS,),
    settings=(
        Setting("advertiser_id", "advertiser", "ADVERTISER_ID"),
        Setting("audience_id", "audience to edit", "AUDIENCE_ID"),
    ),
    lifetime_days=540,
    tcf_vendor=755,
)
