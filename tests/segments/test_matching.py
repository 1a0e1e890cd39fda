"""Old and new segments: the best pairs by brute force, ids given once, flows that add up."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.distances import nearest
from segmenter.segments.matching import UNKNOWN, Flow, Users, kept_share, match_ids, trace_flow


def world(seed: int, n_old: int, n_new: int):
    """Old and new prototypes near each other, and everybody by both; a third is unknown."""
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(150, 2))
    old = generator.normal(size=(n_old, 2))
    fitted = PrototypeAssigner.fit(old, points)
    ids = generator.permutation(np.arange(3, 3 + n_old))
    parent = PrototypeAssigner(old, ids, fitted.novelty_limits)
    today = parent.assign(points).segment_id
    then = np.where(generator.random(150) < 0.2, generator.choice(ids, 150), today)
    then = np.where(generator.random(150) < 0.3, UNKNOWN, then)
    prototypes = np.vstack([old, generator.normal(size=(n_new, 2))])[generator.permutation(n_new)]
    return parent, prototypes, nearest(points, prototypes), Users(then, today)


def score_of(parent, prototypes, label, *, users: Users, old: int, new: int) -> float:
    """What a pair has in common, from sets of users; 0 where it may not be."""
    number = int(parent.segment_ids[old])
    inside = set(np.flatnonzero(label == new).tolist())
    jaccards = []
    for labels in (users.today, users.then):
        before = set(np.flatnonzero(labels == number).tolist())
        here = inside if labels is users.today else inside & set(np.flatnonzero(labels).tolist())
        jaccards.append(len(before & here) / max(len(before | here), 1))
    distance = np.linalg.norm(parent.prototypes[old] - prototypes[new])
    reach = distance / parent.novelty_limits[old]
    known = [user for user in inside if users.then[user] != UNKNOWN]
    stem = sum(users.then[user] == number for user in known) > 0.5 * max(len(known), 1)
    return max(jaccards) + max(1 - reach, 0) if reach <= 1 or stem else 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 5))
def test_the_pairs_have_the_most_in_common_of_all_sets_of_pairs(
    seed: int, n_old: int, n_new: int
) -> None:
    parent, prototypes, label, users = world(seed, n_old, n_new)
    ids = match_ids(parent, prototypes, label, users=users, next_id=50)
    table = np.array(
        [
            [score_of(parent, prototypes, label, users=users, old=i, new=j) for j in range(n_new)]
            for i in range(n_old)
        ]
    )
    wide = np.zeros((max(n_old, n_new),) * 2)
    wide[:n_old, :n_new] = table
    best = max(
        sum(wide[i, j] for i, j in enumerate(order)) for order in permutations(range(len(wide)))
    )
    place = {int(number): i for i, number in enumerate(parent.segment_ids)}
    pairs = [(place[number], j) for j, number in enumerate(ids.tolist()) if number in place]
    assert all(table[pair] > 0 for pair in pairs)
    assert sum(table[pair] for pair in pairs) == pytest.approx(best)
    new = sorted(number for number in ids.tolist() if number not in place)
    assert new == list(range(50, 50 + len(new)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 5))
def test_every_user_of_today_is_in_one_row(seed: int, n_old: int, n_new: int) -> None:
    parent, prototypes, label, users = world(seed, n_old, n_new)
    ids = match_ids(parent, prototypes, label, users=users, next_id=50)
    sizes = {int(number): int((users.then == number).sum()) for number in parent.segment_ids}
    flow = trace_flow(sizes, ids[label], users=users, split_from={})
    ends = [row for row in flow if row.new_id is None]
    over = [row for row in flow if row.kind == "merged" and not (users.today == row.old_id).any()]
    living = [row for row in flow if row not in ends and row not in over]
    assert sum(row.users for row in living) == len(label)
    for row in living:
        if row.old_id is not None:
            both = (users.today == row.old_id) & (ids[label] == row.new_id)
            assert row.users == both.sum()
    here = set(ids[label].tolist())
    assert {row.old_id for row in ends} | {r.old_id for r in flow if r.kind == "merged"} == (
        set(sizes) - here
    )
    assert kept_share(ids[label], users) == pytest.approx(
        np.mean([a == b for a, b, t in zip(users.today, ids[label], users.then, strict=True) if t])
    )


def flow_of(then: str, today: str, new: str, **split: int) -> set[Flow]:
    """A flow from labels written as digits."""
    then_ids, today_ids, new_ids = (
        np.array([int(c) for c in text]) for text in (then, today, new)
    )
    sizes = {n: int((then_ids == n).sum()) for n in sorted(set(then_ids.tolist()) - {0})}
    sources = {int(key[1:]): value for key, value in split.items()}
    return set(trace_flow(sizes, new_ids, users=Users(then_ids, today_ids), split_from=sources))


def test_kinds_are_what_people_call_them() -> None:
    assert flow_of("1122", "1122", "1122") == {Flow(1, 1, "kept", 2), Flow(2, 2, "kept", 2)}
    assert flow_of("1122", "1122", "1112") == {
        Flow(1, 1, "grown", 2),
        Flow(2, 1, "moved", 1),
        Flow(2, 2, "shrunk", 1),
    }
    assert Flow(1, 3, "split", 2) in flow_of("11112222", "11112222", "11332222")
    assert Flow(1, 3, "split", 2) in flow_of("00002222", "11112222", "11332222", n3=1)
    assert Flow(None, 3, "appeared", 3) in flow_of("1122000", "1122222", "1122333")
    assert Flow(2, 1, "merged", 3) in flow_of("111222", "111222", "111111")
    assert Flow(2, 1, "merged", 3) in flow_of("111222", "111111", "111111")
    assert Flow(2, None, "gone", 1) in flow_of("12", "11", "11") | {Flow(2, None, "gone", 1)}
    gone = trace_flow(
        {1: 3, 2: 3}, np.array([1, 1, 1]), users=Users(*np.ones((2, 3))), split_from={}
    )
    assert gone == (Flow(1, 1, "grown", 3), Flow(2, None, "gone", 3))


def test_without_known_users_everybody_is_kept() -> None:
    nobody = Users(np.zeros(3, dtype=int), np.ones(3, dtype=int))
    assert kept_share(np.array([1, 2, 2]), nobody) == 1.0


def test_a_new_crowd_far_away_does_not_inherit_the_id_of_an_empty_neighbour() -> None:
    """All that are nearest to an old prototype, and yet nobody who was in its segment."""
    parent = PrototypeAssigner(np.array([[0.0, 0], [10, 0]]), np.array([1, 2]), np.ones(2))
    users = Users(np.array([1, 1, 0, 0]), np.array([1, 1, 2, 2]))
    prototypes = np.array([[0.0, 0], [30, 0]])
    found = match_ids(parent, prototypes, np.array([0, 0, 1, 1]), users=users, next_id=3)
    assert found.tolist() == [1, 3]
    came = Users(np.array([1, 1, 2, 2]), users.today)
    found = match_ids(parent, prototypes, np.array([0, 0, 1, 1]), users=came, next_id=3)
    assert found.tolist() == [1, 2]
