"""Google Ads API, OfflineUserDataJob. Specification: section 2.1, status verified."""

from typing import Any

from serving.exports.destination import REMOVE, Destination, Minimum, Order, Setting
from serving.exports.destinations.google import (
    CONSENT_GROUPS,
    consent_of,
    identifiers,
    in_group,
    single,
)
from serving.exports.digests import SHA256
from serving.exports.emails import google
from serving.exports.fields import country_field, email_field, phone_field, text_field
from serving.exports.json_layout import (
    Bodies,
    JsonLayout,
    Step,
    around,
    free_text,
    object_of,
    quoted,
    rows_of,
)
from serving.exports.names import lower_without_spaces, trimmed

MAX_OPERATIONS = 3_333
"""Three identifiers each stay within the 10,000 of a call that Google advises."""

ADDRESS = ("first_name", "last_name", "country_code", "postal_code")
IDENTIFIERS = identifiers(
    single("hashedEmail", "email"),
    single("hashedPhoneNumber", "phone"),
    object_of(
        (
            "addressInfo",
            object_of(
                ("hashedFirstName", quoted("first_name")),
                ("hashedLastName", quoted("last_name")),
                ("countryCode", quoted("country_code")),
                ("postalCode", free_text("postal_code")),
            ),
        ),
    ),
)


def _envelope(_: Order) -> tuple[str, str]:
    return around({"enablePartialFailure": True, "operations": ["@members@"]})


def _member(key: str) -> Any:  # noqa: ANN401 - a polars expression
    return object_of((key, object_of(("userIdentifiers", IDENTIFIERS))))


def _job(group: str) -> Step:
    def body(order: Order) -> dict[str, Any]:
        customer, user_list = order.settings["customer_id"], order.settings["user_list_id"]
        metadata = {"userList": f"customers/{customer}/userLists/{user_list}"}
        return {
            "job": {
                "type": "CUSTOMER_MATCH_USER_LIST",
                "customerMatchUserListMetadata": metadata | consent_of(order, group, "GRANTED"),
            }
        }

    return Step("1-job", "POST", "/v25/customers/{customer_id}/offlineUserDataJobs:create", body)


def _bodies(group: str) -> Bodies:
    create, remove = rows_of(_member("create")), rows_of(_member("remove"))
    return Bodies(
        method=lambda _: "POST",
        path=lambda _: "/v25/{job}:addOperations",
        member=lambda cells, order: (remove if order.action == REMOVE else create)(cells, order),
        envelope=_envelope,
        max_members=MAX_OPERATIONS,
        suffix=group,
        keep=in_group(group),
        before=(_job(group),),
        after=(Step("3-run", "POST", "/v25/{job}:run", lambda _: {}),),
    )


DESTINATION = Destination(
    name="google-ads-api",
    title="Google Ads API (OfflineUserDataJob)",
    section="2.1",
    links=(
        "https://github.com/googleapis/googleapis/tree/master/google/ads/googleads/v25",
        "https://github.com/googleads/google-ads-python/tree/main/examples/remarketing",
    ),
    platforms=("google_ads_api",),
    fields=(
        email_field(
            "email",
            google,
            digest=SHA256,
            clause="section 2.1: hashed_email; section 0: gmail and googlemail without dots and +",
            aliases=("hashed_email",),
        ),
        phone_field(
            "phone",
            "plus",
            digest=SHA256,
            clause="section 2.1: hashed_phone_number; section 0: E.164 with +",
            aliases=("hashed_phone_number",),
        ),
        text_field(
            "first_name",
            "first_name",
            lower_without_spaces,
            digest=SHA256,
            clause="section 2.1: hashed_first_name, no spaces before, after and in between",
        ),
        text_field(
            "last_name",
            "last_name",
            lower_without_spaces,
            digest=SHA256,
            clause="section 2.1: hashed_last_name, lower case",
        ),
        country_field(
            "country_code",
            clause="section 2.1: country_code, alpha-2, plain",
        ),
        text_field(
            "postal_code",
            "postal_code",
            trimmed,
            clause="section 2.1: postal_code, plain",
        ),
    ),
    layout=JsonLayout(*(_bodies(group) for group in CONSENT_GROUPS)),
    minimum=Minimum(100, 1_000, "section 0: as for Google Ads files (section 1)"),
    match_rate=(0.3, 0.6),
    together=(ADDRESS,),
    settings=(
        Setting("customer_id", "customer id of the account", "CUSTOMER_ID"),
        Setting("user_list_id", "user list to fill", "USER_LIST_ID"),
    ),
    lifetime_days=540,
    tcf_vendor=755,
    note="The job's name in the addresses is in the answer to its creation. Nothing is replaced: "
    "remove_all would have to be the first operation of a list.",
)
