"""Merging and splitting: who belongs where afterwards, which ids end, and what refits keep."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import ConfigError
from segmenter.segments.anchored import anchored_prototypes
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.density import Leaves
from segmenter.segments.distances import nearest
from segmenter.segments.lineage import Lineage, Locks
from segmenter.segments.prototypes import SizeLimits
from segmenter.segments.regrouping import merge_segments, split_segment
from tests.segments.test_hierarchy import nested, plain_segment


def published(levels):
    return [plain_segment(number) for number in levels.macro_of]


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_a_merge_has_exactly_the_members_of_both_and_leaves_all_others(seed: int) -> None:
    levels, assigner = nested(seed)
    if len(assigner.ids) < 2:
        return
    one, other = (int(number) for number in assigner.ids[:2])
    merged = merge_segments(assigner, published(levels), levels, ids=(one, other), next_id=90)
    users = np.random.default_rng(seed).normal(size=(60, 3)).astype(np.float32)
    before, after = assigner.assign(users), merged.assigner.assign(users)
    inside = np.isin(before.segment_id, [one, other])
    np.testing.assert_array_equal(after.segment_id == 90, inside)
    np.testing.assert_array_equal(after.segment_id[~inside], before.segment_id[~inside])
    assert (merged.old, merged.new, merged.users) == ((one, other), (90,), {90: 20})
    assert set(merged.macro_of) == set(merged.assigner.ids.tolist())
    assert set(merged.segment_of.values()) == set(merged.assigner.ids.tolist())
    assert set(merged.segment_of) == set(levels.segment_of)


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_a_split_gives_two_new_ids_and_shares_the_micro_segments_out(seed: int) -> None:
    levels, assigner = nested(seed)
    counts = {number: list(levels.segment_of.values()).count(number) for number in levels.macro_of}
    number = max(counts, key=counts.get)
    if counts[number] < 2:
        with pytest.raises(ConfigError, match="it is in one piece"):
            split_segment(assigner, published(levels), levels, number=number, next_id=90)
        return
    done = split_segment(assigner, published(levels), levels, number=number, next_id=90)
    assert (done.old, done.new) == ((number,), (90, 91))
    assert set(done.assigner.ids.tolist()) == set(assigner.ids.tolist()) - {number} | {90, 91}
    moved = [micro for micro, parent in levels.segment_of.items() if parent == number]
    assert {done.segment_of[micro] for micro in moved} == {90, 91}
    assert {done.macro_of[90], done.macro_of[91]} == {levels.macro_of[number]}
    assert sum(done.users.values()) == 10 * len(moved)
    space = np.random.default_rng(seed).normal(size=(300, 3)).astype(np.float32)
    known = done.with_limits(space).assigner
    others = np.isin(known.segment_ids, done.new, invert=True)
    old = assigner.novelty_limits[assigner.segment_ids != number]
    np.testing.assert_array_equal(known.novelty_limits[others], old)


def test_what_is_not_there_cannot_be_merged_or_split() -> None:
    levels, assigner = nested(3)
    segments, one = published(levels), int(assigner.ids[0])
    with pytest.raises(ConfigError, match="there is no segment 77"):
        merge_segments(assigner, segments, levels, ids=(one, 77), next_id=90)
    with pytest.raises(ConfigError, match="needs two segments"):
        merge_segments(assigner, segments, levels, ids=(one, one), next_id=90)
    with pytest.raises(ConfigError, match="found no levels"):
        split_segment(assigner, segments, None, number=one, next_id=90)


def test_the_lineage_retires_the_old_and_locks_the_new() -> None:
    start = Lineage.begin([plain_segment(number) for number in (1, 2, 3)], at="2026-01-01")
    assert start.locks == Locks()
    merged = start.after_regrouping((1, 2), [plain_segment(4)], event="merged", at="b", author="a")
    assert [history.retired for history in merged.histories] == [True, True, False, False]
    assert merged.histories[0].steps[-1].related == (4,)
    assert merged.histories[3].steps[0].related == (1, 2)
    assert (merged.next_id, merged.locks) == (5, Locks(together=frozenset({4})))
    new = [plain_segment(5), plain_segment(6)]
    split = merged.after_regrouping((3,), new, event="split", at="c", author="a")
    assert split.locks == Locks(frozenset({4}), frozenset({frozenset({5, 6})}))
    assert Lineage.from_json(split.to_json()) == split
    undone = split.after_regrouping((5, 6), [plain_segment(7)], event="merged", at="d", author="a")
    assert undone.locks == Locks(frozenset({4, 7}))


def two_clouds(apart: float) -> tuple[np.ndarray, Leaves, PrototypeAssigner]:
    """Users in two clouds, their cores, and a parent that has both in one segment or in two."""
    generator = np.random.default_rng(0)
    label = np.repeat([0, 1], 200)
    points = generator.normal(size=(400, 4)) + apart * label[:, None]
    far = generator.normal(size=(200, 4)) - 60
    everybody = np.vstack([points, far])
    leaves = Leaves(np.arange(600), np.repeat([0, 1, 2], 200), np.ones(3))
    middles = np.stack([everybody[leaves.labels == leaf].mean(axis=0) for leaf in range(3)])
    return everybody, leaves, PrototypeAssigner.fit(middles, everybody.astype(np.float32))


def test_a_locked_segment_is_not_split_where_an_unlocked_one_is() -> None:
    points, leaves, fitted = two_clouds(apart=8)
    middles = np.stack([points[:400].mean(axis=0), points[400:].mean(axis=0)])
    parent = PrototypeAssigner(middles, np.array([4, 2]), np.full(2, 50.0))
    settings_ = {"before": None, "limits": SizeLimits()}
    free = anchored_prototypes(points, leaves, parent, **settings_)
    assert [departure.kind for departure in free.departures] == ["split"]
    locks = Locks(together=frozenset({4}))
    held = anchored_prototypes(points, leaves, parent, **settings_, locks=locks)
    assert held.departures == ()
    assert len(fitted.ids) == 3


@pytest.mark.parametrize("ids", [(4, 4), (4, 5)])
def test_parts_of_one_segment_and_parts_split_by_hand_are_not_merged(ids) -> None:
    points, leaves, _ = two_clouds(apart=0.1)
    left, right = points[:400].mean(axis=0) - 6, points[:400].mean(axis=0) + 6
    middles = np.stack([left, right, points[400:].mean(axis=0)])
    parent = PrototypeAssigner(middles, np.array([*ids, 9]), np.full(3, 50.0))
    settings_ = {"before": None, "limits": SizeLimits()}
    apart = frozenset({frozenset({4, 5})})
    held = anchored_prototypes(points, leaves, parent, **settings_, locks=Locks(apart=apart))
    assert "merge" not in {departure.kind for departure in held.departures}
    free = PrototypeAssigner(middles, np.array([4, 6, 9]), np.full(3, 50.0))
    merged = anchored_prototypes(points, leaves, free, **settings_, locks=Locks(apart=apart))
    assert [departure.kind for departure in merged.departures] == ["merge"]
    assert nearest(points, held.prototypes).max() == 2
