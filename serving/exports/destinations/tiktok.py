"""TikTok customer file. Specification: section 5, status verified but self-contradictory.

The pages disagree on e-mail (with or without the ``+`` suffix) and on phones (with or without the
``+`` sign); both forms are sent, in repeated columns, as the specification advises.
"""

import polars as pl

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import Destination, Minimum, Order
from serving.exports.digests import MD5, SHA256
from serving.exports.emails import tiktok_without_suffix, without_spaces
from serving.exports.fields import device_field, email_field, phone_field
from serving.exports.names import lower

EMAILS = ("Email_SHA256", "email without suffix")
PHONES = ("Phone_SHA256", "phone with plus")
MAX_BYTES = 1_000_000_000


def _rows(cells: pl.DataFrame, _: Order) -> pl.DataFrame:
    """The second e-mail form only where it differs from the first."""
    first, second = (pl.col(name) for name in EMAILS)
    return cells.with_columns(pl.when(first.ne_missing(second)).then(second).alias(EMAILS[1]))


DESTINATION = Destination(
    name="tiktok",
    title="TikTok Custom File audience",
    section="5",
    links=(
        "https://ads.tiktok.com/help/article/how-to-create-a-custom-audience-with-a-customer-file",
        "https://ads.tiktok.com/help/article/list-of-supported-ids-and-formats-for-a-customer-file",
    ),
    platforms=("tiktok",),
    fields=(
        email_field(
            "Email_SHA256",
            without_spaces,
            digest=SHA256,
            clause="section 5: header Email_SHA256; September 2025: remove spaces and lower-case",
            key=EMAILS[0],
        ),
        email_field(
            "Email_SHA256",
            tiktok_without_suffix,
            digest=SHA256,
            clause="section 5: June and August 2025: lower-case, no + suffix; advice: send both",
            key=EMAILS[1],
        ),
        phone_field(
            "Phone_SHA256",
            "digits",
            digest=SHA256,
            clause="section 5: August 2025 and the printed digest: country code, no +",
            key=PHONES[0],
        ),
        phone_field(
            "Phone_SHA256",
            "plus",
            digest=SHA256,
            clause="section 5: June and September 2025: E.164 with +; advice: send both",
            key=PHONES[1],
        ),
        device_field(
            "MAID_SHA256",
            "device",
            lower,
            digest=SHA256,
            clause="section 5: header MAID_SHA256; all upper or all lower",
        ),
        device_field(
            "MAID_MD5",
            "device",
            lower,
            digest=MD5,
            clause="section 5: header MAID_MD5; all upper or all lower",
        ),
    ),
    layout=CsvLayout(
        CsvFile(
            columns=(
                *(("Email_SHA256", key) for key in EMAILS),
                *(("Phone_SHA256", key) for key in PHONES),
                ("MAID_SHA256", "MAID_SHA256"),
            ),
            needs=(EMAILS[0], PHONES[0], "MAID_SHA256"),
            max_bytes=MAX_BYTES - 1_000,
            rows=_rows,
        )
    ),
    minimum=Minimum(1_000, 1_000, "section 5: fails if the result is below 1,000"),
    match_rate=(0.2, 0.5),
    can_replace=True,
    lifetime_days=365,
    note="calculate_type MULTIPLE_TYPES; update/ with action REPLACE (its default), APPEND or "
    "REMOVE as the file's name says; file_signature is the MD5 of the file.",
)
