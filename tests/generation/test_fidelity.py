"""Fidelity and privacy: what the figures say of copies, of chance and of nonsense."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.events.samples import planted_personas
from segmenter.generation.comparison import changes
from segmenter.generation.detection import correct, told_apart
from segmenter.generation.features import FAMILIES, Looks
from segmenter.generation.fidelity import Fidelity, coverage, measure_fidelity
from segmenter.generation.markov import markov_control
from segmenter.generation.privacy import measure_privacy


@pytest.fixture(scope="module")
def halves() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two halves of planted users."""
    log = planted_personas(240, seed=5, n_days=20).events.sort("user", "time", maintain_order=True)
    log = log.with_columns(seq=pl.int_range(pl.len()).over("user"))
    users = log["user"].unique(maintain_order=True)
    inside = log["user"].is_in(users.sample(120, seed=0).implode())
    return log.filter(inside), log.filter(~inside)


@pytest.fixture(scope="module")
def measured(halves: tuple[pl.DataFrame, pl.DataFrame]) -> dict[str, Fidelity]:
    learned, held_out = halves
    sets = {"copy": learned, "markov": markov_control(learned, n=120, seed=0)}
    return {
        name: measure_fidelity(one, held_out, learned=learned, seed=0)
        for name, one in sets.items()
    }


def test_a_copy_of_real_users_is_hardly_told_from_others(measured: dict[str, Fidelity]) -> None:
    assert abs(measured["copy"].told_apart - 0.5) < 0.12
    assert measured["copy"].coverage > 0.9
    assert measured["copy"].length_distance < 0.2


def test_a_markov_chain_is_told_from_real_users(measured: dict[str, Fidelity]) -> None:
    assert measured["markov"].told_apart > measured["copy"].told_apart + 0.2
    assert measured["markov"].type_divergence < 0.05  # though its types are those of real users


def test_every_family_is_measured(measured: dict[str, Fidelity]) -> None:
    assert list(measured["copy"].by_family) == list(FAMILIES)


def test_a_set_is_no_distance_from_itself(halves: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    users = halves[0]["user"].unique(maintain_order=True).head(40)
    few = halves[0].filter(pl.col("user").is_in(users.implode()))
    found = measure_fidelity(few, few, learned=few, seed=0)
    assert found.gap_distance == found.length_distance == found.value_distance == 0
    assert found.type_divergence == pytest.approx(0, abs=1e-12)
    assert found.coverage == 1


def test_features_are_what_a_plain_count_says() -> None:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    minutes = (0, 10, 70)
    events = pl.DataFrame(
        {
            "user": ["a"] * 3 + ["b"],
            "time": [start + dt.timedelta(minutes=one) for one in minutes] + [start],
            "event": ["view", "view", "buy", "view"],
            "category": ["x", "x", None, "y"],
            "value": [None, 1.0, 3.0, None],
        }
    )
    table = Looks.of(events).table(events)
    told = dict(zip(table.names, table.values[0], strict=True))
    assert told["mix: share of view"] == pytest.approx(2 / 3)
    assert told["order: share of view > view"] == pytest.approx(1 / 3)
    assert told["order: first buy"] == pytest.approx(2 / 3)
    assert told["time: short gaps"] == 0.5
    assert told["time: mean gap"] == pytest.approx(np.log10([601, 3601]).mean())
    assert told["category: share of x"] == pytest.approx(2 / 3)
    assert told["value: greatest"] == pytest.approx(np.log(4))
    assert np.isnan(dict(zip(table.names, table.values[1], strict=True))["time: mean gap"])


def shifted(n: int, shift: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, (n, 3))


def test_a_correction_brings_a_shifted_set_nearer_and_repeats_nobody() -> None:
    real, made = shifted(400, 0.0, 0), shifted(1600, 0.7, 1)
    found = correct(real, made, n=400, seed=0)
    assert found.applied
    assert len(set(found.rows.tolist())) == 400
    assert 0.2 < found.effective_share < 1
    assert abs(made[found.rows].mean()) < 0.7 * abs(made.mean())


def test_a_correction_that_few_would_survive_is_not_made() -> None:
    found = correct(shifted(400, 0.0, 0), shifted(1600, 3.0, 1), n=400, seed=0)
    assert not found.applied
    assert found.rows.tolist() == list(range(400))


@settings(max_examples=3)
@given(seed=st.integers(0, 100))
def test_chance_is_told_apart_by_chance(seed: int) -> None:
    assert abs(told_apart(shifted(300, 0, seed), shifted(300, 0, seed + 101), seed=0) - 0.5) < 0.1


def test_a_feature_of_nobody_is_no_obstacle() -> None:
    real, made = (np.hstack([shifted(60, 0, seed), np.full((60, 1), np.nan)]) for seed in (0, 1))
    assert 0.2 < told_apart(real, made, seed=0) < 0.8
    assert told_apart(real, made + 2, seed=0) > 0.8


def test_coverage_counts_those_who_have_somebody_near() -> None:
    real = shifted(100, 0.0, 0)
    assert coverage(real, real) == 1
    assert coverage(real, real + 100) == 0
    assert 0 < coverage(real, real[:10]) < 1


@pytest.fixture(scope="module")
def rare() -> dict[str, list[str]]:
    return {"category": ["category 3"]}


def test_copies_are_found_out(
    halves: tuple[pl.DataFrame, pl.DataFrame], rare: dict[str, list[str]]
) -> None:
    learned, held_out = halves
    found = measure_privacy(learned, learned=learned, held_out=held_out, rare=rare, seed=0)
    assert found.exact_copies == sum(learned.group_by("user").len()["len"] > 1)
    assert found.nearer_to_learned == 1
    assert found.attacks[0].area > 0.95
    assert found.copied_runs > found.copied_runs_held_out + 0.3


def test_other_users_give_nothing_away(
    halves: tuple[pl.DataFrame, pl.DataFrame], rare: dict[str, list[str]]
) -> None:
    learned, held_out = halves
    users = held_out["user"].unique(maintain_order=True)
    inside = held_out["user"].is_in(users.head(60).implode())
    made, others = held_out.filter(inside), held_out.filter(~inside)
    found = measure_privacy(made, learned=learned, held_out=others, rare=rare, seed=0)
    assert found.exact_copies == 0
    assert abs(found.nearer_to_learned - 0.5) < 0.2
    assert found.attacks[0].low < 0.6
    assert found.rare_values["category"] == int("category 3" in made["category"].to_list())


def test_a_change_is_told_with_its_interval(halves: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    learned, _ = halves
    dearer = learned.with_columns(pl.col("value") * 3)
    found = changes(learned, dearer, looks=Looks.of(learned))
    assert found
    assert all(one.feature.startswith("value") for one in found)
    assert all(one.low <= one.after - one.before <= one.high for one in found)
    assert not changes(learned, learned, looks=Looks.of(learned))
