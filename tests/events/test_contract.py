"""Which column carries which field."""

import pytest
from hypothesis import given, strategies as st

from segmenter.errors import ColumnError
from segmenter.events.contract import ALIASES, FIELDS, ColumnMapping, choose_columns, plain_name

NOTHING = ColumnMapping()


def choose(columns, mapping=NOTHING, kinds=None):
    kinds = kinds or dict.fromkeys(columns, "text")
    return choose_columns(columns, mapping, kind_of=kinds)


def test_columns_named_like_the_contract_need_no_mapping():
    layout = choose(list(reversed(FIELDS)))
    assert layout.columns == {name: name for name in FIELDS}
    assert layout.ignored == ()


@given(st.data())
def test_usual_names_in_any_case_and_punctuation_need_no_mapping(data):
    columns, expected = [], {}
    for name in FIELDS:
        alias = data.draw(st.sampled_from([name, *ALIASES[name]]))
        column = data.draw(st.sampled_from([alias, alias.upper(), alias.title(), f" {alias}_"]))
        columns.append(column)
        expected[name] = column
    order = data.draw(st.permutations(columns))
    assert choose(order).columns == expected


def test_no_two_fields_share_a_usual_name():
    names = [name for field in FIELDS for name in (field, *ALIASES[field])]
    assert len(set(names)) == len(names)
    assert all(plain_name(name) == name for name in names)


def test_the_exact_name_wins_over_a_usual_one():
    layout = choose(["user", "user_id", "event", "time", "timestamp"])
    assert layout.columns == {"user": "user", "time": "time", "event": "event"}
    assert layout.ignored == ("user_id", "timestamp")


def test_what_the_caller_says_wins_over_every_name():
    mapping = ColumnMapping({"user": "card", "item": "user"})
    layout = choose(["user", "card", "event", "time"], mapping)
    assert layout.columns == {"user": "card", "time": "time", "event": "event", "item": "user"}


def test_optional_fields_may_be_ambiguous_too():
    with pytest.raises(
        ColumnError, match=r"item_id, sku could each be the item; .* --item item_id"
    ):
        choose(["user", "event", "time", "item_id", "sku"])
    layout = choose(["user", "event", "time", "item_id", "sku"], ColumnMapping({"item": "sku"}))
    assert layout.columns["item"] == "sku"


def test_other_columns_are_listed_and_read_only_when_asked_for():
    columns = ["user", "event", "time", "churned", "price", "a:number"]
    assert choose(columns).ignored == ("churned", "price", "a:number")
    kinds = {"price": "number", "churned": "text", "a:number": "text"}
    mapping = ColumnMapping(extras=("price", "churned:number", "a:number"))
    layout = choose(columns, mapping, kinds)
    assert layout.ignored == ()
    assert layout.numeric == ("price", "churned")
    assert layout.categorical == ("event", "a:number")


def test_an_extra_is_no_candidate_for_a_field():
    columns = ["user", "event", "time", "amount", "revenue"]
    layout = choose(columns, ColumnMapping(extras=("revenue:number",)))
    assert layout.columns["value"] == "amount"
    assert layout.numeric == ("value", "revenue")
