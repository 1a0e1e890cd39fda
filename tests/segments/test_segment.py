"""What is published of a segment: plain forms, and texts that people read."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given, strategies as st

from segmenter.segments.segment import LEVEL, SHARE, Fact, Segment

share = st.floats(0, 1)
amount = st.floats(-1e9, 1e9)
facts = st.one_of(
    st.builds(
        Fact, st.just(SHARE), st.text(), st.text(), share, share, share, share, st.integers(0)
    ),
    st.builds(
        Fact,
        st.just(LEVEL),
        st.text(),
        st.just(""),
        amount,
        amount,
        amount,
        amount,
        st.integers(0),
    ),
)
segments = st.builds(
    Segment,
    st.integers(1),
    st.text(),
    st.integers(0),
    share,
    st.integers(0),
    st.lists(facts, max_size=3).map(tuple),
)
DIAPERS = Fact(SHARE, "category", "DIAPERS", 0.61, 0.12, 0.5, 0.7, 61)
DAYS = Fact(LEVEL, "active days", "", 12.5, 3.0, 11.0, 14.0, 100)


@given(segments)
def test_a_segment_comes_back_from_its_plain_form(segment: Segment) -> None:
    plain = json.loads(json.dumps(segment.to_json()))
    assert Segment.from_json(plain) == segment
    assert [fact["text"] for fact in plain["facts"]] == [fact.text for fact in segment.facts]
    assert plain.keys() == asdict(segment).keys()


@given(segment=segments, text=st.text())
def test_the_texts_in_the_plain_form_are_not_read_back(segment: Segment, text: str) -> None:
    plain = segment.to_json()
    plain["facts"] = [fact | {"text": text} for fact in plain["facts"]]
    assert Segment.from_json(plain) == segment


@pytest.mark.parametrize(
    ("here", "elsewhere", "words"),
    [
        (0.61, 0.12, "61 % of users, elsewhere 12 %"),
        (1.0, 0.0, "100 % of users, elsewhere 0 %"),
        (0.006, 0.0004, "0.6 % of users, elsewhere 0.0 %"),
        (0.996, 0.0149, "99.6 % of users, elsewhere 1 %"),
    ],
)
def test_a_share_is_told_in_percent(here: float, elsewhere: float, words: str) -> None:
    assert replace(DIAPERS, here=here, elsewhere=elsewhere).text == f"DIAPERS: {words}"


@pytest.mark.parametrize(
    ("here", "elsewhere", "words"),
    [
        (12.5, 3.0, "median 12, elsewhere 3"),
        (1234567.0, 0.25, "median 1,234,567, elsewhere 0.2"),
        (9.96, -4.0, "median 10, elsewhere -4"),
        (0.0, -12345.6, "median 0, elsewhere -12,346"),
    ],
)
def test_a_level_is_told_as_a_median(here: float, elsewhere: float, words: str) -> None:
    assert replace(DAYS, here=here, elsewhere=elsewhere).text == f"active days: {words}"


@given(facts)
def test_a_text_names_what_it_is_about(fact: Fact) -> None:
    assert fact.text.startswith(f"{fact.value if fact.kind == SHARE else fact.field}: ")
