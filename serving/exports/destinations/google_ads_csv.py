"""Google Ads Customer Match, file upload. Specification: section 1, status verified."""

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import Destination, Minimum
from serving.exports.digests import SHA256
from serving.exports.emails import google
from serving.exports.fields import (
    country_field,
    device_field,
    email_field,
    phone_field,
    text_field,
)
from serving.exports.names import lower_without_spaces, trimmed

ADDRESS = ("First Name", "Last Name", "Country", "Zip")
CONTACT = ("Email", "Phone", *ADDRESS)

DESTINATION = Destination(
    name="google-ads-csv",
    title="Google Ads Customer Match (file)",
    section="1",
    links=(
        "https://support.google.com/google-ads/answer/7659867",
        "https://support.google.com/google-ads/answer/7475964",
        "https://support.google.com/adspolicy/answer/6299717",
    ),
    platforms=("google_ads_customer_match", "google_ads"),
    fields=(
        email_field(
            "Email",
            google,
            digest=SHA256,
            clause="section 1: header Email, SHA-256, lower, no spaces; section 0: gmail",
        ),
        phone_field(
            "Phone",
            "plus",
            digest=SHA256,
            clause="section 1: header Phone, SHA-256 of E.164 with +",
        ),
        text_field(
            "First Name",
            "first_name",
            lower_without_spaces,
            digest=SHA256,
            clause="section 1: header First Name, SHA-256, lower case, no inner spaces",
        ),
        text_field(
            "Last Name",
            "last_name",
            lower_without_spaces,
            digest=SHA256,
            clause="section 1: header Last Name (never Surname), SHA-256, lower, no inner spaces",
        ),
        country_field(
            "Country",
            clause="section 1: not hashed; section 2.1: ISO 3166-1 alpha-2",
        ),
        text_field(
            "Zip",
            "postal_code",
            trimmed,
            clause="section 1: header Zip, not hashed",
        ),
        device_field(
            "Mobile Device ID",
            "device",
            clause="section 1: device ids in a separate file of another template, plain",
            aliases=("mobile_id",),
        ),
    ),
    layout=CsvLayout(
        CsvFile(
            columns=tuple((name, name) for name in CONTACT),
            needs=("Email", "Phone", "First Name"),
            suffix="contacts",
        ),
        CsvFile(
            columns=(("Mobile Device ID", "Mobile Device ID"),),
            needs=("Mobile Device ID",),
            suffix="devices",
        ),
    ),
    minimum=Minimum(
        100, 1_000, "section 1: 100 active members since December 2025; 1,000 in older pages"
    ),
    match_rate=(0.3, 0.6),
    together=(ADDRESS,),
    lifetime_days=540,
    tcf_vendor=755,
    note="The file has no column for consent: people without it are left out here.",
)
