"""Lift against scipy, against simulation, and what a person reads."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from segmenter.errors import ColumnError, ConfigError, SourceError
from serving.exports.control_group import IS_HELD, SEGMENT, TERCILE, ControlGroup
from serving.exports.ledger.ledger import open_ledger
from serving.exports.lift import lift_of, lifts


def table(outcomes: list[float], held: list[bool], terciles: list[int] | None = None):
    return pl.DataFrame(
        {
            "value": np.asarray(outcomes, dtype=float),
            IS_HELD: held,
            SEGMENT: [1] * len(held),
            TERCILE: terciles or [0] * len(held),
        }
    )


@settings(deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=30),
    st.lists(st.integers(-50, 50), min_size=2, max_size=30),
)
def test_one_stratum_is_the_test_of_welch(treated, control):
    found = lift_of(table([*treated, *control], [False] * len(treated) + [True] * len(control)), 1)
    assert found.effect == pytest.approx(np.mean(treated) - np.mean(control))
    assert found.total == pytest.approx(found.effect * len(treated))
    if np.var(treated) > 0 and np.var(control) > 0:  # scipy warns of an arm without variance
        known = stats.ttest_ind(treated, control, equal_var=False)
        assert found.p_value == pytest.approx(known.pvalue)
        interval = known.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_the_interval_holds_the_true_effect_at_its_level_and_strata_make_it_narrower():
    generator = np.random.default_rng(1)
    covered, narrower = [], []
    for _ in range(300):
        tercile = generator.integers(1, 4, 600)
        held = generator.random(600) < 0.3
        outcome = tercile * 5.0 + generator.normal(size=600) + ~held * 0.4
        found = lift_of(table(outcome, held.tolist(), tercile.tolist()), 1)
        plain = lift_of(table(outcome, held.tolist()), 1)
        covered.append(found.low <= 0.4 <= found.high)
        narrower.append(found.high - found.low < plain.high - plain.low)
    assert 0.91 < np.mean(covered) < 0.985
    assert all(narrower)


def test_the_detectable_effect_is_detected_in_four_of_five_experiments():
    generator = np.random.default_rng(2)
    held = np.repeat([True, False], [150, 350])
    detectable = np.sqrt(1 / 150 + 1 / 350) * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    hits, told = [], []
    for _ in range(400):
        outcome = generator.normal(size=500) + ~held * detectable
        found = lift_of(table(outcome, held.tolist()), 1)
        hits.append(found.p_value < 0.05)
        told.append(found.detectable)
    assert np.mean(told) == pytest.approx(detectable, rel=0.02)
    assert 0.74 < np.mean(hits) < 0.86


def test_strata_without_enough_users_are_pooled_and_tiny_tables_say_nothing():
    held = [True, False, False, True, False, False, True, False]
    found = lift_of(table([1, 2, 3, 4, 5, 6, 7, 8], held, [0, 0, 0, 1, 1, 1, 2, 2]), 1)
    assert (found.n_treated, found.n_control) == (5, 3)
    assert found.effect == pytest.approx(np.mean([2, 3, 5, 6, 8]) - np.mean([1, 4, 7]))
    assert lift_of(table([1, 2], [True, False]), 1) is None
    flat = lift_of(table([0, 0, 0, 0], [True, True, False, False]), 1)
    assert (flat.effect, flat.low, flat.high, flat.power) == (0, 0, 0, None)


def test_an_id_of_digits_keeps_its_zeros_in_a_csv(tmp_path):
    users = [f"{n:04d}" for n in range(40)]
    people = pl.DataFrame({"user_id": users, "segment_id": [1] * 40})
    with open_ledger(tmp_path / "ledger.db") as ledger:
        group = ControlGroup(ledger.salt, 0.5)
        held = group.draw(people)
        ledger.prepare([], group.fresh)
        sales = people.select("user_id", sales=pl.lit(5.0)).filter(~held)
        sales.write_csv(tmp_path / "outcomes.csv")
        (found, _) = lifts(ledger, tmp_path / "outcomes.csv")
    assert (found.treated, found.control) == (5.0, 0.0)


def test_outcomes_are_joined_by_salted_hash_and_missing_ones_are_nothing(tmp_path):
    users = [f"customer-{n}" for n in range(400)]
    people = pl.DataFrame({"user_id": users, "segment_id": [1] * 200 + [2] * 200})
    with open_ledger(tmp_path / "ledger.db") as ledger:
        with pytest.raises(ConfigError, match="has no control group"):
            lifts(ledger, tmp_path / "outcomes.parquet")
        group = ControlGroup(ledger.salt, 0.25)
        held = group.draw(people)
        ledger.prepare([], group.fresh)
        bought = pl.DataFrame({"user_id": users, "sales": [5.0] * 400}).filter(~held)
        twice = pl.concat([bought, bought.with_columns(sales=pl.lit(1.0))])
        twice.write_parquet(tmp_path / "outcomes.parquet")
        found = {one.segment: one for one in lifts(ledger, tmp_path / "outcomes.parquet")}
        for name, columns, said in (
            ("two", {"sales": pl.lit(1.0), "visits": pl.lit(1)}, "pass --outcome NAME"),
            ("none", {"sales": pl.lit("x")}, "pass --outcome NAME"),
        ):
            bought.with_columns(**columns).write_parquet(tmp_path / f"{name}.parquet")
            with pytest.raises(ColumnError, match=said):
                lifts(ledger, tmp_path / f"{name}.parquet")
        with pytest.raises(SourceError, match="cannot read --outcomes"):
            lifts(ledger, tmp_path / "nowhere.csv")
        for user in users[:5]:
            assert user.encode() not in (tmp_path / "ledger.db").read_bytes()
    assert list(found) == ["all", 1, 2]
    assert (found["all"].n_treated, found["all"].n_control) == (300, 100)
    assert (found[1].effect, found[1].control) == (6.0, 0.0)
    json.dumps([one.to_json() for one in found.values()], allow_nan=False)
