"""Dense cores: planted groups are found, by HDBSCAN's own rules, the same way every time."""

import numpy as np
import pytest
from hdbscan import HDBSCAN
from hypothesis import given, settings as hypothesis_settings, strategies as st
from scipy.cluster.hierarchy import is_valid_linkage, linkage
from sklearn.metrics import adjusted_rand_score

from segmenter.errors import ConfigError, FitError
from segmenter.segments.assignment import VoteAssigner
from segmenter.segments.density import DensityResult, DensitySettings, find_segments
from segmenter.segments.layout import lay_out, neighbor_graph
from tests.segments.reference import planted_blobs

SIZES = (150, 110, 80, 50)
SETTINGS = DensitySettings(n_segments=4)


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray]:
    return planted_blobs(SIZES, n_dimensions=6, spread=0.4, seed=0)


@pytest.fixture(scope="module")
def result(planted: tuple[np.ndarray, np.ndarray]) -> DensityResult:
    return find_segments(planted[0], settings=SETTINGS, seed=0)


@pytest.fixture(scope="module")
def continuum() -> np.ndarray:
    """Users without groups, along two skewed directions."""
    generator = np.random.default_rng(1)
    return np.exp(generator.standard_normal((350, 2)) * [1.0, 0.4]).astype(np.float32)


@pytest.fixture(scope="module")
def cut_up(continuum: np.ndarray) -> DensityResult:
    return find_segments(continuum, settings=DensitySettings(n_segments=12), seed=0)


def everybody(space: np.ndarray, result: DensityResult) -> np.ndarray:
    """Segment of each user of the fit by the vote of the core members."""
    core = result.segment_labels > 0
    members = space[result.fit_rows]
    assigner = VoteAssigner(members[core], result.segment_labels[core])
    return assigner.assign(members).segment_id


def assert_consistent(result: DensityResult, settings: DensitySettings) -> None:
    """What holds of every result, however poor the data."""
    n_users = len(result.fit_rows)
    assert result.segment_labels.shape == result.leaf_labels.shape == (n_users,)
    assert result.map_xy.shape == (n_users, 2)
    assert np.isfinite(result.map_xy).all()
    assert 1 <= result.n_segments <= settings.n_segments
    core = result.leaf_labels >= 0
    np.testing.assert_array_equal(core, result.segment_labels > 0)
    np.testing.assert_array_equal(
        result.segment_labels[core], result.segment_of_leaf[result.leaf_labels[core]]
    )
    assert set(result.segment_labels[~core]) <= {-1}
    assert set(result.segment_of_leaf) == set(range(1, result.n_segments + 1))
    assert set(result.leaf_labels[core]) == set(range(result.n_leaves))
    assert result.noise_share == pytest.approx(1 - core.mean())
    for persistence in (result.leaf_persistence, result.segment_persistence):
        assert ((persistence >= 0) & (persistence <= 1)).all()
    assert result.merge_tree.shape == (result.n_leaves - 1, 4)


def test_planted_groups_are_found_again(
    planted: tuple[np.ndarray, np.ndarray], result: DensityResult
) -> None:
    space, group = planted
    assert_consistent(result, SETTINGS)
    assert result.n_segments == len(SIZES)
    assert result.n_leaves > len(SIZES)
    core = result.segment_labels > 0
    assert adjusted_rand_score(group[core], result.segment_labels[core]) > 0.95
    assert adjusted_rand_score(group, everybody(space, result)) > 0.95


def test_segments_are_numbered_from_the_largest(
    planted: tuple[np.ndarray, np.ndarray], result: DensityResult
) -> None:
    users = np.bincount(everybody(planted[0], result))[1:]
    np.testing.assert_allclose(users, SIZES, atol=3)


def test_the_same_seed_gives_the_same_result(
    planted: tuple[np.ndarray, np.ndarray], result: DensityResult
) -> None:
    again = find_segments(planted[0], settings=SETTINGS, seed=0)
    for name, value in vars(result).items():
        np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)


def test_leaves_are_those_of_hdbscan_on_the_same_layout(
    continuum: np.ndarray, cut_up: DensityResult
) -> None:
    graph = neighbor_graph(continuum, 15)
    dense = lay_out(continuum, graph, n_dimensions=8, min_dist=0.0, seed=0)
    found = HDBSCAN(
        min_cluster_size=8,
        min_samples=3,
        cluster_selection_method="leaf",
        approx_min_span_tree=False,
    ).fit(dense.astype(np.float64))
    np.testing.assert_array_equal(found.labels_ < 0, cut_up.leaf_labels < 0)
    core = found.labels_ >= 0
    assert adjusted_rand_score(found.labels_[core], cut_up.leaf_labels[core]) == 1
    sizes = np.bincount(cut_up.leaf_labels[core])
    assert (np.diff(sizes) <= 0).all()
    theirs = found.cluster_persistence_[found.labels_[core]]
    np.testing.assert_allclose(cut_up.leaf_persistence[cut_up.leaf_labels[core]], theirs)


def test_no_segment_of_a_continuum_is_smaller_than_asked(
    continuum: np.ndarray, cut_up: DensityResult
) -> None:
    settings = DensitySettings(n_segments=12)
    assert_consistent(cut_up, settings)
    assert cut_up.n_segments > 4
    users = np.bincount(everybody(continuum, cut_up))[1:]
    assert users.min() >= settings.smallest_segment(len(continuum)) == 20
    assert (np.diff(users) <= 0).all()


