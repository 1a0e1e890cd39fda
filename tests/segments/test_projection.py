"""Segment coordinates: the forecast part at spread one, and the taste part at its weight."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from segmenter.errors import FitError
from segmenter.segments.projection import Projection, fit_projection

N_FORECAST = 6


def random_embeddings(seed: int, n_users: int, n_taste: int, *, offset: float = 0.0) -> np.ndarray:
    """Correlated embeddings float32 [n, 6 + n_taste] whose parts have spreads of their own."""
    generator = np.random.default_rng(seed)
    forecast = generator.standard_normal((n_users, 3)) @ generator.standard_normal((3, N_FORECAST))
    taste = 20 * generator.standard_normal((n_users, n_taste)) * 0.7 ** np.arange(n_taste)
    return (offset + np.hstack([forecast, taste])).astype(np.float32)


embeddings_of_users = st.builds(
    random_embeddings,
    st.integers(0, 10_000),
    st.integers(30, 200),
    st.integers(1, 10),
    offset=st.sampled_from([0.0, -5.0, 300.0]),
)


def spread(coordinates: np.ndarray) -> float:
    """Root of the summed variances."""
    return float(np.sqrt(coordinates.var(axis=0, dtype=np.float64).sum()))


@settings(max_examples=60, deadline=None)
@given(embeddings_of_users, st.floats(0.01, 2), st.integers(1, 12))
def test_the_parts_have_spread_one_and_the_taste_weight(
    embeddings: np.ndarray, taste_weight: float, taste_components: int
) -> None:
    space = fit_projection(
        embeddings,
        n_forecast=N_FORECAST,
        taste_weight=taste_weight,
        taste_components=taste_components,
    )(embeddings)
    n_taste = min(taste_components, embeddings.shape[1] - N_FORECAST)
    assert space.dtype == np.float32
    assert space.shape == (len(embeddings), N_FORECAST + n_taste)
    assert spread(space[:, :N_FORECAST]) == pytest.approx(1, rel=1e-3)
    assert spread(space[:, N_FORECAST:]) == pytest.approx(taste_weight, rel=1e-3)
    np.testing.assert_allclose(space.mean(axis=0), 0, atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(embeddings_of_users)
def test_the_forecast_part_keeps_its_shape(embeddings: np.ndarray) -> None:
    space = fit_projection(
        embeddings, n_forecast=N_FORECAST, taste_weight=0.3, taste_components=4
    )(embeddings)
    forecast = embeddings[:, :N_FORECAST].astype(np.float64)
    np.testing.assert_allclose(
        pdist(space[:, :N_FORECAST]), pdist(forecast) / spread(forecast), rtol=1e-2, atol=1e-3
    )


@settings(max_examples=40, deadline=None)
@given(embeddings_of_users, st.integers(0, 1_000))
def test_a_metric_measures_the_forecast_part_and_leaves_the_taste_part(
    embeddings: np.ndarray, seed: int
) -> None:
    metric = np.random.default_rng(seed).normal(0, 1, (N_FORECAST, N_FORECAST))
    sizes = {"n_forecast": N_FORECAST, "taste_weight": 0.3, "taste_components": 4}
    space = fit_projection(embeddings, **sizes, metric=metric)(embeddings)
    plain = fit_projection(embeddings, **sizes)(embeddings)
    measured = embeddings[:, :N_FORECAST].astype(np.float64) @ metric
    np.testing.assert_allclose(
        pdist(space[:, :N_FORECAST]), pdist(measured) / spread(measured), rtol=1e-2, atol=2e-3
    )
    np.testing.assert_allclose(space[:, N_FORECAST:], plain[:, N_FORECAST:], atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(embeddings_of_users, st.integers(1, 10))
def test_taste_coordinates_are_scikit_learns_principal_components(
    embeddings: np.ndarray, taste_components: int
) -> None:
    n_taste = min(taste_components, embeddings.shape[1] - N_FORECAST)
    space = fit_projection(
        embeddings, n_forecast=N_FORECAST, taste_weight=0.5, taste_components=n_taste
    )(embeddings)
    theirs = PCA(n_taste).fit_transform(embeddings[:, N_FORECAST:].astype(np.float64))
    theirs *= 0.5 / spread(theirs)
    np.testing.assert_allclose(np.abs(space[:, N_FORECAST:]), np.abs(theirs), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize(("taste_weight", "taste_components"), [(0.0, 8), (0.3, 0)])
def test_a_taste_part_of_no_weight_is_left_out(taste_weight: float, taste_components: int) -> None:
    embeddings = random_embeddings(1, 80, 5)
    projection = fit_projection(
        embeddings,
        n_forecast=N_FORECAST,
        taste_weight=taste_weight,
        taste_components=taste_components,
    )
    other_taste = embeddings.copy()
    other_taste[:, N_FORECAST:] = 7
    assert projection(embeddings).shape == (80, N_FORECAST)
    np.testing.assert_array_equal(projection(other_taste), projection(embeddings))


def test_a_network_without_a_taste_part_is_projected_too() -> None:
    embeddings = random_embeddings(2, 80, 3)[:, :N_FORECAST]
    space = fit_projection(
        embeddings, n_forecast=N_FORECAST, taste_weight=0.3, taste_components=8
    )(embeddings)
    assert space.shape == embeddings.shape
    assert spread(space) == pytest.approx(1, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(embeddings_of_users, st.integers(0, 10_000))
def test_the_order_of_users_changes_neither_axes_nor_signs(
    embeddings: np.ndarray, seed: int
) -> None:
    sizes = {"n_forecast": N_FORECAST, "taste_weight": 0.3, "taste_components": 3}
    shuffled = np.random.default_rng(seed).permutation(embeddings)
    one, other = fit_projection(embeddings, **sizes), fit_projection(shuffled, **sizes)
    np.testing.assert_allclose(one.offset, other.offset, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one.matrix, other.matrix, rtol=1e-3, atol=1e-4)
    axes = one.matrix[N_FORECAST:, N_FORECAST:]
    assert (axes.max(axis=0) == np.abs(axes).max(axis=0)).all()


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float64, 5, elements=st.floats(-2, 2)), st.integers(0, 10_000), st.floats(-2, 3)
)
def test_a_projection_is_affine(offset: np.ndarray, seed: int, weight: float) -> None:
    generator = np.random.default_rng(seed)
    projection = Projection(offset, generator.standard_normal((5, 3)))
    one, other = generator.standard_normal((2, 4, 5))
    mixed = projection(weight * one + (1 - weight) * other)
    np.testing.assert_allclose(
        mixed, weight * projection(one) + (1 - weight) * projection(other), atol=1e-9
    )
    np.testing.assert_array_equal(projection(offset[None]), np.zeros((1, 3)))


def test_a_user_alone_is_placed_as_in_a_batch() -> None:
    embeddings = random_embeddings(3, 300, 10)
    projection = fit_projection(
        embeddings, n_forecast=N_FORECAST, taste_weight=0.3, taste_components=8
    )
    alone = np.concatenate([projection(user[None]) for user in embeddings])
    np.testing.assert_allclose(alone, projection(embeddings), atol=1e-5)


def test_a_projection_comes_back_from_its_arrays() -> None:
    embeddings = random_embeddings(4, 50, 4)
    projection = fit_projection(
        embeddings, n_forecast=N_FORECAST, taste_weight=0.3, taste_components=2
    )
    again = Projection(**projection.arrays())
    np.testing.assert_array_equal(again(embeddings), projection(embeddings))


@pytest.mark.parametrize("constant", [slice(None, N_FORECAST), slice(N_FORECAST, None)])
def test_rounding_of_a_part_that_does_not_vary_is_not_blown_up(constant: slice) -> None:
    embeddings = random_embeddings(5, 100, 4)
    embeddings[:, constant] = 5.1
    embeddings[::2, constant] = np.nextafter(np.float32(5.1), np.float32(9))
    projection = fit_projection(
        embeddings, n_forecast=N_FORECAST, taste_weight=0.3, taste_components=2
    )
    space = projection(embeddings)
    quiet = space[:, :N_FORECAST] if constant.stop else space[:, N_FORECAST:]
    loud = space[:, N_FORECAST:] if constant.stop else space[:, :N_FORECAST]
    assert not quiet.any()
    assert spread(loud) == pytest.approx(0.3 if constant.stop else 1, rel=1e-3)


def test_one_user_stands_at_the_origin() -> None:
    embeddings = random_embeddings(6, 1, 4)
    projection = fit_projection(
        embeddings, n_forecast=N_FORECAST, taste_weight=0.3, taste_components=2
    )
    assert not projection(embeddings).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_network_is_told_so(value: float) -> None:
    embeddings = random_embeddings(7, 20, 4)
    embeddings[3, 8] = embeddings[5, 0] = value
    with pytest.raises(FitError, match=r"2 of 20 users have NaN .*; lower learning_rate"):
        fit_projection(embeddings, n_forecast=N_FORECAST, taste_weight=0.3, taste_components=2)


def test_nobody_cannot_be_projected() -> None:
    with pytest.raises(FitError, match=r"found an array of shape \(0, 9\)"):
        fit_projection(
            np.empty((0, 9), np.float32), n_forecast=6, taste_weight=0.3, taste_components=2
        )
