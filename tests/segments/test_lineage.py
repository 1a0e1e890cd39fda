"""The history of segments: nothing is lost, ids are given once, a person's name stays."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import ConfigError
from segmenter.segments.lineage import Lineage, carry_names, rename
from segmenter.segments.matching import Flow
from segmenter.segments.segment import Segment


def segment(number: int, name: str = "", *, n_users: int = 10, locked: bool = False) -> Segment:
    return Segment(
        number, name or f"Active: thing {chr(96 + number)}", n_users, 0.1, 0, (), locked
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 4)), max_size=5))
def test_ids_are_never_given_twice_and_histories_only_grow(losses: list[set[int]]) -> None:
    lineage = Lineage.begin([segment(number) for number in (1, 2, 3)], at="2025-01")
    living, ever = [1, 2, 3], {1, 2, 3}
    for month, lost in enumerate(losses):
        stay = [number for place, number in enumerate(living) if place not in lost]
        flow = [Flow(number, number, "kept", 10) for number in stay]
        flow += [Flow(number, None, "gone", 10) for number in set(living) - set(stay)]
        new = lineage.next_id
        assert new not in ever
        flow.append(Flow(None, new, "appeared", 10))
        before, living = lineage, [*stay, new]
        now = [segment(number) for number in living]
        lineage = before.after_refit(now, flow, at=f"2025-{month + 2}")
        ever |= {new}
        assert {history.id for history in lineage.histories} == ever
        assert {history.id for history in lineage.histories if not history.retired} == set(living)
        for history in before.histories:
            later = next(item for item in lineage.histories if item.id == history.id)
            assert later.steps[: len(history.steps)] == history.steps
            assert len(later.steps) - len(history.steps) == (0 if history.retired else 1)
        assert Lineage.from_json(lineage.to_json()) == lineage


def test_a_lineage_tells_what_a_segment_came_from_and_went_into() -> None:
    lineage = Lineage.begin([segment(1), segment(2)], at="then")
    flow = [
        Flow(1, 1, "shrunk", 5),
        Flow(1, 3, "split", 5),
        Flow(2, 1, "merged", 9),
    ]
    after = lineage.after_refit([segment(1), segment(3)], flow, at="now")
    steps = {history.id: history.steps[-1] for history in after.histories}
    assert (steps[1].event, steps[1].related) == ("shrunk", ())
    assert (steps[3].event, steps[3].related) == ("split", (1,))
    assert (steps[2].event, steps[2].related, steps[2].n_users) == ("merged", (1,), 0)
    assert after.next_id == 4


def test_a_renaming_is_remembered_with_its_author_and_survives_refits() -> None:
    segments = rename([segment(1), segment(2)], 2, "  Weekend  stock-up ")
    assert (segments[1].name, segments[1].locked, segments[0].locked) == (
        "Weekend stock-up",
        True,
        False,
    )
    lineage = Lineage.begin([segment(1), segment(2)], at="then")
    lineage = lineage.after_renaming(segments[1], at="later", author="ann")
    step = lineage.histories[1].steps[-1]
    assert (step.event, step.author, step.at, step.name) == (
        "renamed",
        "ann",
        "later",
        "Weekend stock-up",
    )
    refitted = [segment(1, "Weekend stock-up"), segment(2, "Rare: other")]
    carried = carry_names(refitted, segments)
    assert [item.name for item in carried] == ["Weekend stock-up (2)", "Weekend stock-up"]
    assert carry_names(carried, carried)[1].locked


def test_an_automatic_name_stays_while_it_is_true() -> None:
    before = [segment(1, "Active: tea"), segment(2, "Rare: tea"), segment(3, "Rare: 12 events")]
    now = [segment(1, "Active: cake"), segment(2, "Active: jam"), segment(3, "Rare: 15 events")]
    names = [item.name for item in carry_names([*now, segment(4, "Active: tea")], before)]
    assert names == ["Active: tea", "Active: jam", "Rare: 15 events", "Active: tea (2)"]


@pytest.mark.parametrize(
    ("number", "name", "words"),
    [
        (7, "x", "there is no segment 7; found 1, 2"),
        (1, "  ", "found an empty name"),
        (1, "b", "found 'b', the name of segment 2"),
    ],
)
def test_a_name_that_cannot_be_is_refused(number: int, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        rename([segment(1, "a"), replace(segment(2), name="b")], number, name)
