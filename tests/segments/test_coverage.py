"""Four groups that are everybody, the same for a user alone, and as large as they were set."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.segments.assignment import Assignment, PrototypeAssigner
from segmenter.segments.coverage import (
    CLOSE_CALL,
    GROUPS,
    OUTSIDER,
    CoverageRule,
    GroupCounts,
    added,
    count_groups,
    fit_coverage,
)

N_USERS = 600


def fitted(seed, share):
    """Users around three prototypes, an assigner, and a rule learned from most of them."""
    generator = np.random.default_rng(seed)
    prototypes = generator.normal(size=(3, 4)) * 2
    points = prototypes[np.arange(N_USERS) % 3] + generator.normal(size=(N_USERS, 4))
    assigner = PrototypeAssigner.fit(prototypes, points)
    assignment = assigner.assign(points)
    rows = np.sort(generator.permutation(N_USERS)[:500])
    in_core = generator.random(500) < 0.6
    rule = fit_coverage(assignment, assigner, rows=rows, in_core=in_core, outsider_share=share)
    return points, assigner, rule


@settings(max_examples=25)
@given(st.integers(0, 1_000), st.sampled_from([0.0, 0.01, 0.05, 0.3]))
def test_the_target_share_is_outside_and_everybody_is_counted_once(seed, share) -> None:
    points, assigner, rule = fitted(seed, share)
    assignment = assigner.assign(points)
    groups = rule.groups(assignment)
    counts = count_groups(groups, assignment.segment_id)
    total = added(counts)
    assert sum(vars(total).values()) == N_USERS
    assert abs(total.outsider - share * N_USERS) <= 1
    weak = assignment.strength < CLOSE_CALL
    assert {GROUPS[place] for place in groups[weak]} <= {"second", OUTSIDER}
    assert set(counts) == set(np.unique(assignment.segment_id).tolist())


@settings(max_examples=15)
@given(st.integers(0, 1_000))
def test_a_user_alone_is_in_the_same_group(seed) -> None:
    points, assigner, rule = fitted(seed, 0.05)
    together = rule.groups(assigner.assign(points[:20]))
    alone = [rule.groups(assigner.assign(points[row : row + 1]))[0] for row in range(20)]
    assert together.tolist() == alone


def test_as_many_are_near_the_middle_as_stand_in_dense_cores() -> None:
    generator = np.random.default_rng(0)
    points = generator.normal(size=(N_USERS, 3))
    assigner = PrototypeAssigner.fit(np.zeros((1, 3)), points)
    in_core = generator.random(N_USERS) < 0.4
    rule = fit_coverage(
        assigner.assign(points),
        assigner,
        rows=np.arange(N_USERS),
        in_core=in_core,
        outsider_share=0.02,
    )
    groups = rule.groups(assigner.assign(points))
    assert abs((groups == 0).sum() - in_core.sum()) <= 1
    far = np.linalg.norm(points, axis=1)
    assert far[groups == GROUPS.index(OUTSIDER)].min() > far[groups == 0].max()


def test_outsiders_in_the_fit_do_not_hide_each_other() -> None:
    """One user in ten of a segment stands far out: more than its 95th percentile can bear."""
    generator = np.random.default_rng(1)
    prototypes = np.array([[0.0] * 6, [9.0] * 6])
    points = prototypes[np.arange(400) % 2] + generator.normal(size=(400, 6))
    points[:40:2] = generator.normal(size=(20, 6)) * 0.2 + [-4, 4, -4, 4, -4, 4]
    assigner = PrototypeAssigner.fit(prototypes, points)
    rows, in_core = np.arange(400), np.ones(400, dtype=bool)
    assignment = assigner.assign(points)
    rule = fit_coverage(assignment, assigner, rows=rows, in_core=in_core, outsider_share=0.05)
    outside = rule.groups(assignment) == GROUPS.index(OUTSIDER)
    assert outside[:40:2].all()
    assert outside.sum() == 20


def test_a_rule_survives_a_bundle_and_knows_no_segment_by_name(tmp_path) -> None:
    _, assigner, rule = fitted(3, 0.01)
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(rule.to_json()))
    again = CoverageRule.from_json(json.loads(file.read_text()))
    assert again == rule
    one = np.ones(1, dtype=np.float32)
    stranger = Assignment(np.array([77], dtype=np.int32), one, np.array([1]), 0 * one)
    assert GROUPS[again.groups(stranger)[0]] == "core"
    assert assigner.segment_ids.tolist() == sorted(again.outside)


def test_nobody_is_counted_in_an_empty_population() -> None:
    assert added({}) == GroupCounts(0, 0, 0, 0)
    assert added({1: GroupCounts(1, 2, 3, 4), 2: GroupCounts(4, 3, 2, 1)}) == GroupCounts(
        5, 5, 5, 5
    )


@pytest.mark.parametrize("name", GROUPS)
def test_groups_and_counts_have_the_same_names(name) -> None:
    assert name in GroupCounts(0, 0, 0, 0).to_json()
