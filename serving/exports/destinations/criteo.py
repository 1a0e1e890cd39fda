"""Criteo contact lists. Specification: section 16, schema verified, hashing second-hand."""

from serving.exports.destination import REMOVE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256
from serving.exports.fields import device_field, email_field
from serving.exports.json_layout import Bodies, Envelope, JsonLayout, around, quoted, rows_of
from serving.exports.names import trimmed

MAX_IDENTIFIERS = 50_000
TYPES = ("email", "madid")


def _envelope(kind: str) -> Envelope:
    def envelope(order: Order) -> tuple[str, str]:
        operation = "remove" if order.action == REMOVE else "add"
        attributes = {
            "operation": operation,
            "identifierType": kind,
            "identifiers": ["@members@"],
        }
        return around({"data": {"type": "ContactlistAmendment", "attributes": attributes}})

    return envelope


def _bodies(kind: str) -> Bodies:
    return Bodies(
        method=lambda _: "PATCH",
        path=lambda _: (
            "/2026-01/marketing-solutions/audience-segments/{audience_segment_id}/contact-list"
        ),
        member=rows_of(quoted(kind)),
        envelope=_envelope(kind),
        max_members=MAX_IDENTIFIERS,
        is_set=True,
        suffix=kind,
    )


DESTINATION = Destination(
    name="criteo",
    title="Criteo contact list",
    section="16",
    links=("https://developers.criteo.com/marketing-solutions/docs/contact-list",),
    platforms=("criteo",),
    fields=(
        email_field(
            "email",
            digest=SHA256,
            clause="section 16: identifierType email, plain or SHA-256",
        ),
        device_field(
            "madid",
            "device",
            trimmed,
            clause="section 16: identifierType madid",
        ),
    ),
    layout=JsonLayout(*(_bodies(kind) for kind in TYPES)),
    minimum=Minimum(None, 1_000, "section 16: none named"),
    match_rate=(0.3, 0.6),
    settings=(Setting("audience_segment_id", "segment to fill", "AUDIENCE_SEGMENT_ID"),),
    tcf_vendor=91,
    note="Phone numbers are left out: Criteo's own page says not to send them, its client has a "
    "type for them.",
)
