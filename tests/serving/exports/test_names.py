"""Names, addresses and birth dates by the rules of the platforms."""

import polars as pl
import pytest
from hypothesis import given, strategies as st

from serving.exports import names
from serving.exports.devices import device_reasons


def one(rule, *values):
    return rule(*(pl.Series([value], dtype=pl.String) for value in values))[0]


@pytest.mark.parametrize(
    ("rule", "given_", "expected"),
    [
        (names.google_given_name, " Mr. Alex   ", "alex"),
        (names.google_given_name, " Alex Dr.", "alex"),
        (names.google_given_name, "Msgr Drew", "msgr drew"),
        (names.google_given_name, "Dr.", None),
        (names.google_family_name, "quinn, jr., dds", "quinn"),
        (names.google_family_name, "Quinn-Alex", "quinn-alex"),
        (names.google_family_name, "Roberts, MD, JD", "roberts"),
        (names.google_family_name, "lacparm", "lacparm"),
        (names.lower_without_spaces, " Mary Ann ", "maryann"),
        (names.meta_name, "O'Brien-Müller", "obrienmüller"),
        (names.meta_name, "정", "정"),
        (names.meta_name, "Vale\u0301ry", "valéry"),
        (names.initial, "Émile", "é"),
        (names.letters, "St. Louis 2", "stlouis"),
        (names.letters_and_digits, "456 Anime Blvd. Apt 1", "456animeblvdapt1"),
        (names.compact_postal_code, " 90210-1234 ", "902101234"),
        (names.gender, "Female", "f"),
        (names.gender, "x", None),
        (names.year, "1987", "1987"),
        (names.year, "87", None),
        (names.month, "Sept.", None),
        (names.month, "january", "01"),
        (names.month, "5", "05"),
        (names.month, "13", None),
        (names.day, "31", "31"),
        (names.day, "0", None),
        (names.country, " usa ", "US"),
        (names.country, "Germany", "DE"),
        (names.country, "UK", "GB"),
        (names.country, "Atlantis", None),
    ],
)
def test_a_rule_gives_the_form_of_its_platform(rule, given_, expected):
    assert one(rule, given_) == expected


@pytest.mark.parametrize(
    ("state", "country", "expected"),
    [
        ("California", None, "ca"),
        ("CA", "US", "ca"),
        ("New South Wales", "AU", "newsouthwales"),
        ("Georgia", "GE", "georgia"),
        ("Île-de-France", "FR", "îledefrance"),
    ],
)
def test_only_states_of_the_usa_become_codes(state, country, expected):
    assert one(names.meta_state, state, country) == expected


@pytest.mark.parametrize(
    ("code", "country", "expected"),
    [
        ("90210-1234", "US", "90210"),
        ("902101234", None, "90210"),
        ("SW1A 1AA", "GB", "sw1a1aa"),
        ("123456789", "BR", "123456789"),
    ],
)
def test_meta_gets_five_digits_of_american_postal_codes(code, country, expected):
    assert one(names.meta_postal_code, code, country) == expected


@given(st.lists(st.text(), min_size=1))
def test_rules_of_text_can_be_applied_twice(texts):
    for rule in (names.meta_name, names.letters, names.letters_and_digits, names.trimmed):
        once = rule(pl.Series(texts))
        assert rule(once).to_list() == once.to_list()


def test_the_id_of_a_device_whose_owner_limits_tracking_is_refused():
    ids = pl.Series(
        [
            "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
            "00000000-0000-0000-0000-000000000000",
            "test_idfa",
            None,
        ]
    )
    reasons = device_reasons(ids).to_list()
    assert reasons[0] is reasons[3] is None
    assert "limits tracking" in reasons[1]
    assert "no UUID" in reasons[2]
