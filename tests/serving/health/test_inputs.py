"""Drift of inputs: users count alike, robots move nothing, planted changes are found."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from segmenter.autoencoder.config import DAY_US
from segmenter.events.samples import planted_personas
from serving.health import inputs
from serving.health.inputs import GAP, HOUR, Span, input_drifts, spans
from tests.models import make_store

N_USERS = 160


@pytest.fixture(scope="module")
def log():
    return planted_personas(N_USERS, seed=5, n_days=40).events


@pytest.fixture(scope="module")
def store(log, tmp_path_factory):
    return make_store(log, tmp_path_factory.mktemp("inputs"))


def drifts(old, new):
    whole = (Span(side, None, side.newest + 1) for side in (old, new))
    return {drift.field: drift for drift in input_drifts(*whole, seed=0)}


def test_the_same_events_do_not_drift(store) -> None:
    found = drifts(store, store)
    assert {"event", "item", "category", "value", HOUR, GAP} <= set(found)
    for name, drift in found.items():
        assert drift.shift.psi == pytest.approx(0, abs=0.05 if name in ("value", GAP) else 1e-12)


def test_a_robot_with_more_events_than_all_users_moves_nothing(log, store, tmp_path) -> None:
    n_events = 3 * len(log)
    robot = log[:1].select(pl.exclude("time", "user").repeat_by(n_events).explode())
    times = log["time"].min() + pl.Series(np.arange(n_events) * 60_000_000).cast(pl.Duration("us"))
    robot = robot.with_columns(user=pl.lit("robot"), time=times).select(log.columns)
    found = drifts(store, make_store(pl.concat([log, robot]), tmp_path))
    assert max(drift.shift.psi for drift in found.values()) < 0.05


def test_planted_changes_are_found_in_their_fields_alone(log, store, tmp_path) -> None:
    event = pl.when(pl.col("event") == "view").then(pl.lit("swipe")).otherwise(pl.col("event"))
    later = log.with_columns(event.alias("event"), pl.col("time") + timedelta(hours=6))
    found = drifts(store, make_store(later.with_columns(pl.col("value") * 3), tmp_path))
    assert {name for name, drift in found.items() if drift.shift.psi > 0.25} == {
        *("event", "value", HOUR)
    }
    assert {change.value for change in found["event"].changes[:2]} == {"view", "swipe"}
    assert found["value"].shift.wasserstein > 0.5


def test_shares_are_means_over_users(log, store) -> None:
    own = log.group_by("user", "event").len()
    shares = own.with_columns(pl.col("len") / pl.col("len").sum().over("user"))
    expected = dict(shares.group_by("event").agg(pl.col("len").sum() / N_USERS).rows())
    users = np.arange(store.n_users)
    told, n_users = inputs._shares("event", Span(store, None, store.newest + 1), users)
    assert n_users == N_USERS
    assert {text: weight / n_users for text, weight in told.items()} == pytest.approx(expected)


def test_what_came_since_is_compared_with_what_was_before(store) -> None:
    middle = store.oldest + 20 * DAY_US
    old, new = spans(store, store, old_as_of=middle, new_as_of=store.newest)
    assert (old.start, old.end, new.start, new.end) == (
        *(None, middle + 1),
        *(middle + 1, store.newest + 1),
    )
    assert spans(store, store, old_as_of=middle, new_as_of=middle)[1].start is None
    assert max(drift.shift.psi for drift in input_drifts(old, new, seed=0)) < 0.25
