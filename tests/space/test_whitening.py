"""Whitening: unit spread, undone without loss, blind to how an encoder writes its coordinates."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from segmenter.errors import SpaceError
from segmenter.space.whitening import BLOCK_ROWS, fit_whitening, moments
from tests.space.clouds import affine, cloud, clouds, seeds


@settings(max_examples=60)
@given(clouds)
def test_a_whitened_crowd_has_unit_spread_everywhere_and_distances_of_mahalanobis(crowd) -> None:
    whitened = fit_whitening(crowd)(crowd)
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(crowd.shape[1]), atol=1e-8)
    np.testing.assert_allclose(whitened.mean(axis=0), 0, atol=1e-9)
    inverse = np.linalg.inv(np.cov(crowd.T))
    expected = pdist(crowd, "mahalanobis", VI=inverse)
    np.testing.assert_allclose(pdist(whitened), expected, rtol=1e-6)


@settings(max_examples=60)
@given(seeds, seeds)
def test_no_affine_change_of_the_vectors_changes_a_whitened_distance(seed, other) -> None:
    crowd = cloud(seed)
    linear, offset = affine(other)
    moved = crowd @ linear + offset
    np.testing.assert_allclose(
        pdist(fit_whitening(moved)(moved)), pdist(fit_whitening(crowd)(crowd)), rtol=1e-6
    )


@settings(max_examples=60)
@given(clouds, st.floats(0, 1), st.floats(0, 1))
def test_whitening_is_undone_for_points_and_for_steps(crowd, shrinkage, power) -> None:
    whitening = fit_whitening(crowd, shrinkage=shrinkage, power=power)
    whitened = whitening(crowd)
    np.testing.assert_allclose(whitening.back(whitened), crowd, atol=1e-8)
    steps = whitening.back_step(whitened[1:] - whitened[:-1])
    np.testing.assert_allclose(steps, np.diff(crowd, axis=0), atol=1e-8)


@settings(max_examples=40)
@given(clouds)
def test_without_power_a_crowd_is_only_turned(crowd) -> None:
    turned = fit_whitening(crowd, power=0.0)(crowd)
    np.testing.assert_allclose(pdist(turned), pdist(crowd), rtol=1e-9)


def test_the_axes_are_those_of_scikit_learn() -> None:
    crowd = cloud(3)
    ours, theirs = fit_whitening(crowd), PCA(whiten=True).fit(crowd)
    np.testing.assert_allclose(
        np.abs(ours(crowd)), np.abs(theirs.transform(crowd)), rtol=1e-6, atol=1e-9
    )


def test_directions_in_which_nobody_differs_are_left_out_and_come_back() -> None:
    flat = cloud(1, n_dimensions=3) @ np.random.default_rng(0).standard_normal((3, 6))
    whitening = fit_whitening(flat)
    assert whitening.axes.shape == (6, 3)
    np.testing.assert_allclose(whitening.back(whitening(flat)), flat, atol=1e-8)


def test_moments_by_blocks_are_those_of_all(tmp_path) -> None:
    crowd = 1e3 + cloud(0, n_rows=2 * BLOCK_ROWS + 7, n_dimensions=2).astype(np.float32)
    np.save(tmp_path / "crowd.npy", crowd)
    mean, covariance = moments(np.load(tmp_path / "crowd.npy", mmap_mode="r"))
    np.testing.assert_allclose(mean, crowd.astype(np.float64).mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(crowd.astype(np.float64).T))


@pytest.mark.parametrize(
    "case",
    [
        (np.ones((1, 3)), "at least two vectors"),
        (np.ones(3), "at least two vectors"),
        (np.ones((5, 3)), "must differ; found 5"),
        (np.array([[0.0, 1.0], [np.nan, 2.0]]), "must be finite"),
    ],
)
def test_what_has_no_spread_is_refused(case) -> None:
    vectors, said = case
    with pytest.raises(SpaceError, match=said):
        fit_whitening(vectors)
