"""Dense cores: planted groups are found, by HDBSCAN's own rules, the same way every time."""

import numpy as np
import pytest
from hdbscan import HDBSCAN
from hypothesis import given, settings as hypothesis_settings, strategies as st
from sklearn.metrics import adjusted_rand_score, homogeneity_score

from segmenter.errors import ConfigError, FitError
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.density import BETWEEN, DensitySettings, Leaves, find_leaves
from segmenter.segments.layout import lay_out, neighbor_graph
from segmenter.segments.prototypes import SizeLimits, make_prototypes
from tests.segments.reference import planted_blobs

SIZES = (150, 110, 80, 50)
SETTINGS = DensitySettings()


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray]:
    return planted_blobs(SIZES, n_dimensions=6, spread=0.4, seed=0)


@pytest.fixture(scope="module")
def leaves(planted: tuple[np.ndarray, np.ndarray]) -> Leaves:
    return find_leaves(planted[0], settings=SETTINGS, seed=0)


@pytest.fixture(scope="module")
def continuum() -> np.ndarray:
    """Users without groups, along two directions."""
    generator = np.random.default_rng(1)
    return (generator.standard_normal((350, 2)) * [1.0, 0.4]).astype(np.float32)


@pytest.fixture(scope="module")
def ridges(continuum: np.ndarray) -> Leaves:
    return find_leaves(continuum, settings=SETTINGS, seed=0)


def segments_of(space: np.ndarray, leaves: Leaves, n_segments: int) -> np.ndarray:
    """Segment of each user of the fit, as a model would serve it."""
    fitted = space[leaves.rows]
    prototypes = make_prototypes(
        fitted, leaves, n_segments=n_segments, limits=SizeLimits(), seed=0
    )
    return PrototypeAssigner.fit(prototypes, fitted).assign(fitted).segment_id


def assert_consistent(leaves: Leaves, settings: DensitySettings) -> None:
    """What holds of every result, however poor the data."""
    assert leaves.rows.shape == leaves.labels.shape
    assert leaves.labels.dtype == np.int32
    core = leaves.labels != BETWEEN
    sizes = np.bincount(leaves.labels[core])
    assert len(sizes) == leaves.n_leaves >= 1
    assert (np.diff(sizes) <= 0).all()
    assert leaves.n_leaves == 1 or sizes.min() >= settings.leaf_size(len(leaves.rows))
    assert ((leaves.persistence >= 0) & (leaves.persistence <= 1)).all()
    assert leaves.between_share == pytest.approx(1 - core.mean())


def test_planted_groups_are_found_again(
    planted: tuple[np.ndarray, np.ndarray], leaves: Leaves
) -> None:
    space, group = planted
    assert_consistent(leaves, SETTINGS)
    assert leaves.n_leaves > len(SIZES)
    core = leaves.labels != BETWEEN
    assert homogeneity_score(group[core], leaves.labels[core]) > 0.95
    segment = segments_of(space, leaves, n_segments=len(SIZES))
    assert adjusted_rand_score(group, segment) > 0.95
    np.testing.assert_allclose(np.bincount(segment)[1:], SIZES, atol=3)


def test_the_same_seed_gives_the_same_leaves(
    planted: tuple[np.ndarray, np.ndarray], leaves: Leaves
) -> None:
    again = find_leaves(planted[0], settings=SETTINGS, seed=0)
    for name, value in vars(leaves).items():
        np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)


def test_leaves_are_those_of_hdbscan_on_the_same_layout(
    continuum: np.ndarray, ridges: Leaves
) -> None:
    dense = lay_out(continuum, neighbor_graph(continuum, 15), n_dimensions=8, min_dist=0.0, seed=0)
    found = HDBSCAN(
        min_cluster_size=8,
        min_samples=3,
        cluster_selection_method="leaf",
        approx_min_span_tree=False,
    ).fit(dense.astype(np.float64))
    assert_consistent(ridges, SETTINGS)
    assert ridges.n_leaves > 4
    assert 0 < ridges.between_share < 0.5
    core = found.labels_ >= 0
    np.testing.assert_array_equal(core, ridges.labels != BETWEEN)
    assert adjusted_rand_score(found.labels_[core], ridges.labels[core]) == 1
    theirs = found.cluster_persistence_[found.labels_[core]]
    np.testing.assert_array_equal(ridges.persistence[ridges.labels[core]], theirs)


