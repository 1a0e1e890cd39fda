"""Names by a writer that is fed facts alone, and titles in place of codes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from segmenter.segments.segment import Condition, Fact, Rule, Segment
from segmenter.segments.wording import (
    MAX_NAME,
    Kept,
    facts_for_writer,
    with_titles,
    with_written_names,
)

FACT = Fact("share", "item", "A17", 0.4, 0.1, 0.3, 0.5, 40)
RULE = Rule((Condition("item", "A17", positive=True),), 0.9, 0.8, 0.1)


def segment(number: int, **changes: Any) -> Segment:
    plain = Segment(number, f"Active: A17, code {number}", 100, 0.1, 50, (FACT,), rule=RULE)
    return replace(plain, **changes)


SEGMENTS = (segment(1), segment(2), segment(3, name="Weekend stock-up", locked=True))


def test_a_writer_sees_facts_and_nothing_else() -> None:
    seen: list[Mapping[str, Any]] = []

    def writer(facts: Mapping[str, Any]) -> str:
        seen.append(facts)
        return f"Group {len(seen)}"

    named, kept = with_written_names(SEGMENTS, writer)
    assert [item.name for item in named] == ["Group 1", "Group 2", "Weekend stock-up"]
    assert kept == ()
    assert [item.locked for item in named] == [False, False, True]
    assert len(seen) == 2
    assert set(seen[0]) == {"automatic_name", "share", "facts", "rule"}
    assert seen[0]["facts"] == [FACT.text]
    assert facts_for_writer(segment(1, rule=None))["rule"] is None


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "the name is empty"),
        ("   ", "the name is empty"),
        ("x" * (MAX_NAME + 1), "61 letters, more than 60"),
        ("Weekend stock-up", "another segment is named"),
        ("Families with a baby", "touches children"),
        ("bell \x07", "cannot be printed"),
        (7, "must be a text; found int"),
        (None, "must be a text; found NoneType"),
    ],
)
def test_a_name_that_cannot_stand_leaves_the_automatic_one_with_the_reason(
    written: object, reason: str
) -> None:
    named, kept = with_written_names(SEGMENTS, lambda _: written)
    assert [item.name for item in named] == [item.name for item in SEGMENTS]
    assert [one.id for one in kept] == [1, 2]
    assert all(reason in one.reason for one in kept)


def test_a_writer_that_fails_or_repeats_itself_does_no_harm() -> None:
    def broken(_: Mapping[str, Any]) -> str:
        message = "no model"
        raise OSError(message)

    named, kept = with_written_names(SEGMENTS, broken)
    assert named == SEGMENTS
    assert kept[0] == Kept(1, "the writer failed: OSError: no model")
    named, kept = with_written_names(SEGMENTS, lambda _: "The same")
    assert [item.name for item in named] == ["The same", SEGMENTS[1].name, SEGMENTS[2].name]
    assert [one.id for one in kept] == [2]


@given(st.lists(st.text(max_size=80), min_size=2, max_size=2))
def test_names_are_always_own_short_and_printable(words: list[str]) -> None:
    answers = iter(words)
    named, _ = with_written_names(SEGMENTS, lambda _: next(answers))
    names = [item.name for item in named]
    assert len(set(names)) == len(names)
    assert all(name and len(name) <= MAX_NAME and name.isprintable() for name in names)


def test_titles_stand_for_codes_in_facts_rules_and_automatic_names() -> None:
    titled = with_titles(SEGMENTS, {("item", "A17"): "Oat milk", ("category", "A17"): "No"})
    assert [item.name for item in titled] == [
        *("Active: Oat milk, code 1", "Active: Oat milk, code 2"),
        "Weekend stock-up",
    ]
    assert titled[0].facts[0].text.startswith("Oat milk: 40 % of users")
    assert titled[0].rule.text.startswith("Oat milk (item)")
    assert with_titles(SEGMENTS, {}) == SEGMENTS
