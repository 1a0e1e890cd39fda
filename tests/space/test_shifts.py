"""Shifts of distributions: zero for equals, and what independent formulas say otherwise."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import entropy

from segmenter.space.shifts import FLOOR, number_shift, stability_index, value_shift

counts = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any).map(np.array)
numbers = st.lists(st.integers(-50, 50), min_size=3, max_size=40).map(
    lambda values: np.array(values, dtype=float)
)


@given(counts, counts)
def test_the_divergence_is_the_mean_surprise_at_the_mixture(old, new) -> None:
    p, q = old / old.sum(), new / new.sum()
    middle = (p + q) / 2
    expected = np.sqrt((entropy(p, middle, base=2) + entropy(q, middle, base=2)) / 2)
    assert value_shift(old, new).jensen_shannon == pytest.approx(expected, abs=1e-6)
    assert 0 <= value_shift(old, new).jensen_shannon <= 1 + 1e-12


@given(counts, counts)
def test_the_stability_index_is_the_divergence_both_ways(old, new) -> None:
    p, q = (np.maximum(side / side.sum(), FLOOR) for side in (old, new))
    expected = entropy(p, q) + entropy(q, p)  # scipy makes them add up to one
    assert stability_index(old / old.sum(), new / new.sum()) == pytest.approx(expected, abs=1e-9)
    assert value_shift(old, new).psi == pytest.approx(value_shift(new, old).psi)


@given(numbers, numbers)
def test_numbers_are_compared_by_their_cumulative_distributions(old, new) -> None:
    places = np.unique(np.concatenate([old, new]))
    below = [np.array([(side <= place).mean() for place in places]) for side in (old, new)]
    apart = np.abs(below[0] - below[1])
    found = number_shift(old, new)
    assert found.ks == pytest.approx(apart.max())
    if old.std() == 0:
        assert found.wasserstein is None
    else:
        area = float((apart[:-1] * np.diff(places)).sum())
        assert found.wasserstein == pytest.approx(area / old.std())


@given(numbers)
def test_nothing_moved_is_zero(values) -> None:
    found = number_shift(values, values)
    assert (found.psi, found.ks) == (0, 0)
    assert found.jensen_shannon == pytest.approx(0, abs=1e-7)
