"""Habits: the same as a loop over one user's events at a time."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from segmenter.events.samples import planted_personas
from segmenter.validity.habits import MIN_EVENTS, medians, user_habits
from tests.models import make_store

HOUR_S = 3600


@pytest.fixture(scope="module")
def log():
    people = planted_personas(40, seed=8, n_days=20).events
    start = people["time"].min()
    clock = pl.DataFrame({"user": ["robot"] * 30, "step": range(30)}).select(
        "user",
        event=pl.lit("view"),
        time=pl.lit(start) + pl.duration(minutes=pl.col("step") * 10),
        item=pl.lit("item 0"),
        category=pl.lit("category 0"),
        value=pl.lit(-2.0),
    )
    return pl.concat([people, clock.cast({"time": people["time"].dtype})])


def test_each_habit_is_what_a_loop_over_the_user_says(log, tmp_path) -> None:
    store = make_store(log, tmp_path)
    until = store.newest + 1
    found = user_habits(store, np.arange(store.n_users), until=until)
    for place, user in enumerate(store.user_ids()):
        own = log.filter(pl.col("user") == user).sort("time")
        n_events, items = len(own), own["item"].value_counts()["count"]
        hours = own["time"].dt.hour()
        days = own["time"].dt.date().n_unique()
        expected = {
            "events": n_events,
            "active days": days,
            "events per active day": n_events / days,
            "distinct values": len(items),
            "median value": own["value"].drop_nulls().quantile(0.5, "lower"),
        }
        if n_events >= MIN_EVENTS:
            values = own["value"].drop_nulls()
            expected |= {
                "share of the commonest value": items.max() / n_events,
                "share of events at night": (hours < 5).mean(),
                "share of negative values": (values < 0).mean() if len(values) else 0.0,
            }
        for name, value in expected.items():
            told = found[name][place]
            assert np.isnan(told) if value is None else told == pytest.approx(value), name
    robot = store.user_ids().to_list().index("robot")
    assert found["share of regular gaps"][robot] == 1
    assert np.nanmax(np.delete(found["share of regular gaps"], robot)) < 0.7


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9)), max_size=30))
def test_medians_are_those_of_each_user(pairs) -> None:
    pairs.sort(key=lambda pair: pair[0])
    owner = np.array([user for user, _ in pairs], dtype=np.int64)
    values = np.array([value for _, value in pairs], dtype=float)
    for user, middle in enumerate(medians(values, owner, 5)):
        own = sorted(values[owner == user])
        assert middle == own[(len(own) - 1) // 2] if own else np.isnan(middle)
