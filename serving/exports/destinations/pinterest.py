"""Pinterest customer lists. Specification: section 7, status verified."""

import polars as pl

from serving.exports.destination import ADD, REMOVE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256
from serving.exports.fields import device_field, email_field
from serving.exports.json_layout import Bodies, JsonLayout, around, rows_of
from serving.exports.names import lower

LISTS = {"EMAIL": "email", "MAID": "device"}
MAX_RECORDS = 100_000
"""The page names no limit of a request; this keeps a body at some 6.5 MB."""


def _envelope(order: Order) -> tuple[str, str]:
    operation = "REMOVE" if order.action == REMOVE else "ADD"
    head, tail = around({"operation_type": operation, "records": "@members@"})
    return f'{head}"', f'"{tail}'


def _bodies(kind: str) -> Bodies:
    return Bodies(
        method=lambda _: "PATCH",
        path=lambda _: (
            f"/v5/ad_accounts/{{ad_account_id}}/customer_lists/{{{kind.lower()}_list_id}}"
        ),
        member=rows_of(pl.col(kind)),
        envelope=_envelope,
        max_members=MAX_RECORDS,
        is_set=True,
        suffix=kind,
    )


DESTINATION = Destination(
    name="pinterest",
    title="Pinterest customer list",
    section="7",
    links=("https://github.com/pinterest/api-description/blob/main/v5/openapi.yaml",),
    platforms=("pinterest",),
    fields=(
        email_field(
            "EMAIL",
            digest=SHA256,
            clause="section 7: list_type EMAIL; lower-case, SHA-256",
        ),
        device_field(
            "MAID",
            "device",
            lower,
            digest=SHA256,
            clause="section 7: list_type MAID; must be hashed",
            aliases=("IDFA",),
        ),
    ),
    layout=JsonLayout(*(_bodies(kind) for kind in LISTS)),
    minimum=Minimum(100, 1_000, "section 7: TOO_SMALL under 100 Pinterest accounts"),
    match_rate=(0.2, 0.5),
    settings=(
        Setting("ad_account_id", "ad account", "AD_ACCOUNT_ID"),
        Setting("email_list_id", "customer list of type EMAIL", "CUSTOMER_LIST_ID"),
        Setting("maid_list_id", "customer list of type MAID", "CUSTOMER_LIST_ID"),
    ),
    note=f"Lists are created with POST {{name, list_type, records}}; the action here is {ADD} or "
    f"{REMOVE}, and records is one text with commas. There is no replacing.",
)
