"""Who went where: the same as sets of users say, whatever the parts that folders are read in."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from serving.health import movement, scored
from serving.health.movement import ADDED, DROPPED, measure_movement
from serving.health.scored import Scored
from tests.serving.health.folders import write_folder

placed = st.dictionaries(
    st.integers(0, 60).map(lambda number: f"user {number}"),
    st.one_of(st.none(), st.integers(1, 4)),
    min_size=1,
    max_size=40,
)


def measured(old, new):
    with tempfile.TemporaryDirectory() as folder:
        sides = [
            Scored.open(write_folder(Path(folder) / name, side))
            for name, side in (("old", old), ("new", new))
        ]
        return measure_movement(*sides)


def members(side, number):
    return {user for user, segment in side.items() if segment == number}


@settings(max_examples=40)
@given(placed, placed, st.sampled_from([3, 1_000]))
def test_sizes_comings_and_goings_are_those_of_sets(old, new, part_users) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(movement, "PART_USERS", part_users)
        found = measured(old, new)
    before, after = ({u for u, s in side.items() if s} for side in (old, new))
    both = before & after
    assert (found.n_old, found.n_new, found.n_both) == (len(before), len(after), len(both))
    kept = [old[user] == new[user] for user in both]
    assert found.kept_share == pytest.approx(sum(kept) / len(kept) if kept else 1.0)
    for one in found.segments:
        then, now = members(old, one.id), members(new, one.id)
        assert (one.old_users, one.new_users) == (len(then), len(now))
        assert (one.joined, one.left) == (len((now - then) & both), len((then - now) & both))
        assert (one.added, one.dropped) == (len(now - before), len(then - after))
        either = (then | now) & both
        jaccard = len(then & now) / len(either) if either else 1.0
        assert one.volatility == pytest.approx(1 - jaccard)


@settings(max_examples=40)
@given(placed, placed)
def test_the_flow_counts_everybody_of_today_and_everybody_lost(old, new) -> None:
    found = measured(old, new)
    rows = [row for row in found.flow if row.new_id is not None and row.kind != "merged"]
    merged = [row for row in found.flow if row.kind == "merged"]
    arrived = sum(row.users for row in rows)
    assert arrived <= found.n_new <= arrived + sum(row.users for row in merged)
    added = sum(row.users for row in found.flow if row.kind == ADDED)
    dropped = sum(row.users for row in found.flow if row.kind == DROPPED)
    assert (added, dropped) == (found.n_new - found.n_both, found.n_old - found.n_both)


def test_a_split_and_a_growth_are_told_as_such() -> None:
    old = {f"user {n}": 1 if n < 100 else 2 for n in range(200)}
    new = {
        user: 3 if segment == 1 and int(user[5:]) % 5 < 2 else segment
        for user, segment in old.items()
    }
    kinds = {(row.old_id, row.new_id): (row.kind, row.users) for row in measured(old, new).flow}
    assert kinds == {(1, 1): ("shrunk", 60), (2, 2): ("kept", 100), (1, 3): ("split", 40)}


def test_nobody_is_drawn_for_both_sides_and_the_lot_can_be_repeated(tmp_path) -> None:
    users = {f"user {n}": 1 + n % 3 for n in range(3_000)}
    vectors = np.arange(3_000)[:, None] * np.ones((1, 2))
    folder = Scored.open(write_folder(tmp_path / "s", users, vectors=vectors, shard_users=700))
    old, new, again = (
        folder.sampled(side, 500, seed=4) for side in (scored.OLD, scored.NEW, scored.OLD)
    )
    assert not set(old[0][:, 0]) & set(new[0][:, 0])
    assert 350 < len(old[0]) < 650
    np.testing.assert_array_equal(old[0], again[0])
    np.testing.assert_array_equal(old[1], 1 + old[0][:, 0] % 3)
    everybody = folder.sampled(scored.OLD, 10_000, seed=0)[0]
    assert 1_300 < len(everybody) < 1_700
