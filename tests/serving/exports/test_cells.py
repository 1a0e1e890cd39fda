"""Who can be found, who is one person, and why an identifier was left out."""

import polars as pl
import pytest

from serving.exports.cells import PERSON_KEY, cells_of
from serving.exports.destinations import DESTINATIONS
from serving.exports.people import People

ADDRESS = {"first_name": "Jo", "last_name": "Li", "country": "US", "postal_code": "10001"}
EMAIL = "a" * 64


def cells(*people, destination="google-ads-csv"):
    columns = {name for person in people for name in person}
    frame = pl.DataFrame(
        [{name: person.get(name) for name in sorted(columns)} for person in people],
        schema_overrides=dict.fromkeys(columns, pl.String),
    )
    return cells_of(People(frame), DESTINATIONS[destination])


def test_an_address_tells_people_apart_by_all_of_its_parts():
    others = [ADDRESS, ADDRESS | {"last_name": "Lu"}, ADDRESS | {"postal_code": "10002"}, ADDRESS]
    keys = cells(*others).frame[PERSON_KEY]
    assert keys.n_unique() == 3
    assert keys[0] == keys[3]


@pytest.mark.parametrize("missing", sorted(ADDRESS))
def test_an_incomplete_address_finds_nobody_and_is_not_sent(missing):
    found = cells(ADDRESS | {missing: None}, ADDRESS | {"email": "x@y.com"})
    assert found.frame[PERSON_KEY].is_null().to_list() == [True, False]
    assert found.frame.row(0) == (None,) * found.frame.width


def test_every_writing_of_one_mailbox_is_one_person():
    found = cells({"email": "J.Doe+x@gmail.com"}, {"email": "jdoe@GMAIL.com"}, {"email": "j@x.de"})
    assert found.frame[PERSON_KEY].n_unique() == 2


def test_an_identifier_that_is_not_valid_counts_as_one_and_has_a_reason():
    found = cells({"email": "nonsense"}, {"email": None}, {"email": "x@y.com", "phone": "12"})
    assert found.has_identifier.to_list() == [True, False, True]
    assert found.frame[PERSON_KEY].is_null().to_list() == [True, True, False]
    told = [reason for column in found.reasons for reason in column.drop_nulls().to_list()]
    assert len(told) == 2
    assert all(reason.startswith(("e-mail", "phone")) for reason in told)


@pytest.mark.parametrize(
    ("destination", "given", "expected"),
    [
        ("google-ads-csv", EMAIL, EMAIL),
        ("google-ads-csv", EMAIL.upper(), EMAIL),
        ("google-ads-csv", "b" * 40, None),
        ("the-trade-desk", EMAIL, "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo="),
        ("liveramp", "c" * 32, None),
        ("liveramp", EMAIL, EMAIL),
    ],
)
def test_what_is_hashed_already_is_sent_as_it_is_or_not_at_all(destination, given, expected):
    found = cells({"email": given}, {"email": "x@y.com"}, destination=destination)
    names = {"google-ads-csv": "Email", "liveramp": "email1_SHA-256"}
    column = found.frame[names.get(destination, "EmailHashedUnifiedId2")]
    assert column[0] == expected
    if expected is None:
        assert any("digest already" in (column[0] or "") for column in found.reasons)
