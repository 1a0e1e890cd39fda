"""Google Data Manager API, audience members. Specification: section 2.2, status verified."""

from typing import Any

from serving.exports.destination import ADD, REMOVE, Destination, Minimum, Order, Setting
from serving.exports.destinations.google import (
    CONSENT_GROUPS,
    consent_of,
    identifiers,
    in_group,
    single,
)
from serving.exports.digests import SHA256
from serving.exports.emails import google
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
from serving.exports.names import google_family_name, google_given_name, trimmed

MAX_MEMBERS = 10_000
ADDRESS = ("given_name", "family_name", "region_code", "postal_code")
address = object_of(
    (
        "address",
        object_of(
            ("givenName", quoted("given_name")),
            ("familyName", quoted("family_name")),
            ("regionCode", quoted("region_code")),
            ("postalCode", free_text("postal_code")),
        ),
    ),
)
USER = object_of(
    (
        "userData",
        object_of(
            (
                "userIdentifiers",
                identifiers(
                    single("emailAddress", "email"), single("phoneNumber", "phone"), address
                ),
            ),
        ),
    ),
)
DEVICE = object_of(("mobileData", object_of(("mobileIds", list_of(quoted("mobile_id"))))))


def _envelope(group: str, *, is_user: bool) -> Envelope:
    def envelope(order: Order) -> tuple[str, str]:
        account = {
            "accountType": order.settings["account_type"],
            "accountId": order.settings["account_id"],
        }
        body: dict[str, Any] = {
            "destinations": [
                {
                    "operatingAccount": account,
                    "productDestinationId": order.settings["user_list_id"],
                }
            ],
            "audienceMembers": ["@members@"],
            **consent_of(order, group, "CONSENT_GRANTED"),
        }
        if is_user:
            body["encoding"] = "HEX"
        if order.action != REMOVE:
            body["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        return around(body)

    return envelope


def _bodies(kind: str, group: str) -> Bodies:
    return Bodies(
        method=lambda _: "POST",
        path=lambda action: f"/v1/audienceMembers:{'remove' if action == REMOVE else 'ingest'}",
        member=rows_of(USER if kind == "contacts" else DEVICE),
        envelope=_envelope(group, is_user=kind == "contacts"),
        max_members=MAX_MEMBERS,
        suffix=f"{kind}-{group}",
        keep=in_group(group),
    )


DESTINATION = Destination(
    name="google-data-manager",
    title="Google Data Manager API",
    section="2.2",
    links=(
        "https://developers.google.com/data-manager/api/devguides/concepts/formatting",
        "https://developers.google.com/data-manager/api/reference/rest/v1/audienceMembers/ingest",
    ),
    platforms=("google_data_manager",),
    fields=(
        email_field(
            "email",
            google,
            digest=SHA256,
            clause="section 2.2: emailAddress, hashed; of gmail and googlemail no dots, no +",
            aliases=("emailAddress",),
        ),
        phone_field(
            "phone",
            "plus",
            digest=SHA256,
            clause="section 2.2: phoneNumber, hashed E.164 with +",
            aliases=("phoneNumber",),
        ),
        text_field(
            "given_name",
            "first_name",
            google_given_name,
            digest=SHA256,
            clause="section 2.2: givenName, hashed, without titles (Java helper)",
        ),
        text_field(
            "family_name",
            "last_name",
            google_family_name,
            digest=SHA256,
            clause="section 2.2: familyName, hashed, without suffixes (Java helper)",
        ),
        country_field(
            "region_code",
            clause="section 2.2: regionCode, 2 capital letters, not hashed",
        ),
        text_field(
            "postal_code",
            "postal_code",
            trimmed,
            clause="section 2.2: postalCode, trimmed, not hashed",
        ),
        device_field(
            "mobile_id",
            "device",
            clause="section 2.2: mobileIds, plain, a type apart",
        ),
    ),
    layout=JsonLayout(
        *(_bodies(kind, group) for kind in ("contacts", "devices") for group in CONSENT_GROUPS)
    ),
    minimum=Minimum(100, 1_000, "section 0: as for Google Ads files (section 1)"),
    match_rate=(0.3, 0.6),
    together=(ADDRESS,),
    settings=(
        Setting("account_id", "operating account", "ACCOUNT_ID"),
        Setting("account_type", "type of the operating account", "GOOGLE_ADS"),
        Setting("user_list_id", "user list to fill", "USER_LIST_ID"),
    ),
    lifetime_days=540,
    tcf_vendor=755,
    note=f"The action is {ADD}; to replace a list, call audienceMembers:removeAll afterwards with "
    "removeAsOfTime set to the start of the upload.",
)
