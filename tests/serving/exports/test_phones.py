"""Telephone numbers: patterns on columns never say anything else than the library."""

import phonenumbers
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from serving.exports.phones import NO_COUNTRY, NO_SUCH, NOT_ONE, phones, read_phone

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
EXAMPLES = [
    (number, region)
    for region in REGIONS
    for kind in range(11)
    if (number := phonenumbers.example_number_for_type(region, kind))
]


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, str | None]:
    """A number of the world in one of its writings, often with some digits changed."""
    number, region = draw(st.sampled_from(EXAMPLES))
    text = phonenumbers.format_number(number, draw(st.sampled_from([0, 1, 2])))
    changed = draw(st.lists(st.tuples(st.integers(0, 14), st.sampled_from("0123456789"))))
    characters = list(text)
    for place, digit in changed:
        if place < len(characters) and characters[place].isdigit():
            characters[place] = digit
    ending = draw(st.sampled_from(["", "", "", "5", " ext. 7"]))
    beginning = draw(st.sampled_from(["", "", "", "00", "0", "+"]))
    return beginning + "".join(characters) + ending, draw(st.sampled_from([region, region, None]))


@settings(max_examples=120)
@given(st.lists(numbers(), min_size=1, max_size=40))
def test_columns_are_read_as_the_library_reads_one_by_one(some):
    texts, regions = zip(*some, strict=True)
    found = phones(pl.Series(texts), pl.Series(regions, dtype=pl.String))
    alone = [read_phone(text.strip(), region) for text, region in some]
    assert list(zip(found.digits, found.national, found.reasons, strict=True)) == alone


@settings(max_examples=30)
@given(st.lists(numbers(), min_size=1, max_size=20))
def test_what_counts_as_valid_is_valid_to_the_library(some):
    texts, regions = zip(*some, strict=True)
    found = phones(pl.Series(texts), pl.Series(regions, dtype=pl.String))
    for digits, reason in zip(found.digits, found.reasons, strict=True):
        if digits is not None and reason is None:
            number = phonenumbers.parse(f"+{digits}")
            assert phonenumbers.is_valid_number(number)
            assert phonenumbers.format_number(number, 0) == f"+{digits}"


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("(415) 555-2671", "US", ("14155552671", "4155552671", None)),
        ("1 415 555 2671", "US", ("14155552671", "4155552671", None)),
        ("+44 (0)20 7946 0958", None, ("442079460958", "2079460958", None)),
        ("0044 20 7946 0958", "US", ("442079460958", "2079460958", None)),
        ("0011 44 20 7946 0958", "AU", ("442079460958", "2079460958", None)),
        ("0170 1234567", "DE", ("491701234567", "1701234567", None)),
        ("441134960987", "US", ("441134960987", "1134960987", None)),
        ("\uff0b49 170 1234567", None, ("491701234567", "1701234567", None)),
        ("0170 1234567", None, ("1701234567", "1701234567", NO_COUNTRY)),
        ("+1 555 123 4567", None, ("15551234567", "5551234567", NO_SUCH)),
        ("no phone", "US", (None, None, NOT_ONE)),
        (None, "US", (None, None, None)),
    ],
)
def test_writings_that_people_use(text, region, expected):
    found = phones(pl.Series([text], dtype=pl.String), pl.Series([region], dtype=pl.String))
    assert (found.digits[0], found.national[0], found.reasons[0]) == expected


def test_a_plain_number_needs_no_library(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("serving.exports.phones.read_phone", refuse)
    texts = ["+14155552671", "(415) 555-2671", "1-415-555-2671", "0170 1234567", "+4915112345678"]
    regions = ["US", "US", "US", "DE", None]
    found = phones(pl.Series(texts), pl.Series(regions))
    assert found.digits.null_count() == found.reasons.len() - found.reasons.null_count() == 0
