"""Spotify audiences, files for a signed address. Specification: section 17, second-hand."""

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import Destination, Minimum
from serving.exports.digests import SHA256
from serving.exports.fields import device_field, email_field
from serving.exports.names import lower

KINDS = {"email": "emails", "device": "devices"}

DESTINATION = Destination(
    name="spotify",
    title="Spotify audience",
    section="17",
    links=("https://docs.lytics.com/docs/spotify",),
    platforms=("spotify",),
    fields=(
        email_field(
            "email",
            digest=SHA256,
            clause="section 17: e-mail, SHA-256",
        ),
        device_field(
            "device",
            "device",
            lower,
            digest=SHA256,
            clause="section 17: IDFA/AAID, SHA-256",
        ),
    ),
    layout=CsvLayout(
        *(
            CsvFile(columns=((name, name),), needs=(name,), suffix=suffix, has_header=False)
            for name, suffix in KINDS.items()
        )
    ),
    minimum=Minimum(None, 1_000, "section 17: minimum size not found"),
    match_rate=(0.2, 0.5),
    can_replace=True,
    can_remove=False,
    note="Every upload replaces the whole membership: one audience for each file.",
)
