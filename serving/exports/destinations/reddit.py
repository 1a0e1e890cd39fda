"""Reddit custom audiences. Specification: section 10, verified in part."""

from serving.exports.destination import REMOVE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256
from serving.exports.emails import reddit
from serving.exports.fields import device_field, email_field
from serving.exports.json_layout import Bodies, JsonLayout, around, quoted, row_of, rows_of
from serving.exports.names import trimmed

MAX_ROWS = 2_500
COLUMNS = ("EMAIL_SHA256", "MAID_SHA256")


def _envelope(order: Order) -> tuple[str, str]:
    action = "REMOVE" if order.action == REMOVE else "ADD"
    data = {"action_type": action, "column_order": list(COLUMNS), "user_data": ["@members@"]}
    return around({"data": data})


DESTINATION = Destination(
    name="reddit",
    title="Reddit custom audience",
    section="10",
    links=("https://ads-api.reddit.com/docs/v3/",),
    platforms=("reddit",),
    fields=(
        email_field(
            "EMAIL_SHA256",
            reddit,
            digest=SHA256,
            clause="section 10: lower, drop from + to @, only alphanumerics of the local part",
        ),
        device_field(
            "MAID_SHA256",
            "device",
            trimmed,
            digest=SHA256,
            clause="section 10: upper-case IDFA, lower-case AAID before hashing",
        ),
    ),
    layout=JsonLayout(
        Bodies(
            method=lambda _: "PATCH",
            path=lambda _: "/api/v3/custom_audiences/{audience_id}/users",
            member=rows_of(row_of(*(quoted(name) for name in COLUMNS))),
            envelope=_envelope,
            max_members=MAX_ROWS,
        )
    ),
    minimum=Minimum(1_000, 1_000, "section 10: status VALID needs at least 1,000 users"),
    match_rate=(0.2, 0.5),
    settings=(Setting("audience_id", "custom audience to fill", "AUDIENCE_ID"),),
)
