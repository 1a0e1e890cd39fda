"""Baselines equal plain polars and hand-made tables, and KMeans finds what is there to find."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import adjusted_rand_score

from segmenter.validity.baselines import (
    MAX_PAIRED,
    MAX_VALUES,
    demographic_rules,
    kmeans_cells,
    quantile_cells,
    rfm_cells,
)
from tests.validity.reference import before, events_of, per_user

FLOATS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80)


@settings(deadline=None)
@given(values=FLOATS, bins=st.integers(1, 12))
def test_quantile_cells_keep_the_order_and_equal_values_together(values, bins):
    cells = quantile_cells(np.array(values), bins)
    assert cells.min() >= 0
    assert cells.max() < bins
    order = np.argsort(values, kind="stable")
    assert (np.diff(cells[order]) >= 0).all()
    for value in set(values):
        assert len(set(cells[np.array(values) == value].tolist())) == 1


@given(n=st.integers(1, 200), bins=st.integers(1, 12), seed=st.integers(0, 99))
def test_quantile_cells_of_different_values_are_even(n, bins, seed):
    sizes = np.bincount(
        quantile_cells(np.random.default_rng(seed).permutation(n) * 1.0, bins), minlength=bins
    )
    assert sizes.max() - sizes.min() <= 1


def polars_cells(table: pl.DataFrame, columns: tuple[str, str, str], bins: int) -> list[int]:
    """The documented cells, by polars' own ranks."""
    n = len(table)
    cell = [
        ((pl.col(name).rank("average") - 1) * bins / n).floor().cast(pl.Int64) for name in columns
    ]
    return table.select((cell[0] * bins + cell[1]) * bins + cell[2]).to_series().to_list()


@pytest.mark.parametrize("bins", [3, 5])
@pytest.mark.parametrize("value", [True, False])
def test_rfm_cells_equal_plain_polars(*, log, store, cut, bins, value, make_store):
    events = log.events if value else log.events.drop("value")
    used = store if value else make_store(events)
    users = np.arange(0, used.n_users, 2)
    table = per_user(
        before(events, cut),
        used,
        pl.col("time").max().dt.epoch("us").alias("last"),
        pl.col("time").dt.date().n_unique().alias("days"),
        (pl.col("value").sum() if value else pl.len()).alias("worth"),
        users=users,
    )
    expected = polars_cells(table, ("last", "days", "worth"), bins)
    assert rfm_cells(used, users, until=cut, bins=bins).tolist() == expected


PEOPLE = pl.DataFrame(
    {
        "user_id": ["a", "b", "c", "d", "e", "f"],
        "region": ["north", "north", "south", "south", None, "north"],
        "income": [1.0, 1.0, 2.0, float("nan"), 2.0, 2.0],
        "alone": ["yes"] * 6,
    }
)


def members(rule: np.ndarray, users: list[str]) -> list[list[str]]:
    """Users of each group, in order of the groups' first members."""
    groups: dict[int, list[str]] = {}
    for group, user in zip(rule.tolist(), users, strict=True):
        groups.setdefault(group, []).append(user)
    return sorted(groups.values())


def test_rules_group_users_by_attributes_and_by_pairs():
    users = ["a", "b", "c", "d", "e", "f", "stranger"]
    rules = demographic_rules(PEOPLE, pl.Series(users))
    assert {name: members(rule, users) for name, rule in rules.items()} == {
        "region": [["a", "b", "f"], ["c", "d"], ["e", "stranger"]],
        "income": [["a", "b"], ["c", "e", "f"], ["d", "stranger"]],
        "region x income": [["a", "b"], ["c"], ["d"], ["e"], ["f"], ["stranger"]],
    }


def test_columns_that_tell_nobody_apart_or_everybody_make_no_rule():
    rules = demographic_rules(PEOPLE.select("user_id", "alone"), PEOPLE["user_id"])
    assert rules == {}
    people = pl.DataFrame(
        {
            "user_id": [f"{user}" for user in range(90)],
            "email": [f"{user}@example.org" for user in range(90)],
            "tags": [[user % 2] for user in range(90)],
            "half": [user % 2 for user in range(90)],
        }
    )
    assert list(demographic_rules(people, people["user_id"])) == ["half"]


def test_a_number_with_many_values_is_cut_into_bands_and_a_text_into_its_common_values():
    n = 400
    people = pl.DataFrame(
        {
            "user_id": [f"{user}" for user in range(n)],
            "age": [20 + user % 60 for user in range(n)],
            "city": [f"city {min(user % 50, 41)}" for user in range(n)],
        }
    )
    rules = demographic_rules(people, people["user_id"])
    age = np.array(people["age"])
    bands = [age[rules["age"] == group] for group in np.unique(rules["age"])]
    assert len(bands) == 5
    assert sum(band.max() - band.min() + 1 for band in bands) == 60
    assert len(np.unique(rules["city"])) == MAX_VALUES + 1
    (rest,) = [
        group
        for group in np.unique(rules["city"])
        if people.filter(pl.Series(rules["city"] == group))["city"].n_unique() > 1
    ]
    assert people.filter(pl.Series(rules["city"] == rest))["city"].n_unique() == 42 - MAX_VALUES


def test_only_the_best_known_attributes_are_paired_and_a_user_counts_once():
    n = 60
    columns = {
        f"trait {place}": [None if user < 4 * place else user % 2 for user in range(n)]
        for place in range(MAX_PAIRED + 2)
    }
    people = pl.DataFrame({"user_id": [f"{user}" for user in range(n)], **columns})
    rules = demographic_rules(pl.concat([people, people]), people["user_id"])
    paired = [name for name in rules if " x " in name]
    assert len(paired) == MAX_PAIRED * (MAX_PAIRED - 1) // 2
    assert not any(f"trait {MAX_PAIRED}" in name for name in paired)
    assert all(len(rule) == n for rule in rules.values())


def test_kmeans_finds_the_planted_personas_and_repeats_itself(store, personas, cut):
    users = np.arange(store.n_users)
    cells = kmeans_cells(store, users, until=cut, n_segments=4, seed=0)
    assert adjusted_rand_score(personas.to_list(), cells) > 0.6
    assert np.array_equal(cells, kmeans_cells(store, users, until=cut, n_segments=4, seed=0))


def test_kmeans_makes_no_more_clusters_than_there_are_kinds_of_users(make_store):
    rows = [
        (f"u{user}", "view" if user % 2 else "buy", day) for user in range(20) for day in (0, 1)
    ]
    store = make_store(events_of(rows))
    cells = kmeans_cells(store, np.arange(20), until=store.newest + 1, n_segments=9, seed=0)
    expected = [int(user.removeprefix("u")) % 2 for user in store.user_ids()]
    assert adjusted_rand_score(expected, cells) == 1


@pytest.mark.parametrize("n_users", [1, 2])
def test_a_user_or_two_can_be_clustered(make_store, n_users):
    store = make_store(events_of([(f"u{user}", "view", user) for user in range(n_users)]))
    users = np.arange(n_users)
    assert len(kmeans_cells(store, users, until=store.newest + 1, n_segments=3, seed=0)) == n_users
    assert len(rfm_cells(store, users, until=store.newest + 1, bins=3)) == n_users
