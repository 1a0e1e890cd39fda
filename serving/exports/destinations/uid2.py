"""UID2 identity map. Specification: section 13, status verified."""

from serving.exports.destination import Destination, Minimum, Order
from serving.exports.digests import SHA256_BASE64
from serving.exports.emails import uid2
from serving.exports.fields import email_field, phone_field
from serving.exports.json_layout import Bodies, Envelope, JsonLayout, around, quoted, rows_of

MAX_ITEMS, MAX_BYTES = 5_000, 1_000_000
KEYS = {"email": "email_hash", "phone": "phone_hash"}


def _envelope(key: str) -> Envelope:
    def envelope(_: Order) -> tuple[str, str]:
        return around({key: ["@members@"]})

    return envelope


def _bodies(name: str) -> Bodies:
    return Bodies(
        method=lambda _: "POST",
        path=lambda _: "/v3/identity/map",
        member=rows_of(quoted(name)),
        envelope=_envelope(KEYS[name]),
        max_members=MAX_ITEMS,
        is_set=True,
        max_bytes=MAX_BYTES,
        suffix=KEYS[name],
    )


DESTINATION = Destination(
    name="uid2",
    title="UID2 identity map",
    section="13",
    links=(
        "https://unifiedid.com/docs/getting-started/gs-normalization-encoding",
        "https://unifiedid.com/docs/endpoints/post-identity-map",
    ),
    platforms=("uid2",),
    fields=(
        email_field(
            "email",
            uid2,
            digest=SHA256_BASE64,
            clause="section 13: email_hash, base64 of the 32 bytes; gmail.com only: no dots, no +",
            aliases=("email_hash",),
        ),
        phone_field(
            "phone",
            "plus",
            digest=SHA256_BASE64,
            clause="section 13: phone_hash, base64; E.164 with +, 10-15 digits",
            aliases=("phone_hash",),
        ),
    ),
    layout=JsonLayout(*(_bodies(name) for name in KEYS)),
    minimum=Minimum(None, 1_000, "section 13: a mapping has no minimum size"),
    match_rate=(0.9, 1.0),
    can_remove=False,
    tcf_vendor=21,
    is_sealed=True,
    note="Each body is encrypted with the client secret when it is sent. An answer optout must "
    "suppress the person; keep a mapping with its refresh time.",
)
