"""Journeys: users counted once, the same as loops over users say, and nobody's identity."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.segments.journeys import (
    DAY_US,
    MAX_LABELS,
    MAX_STEPS,
    Journey,
    central_users,
    coarse_journey,
    tally_around,
    tally_transitions,
    tally_values,
    transitions,
)

N_TYPES, N_GROUPS, N_USERS = 3, 2, 6
GROUP = np.arange(N_USERS) % N_GROUPS
logs = st.lists(
    st.tuples(st.integers(0, N_USERS - 1), st.integers(0, 20), st.integers(0, N_TYPES - 1)),
    max_size=60,
)


def columns(events):
    """Owner, time and type of each event, in the order of the store."""
    table = np.array(sorted(events), dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


@settings(max_examples=60)
@given(logs)
def test_transitions_are_those_of_a_loop_over_users(events) -> None:
    owner, _, types = columns(events)
    tally = tally_transitions(owner, types, GROUP, n_groups=N_GROUPS, n_types=N_TYPES)
    users, rates = np.zeros((N_GROUPS, N_TYPES)), np.zeros((N_GROUPS, N_TYPES, N_TYPES))
    for user in range(N_USERS):
        own = types[owner == user]
        nexts = defaultdict(Counter)
        for first, second in pairwise(own):
            nexts[first][second] += 1
        for first, counts in nexts.items():
            users[GROUP[user], first] += 1
            for second, n in counts.items():
                rates[GROUP[user], first, second] += n / sum(counts.values())
    np.testing.assert_array_equal(tally.users, users)
    np.testing.assert_allclose(tally.rates, rates, atol=1e-12)
    for one in transitions(tally, 0, ["a", "b", "c"], min_users=1):
        assert 0 <= one.low <= one.share <= one.high <= 1
        place = ("abc".index(one.before), "abc".index(one.after))
        assert one.share == pytest.approx(rates[0][place] / users[0][place[0]])


def test_tallies_of_blocks_add_up() -> None:
    generator = np.random.default_rng(0)
    owner, types = (
        np.sort(generator.integers(0, N_USERS, 200)),
        generator.integers(0, N_TYPES, 200),
    )
    sizes = {"n_groups": N_GROUPS, "n_types": N_TYPES}
    whole = tally_transitions(owner, types, GROUP, **sizes)
    early = owner < 3
    parts = tally_transitions(owner[early], types[early], GROUP[:3], **sizes) + tally_transitions(
        owner[~early] - 3, types[~early], GROUP[3:], **sizes
    )
    for name in ("users", "rates", "squares"):
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name))


def test_a_robot_is_one_user() -> None:
    owner = np.array([0, 0, 0, *[1] * 1_000])
    types = np.array([0, 1, 0, *[0] * 1_000])
    group = np.array([0, 0])
    tally = tally_transitions(owner, types, group, n_groups=1, n_types=2)
    assert tally.rates[0, 0].tolist() == [1.0, 1.0]
    assert tally.users[0].tolist() == [2.0, 1.0]


@settings(max_examples=60)
@given(logs, st.integers(1, 10))
def test_what_surrounds_an_event_is_what_a_loop_finds(events, window) -> None:
    owner, times, types = columns(events)
    tally = tally_around(
        owner,
        times,
        types - 1,
        is_target=types == 0,
        group=GROUP,
        shape=(N_GROUPS, N_TYPES - 1),
        window_us=window,
    )
    before, after, users = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2)
    for user in range(N_USERS):
        own = owner == user
        hits = times[own & (types == 0)]
        if not len(hits):
            continue
        users[GROUP[user]] += 1
        for value in range(N_TYPES - 1):
            gaps = times[own & (types == value + 1)] - hits[0]
            before[GROUP[user], value] += ((gaps < 0) & (gaps >= -window)).any()
            after[GROUP[user], value] += ((gaps > 0) & (gaps <= window)).any()
    np.testing.assert_array_equal(tally.users, users)
    np.testing.assert_array_equal(tally.before, before)
    np.testing.assert_array_equal(tally.after, after)


@given(logs)
def test_values_are_counted_over_users(events) -> None:
    owner, _, types = columns(events)
    found = tally_values(owner, types, GROUP, shape=(N_GROUPS, N_TYPES))
    for group in range(N_GROUPS):
        for value in range(N_TYPES):
            users = set(owner[(GROUP[owner] == group) & (types == value)].tolist())
            assert found[group, value] == len(users)


@given(st.lists(st.tuples(st.integers(0, 40 * 24), st.sampled_from("abcdefg")), min_size=1))
def test_a_journey_keeps_days_and_counts_and_no_times(events) -> None:
    events.sort()
    start = 17_000 * DAY_US
    times = np.array([start + hour * DAY_US // 24 for hour, _ in events])
    found = coarse_journey(times, [label for _, label in events])
    days = sorted({hour // 24 for hour, _ in events})[-MAX_STEPS:]
    assert [step.day for step in found.steps] == [day - days[0] for day in days]
    for day, step in zip(days, found.steps, strict=True):
        own = Counter(label for hour, label in events if hour // 24 == day)
        assert dict(step.things).items() <= own.items()
        assert sum(n for _, n in step.things) + step.n_more == sum(own.values())
        assert len(step.things) <= MAX_LABELS
    assert Journey.from_json(found.to_json()) == found


def test_the_central_users_are_those_nearest_to_the_mean() -> None:
    points = np.random.default_rng(3).normal(size=(50, 4))
    far = np.linalg.norm(points - points.mean(0), axis=1)
    assert central_users(points, 3).tolist() == np.argsort(far)[:3].tolist()
    assert len(central_users(points[:0], 3)) == 0
