"""The neighbour graph is UMAP's own, and a layout keeps neighbours together."""

from importlib import import_module

import numba
import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from segmenter.segments.layout import (
    MIN_MAP_USERS,
    N_ROUNDS,
    fill_compile_cache,
    is_one_place,
    lay_out,
    neighbor_graph,
    user_map,
)
from tests.segments.reference import planted_blobs

N_NEIGHBORS = 10


@pytest.fixture(scope="module")
def space() -> np.ndarray:
    users, _ = planted_blobs((60, 50, 40), n_dimensions=5, spread=0.5, seed=0)
    return users


@pytest.fixture(scope="module")
def graph(space: np.ndarray) -> sparse.csr_matrix:
    return neighbor_graph(space, N_NEIGHBORS)


@pytest.fixture(scope="module")
def layout(space: np.ndarray, graph: sparse.csr_matrix) -> np.ndarray:
    return lay_out(space, graph, n_dimensions=2, min_dist=0.1, seed=3)


def test_the_graph_is_umaps_own_of_scikit_learns_neighbors(
    space: np.ndarray, graph: sparse.csr_matrix
) -> None:
    distances, indices = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(space).kneighbors(space)
    umap = import_module("umap.umap_")  # here, because its import warns where nothing is ignored
    theirs, _, _ = umap.fuzzy_simplicial_set(
        space,
        N_NEIGHBORS,
        check_random_state(1),
        "euclidean",
        knn_indices=indices,
        knn_dists=distances.astype(np.float32),
    )
    np.testing.assert_allclose(graph.toarray(), theirs.toarray(), atol=1e-4)


def test_the_graph_is_symmetric_with_weights_up_to_one(graph: sparse.csr_matrix) -> None:
    assert isinstance(graph, sparse.csr_matrix)
    assert abs(graph - graph.T).max() == 0
    assert not graph.diagonal().any()
    assert 0 < graph.data.min() <= graph.data.max() <= 1
    assert (np.diff(graph.indptr) >= N_NEIGHBORS - 1).all()


def test_neighbors_stay_neighbors_in_a_layout(space: np.ndarray, layout: np.ndarray) -> None:
    assert layout.shape == (len(space), 2)
    assert layout.dtype == np.float32
    assert trustworthiness(space, layout, n_neighbors=N_NEIGHBORS) > 0.9


def test_a_layout_is_decided_by_its_seed(
    space: np.ndarray, graph: sparse.csr_matrix, layout: np.ndarray
) -> None:
    again = lay_out(space, graph, n_dimensions=2, min_dist=0.1, seed=3)
    np.testing.assert_array_equal(again, layout)
    other = lay_out(space, graph, n_dimensions=2, min_dist=0.1, seed=4)
    assert (other != layout).any()


def test_a_layout_leaves_its_graph_as_it_was() -> None:
    users = np.random.default_rng(0).standard_normal((300, 5)).astype(np.float32)
    graph = neighbor_graph(users, 15)
    weights = graph.data.copy()
    assert weights.min() < 1 / N_ROUNDS  # too weak for a single round, and UMAP drops such edges
    lay_out(users, graph, n_dimensions=2, min_dist=0.0, seed=0)
    np.testing.assert_array_equal(graph.data, weights)


def test_without_a_least_distance_neighbors_are_packed(
    space: np.ndarray, graph: sparse.csr_matrix
) -> None:
    packed, spread = (
        lay_out(space, graph, n_dimensions=2, min_dist=min_dist, seed=0) for min_dist in (0.0, 0.8)
    )
    assert np.percentile(pdist(packed), 1) < 0.5 * np.percentile(pdist(spread), 1)


def test_separate_parts_of_a_graph_are_laid_out_apart_and_in_silence() -> None:
    users, group = planted_blobs((30, 30), n_dimensions=3, spread=0.1, seed=1)
    users[group == 1] += 1000
    graph = neighbor_graph(users, 5)
    n_parts, _ = sparse.csgraph.connected_components(graph)
    assert n_parts >= 2
    layout = lay_out(users, graph, n_dimensions=2, min_dist=0.1, seed=0)
    centres = [layout[group == number].mean(axis=0) for number in (0, 1)]
    widths = [np.linalg.norm(layout[group == number].std(axis=0)) for number in (0, 1)]
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * max(widths)


def test_users_in_one_place_are_linked_and_laid_out() -> None:
    users = np.repeat(np.eye(3, dtype=np.float32), 25, axis=0)
    graph = neighbor_graph(users, N_NEIGHBORS)
    assert np.isfinite(graph.data).all()
    layout = lay_out(users, graph, n_dimensions=2, min_dist=0.1, seed=0)
    assert np.isfinite(layout).all()


def test_a_map_is_the_layout_for_the_eye(space: np.ndarray, layout: np.ndarray) -> None:
    np.testing.assert_array_equal(user_map(space, n_neighbors=N_NEIGHBORS, seed=3), layout)


@pytest.mark.parametrize("n_users", [2, 3, MIN_MAP_USERS - 1])
@pytest.mark.parametrize("n_dimensions", [1, 2, 5])
def test_very_few_users_are_mapped_on_their_principal_plane(
    n_users: int, n_dimensions: int
) -> None:
    users = np.random.default_rng(0).standard_normal((n_users, n_dimensions)).astype(np.float32)
    plane = user_map(users, n_neighbors=15, seed=0)
    assert plane.shape == (n_users, 2)
    assert plane.dtype == np.float32
    width = min(2, n_dimensions, n_users)
    theirs = PCA(width).fit_transform(users)
    np.testing.assert_allclose(np.abs(plane[:, :width]), np.abs(theirs), atol=1e-5)
    assert not plane[:, width:].any()


def test_one_user_is_in_the_middle_of_the_map() -> None:
    assert user_map(np.ones((1, 4), np.float32), n_neighbors=15, seed=0).tolist() == [[0, 0]]


@pytest.mark.parametrize("n_users", [MIN_MAP_USERS, 25])
def test_from_sixteen_users_on_there_is_a_layout(n_users: int) -> None:
    users = np.random.default_rng(0).standard_normal((n_users, 3)).astype(np.float32)
    plane = user_map(users, n_neighbors=15, seed=0)
    assert np.isfinite(plane).all()
    assert np.ptp(plane, axis=0).min() > 1
    np.testing.assert_array_equal(user_map(users, n_neighbors=15, seed=0), plane)


@pytest.mark.parametrize("noise", [0.0, 5e-7])
def test_users_in_one_place_are_one_point_on_the_map(noise: float) -> None:
    users = (7.3 + noise * (np.arange(60) % 3)[:, None] * np.ones(4)).astype(np.float32)
    assert is_one_place(users)
    assert np.ptp(user_map(users, n_neighbors=15, seed=0)) < 1e-5


def test_users_who_differ_by_more_than_rounding_are_not_in_one_place() -> None:
    users = np.full((20, 3), 1e6, dtype=np.float32)
    users[4, 1] += 8
    assert not is_one_place(users)


def test_numbas_threads_are_as_before(space: np.ndarray) -> None:
    every = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(every)
    neighbor_graph(space[:30], 5)
    assert numba.get_num_threads() == every


def test_the_compile_cache_is_filled_by_a_process_of_its_own() -> None:
    with fill_compile_cache() as process:
        assert process.wait() == 0
