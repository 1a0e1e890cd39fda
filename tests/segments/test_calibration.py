"""Calibration of strength: what a plain loop over users says, and zero where strength is true."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.segments.calibration import Calibration, calibrate, kept_shares


def clouds(n_users, seed):
    """Users between two prototypes, their segments, and prototypes of other fits."""
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(n_users, 2))
    prototypes = np.array([[1.0, 0.0], [-1.0, 0.0]])
    segment = 1 + (points[:, 0] < 0).astype(int)
    halves = [prototypes[::-1] + generator.normal(0, 0.3, (2, 2)) for _ in range(4)]
    return points, segment, halves


@settings(max_examples=30)
@given(st.integers(10, 80), st.integers(0, 500))
def test_the_error_is_that_of_a_loop_over_bins(n_users, seed) -> None:
    points, segment, halves = clouds(n_users, seed)
    strength = np.random.default_rng(seed + 1).random(n_users).astype(np.float32)
    found = calibrate(strength, segment, points, halves=halves)
    labels = [
        np.linalg.norm(points[:, None] - prototypes, axis=2).argmin(1) for prototypes in halves
    ]
    kept = kept_shares(segment, labels)
    error = 0.0
    for low in range(10):
        inside = (strength >= low / 10) & (strength < (low + 1) / 10)
        if inside.any():
            error += abs(strength[inside].mean() - kept[inside].mean()) * inside.mean()
    assert found.error == pytest.approx(error, abs=1e-5)
    assert sum(bin_.n_users for bin_ in found.bins) == n_users
    assert Calibration.from_json(found.to_json()) == found


def test_segments_are_matched_whatever_their_numbers() -> None:
    segment = np.array([5, 5, 5, 9, 9, 9])
    same, one_moved = np.array([1, 1, 1, 0, 0, 0]), np.array([0, 0, 1, 1, 1, 1])
    np.testing.assert_allclose(kept_shares(segment, [same]), 1)
    np.testing.assert_allclose(kept_shares(segment, [same, one_moved]), [1, 1, 0.5, 1, 1, 1])


def test_strength_that_is_the_kept_share_has_no_error() -> None:
    points, segment, halves = clouds(3_000, 4)
    labels = [
        np.linalg.norm(points[:, None] - prototypes, axis=2).argmin(1) for prototypes in halves
    ]
    true = kept_shares(segment, labels)
    assert calibrate(true, segment, points, halves=halves).error == pytest.approx(0, abs=1e-9)
    wrong = calibrate(1 - true, segment, points, halves=halves).error
    assert wrong > 0.5
    assert calibrate(true, segment, points, halves=()) is None
