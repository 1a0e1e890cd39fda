"""LinkedIn dmpSegments, streamed users. Specification: section 6, verified in part."""

import polars as pl

from serving.exports.destination import REMOVE, Destination, Minimum, Order, Setting
from serving.exports.digests import SHA256, SHA512
from serving.exports.fields import (
    Rule,
    country_field,
    device_field,
    email_field,
    text_field,
)
from serving.exports.json_layout import (
    Bodies,
    JsonLayout,
    around,
    free_text,
    list_of,
    object_of,
    quoted,
)
from serving.exports.names import lower, trimmed
from serving.exports.text import nulls

MAX_ELEMENTS = 5_000
NAME_LENGTH, TITLE_LENGTH = 35, 50


def user_id(kind: str) -> pl.Expr:
    """One entry of userIds; null where a person has no id of that type."""
    typed = object_of(("idType", pl.lit(f'"{kind}"')), ("idValue", quoted(kind)))
    return pl.when(pl.col(kind).is_not_null()).then(typed)


def _elements(cells: pl.DataFrame, order: Order) -> pl.Series:
    action = "REMOVE" if order.action == REMOVE else "ADD"
    ids = list_of(user_id("SHA256_EMAIL"), user_id("SHA512_EMAIL"), user_id("GOOGLE_AID"))
    element = object_of(
        ("action", pl.lit(f'"{action}"')),
        ("userIds", ids),
        ("firstName", free_text("firstName")),
        ("lastName", free_text("lastName")),
        ("title", free_text("title")),
        ("company", free_text("company")),
        ("country", quoted("country")),
    )
    return cells.select(pl.when(ids.is_not_null()).then(element).alias("member")).to_series()


def no_longer_than(length: int) -> Rule:
    """A rule that leaves out what is longer than the platform takes."""
    return lambda values: values.zip_with(values.str.len_chars() <= length, nulls(len(values)))


DESTINATION = Destination(
    name="linkedin",
    title="LinkedIn Matched Audiences",
    section="6",
    links=(
        "https://learn.microsoft.com/en-us/linkedin/marketing/matched-audiences",
        "https://www.linkedin.com/help/lms/answer/a1489764",
    ),
    platforms=("linkedin",),
    fields=(
        email_field(
            "SHA256_EMAIL",
            digest=SHA256,
            clause="section 6: idType SHA256_EMAIL; trim, lower",
        ),
        email_field(
            "SHA512_EMAIL",
            digest=SHA512,
            clause="section 6: idType SHA512_EMAIL; trim, lower",
        ),
        device_field(
            "GOOGLE_AID",
            "aaid",
            lower,
            clause="section 6: idType GOOGLE_AID, plain, lower",
        ),
        text_field(
            "firstName",
            "first_name",
            trimmed,
            no_longer_than(NAME_LENGTH),
            clause="section 6: firstName, 35 characters",
        ),
        text_field(
            "lastName",
            "last_name",
            trimmed,
            no_longer_than(NAME_LENGTH),
            clause="section 6: lastName, 35 characters",
        ),
        text_field(
            "title",
            "job_title",
            trimmed,
            no_longer_than(TITLE_LENGTH),
            clause="section 6: title, 50 characters",
        ),
        text_field(
            "company",
            "company",
            trimmed,
            no_longer_than(TITLE_LENGTH),
            clause="section 6: company, 50 characters",
        ),
        country_field(
            "country",
            clause="section 6: country, ISO alpha-2",
        ),
    ),
    layout=JsonLayout(
        Bodies(
            method=lambda _: "POST",
            path=lambda _: "/rest/dmpSegments/{segment_id}/users",
            member=_elements,
            envelope=lambda _: around({"elements": ["@members@"]}),
            max_members=MAX_ELEMENTS,
        )
    ),
    minimum=Minimum(300, 1_000, "section 6: at least 300 matched members to serve"),
    match_rate=(0.2, 0.5),
    settings=(Setting("segment_id", "DMP segment to fill", "SEGMENT_ID"),),
    headers=(
        ("LinkedIn-Version", "202603"),
        ("X-Restli-Protocol-Version", "2.0.0"),
        ("X-RestLi-Method", "BATCH_CREATE"),
    ),
    note="Wait five seconds after creating a segment.",
)
