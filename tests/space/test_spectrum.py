"""Spectra: one thing changes, in even steps, and the rest stays as it was."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.linear_model import LinearRegression

from segmenter.errors import SpaceError
from segmenter.space.spectrum import along, anchored_spectrum, nearest_members, random_spectrum
from tests.space.clouds import clouds, seeds


@settings(max_examples=30)
@given(clouds, seeds, st.integers(2, 12))
def test_a_spectrum_has_members_once_in_the_order_of_the_axis(vectors, seed, n_steps) -> None:
    axis = np.random.default_rng(seed).standard_normal(vectors.shape[1])
    found = anchored_spectrum(vectors, axis, n_steps=n_steps)
    assert len(np.unique(found.rows)) == n_steps
    assert (np.diff(found.positions) >= 0).all()
    assert 1 / (n_steps - 1) - 1e-9 <= found.largest_step <= 1
    assert 0 < found.range_used <= 1


@settings(max_examples=30)
@given(clouds, seeds)
def test_nothing_that_is_left_goes_along_with_the_position(vectors, seed) -> None:
    axis = np.random.default_rng(seed).standard_normal(vectors.shape[1])
    positions, remainders = along(vectors, axis)
    raw = vectors @ axis / np.linalg.norm(axis)
    np.testing.assert_allclose(positions, (raw - raw.mean()) / raw.std(), atol=1e-6)
    np.testing.assert_allclose(positions @ remainders, 0, atol=1e-6 * np.abs(vectors).sum())
    expected = LinearRegression().fit(positions[:, None], vectors)
    np.testing.assert_allclose(
        remainders, vectors - expected.predict(positions[:, None]), atol=1e-7
    )


def test_what_is_not_on_the_axis_stays_like_the_anchor() -> None:
    generator = np.random.default_rng(0)
    kinds = generator.integers(0, 2, 800)
    vectors = np.stack([generator.uniform(-1, 1, 800), 3.0 * kinds], axis=1)
    vectors += 0.05 * generator.standard_normal((800, 2))
    anchor = int(np.flatnonzero(kinds == 1)[0])
    found = anchored_spectrum(vectors, np.array([1.0, 0.0]), anchor=anchor)
    control = random_spectrum(vectors, np.array([1.0, 0.0]))
    assert (kinds[found.rows] == 1).all()
    assert 0 < kinds[control.rows].mean() < 1
    assert found.apart < control.apart
    assert found.largest_step < 0.2 < control.largest_step


def test_the_nearest_member_is_never_the_one_that_was_moved() -> None:
    vectors = np.arange(12.0)[:, None]
    rows = np.arange(12)
    found = nearest_members(vectors, vectors + 0.1, without=rows)
    assert found.tolist() == [*range(1, 12), 10]


def test_an_axis_that_tells_nobody_apart_is_refused() -> None:
    vectors = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    with pytest.raises(SpaceError, match="tell members apart"):
        anchored_spectrum(vectors, np.array([0.0, 1.0]), n_steps=2)
    with pytest.raises(SpaceError, match="tell members apart"):
        anchored_spectrum(vectors, np.zeros(2), n_steps=2)
    with pytest.raises(SpaceError, match="a member for each; found 4"):
        anchored_spectrum(vectors, np.array([1.0, 0.0]), n_steps=4)
