"""Names and facts: planted signatures are found, robots change nothing, intervals are right."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import sparse, stats

from segmenter.segments.profiles import (
    TokenTable,
    count_tokens,
    describe_segments,
    log_odds_scores,
    median_interval,
    wilson,
)
from segmenter.segments.segment import LEVEL, SHARE, Segment

N_SEGMENTS = 6
N_SIGNATURES = 2
N_COMMON = 60
ALPHABET = [f"thing {i}" for i in range(N_COMMON + N_SEGMENTS * N_SIGNATURES)]


@dataclass(frozen=True)
class Planted:
    """Users with events, each event one thing done, and what is typical of each segment."""

    segment_id: np.ndarray
    owner: np.ndarray
    thing: np.ndarray
    signatures: dict[int, set[str]]

    def describe(self) -> tuple[Segment, ...]:
        """Segments from the events, as a training job would have them described."""
        shape = (len(self.segment_id), len(ALPHABET))
        done = np.ones(len(self.owner), dtype=bool)
        presence = sparse.csr_matrix((done, (self.owner, self.thing)), shape=shape)
        n_events = np.bincount(self.owner, minlength=shape[0]).astype(np.float64)
        return describe_segments(
            self.segment_id,
            presence,
            [("category", thing) for thing in ALPHABET],
            levels={"events": n_events},
            core=np.bincount(self.segment_id),
        )


def planted(seed: int, *, n_users: int = 1200, bot_share: float = 0.0) -> Planted:
    """Six segments of two signatures each; a bot does a thousand times the events of a user."""
    generator = np.random.default_rng(seed)
    segment_id = generator.integers(1, N_SEGMENTS + 1, n_users)
    counts = generator.integers(10, 40, n_users)
    bots = generator.random(n_users) < bot_share
    popularity = 1 / np.arange(1, N_COMMON + 1)
    owners, things = [], []
    for user in range(n_users):
        n_events = int(counts[user])
        common = generator.choice(N_COMMON, n_events, p=popularity / popularity.sum())
        own = N_COMMON + (segment_id[user] - 1) * N_SIGNATURES + np.arange(N_SIGNATURES)
        typical = own[generator.random(N_SIGNATURES) < 0.5]
        others = N_COMMON + generator.integers(0, N_SEGMENTS * N_SIGNATURES, 1)
        everything = np.concatenate([common, typical, others])
        if bots[user]:
            everything = generator.choice(len(ALPHABET), 1000 * n_events)
        owners.append(np.full(len(everything), user))
        things.append(everything)
    signatures = {
        segment: set(ALPHABET[N_COMMON + (segment - 1) * N_SIGNATURES :][:N_SIGNATURES])
        for segment in range(1, N_SEGMENTS + 1)
    }
    return Planted(segment_id, np.concatenate(owners), np.concatenate(things), signatures)


def named_things(segment: Segment) -> set[str]:
    return set(segment.name.partition(": ")[2].split(", "))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bot_share", [0.0, 0.01, 0.03])
def test_planted_signatures_are_the_facts_and_the_name(seed: int, bot_share: float) -> None:
    users = planted(seed, bot_share=bot_share)
    for segment in users.describe():
        expected = users.signatures[segment.id]
        assert {fact.value for fact in segment.facts if fact.kind == SHARE} == expected
        assert named_things(segment) == expected


@pytest.mark.parametrize("bot_share", [0.0, 0.01, 0.03])
def test_precision_at_three_of_planted_signatures_withstands_bots(bot_share: float) -> None:
    right = told = 0
    for seed in range(10, 16):
        users = planted(seed, n_users=600, bot_share=bot_share)
        for segment in users.describe():
            found = [fact.value for fact in segment.facts if fact.kind == SHARE]
            right += len(users.signatures[segment.id] & set(found))
            told += len(found)
    precision = right / told
    print(f"precision at 3 with {bot_share:.0%} bots: {precision:.3f} of {told} values")
    assert told >= 6 * N_SEGMENTS * N_SIGNATURES * 0.9
    assert precision >= 0.95


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bot_share", [0.01, 0.03])
def test_robots_with_most_of_the_events_change_no_name(seed: int, bot_share: float) -> None:
    human, infested = planted(seed), planted(seed, bot_share=bot_share)
    events = np.bincount(infested.owner)
    assert events[events > 1000].sum() > 0.8 * events.sum()

    def spoken(users: Planted) -> list[tuple[int, str, frozenset[str]]]:
        return [
            (segment.id, segment.name.partition(":")[0], frozenset(named_things(segment)))
            for segment in users.describe()
        ]

    assert spoken(infested) == spoken(human)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Segment codes of some users, and what each of them did."""
    n_segments, n_things = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    more = generator.integers(0, n_segments, draw(st.integers(1, 80)))
    codes = np.concatenate([np.arange(n_segments), more])
    share = generator.random(n_things) ** 2
    return codes, generator.random((len(codes), n_things)) < share


