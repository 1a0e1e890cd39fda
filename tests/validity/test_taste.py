"""Outcomes of taste are asked of those for whom they are news."""

import numpy as np
import polars as pl
import pytest

from segmenter.validity.guard import check_blind
from segmenter.validity.outcomes import future_outcomes
from segmenter.validity.taste import (
    ADOPTION_RATES,
    MAX_ITEMS,
    adoption,
    later_kinds,
    taste_kinds,
    taste_outcomes,
    touched,
)
from tests.validity.reference import DAY_US, START_US, before, events_of, since


def pairs(events, field):
    return set(events.select("user", field).drop_nulls().unique().iter_rows())


def test_what_was_touched_is_what_the_log_says_on_either_side(store, log, cut):
    users = np.random.default_rng(0).permutation(store.n_users)[:300]
    end = cut + 10 * DAY_US
    seen = touched(store, users, cut=cut, end=end)
    ids = store.user_ids().gather(users).to_list()
    sides = {
        "before": before(log.events, cut),
        "after": before(since(log.events, cut), end),
    }
    assert seen.field == "category"
    for side, events in sides.items():
        found = {
            (ids[user], seen.kinds[kind])
            for user, kind in zip(*np.nonzero(getattr(seen, side)), strict=True)
        }
        assert found == {pair for pair in pairs(events, "category") if pair[0] in set(ids)}


def test_adoption_is_asked_of_newcomers_alone_and_counted_over_kinds(store, log, cut):
    users = np.arange(store.n_users)
    seen = touched(store, users, cut=cut, end=store.newest + 1)
    outcome = adoption(seen)
    assert outcome.name == "adoption of a new category"
    assert outcome.kind == "mean auc"
    old, new = (
        pairs(before(log.events, cut), "category"),
        pairs(since(log.events, cut), "category"),
    )
    ids = store.user_ids().to_list()
    asked = {part.name.removeprefix("adoption of "): part for part in outcome.parts}
    taken_up = np.zeros(len(ids))
    for kind in store.vocabulary("category"):
        newcomers = [(user, kind) not in old for user in ids]
        adopted = np.array([(user, kind) in new for user in ids])
        rate = adopted[newcomers].mean()
        if not (ADOPTION_RATES[0] <= rate <= ADOPTION_RATES[1] and kind in asked):
            assert kind not in asked
            continue
        assert asked[kind].population.tolist() == newcomers
        assert asked[kind].values[asked[kind].population].tolist() == adopted[newcomers].tolist()
        taken_up += adopted & newcomers
    assert outcome.values.tolist() == taken_up.tolist()
    assert len(asked) > 2


def test_later_kinds_ask_everybody(store, cut):
    users = np.arange(store.n_users)
    outcome = later_kinds(touched(store, users, cut=cut, end=cut + 5 * DAY_US))
    assert outcome.name == "later categories"
    assert all(part.population.all() for part in outcome.parts)
    assert all(0.02 <= part.values.mean() <= 0.98 for part in outcome.parts)
    assert outcome.values.tolist() == sum(part.values for part in outcome.parts).tolist()


def some_events(n_items, **columns):
    rows = [(f"u{user}", "view" if user % 2 else "buy", user / 99) for user in range(n_items)]
    items = pl.Series("item", [f"item {user}" for user in range(n_items)])
    return events_of(rows).with_columns(items, **columns)


@pytest.mark.parametrize(
    ("events", "field"),
    [
        (some_events(MAX_ITEMS, category=pl.lit("one")), "category"),
        (some_events(MAX_ITEMS), "item"),
        (some_events(MAX_ITEMS + 1), "event"),
        (some_events(5).drop("item"), "event"),
    ],
)
def test_the_field_of_taste_is_the_coarsest_that_says_what_it_was_about(make_store, events, field):
    store = make_store(events)
    found, codes = taste_kinds(store, np.arange(store.n_users), end=store.newest + 1)
    assert found == field
    assert sorted(codes) == list(range(1, len(store.vocabulary(field)) + 1))


def test_kinds_come_by_their_number_of_events_before_the_end_and_then_by_text(make_store):
    kinds = {"rare": 1, "twin b": 3, "twin a": 3, "common": 5}
    rows = [(f"u{user}", "view", day) for user, day in enumerate([0.0] * 12 + [5.0] * 40)]
    named = [kind for kind, count in kinds.items() for _ in range(count)]
    events = events_of(rows).with_columns(
        pl.Series("category", named + ["rare"] * 20 + ["later"] * 20)
    )
    store = make_store(events)
    users, end = np.arange(store.n_users), START_US + DAY_US
    seen = touched(store, users, cut=end - 1, end=end)
    assert seen.kinds == ("common", "twin a", "twin b", "rare")
    assert seen.before.sum(axis=0).tolist() == [5, 3, 3, 1]
    assert taste_kinds(store, users, end=START_US) == ("event", pytest.approx([]))


def test_what_users_turn_to_is_asked_without_a_look_past_the_end(make_store):
    """Kinds, types and items that come or grow common later do not change what is asked."""
    generator = np.random.default_rng(0)
    share = np.array([0.4, 0.3, 0.2, 0.1])
    day = generator.uniform(0, 60, 20_000)
    late = day >= 20
    code = np.where(
        late, generator.choice(4, 20_000, p=share[::-1]), generator.choice(4, 20_000, p=share)
    )
    rows = zip(
        [f"u{user}" for user in generator.integers(0, 200, 20_000)],
        [f"type {one}" for one in code],
        day,
        strict=True,
    )
    events = events_of(list(rows)).with_columns(
        pl.Series("item", [f"item {one}" for one in np.where(late, np.arange(20_000), code)])
    )
    store = make_store(events)
    users, cut, end = np.arange(store.n_users), START_US + 15 * DAY_US, START_US + 20 * DAY_US

    def asked(given):
        seen = touched(given, users, cut=cut, end=end)
        assert seen.field == "item"
        made = future_outcomes(given, users, cut=cut, end=end)
        made += taste_outcomes(given, users, cut=cut, end=end)
        assert sum(one.kind == "auc" for one in made) > 1
        parts = [part.values[:, None] for one in made for part in one.asked]
        return np.hstack([seen.before, seen.after, *parts])

    check_blind(asked, store, until=end, what="an outcome")


def test_event_types_are_no_second_outcome_but_can_be_adopted(make_store):
    generator = np.random.default_rng(0)
    rows = [(f"u{user}", "view", day) for user in range(300) for day in (0, 9)]
    rows += [(f"u{user}", "buy", 0) for user in range(100)]
    rows += [(f"u{user}", "buy", 10) for user in range(300) if generator.random() < 0.2]
    store = make_store(events_of(rows))
    seen = touched(store, np.arange(300), cut=START_US + 5 * DAY_US, end=store.newest + 1)
    assert later_kinds(seen) is None
    outcome = adoption(seen)
    assert outcome.name == "adoption of a new event type"
    (part,) = outcome.parts
    assert part.population.sum() == 200
    made = taste_outcomes(store, np.arange(300), cut=START_US + 5 * DAY_US, end=store.newest + 1)
    assert [one.name for one in made] == ["adoption of a new event type"]


def test_nothing_is_asked_where_nobody_takes_anything_up(store):
    end = store.newest + 1
    assert taste_outcomes(store, np.arange(store.n_users), cut=end, end=end + DAY_US) == ()
