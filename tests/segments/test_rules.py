"""Short rules: planted ones are found, fidelity is what a plain count gives, poor ones say so."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import sparse
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.tree import DecisionTreeClassifier

from segmenter.segments.rules import (
    MAX_CONDITIONS,
    MIN_USERS,
    PlainFacts,
    find_conditions,
    holds,
    measured,
    with_rules,
)
from segmenter.segments.segment import Condition, Rule, Segment

TOKENS = [("event", "redeem"), *(("category", f"category {number}") for number in range(6))]


def crowd(seed: int, n_users: int = 400) -> PlainFacts:
    generator = np.random.default_rng(seed)
    presence = sparse.csr_matrix(generator.random((n_users, len(TOKENS))) < 0.4)
    levels = {
        "events": np.floor(generator.lognormal(4, 1, n_users)),
        "active days": generator.integers(1, 60, n_users).astype(float),
    }
    return PlainFacts(presence, TOKENS, levels)


def all_hold(conditions: tuple[Condition, ...], facts: PlainFacts) -> np.ndarray:
    """Users for whom all conditions hold, user by user."""
    dense, names = facts.presence.toarray(), list(facts.tokens)
    found = []
    for user in range(dense.shape[0]):
        answers = []
        for one in conditions:
            if one.bound is None:
                did = dense[user, names.index((one.field, one.value))]
                answers.append(bool(did) == one.positive)
            else:
                answers.append((facts.levels[one.field][user] >= one.bound) == one.positive)
        found.append(all(answers))
    return np.array(found)


def segments_of(segment_id: np.ndarray) -> list[Segment]:
    ids, counts = np.unique(segment_id, return_counts=True)
    return [
        Segment(int(one), f"s{one}", int(n), float(n / len(segment_id)), 0, ())
        for one, n in zip(ids, counts, strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.6))
def test_a_rule_is_short_and_no_worse_than_the_best_stump(seed: int, share: float) -> None:
    facts = crowd(seed, 200)
    generator = np.random.default_rng(seed + 1)
    inside = generator.random(200) < share
    inside[:2] = True, False
    conditions = find_conditions(inside, facts)
    assert 1 <= len(conditions) <= MAX_CONDITIONS
    found = all_hold(conditions, facts)
    dense = facts.presence.toarray()
    stump = DecisionTreeClassifier(max_depth=1, class_weight="balanced").fit(dense, inside)
    assert f1_score(inside, found) >= f1_score(inside, stump.predict(dense)) - 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_fidelity_is_that_of_scikit_learn(seed: int) -> None:
    facts, generator = crowd(seed, 150), np.random.default_rng(seed)
    inside = generator.random(150) < 0.3
    conditions = (
        Condition("events", "", positive=True, bound=40),
        Condition("event", "redeem", positive=bool(seed % 2)),
    )
    found = all_hold(conditions, facts)
    rule = measured(conditions, inside, facts)
    assert rule.precision == pytest.approx(precision_score(inside, found, zero_division=0))
    assert rule.recall == pytest.approx(recall_score(inside, found, zero_division=0))
    assert rule.coverage == pytest.approx(found.mean())
    for one in conditions:
        np.testing.assert_array_equal(holds(one, facts), all_hold((one,), facts))


def test_a_planted_rule_comes_out_again() -> None:
    facts = crowd(0, 3000)
    planted = (
        Condition("active days", "", positive=True, bound=30),
        Condition("event", "redeem", positive=True),
        Condition("category", "category 3", positive=False),
    )
    segment_id = np.where(all_hold(planted, facts), 2, 1)
    described = with_rules(segments_of(segment_id), segment_id, facts, seed=0)
    rule = described[1].rule
    assert {(one.field, one.value, one.positive) for one in rule.conditions} == {
        (one.field, one.value, one.positive) for one in planted
    }
    assert min(rule.precision, rule.recall) > 0.9
    assert rule.fits
    assert rule.text.endswith("of those whom it finds are members")
    assert "active days at least" in rule.text
    assert "no category 3 (category)" in rule.text


def test_where_no_rule_fits_the_sentence_says_so() -> None:
    facts = crowd(1, 1000)
    segment_id = np.random.default_rng(0).integers(1, 6, 1000)
    for segment in with_rules(segments_of(segment_id), segment_id, facts, seed=0):
        assert not segment.rule.fits
        assert segment.rule.text.startswith("No short rule fits; the nearest (")


def test_fidelity_is_measured_on_other_users() -> None:
    """What fits by chance alone does not pass for a rule: noise with very many values."""
    generator = np.random.default_rng(3)
    tokens = [("item", str(number)) for number in range(800)]
    presence = sparse.csr_matrix(generator.random((200, 800)) < 0.3)
    facts = PlainFacts(presence, tokens, {"events": generator.random(200)})
    segment_id = generator.integers(1, 3, 200)
    made = find_conditions(segment_id == 1, facts)
    on_the_same = measured(made, segment_id == 1, facts).precision
    (segment, _) = with_rules(segments_of(segment_id), segment_id, facts, seed=0)
    assert segment.rule.precision < on_the_same - 0.1


def test_a_handful_of_members_has_no_rule() -> None:
    facts = crowd(0, 200)
    segment_id = np.where(np.arange(200) < MIN_USERS, 2, 1)
    assert all(
        segment.rule is None
        for segment in with_rules(segments_of(segment_id), segment_id, facts, seed=0)
    )


def test_a_rule_survives_a_bundle() -> None:
    rule = Rule((Condition("events", "", positive=False, bound=1200.0),), 0.5, 0.25, 0.1)
    segment = Segment(1, "a", 3, 0.1, 2, (), rule=rule)
    assert Segment.from_json(segment.to_json()) == segment
    assert segment.to_json()["rule"]["text"] == rule.text
    assert "events below 1,200" in rule.text
    plain = Segment(1, "a", 3, 0.1, 2, ()).to_json()
    for name in ("rule", "locked"):
        plain.pop(name)
    assert Segment.from_json(plain).rule is None
