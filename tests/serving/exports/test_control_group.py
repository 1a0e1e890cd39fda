"""The control group: a share of every stratum, drawn once, and sent to nobody."""

import json

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import ConfigError
from serving.exports import gates
from serving.exports.control_group import IS_HELD, SEGMENT, TERCILE, ControlGroup, terciles
from serving.exports.export import export
from serving.exports.ledger.ledger import open_ledger
from tests.serving.exports.world import User, World

SALT = b"4" * 16


def crowd(n_users: int, *, first: int = 0, segment: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": [f"user-{n}" for n in range(first, first + n_users)],
            "segment_id": [segment] * n_users,
            "value": [str(n * 7 % 100) if n % 4 else None for n in range(n_users)],
        }
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.floats(0.02, 0.9), st.binary(min_size=16, max_size=16))
def test_every_stratum_is_held_out_at_its_share_but_for_one_user(n_users, share, salt):
    group = ControlGroup(salt, share)
    group.draw(crowd(n_users))
    sizes = group.fresh.group_by(SEGMENT, TERCILE).agg(pl.len(), pl.col(IS_HELD).sum())
    assert sizes["len"].sum() == n_users
    for row in sizes.rows(named=True):
        assert abs(row[IS_HELD] - share * row["len"]) < 1


def test_small_strata_are_held_out_at_the_share_on_average():
    held = [
        int(ControlGroup(bytes([n % 256, n // 256] * 8), 0.1).draw(crowd(3)).sum())
        for n in range(600)
    ]
    assert 0.07 < sum(held) / (3 * 600) < 0.13


def test_who_was_drawn_once_keeps_the_arm_in_another_segment_value_or_order():
    first = ControlGroup(SALT, 0.2)
    before = first.draw(crowd(500))
    again = ControlGroup(SALT, 0.2, first.fresh)
    later = crowd(700, segment=3).with_columns(value=pl.lit("1")).reverse()
    after = again.draw(later)
    arms = dict(zip(later["user_id"], after, strict=True))
    assert [arms[user] for user in crowd(500)["user_id"]] == before.to_list()
    assert len(again.fresh) == 200
    assert 20 < again.fresh[IS_HELD].sum() < 60


def test_another_salt_draws_others():
    one, two = (ControlGroup(salt, 0.5).draw(crowd(200)) for salt in (SALT, b"5" * 16))
    assert 60 < (one == two).sum() < 140


def test_terciles_are_by_value_within_the_segment():
    people = pl.DataFrame(
        {"segment_id": [1] * 6 + [2] * 3, "value": ["5", "1", None, "x", "9", "7", "1", "1", "1"]}
    )
    found = terciles(people).to_list()
    assert found[:6] == [1, 1, 0, 0, 3, 2]
    assert sorted(found[6:]) == [1, 2, 3]
    assert terciles(people.drop("value")).to_list() == [0] * 9


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(gates, "HARD_FLOOR", 1)
    users = {
        f"u{n}": User(f"u{n // 2}@x.example") for n in range(300)
    }  # two users of each address
    return World(tmp_path / "world", users)


def users_in(world: World, report) -> set[str]:
    found: set[str] = set()
    for name in report.files:
        for line in (world.folder / "out" / name).read_text().splitlines():
            found |= {one["user_id"] for one in json.loads(line)["members"]}
    return found


def test_no_destination_is_sent_anybody_of_the_control_group(world):
    names = ("webhook", "criteo")
    with open_ledger(world.folder / "ledger.db", salt=SALT) as ledger:
        report = export(world.job(ledger, *names, share=0.1), world.folder / "out")
        arms = ledger.arms()
        for number in report.deliveries:
            ledger.delivered(number)
        counts = {one.destination: one.counts for one in report.waterfalls}
        again = export(world.job(ledger, *names, delta=True), world.folder / "out")
        with pytest.raises(ConfigError, match="which cannot become"):
            world.job(ledger, *names, share=0.3)
    assert arms[IS_HELD].sum() == 30
    assert (counts["webhook"]["people"], counts["webhook"]["not_held"]) == (300, 270)
    # Of an address that two users share nobody is sent anything when one of them is held out.
    assert counts["criteo"]["people"] == 150
    assert 120 <= counts["criteo"]["not_held"] <= 135
    assert {one.verdict for one in again.waterfalls} == {"unchanged"}


def test_a_dry_run_draws_nobody(world):
    with open_ledger(world.folder / "ledger.db", salt=SALT) as ledger:
        export(world.job(ledger, "webhook", share=0.1), None)
        assert ledger.arms() is None
        assert ledger.deliveries() == []
