"""Sensitive topics: found in names, facts and rules as whole words, with where they were found."""

import pytest
from hypothesis import given, strategies as st

from segmenter.errors import ConfigError
from segmenter.segments.segment import LEVEL, SHARE, Condition, Fact, Flag, Rule, Segment
from segmenter.segments.sensitive import TOPICS, all_topics, with_flags


def segment(name: str = "Active: tea", *, value: str = "tea", rule: str = "tea") -> Segment:
    fact = Fact(SHARE, "category", value, 0.61, 0.12, 0.5, 0.7, 61)
    level = Fact(LEVEL, "active days", "", 5, 3, 4, 6, 100)
    short = Rule((Condition("category", rule, positive=True),), 0.7, 0.6, 0.1)
    return Segment(1, name, 100, 0.1, 50, (fact, level), rule=short)


def flags_of(item: Segment, topics: dict = TOPICS) -> tuple[Flag, ...]:
    (flagged,) = with_flags([item], topics)
    return flagged.flags


def test_a_hit_says_topic_term_place_and_evidence() -> None:
    item = segment("Rare: Infant formula", value="DIAPERS & DISPOSABLES", rule="PREGNANCY-TESTS")
    assert flags_of(item) == (
        Flag("children", "infant", "name", "Rare: Infant formula"),
        Flag("children", "diapers", "fact", item.facts[0].text),
        Flag("health", "pregnancy", "rule", "PREGNANCY-TESTS (category)"),
    )
    (flagged,) = with_flags([item])
    assert Segment.from_json(flagged.to_json()) == flagged
    assert with_flags([flagged])[0] == flagged


@pytest.mark.parametrize(
    "word", ["Essex", "kidney beans", "skid", "Tee", "voter_id-less".replace("voter", "pivoter")]
)
def test_parts_of_other_words_are_no_hits(word: str) -> None:
    assert flags_of(segment(f"Active: {word}", value=word, rule=word)) == ()


@given(st.sampled_from(sorted(TOPICS)), st.integers(0, 200), st.sampled_from([" ", "-", "_", "/"]))
def test_every_term_of_the_list_is_found_in_any_spelling(
    topic: str, place: int, joint: str
) -> None:
    term = TOPICS[topic][place % len(TOPICS[topic])].replace("*", "xyz")
    for text in (term, term.upper(), joint.join(["fresh", *term.split(), "things"])):
        assert topic in {flag.topic for flag in flags_of(segment(value=text))}


def test_the_list_can_be_extended() -> None:
    topics = all_topics({"tobacco": ["cigar*"], "children": ["stroller"]})
    item = segment("Very active: Cigarettes", value="Stroller", rule="baby food")
    assert {(flag.topic, flag.term) for flag in flags_of(item, topics)} == {
        ("tobacco", "cigarettes"),
        ("children", "stroller"),
        ("children", "baby"),
    }
    assert {flag.topic for flag in flags_of(item)} == {"children"}
    assert all_topics({}) == TOPICS


@pytest.mark.parametrize("terms", ["cigar", [3], ["*"], {"a": 1}])
def test_terms_that_are_no_words_are_refused(terms: object) -> None:
    with pytest.raises(ConfigError, match="sensitive topic tobacco must be a list of words"):
        all_topics({"tobacco": terms})
