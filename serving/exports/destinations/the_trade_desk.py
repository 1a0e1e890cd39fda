"""The Trade Desk CRM file. Specification: section 13, second-hand; its UID2 form verified."""

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import Destination, Minimum
from serving.exports.digests import SHA256_BASE64
from serving.exports.emails import uid2
from serving.exports.fields import email_field

DESTINATION = Destination(
    name="the-trade-desk",
    title="The Trade Desk CRM file",
    section="13",
    links=(
        "https://github.com/AdobeDocs/experience-platform.en",
        "https://unifiedid.com/docs/getting-started/gs-normalization-encoding",
    ),
    platforms=("the_trade_desk_crm", "the_trade_desk"),
    fields=(
        email_field(
            "EmailHashedUnifiedId2",
            uid2,
            digest=SHA256_BASE64,
            clause="section 13: PiiType EmailHashedUnifiedId2, one a line, base64 of SHA-256",
        ),
    ),
    layout=CsvLayout(
        CsvFile(
            columns=(("EmailHashedUnifiedId2", "EmailHashedUnifiedId2"),),
            needs=("EmailHashedUnifiedId2",),
            has_header=False,
            extension="txt",
        )
    ),
    minimum=Minimum(1_500, 1_500, "section 13: at least 1,500 rows (second-hand)"),
    match_rate=(0.2, 0.5),
    can_replace=True,
    lifetime_days=180,
    tcf_vendor=21,
    note="PiiType EmailHashedUnifiedId2, MergeMode Replace; raw and hashed are never mixed.",
)