def test_leaves_merge_by_wards_rule(continuum: np.ndarray, cut_up: DensityResult) -> None:
    leaves = range(cut_up.n_leaves)
    members = [continuum[cut_up.leaf_labels == leaf] for leaf in leaves]
    at_centroids = np.concatenate(
        [np.broadcast_to(part.mean(0, np.float64), part.shape) for part in members]
    )
    heights = linkage(at_centroids, method="ward")[-(len(members) - 1) :, 2]
    assert is_valid_linkage(cut_up.merge_tree)
    np.testing.assert_allclose(cut_up.merge_tree[:, 2], heights, rtol=1e-5)


def test_a_segment_persists_as_its_core_members_do(cut_up: DensityResult) -> None:
    core = cut_up.leaf_labels >= 0
    of_member = cut_up.leaf_persistence[cut_up.leaf_labels[core]]
    segment = cut_up.segment_labels[core]
    means = [of_member[segment == 1 + number].mean() for number in range(cut_up.n_segments)]
    np.testing.assert_allclose(cut_up.segment_persistence, means)


def test_more_users_than_the_limit_are_sampled(continuum: np.ndarray) -> None:
    settings = DensitySettings(max_fit_users=120, n_segments=3)
    steps: list[tuple[int, int]] = []
    result = find_segments(
        continuum, settings=settings, seed=5, progress=lambda *step: steps.append(step)
    )
    assert_consistent(result, settings)
    assert len(result.fit_rows) == 120
    assert (np.diff(result.fit_rows) > 0).all()
    assert steps == [(step, 5) for step in range(6)]
    sampled_alone = find_segments(continuum[result.fit_rows], settings=settings, seed=5)
    np.testing.assert_array_equal(sampled_alone.segment_labels, result.segment_labels)
    other = find_segments(continuum, settings=settings, seed=6)
    assert (other.fit_rows != result.fit_rows).any()


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
def test_where_nothing_stands_out_everybody_is_one_segment(space: np.ndarray) -> None:
    space = space.astype(np.float32)
    steps: list[int] = []
    result = find_segments(
        space, settings=SETTINGS, seed=0, progress=lambda done, _: steps.append(done)
    )
    assert_consistent(result, SETTINGS)
    assert (result.n_segments, result.n_leaves, result.noise_share) == (1, 1, 0)
    assert steps[-1] == 5
    assert (everybody(space, result) == 1).all()


def test_one_segment_can_be_asked_for(planted: tuple[np.ndarray, np.ndarray]) -> None:
    space = planted[0][:120]
    result = find_segments(space, settings=DensitySettings(n_segments=1), seed=0)
    assert_consistent(result, DensitySettings(n_segments=1))
    assert result.n_leaves > 1
    assert (everybody(space, result) == 1).all()


@pytest.mark.parametrize("n_users", [4, 5, 7, 12, 33])
def test_a_handful_of_users_can_be_cut_up(n_users: int) -> None:
    space = np.random.default_rng(n_users).standard_normal((n_users, 3)).astype(np.float32)
    settings = DensitySettings(min_cluster_size=2, min_samples=1)
    result = find_segments(space, settings=settings, seed=0)
    assert_consistent(result, settings)
    users = np.bincount(everybody(space, result))[1:]
    assert users.min() >= settings.smallest_segment(n_users)


def test_copies_of_a_few_users_are_not_told_apart() -> None:
    places = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=np.float32)
    space = np.repeat(places, [60, 40, 30], axis=0)
    result = find_segments(space, settings=DensitySettings(n_segments=10), seed=0)
    assert_consistent(result, DensitySettings(n_segments=10))
    np.testing.assert_array_equal(everybody(space, result), np.repeat([1, 2, 3], [60, 40, 30]))


@pytest.mark.parametrize("scale", [1e-6, 1e12])
def test_the_scale_of_the_space_does_not_matter(
    planted: tuple[np.ndarray, np.ndarray], scale: float
) -> None:
    space, group = planted[0] * np.float32(scale), planted[1]
    result = find_segments(space, settings=SETTINGS, seed=0)
    assert adjusted_rand_score(group, everybody(space, result)) > 0.95


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinates_that_are_no_numbers_are_an_error(value: float) -> None:
    space = np.zeros((30, 3), np.float32)
    space[4, 1] = space[7, 2] = value
    with pytest.raises(FitError, match=r"2 of 30 users have NaN .*; lower learning_rate"):
        find_segments(space, settings=SETTINGS, seed=0)


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (5,)])
def test_users_without_coordinates_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(FitError, match="segments need users with coordinates; found"):
        find_segments(np.empty(shape, np.float32), settings=SETTINGS, seed=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_segments", 0),
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
@given(st.integers(1, 10**7))
def test_sizes_grow_with_the_users_and_leave_room_for_five_segments(n_users: int) -> None:
    settings = DensitySettings()
    assert settings.leaf_size(n_users) >= settings.min_cluster_size
    assert settings.leaf_size(n_users) >= int(n_users / 1000)
    smallest = settings.smallest_segment(n_users)
    assert smallest >= 0.005 * n_users
    assert smallest >= min(20, n_users // 5)
    assert smallest * 5 <= max(5, n_users)