def test_no_segment_of_a_continuum_is_smaller_than_allowed(
    continuum: np.ndarray, ridges: Leaves
) -> None:
    users = np.bincount(segments_of(continuum, ridges, n_segments=12))[1:]
    assert len(users) > 4
    assert users.min() >= SizeLimits().smallest(len(continuum)) == 20
    assert (np.diff(users) <= 0).all()


def test_more_users_than_the_limit_are_sampled(continuum: np.ndarray) -> None:
    settings = DensitySettings(max_fit_users=120)
    sampled = find_leaves(continuum, settings=settings, seed=5)
    assert_consistent(sampled, settings)
    assert len(sampled.rows) == 120
    assert (np.diff(sampled.rows) > 0).all()
    alone = find_leaves(continuum[sampled.rows], settings=settings, seed=5)
    np.testing.assert_array_equal(alone.labels, sampled.labels)
    other = find_leaves(continuum, settings=settings, seed=6)
    assert (other.rows != sampled.rows).any()


@pytest.mark.parametrize(
    "space",
    [
        np.zeros((1, 3)),
        np.arange(15.0).reshape(5, 3),
        np.full((200, 3), 7.3),
        np.full((200, 3), 7.3) + 5e-7 * (np.arange(200) % 3)[:, None],
        np.zeros((200, 1)),
    ],
    ids=["one user", "five users", "all equal", "equal but for rounding", "all at the origin"],
)
def test_where_nothing_stands_out_everybody_is_one_leaf(space: np.ndarray) -> None:
    space = space.astype(np.float32)
    leaves = find_leaves(space, settings=SETTINGS, seed=0)
    assert_consistent(leaves, SETTINGS)
    np.testing.assert_array_equal(leaves.rows, np.arange(len(space)))
    assert not leaves.labels.any()
    assert leaves.between_share == 0
    assert (segments_of(space, leaves, n_segments=10) == 1).all()


@pytest.mark.parametrize("n_users", [4, 5, 7, 12, 33])
def test_a_handful_of_users_can_be_cut_up(n_users: int) -> None:
    space = np.random.default_rng(n_users).standard_normal((n_users, 3)).astype(np.float32)
    settings = DensitySettings(min_cluster_size=2, min_samples=1)
    leaves = find_leaves(space, settings=settings, seed=0)
    assert_consistent(leaves, settings)
    users = np.bincount(segments_of(space, leaves, n_segments=10))[1:]
    assert users.min() >= SizeLimits().smallest(n_users)


def test_copies_of_a_few_users_are_not_told_apart() -> None:
    places = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=np.float32)
    space = np.repeat(places, [60, 40, 30], axis=0)
    leaves = find_leaves(space, settings=SETTINGS, seed=0)
    assert_consistent(leaves, SETTINGS)
    segment = segments_of(space, leaves, n_segments=10)
    np.testing.assert_array_equal(segment, np.repeat([1, 2, 3], [60, 40, 30]))


@pytest.mark.parametrize("scale", [1e-6, 1e12])
def test_the_scale_of_the_space_does_not_matter(
    planted: tuple[np.ndarray, np.ndarray], scale: float
) -> None:
    space, group = planted[0] * np.float32(scale), planted[1]
    leaves = find_leaves(space, settings=SETTINGS, seed=0)
    assert adjusted_rand_score(group, segments_of(space, leaves, n_segments=4)) > 0.95


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinates_that_are_no_numbers_are_an_error(value: float) -> None:
    space = np.zeros((30, 3), np.float32)
    space[4, 1] = space[7, 2] = value
    with pytest.raises(FitError, match=r"2 of 30 users have NaN .*; lower learning_rate"):
        find_leaves(space, settings=SETTINGS, seed=0)


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (5,)])
def test_users_without_coordinates_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(FitError, match="segments need users with coordinates; found"):
        find_leaves(np.empty(shape, np.float32), settings=SETTINGS, seed=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_cluster_size", 1),
        ("min_samples", 0),
        ("n_neighbors", 1),
        ("umap_dimensions", 0),
        ("max_fit_users", 49),
        ("full_size_users", 0),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at least {value + 1}; found {value}"):
        DensitySettings(**{name: value})


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**7), st.integers(2, 50))
def test_the_smallest_leaf_grows_with_the_users_beyond_full_size(
    n_users: int, min_cluster_size: int
) -> None:
    settings = DensitySettings(min_cluster_size=min_cluster_size, full_size_users=1000)
    if n_users <= 1000:
        assert settings.leaf_size(n_users) == min_cluster_size
    else:
        assert settings.leaf_size(n_users) == round(min_cluster_size * n_users / 1000)