@given(tables())
def test_users_are_counted_once_for_each_thing(users) -> None:
    codes, did = users
    table = count_tokens(codes, sparse.csr_matrix(did), int(codes.max()) + 1)
    for code in range(len(table.members)):
        inside = codes == code
        assert table.members[code] == inside.sum()
        assert table.here[code].tolist() == did[inside].sum(0).tolist()
        assert table.elsewhere[code].tolist() == did[~inside].sum(0).tolist()
        if inside.any():
            np.testing.assert_allclose(table.share[code], did[inside].mean(0))
        if not inside.all():
            np.testing.assert_allclose(table.share_elsewhere[code], did[~inside].mean(0))


def monroe(table: TokenTable, segment: int, token: int) -> float:
    """Equations 16 and 22 word by word: i is the segment, j are all the others."""
    alpha = [50.0 * seen / table.members.sum() + 1e-9 for seen in table.everybody]
    alpha_0 = sum(alpha)
    y_i = [float(seen) for seen in table.here[segment]]
    y_j = [float(all_ - own) for all_, own in zip(table.everybody, y_i, strict=True)]
    n_i, n_j = sum(y_i), sum(y_j)

    def log_odds(y: list[float], n: float) -> float:
        rest = n + alpha_0 - y[token] - alpha[token]
        return math.log(y[token] + alpha[token]) - math.log(rest)

    delta = log_odds(y_i, n_i) - log_odds(y_j, n_j)
    variance = 1 / (y_i[token] + alpha[token]) + 1 / (y_j[token] + alpha[token])
    return delta / math.sqrt(variance)


@given(tables())
def test_scores_are_those_of_the_paper(users) -> None:
    codes, did = users
    did = np.hstack([did, np.ones((len(codes), 2), dtype=bool)])  # no token stands alone
    table = count_tokens(codes, sparse.csr_matrix(did), int(codes.max()) + 1)
    scores = log_odds_scores(table)
    for segment, token in np.ndindex(*scores.shape):
        assert scores[segment, token] == pytest.approx(
            monroe(table, segment, token), rel=1e-6, abs=1e-6
        )


@given(n_yes=st.integers(0, 300), n_no=st.integers(0, 300))
def test_the_interval_of_a_share_is_wilsons(n_yes: int, n_no: int) -> None:
    n_users = n_yes + n_no
    low, high = wilson(n_yes, n_users)
    if n_users == 0:
        assert (low, high) == (0.0, 1.0)
        return
    expected = stats.binomtest(n_yes, n_users).proportion_ci(0.9, method="wilson")
    assert low == pytest.approx(expected.low, abs=1e-9)
    assert high == pytest.approx(expected.high, abs=1e-9)
    assert low <= n_yes / n_users <= high


def slow_median_interval(values: list[float]) -> tuple[float, float]:
    """The narrowest order statistics that both miss the median at 5 % or less, by counting.

    The i-th smallest value lies above the median when fewer than i values lie below it, and each
    value lies below with probability one half. Where even the extremes miss more often, they are
    the interval.
    """
    ordered, n = sorted(values), len(values)

    def at_most(k: int) -> Fraction:
        return Fraction(sum(math.comb(n, i) for i in range(k + 1)), 2**n)

    misses = [rank for rank in range(1, n + 1) if at_most(rank - 1) <= Fraction(1, 20)]
    low = max(misses, default=1)
    return ordered[low - 1], ordered[n - low]


@given(st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=60))
def test_the_interval_of_a_median_is_that_of_its_order_statistics(values: list[float]) -> None:
    low, high = median_interval(np.array(values))
    assert (low, high) == slow_median_interval(values)
    assert low <= np.median(values) <= high


@pytest.mark.parametrize("n_users", [6, 25, 120])
def test_the_interval_of_a_median_holds_it_nine_times_in_ten(n_users: int) -> None:
    draws = np.random.default_rng(n_users).exponential(size=(2000, n_users))
    intervals = np.array([median_interval(row) for row in draws])
    held = (intervals[:, 0] <= np.log(2)) & (np.log(2) <= intervals[:, 1])
    assert held.mean() > 0.9 - 3 * np.sqrt(0.09 / 2000)


