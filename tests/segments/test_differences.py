"""Differences with intervals: published figures, and the truth inside as often as promised."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import norm

from segmenter.segments import profiles
from segmenter.segments.differences import median_difference, share_difference, share_score


@pytest.mark.parametrize(
    ("counts", "ends"),
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),  # Newcombe 1998, table II, method 10
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
    ],
)
def test_intervals_are_those_of_newcombes_table(monkeypatch, counts, ends) -> None:
    monkeypatch.setattr(profiles, "CONFIDENCE", 0.95)
    found = share_difference(*counts)
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-4)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_other_way_round_the_signs_change(here, there) -> None:
    found, other = share_difference(here, 40, there, 40), share_difference(there, 40, here, 40)
    assert (found.low, found.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert found.low - 1e-12 <= found.difference <= found.high + 1e-12
    assert share_score(here, 40, there, 40) == pytest.approx(-share_score(there, 40, here, 40))
    assert found.is_apart == (found.low > 0 or found.high < 0)


def test_the_true_difference_of_medians_is_inside_as_often_as_promised() -> None:
    generator, inside = np.random.default_rng(0), 0
    for seed in range(120):
        here, there = generator.lognormal(1, 1, 60), generator.lognormal(0, 1, 80)
        found = median_difference(here, there, seed=seed)
        inside += found.low <= np.e - 1 <= found.high
    spread = np.sqrt(0.9 * 0.1 / 120)
    assert abs(inside / 120 - 0.9) < norm.ppf(0.999) * spread
