"""Outcomes are what the log says of the time after the cut, and nothing else."""

import numpy as np
import polars as pl
import pytest

from segmenter.validity.outcomes import MIN_POSITIVES, Outcome, future_outcomes
from tests.validity.reference import DAY_US, START_US, events_of, per_user, since


def by_name(outcomes):
    return {outcome.name: outcome for outcome in outcomes}


def test_amounts_and_occurrences_are_those_of_the_log_after_the_cut(store, log, cut):
    users = np.random.default_rng(0).permutation(store.n_users)[:500]
    end = cut + 14 * DAY_US
    outcomes = by_name(future_outcomes(store, users, cut=cut, end=end))
    later = since(log.events, cut).filter(pl.col("time").dt.epoch("us") < end)
    kinds = ("view", "cart", "purchase", "search")
    table = per_user(
        later,
        store,
        pl.col("value").sum().alias("later spend"),
        pl.len().alias("later events"),
        *[
            (pl.col("event") == kind).any().cast(pl.Float64).alias(f"later {kind}")
            for kind in kinds
        ],
        users=users,
    )
    positives = {kind: table[f"later {kind}"].sum() for kind in kinds}
    telling = [kind for kind in kinds if MIN_POSITIVES <= positives[kind] <= 500 - MIN_POSITIVES]
    assert 1 < len(telling) < len(kinds)
    asked = {"later spend", "later events", *(f"later {kind}" for kind in telling)}
    assert asked == set(outcomes)
    for name in ("later spend", "later events"):
        np.testing.assert_allclose(outcomes[name].amounts, table[name], atol=1e-9)
        np.testing.assert_allclose(outcomes[name].values, np.log1p(table[name].to_numpy()))
        assert outcomes[name].kind == "r2"
    for kind in telling:
        assert outcomes[f"later {kind}"].values.tolist() == table[f"later {kind}"].to_list()
        assert outcomes[f"later {kind}"].kind == "auc"
    assert all(outcome.population.all() for outcome in outcomes.values())


def test_returns_worth_more_than_purchases_count_as_no_spend(make_store):
    rows = [
        (f"u{user}", "buy", day, value)
        for user in range(100)
        for day, value in ((0, 5.0), (2, 1.0 + user), (3, -50.0))
    ]
    store = make_store(events_of(rows, ("user", "event", "day", "value")))
    users = np.arange(100)
    spend = by_name(future_outcomes(store, users, cut=START_US + DAY_US))["later spend"]
    expected = [max(0.0, int(user[1:]) + 1 - 50.0) for user in store.user_ids()]
    assert spend.amounts.tolist() == pytest.approx(expected)


def occurrence(n_yes: int, n: int) -> Outcome:
    values = np.zeros(n)
    values[:n_yes] = 1
    return Outcome("later", "auc", values, np.ones(n, dtype=bool))


@pytest.mark.parametrize("n", [60, 500, 5_000])
def test_a_yes_or_no_needs_two_percent_and_thirty_users_on_both_sides(n):
    least = max(MIN_POSITIVES, -(-n // 50))
    assert occurrence(least, n).is_telling()
    assert occurrence(n - least, n).is_telling()
    assert not occurrence(least - 1, n).is_telling()
    assert not occurrence(n - least + 1, n).is_telling()


def test_an_amount_needs_thirty_users_off_the_usual():
    values = np.zeros(500)
    values[: MIN_POSITIVES - 1] = np.arange(MIN_POSITIVES - 1) + 1
    everybody = np.ones(500, dtype=bool)
    assert not Outcome("later", "r2", values, everybody).is_telling()
    values[MIN_POSITIVES] = 7
    assert Outcome("later", "r2", values, everybody).is_telling()


def test_an_outcome_among_fewer_is_asked_of_those_in_both_populations():
    outcome = Outcome("later", "r2", np.arange(4.0), np.array([True, True, False, False]))
    fewer = outcome.among(np.array([True, False, True, False]), name="known")
    assert fewer.population.tolist() == [True, False, False, False]
    assert fewer.population_name == "known"
    assert outcome.population.tolist() == [True, True, False, False]


def test_nothing_is_asked_where_nobody_did_anything_later(store):
    users = np.arange(store.n_users)
    assert future_outcomes(store, users, cut=store.newest + 1, end=store.newest + DAY_US) == ()


def test_a_log_without_values_asks_for_no_spend(make_store, log, cut):
    store = make_store(log.events.drop("value"))
    outcomes = by_name(future_outcomes(store, np.arange(store.n_users), cut=cut))
    assert "later events" in outcomes
    assert "later spend" not in outcomes
