"""Microsoft Advertising customer list, bulk file. Specification: section 11, text of 2021."""

import csv
import io

import polars as pl

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import ADD, REMOVE, REPLACE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256
from serving.exports.fields import email_field

HEADER = (
    *("Type", "Status", "Id", "Parent Id", "Client Id", "Modified Time", "Name"),
    *("Description", "Scope", "Audience", "Action Type", "Sub Type", "Text"),
)
ACTIONS = {ADD: "Add", REMOVE: "Remove", REPLACE: "Replace"}
MAX_NAME = 128


def _preamble(order: Order) -> str:
    """The version of the format and the list itself."""
    version = {"Type": "Format Version", "Name": "6.0"}
    name = order.segment_name.encode()[:MAX_NAME].decode(errors="ignore")
    audience = {
        "Type": "Customer List",
        "Id": order.settings["customer_list_id"],
        "Name": name,
        "Action Type": ACTIONS[order.action],
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, restval="", lineterminator="\n")
    writer.writerows([version, audience])
    return text.getvalue()


def _rows(cells: pl.DataFrame, order: Order) -> pl.DataFrame:
    fixed = {
        "Type": "Customer List Item",
        "Parent Id": order.settings["customer_list_id"],
        "Sub Type": "Email",
    }
    return cells.select(
        pl.col("Email").alias("Text") if name == "Text" else pl.lit(fixed.get(name)).alias(name)
        for name in HEADER
    )


DESTINATION = Destination(
    name="microsoft",
    title="Microsoft Advertising Customer Match",
    section="11",
    links=(
        "https://learn.microsoft.com/en-us/advertising/bulk-service/customer-list",
        "https://learn.microsoft.com/en-us/advertising/bulk-service/customer-list-item",
    ),
    platforms=("microsoft_ads", "microsoft"),
    fields=(
        email_field(
            "Email",
            digest=SHA256,
            clause="section 11: Sub Type Email, Text = 64-character SHA-256 hex; trim and lower",
        ),
    ),
    layout=CsvLayout(
        CsvFile(
            columns=tuple((name, name) for name in HEADER),
            needs=("Email",),
            rows=_rows,
            preamble=_preamble,
        )
    ),
    minimum=Minimum(300, 1_000, "section 11: at least 300 people before use"),
    match_rate=(0.2, 0.5),
    settings=(Setting("customer_list_id", "customer list to fill", "-1"),),
    can_replace=True,
    tcf_vendor=1126,
    note="The terms of Customer Match have to be accepted once in the account. Id -1 makes a new "
    "list.",
)