@settings(max_examples=60, deadline=None)
@given(
    users=tables(),
    things=st.lists(
        st.sampled_from(["x", "x (2)", "x (3)", "X", "x, y", "y", "!", ""]), min_size=8, max_size=8
    ),
    seed=st.integers(0, 99),
)
def test_every_segment_has_a_name_of_its_own_and_honest_facts(users, things, seed) -> None:
    codes, did = users
    n_users, did = len(codes), np.repeat(users[1], 30, axis=0)
    codes = np.repeat(codes, 30)  # many alike, so that differences are facts
    generator = np.random.default_rng(seed)
    levels = {
        "active days": generator.integers(1, 4, len(codes)).astype(np.float64),
        "days since last event": generator.integers(0, 3, len(codes)).astype(np.float64),
    }
    segments = describe_segments(
        codes + 1,
        sparse.csr_matrix(did),
        [("category", thing) for thing in things[: did.shape[1]]],
        levels=levels,
        core=np.bincount(codes + 1) // 2,
    )
    assert [segment.id for segment in segments] == (np.unique(codes) + 1).tolist()
    assert len({segment.name for segment in segments}) == len(segments)
    assert sum(segment.n_users for segment in segments) == 30 * n_users
    assert sum(segment.share for segment in segments) == pytest.approx(1)
    for segment in segments:
        inside = codes + 1 == segment.id
        assert (segment.n_users, segment.n_core) == (inside.sum(), inside.sum() // 2)
        assert 1 <= len(segment.facts) <= 3
        for fact in segment.facts:
            assert fact.low <= fact.here <= fact.high
            if fact.kind == LEVEL:
                assert fact.here == np.median(levels[fact.field][inside])
                others = levels[fact.field][~inside]
                assert fact.elsewhere == np.median(others if len(others) else levels[fact.field])
            else:
                columns = [
                    i for i, text in enumerate(things[: did.shape[1]]) if text == fact.value
                ]
                assert any(fact.n_users == did[inside, i].sum() for i in columns)
                assert fact.here == pytest.approx(fact.n_users / inside.sum())
                assert fact.here >= max(0.05, 1.15 * fact.elsewhere)
                assert fact.n_users >= 5


def described(segment_id: np.ndarray, did: np.ndarray, **levels: np.ndarray) -> dict[int, Segment]:
    segments = describe_segments(
        segment_id,
        sparse.csr_matrix(did),
        [("event", f"deed {i}") for i in range(did.shape[1])],
        levels={name.replace("_", " "): value for name, value in levels.items()},
        core=np.bincount(segment_id),
    )
    return {segment.id: segment for segment in segments}


def test_a_segment_in_which_nothing_is_typical_is_named_by_a_number() -> None:
    """Two busy segments with a deed of their own, and few users who do hardly anything."""
    generator = np.random.default_rng(0)
    segment_id = np.repeat([1, 2, 3], [200, 200, 60])
    rates = np.where(segment_id == 3, 0.03, 0.5)
    did = generator.random((460, 6)) < rates[:, None]
    did[segment_id == 1, 0] = True
    did[segment_id == 2, 1] = True
    segments = described(segment_id, did, events=np.where(segment_id == 3, 2.0, 40.0))
    assert segments[3].name == "Rare: 2 events"
    assert [fact.kind for fact in segments[3].facts] == [LEVEL]
    assert segments[1].name.endswith(": deed 0")
    assert segments[2].name.endswith(": deed 1")


def test_a_single_segment_is_named_by_a_number_for_nothing_sets_it_apart() -> None:
    did = np.ones((30, 2), dtype=bool)
    (segment,) = described(np.ones(30, np.int32), did, events=np.full(30, 7.0)).values()
    assert segment.name == "Regular: 7 events"


@pytest.mark.parametrize(
    ("days", "word"), [(90.0, "Lapsed"), (0.0, "Very active")], ids=["long ago", "today"]
)
def test_the_first_word_says_how_active_members_are(days: float, word: str) -> None:
    segment_id = np.repeat([1, 2], [20, 180])
    active = np.where(segment_id == 1, 50.0, 5.0)
    last = np.where(segment_id == 1, days, 10.0)
    did = np.ones((200, 1), dtype=bool)
    segments = described(segment_id, did, active_days=active, days_since_last_event=last)
    assert segments[1].name.startswith(f"{word}: ")


def echo_world(things: list[str]) -> Segment:
    """The first of two segments: everybody eats bread, its members do every thing besides.

    Elsewhere the first thing is done by nobody, each further one by a few more.
    """
    segment_id, things = np.repeat([1, 2], 100), [*things, "bread", "butter", "milk"]
    did = np.ones((200, len(things)), dtype=bool)
    did[100:, :-3] = False
    for place in range(len(things) - 3):
        did[100 : 100 + 3 * place, place] = True
    return describe_segments(
        segment_id,
        sparse.csr_matrix(did),
        [("category", thing) for thing in things],
        levels={"events": np.ones(200)},
        core=np.bincount(segment_id),
    )[0]


@pytest.mark.parametrize(
    ("things", "named"),
    [
        (["campaign", "campaign A", "tea"], ["campaign", "tea"]),
        (["Campaign A", "campaign", "tea"], ["Campaign A", "tea"]),
        (["category 1", "category 12", "category 2"], ["category 1", "category 12"]),
        (["tea", "steak"], ["tea", "steak"]),
        (["?", "!"], ["?", "!"]),
    ],
)
def test_a_value_is_not_said_twice_in_other_words(things: list[str], named: list[str]) -> None:
    segment = echo_world(things)
    assert [fact.value for fact in segment.facts if fact.kind == SHARE] == named


def test_a_shouted_value_is_spoken_quietly_in_a_name_but_kept_in_the_facts() -> None:
    segment = echo_world(["SOFT  DRINKS", "iPhone"])
    assert segment.name.endswith(": Soft drinks, iPhone")
    assert segment.facts[0].value == "SOFT  DRINKS"
