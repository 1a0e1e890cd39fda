"""E-mail forms against rules written a second time, and what is no address."""

import re
import unicodedata

import polars as pl
import pytest
from hypothesis import given, strategies as st

from serving.exports import emails

LOCAL = st.text("abcXYZ019._+-$é ", min_size=1, max_size=12)
DOMAIN = st.sampled_from(
    ["gmail.com", "GoogleMail.com", "example.com", "Mail.Example.co.uk", "gmail.com.evil.org"]
)
ADDRESSES = st.builds("{}@{}".format, LOCAL, DOMAIN)
BLANKS = st.text(" \t\n\u00a0\u200b\ufeff", max_size=3)


def plain(raw: str) -> str:
    text = unicodedata.normalize("NFC", raw)
    return re.sub("[\u200b\ufeff]", "", text).strip().lower()


def google(raw: str) -> str:
    local, domain = re.sub(r"\s", "", plain(raw)).split("@")
    if domain in ("gmail.com", "googlemail.com"):
        local = local.split("+")[0].replace(".", "")
    return f"{local}@{domain}"


def uid2(raw: str) -> str:
    local, domain = plain(raw).split("@")
    if domain == "gmail.com":
        local = local.split("+")[0].replace(".", "")
    return f"{local}@{domain}"


def reddit(raw: str) -> str:
    local, domain = plain(raw).split("@")
    return "".join(c for c in local.split("+")[0] if c.isalnum()) + "@" + domain


def amazon(raw: str) -> str:
    return re.sub(r"[^a-z0-9.@-]", "", plain(raw))


FORMS = {
    emails.google: google,
    emails.uid2: uid2,
    emails.reddit: reddit,
    emails.amazon: amazon,
    emails.without_spaces: lambda raw: re.sub(r"\s", "", plain(raw)),
    emails.tiktok_without_suffix: lambda raw: re.sub(r"\s|\+.*(?=@)", "", plain(raw)),
}


@given(st.lists(st.builds("{}{}{}".format, BLANKS, ADDRESSES, BLANKS), min_size=1))
def test_every_form_is_what_its_rule_says(addresses):
    column = emails.plain(pl.Series(addresses))
    assert column.to_list() == [plain(address) for address in addresses]
    for form, rule in FORMS.items():
        assert form(column).to_list() == [rule(address) for address in addresses], form


@given(st.lists(ADDRESSES, min_size=1))
def test_a_form_of_a_form_is_the_form(addresses):
    spaceless = pl.Series([re.sub(r"\s", "", address) for address in addresses])
    for form in FORMS:
        once = form(emails.plain(spaceless))
        assert form(emails.plain(once)).to_list() == once.to_list()


@given(st.lists(ADDRESSES, min_size=1))
def test_every_writing_of_one_mailbox_has_one_canonical_form(addresses):
    column = emails.plain(pl.Series(addresses))
    assert emails.canonical(emails.google(column)).equals(emails.canonical(column))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("jane@example.com", None),
        ("o'brien+x@mail.example.co.uk", None),
        ("josé@exämple.com", None),
        ("jane", "e-mail without exactly one @"),
        ("jane@x@y.com", "e-mail without exactly one @"),
        ("ja ne@y.com", "e-mail with white space inside"),
        ("@y.com", "e-mail with nothing before the @"),
        ("jane@localhost", "e-mail without a domain"),
        ("jane@y..com", "e-mail without a domain"),
        ("jane,doe@y.com", "e-mail with a character that is not allowed"),
        ("x" * 250 + "@y.com", "e-mail too long"),
        (None, None),
    ],
)
def test_what_is_no_address_has_a_reason(address, reason):
    assert emails.email_reasons(pl.Series([address], dtype=pl.String)).to_list() == [reason]


def test_nothing_at_all_is_null():
    assert emails.plain(pl.Series(["", "  ", None, "\ufeff"])).to_list() == [None] * 4
