"""Outsiders: planted oddities are told with their shares, and nothing where there is nothing."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.segments.outsiders import Outsiders, describe_outsiders

N_USERS, N_OUTSIDE = 2_000, 40


def habits(seed):
    generator = np.random.default_rng(seed)
    outside = np.arange(N_USERS) < N_OUTSIDE
    plain = {
        "events": generator.lognormal(3, 1, N_USERS),
        "share of regular gaps": generator.beta(1, 9, N_USERS),
        "median value": generator.lognormal(2, 1, N_USERS),
    }
    return plain, outside


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_outsiders_like_all_others_have_nothing_odd_about_them(seed) -> None:
    plain, outside = habits(seed)
    found = describe_outsiders(plain, outside)
    assert found.n_users == N_OUTSIDE
    assert found.explained <= 0.4
    assert all(one.here < 0.2 for one in found.oddities)


def test_planted_robots_are_told_with_their_share_and_meaning() -> None:
    plain, outside = habits(1)
    plain["share of regular gaps"][:25] = 0.97
    plain["events"][5:15] = 1e6
    found = describe_outsiders(plain, outside)
    first, second = found.oddities[:2]
    assert (first.habit, first.side, first.n_users) == ("share of regular gaps", "above", 25)
    assert first.here == pytest.approx(25 / N_OUTSIDE)
    assert first.elsewhere == pytest.approx(0.01, abs=0.002)
    assert "robots" in first.text
    assert "62% of them" in first.text
    assert (second.habit, second.n_users >= 10) == ("events", True)
    assert found.explained >= 25 / N_OUTSIDE
    assert Outsiders.from_json(found.to_json()) == found


def test_what_is_the_same_for_all_others_says_nothing() -> None:
    plain, outside = habits(2)
    plain = {"share of events at night": np.where(outside, 0.5, 1.0), "events": plain["events"]}
    assert all(one.habit == "events" for one in describe_outsiders(plain, outside).oddities)
    assert "no habit sets them apart" in describe_outsiders({}, outside).text


def test_nobody_outside_is_no_error() -> None:
    plain, _ = habits(3)
    found = describe_outsiders(plain, np.zeros(N_USERS, dtype=bool))
    assert (found.n_users, found.oddities, found.explained) == (0, (), 0.0)
