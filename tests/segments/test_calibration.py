"""Reliability of strength: figures by hand, by an oracle, and of a strength that says nothing."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.calibration import calibration_curve

from segmenter.segments.calibration import N_BINS, Reliability, measure_reliability


def crowd(seed: int, n_users: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(n_users, 2))
    segment = 3 + (points[:, 0] > 0) + 2 * (points[:, 1] > 0)
    return points, segment, generator.random(n_users).astype(np.float32)


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_the_curve_is_that_of_scikit_learn(seed: int) -> None:
    points, segment, strength = crowd(seed)
    half = np.random.default_rng(seed).normal(size=(4, 2))
    found = measure_reliability(
        segment, strength, points, halves=[half], owners=np.array([3, 4, 5, 6])
    )
    stays = np.array([3, 4, 5, 6])[((points[:, None] - half) ** 2).sum(2).argmin(1)] == segment
    share, mean = calibration_curve(stays, strength.astype(float), n_bins=N_BINS)
    np.testing.assert_allclose(found.kept, share, atol=1e-6)
    np.testing.assert_allclose(found.strength, mean, atol=1e-6)
    assert sum(found.users) == len(points)
    expected = np.abs(share - mean) @ np.array(found.users) / len(points)
    assert found.error == pytest.approx(expected, abs=1e-6)
    assert Reliability.from_json(found.to_json()) == found


def test_segments_of_a_half_are_matched_whatever_their_order() -> None:
    points, segment, strength = crowd(1)
    corners = np.array([[1.0, 1], [-1, 1], [1, -1], [-1, -1]])
    found = measure_reliability(segment, strength, points, halves=[corners, corners[::-1]])
    assert set(found.kept) == {1.0}
    assert found.error == pytest.approx(1 - strength.mean(), abs=1e-6)
    assert measure_reliability(segment, np.ones(200), points, halves=[corners]).error == 0
    assert measure_reliability(segment, strength, points, halves=[]) is None
