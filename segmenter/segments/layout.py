"""Neighbour graph and low-dimensional layouts (UMAP), at fit time only.

The graph's neighbours are found exactly here rather than by UMAP's approximate search: that is the
part whose compilation would take half a minute in each process.
"""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

NEGATIVE_SAMPLES = 5
"""UMAP's own default; the layout functions take it without one."""

N_ROUNDS = 200
"""Of optimisation: what UMAP takes above 10,000 users. Below it takes 500, whose cores make
segments of the same validity and no more stable ones (shoppers: agreement of halves .43 at 16
segments against .46, students: .60 against .55) in more than twice the time."""

MAP_MIN_DIST = 0.1
MIN_MAP_USERS = 16
SAME_PLACE = 1e-6
"""Users who differ by no more than this share of their coordinates are in one place."""

HARMLESS_WARNINGS = (
    ("Tensorflow not installed", ImportWarning),
    ("Graph is not fully connected", UserWarning),
    ("Spectral initialisation failed", UserWarning),
)
"""Said at import; by the start of a graph in several parts, which are then laid out one by one;
and where the start falls back to random positions."""


def fill_compile_cache() -> "subprocess.Popen[bytes]":
    """Start compiling what UMAP keeps on disk, in a process of its own, and return at once.

    The first import of UMAP after an installation compiles for 15 seconds and stores the result;
    later imports take half a second. Started before the network trains, the wait disappears where
    a core is free.

    Returns
    -------
    subprocess.Popen
        The process; whether it succeeds changes the speed of a fit and nothing else.
    """
    program = "import umap.umap_, hdbscan"
    return subprocess.Popen(  # noqa: S603 - a constant program for this very interpreter
        [sys.executable, "-W", "ignore", "-c", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def neighbor_graph(space: np.ndarray, n_neighbors: int) -> sparse.csr_matrix:
    """UMAP's fuzzy graph of exact nearest neighbours.

    Parameters
    ----------
    space
        float32 [n, d].
    n_neighbors
        Neighbours per user, itself included, at most n.

    Returns
    -------
    scipy.sparse.csr_matrix
        float32 [n, n], symmetric; weight of each edge in (0, 1].

    References
    ----------
    McInnes, Healy, Melville (2018), "UMAP", arXiv 1802.03426, section 3.1.
    """
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(space)
    distances, indices = search.kneighbors(space)
    with _umap() as umap:
        graph, _, _ = umap.fuzzy_simplicial_set(
            space,
            n_neighbors,
            check_random_state(0),  # read only by the approximate search that is not used here
            "euclidean",
            knn_indices=indices.astype(np.int32),
            knn_dists=distances.astype(np.float32),
        )
    return graph.tocsr()


def lay_out(
    space: np.ndarray,
    graph: sparse.csr_matrix,
    *,
    n_dimensions: int,
    min_dist: float,
    seed: int,
) -> np.ndarray:
    """Coordinates in which the graph's neighbours stand close.

    Parameters
    ----------
    space
        float32 [n, d] that the graph was made from; it places the graph's separate parts.
    graph
        From `neighbor_graph`.
    n_dimensions
        Of the layout.
    min_dist
        How close neighbours may stand; 0 packs them, for clustering; .1 spreads them, for the eye.
    seed
        Of start and order; the same seed gives the same layout.

    Returns
    -------
    numpy.ndarray
        float32 [n, n_dimensions].

    References
    ----------
    McInnes, Healy, Melville (2018), "UMAP", arXiv 1802.03426, section 3.2.
    """
    with _umap() as umap:
        curve = umap.find_ab_params(1.0, min_dist)
        coordinates, _ = umap.simplicial_set_embedding(
            space,
            graph.copy(),  # UMAP clears its weakest edges in place
            n_components=n_dimensions,
            initial_alpha=1.0,
            a=curve[0],
            b=curve[1],
            gamma=1.0,
            negative_sample_rate=NEGATIVE_SAMPLES,
            n_epochs=N_ROUNDS,
            init="spectral",
            random_state=check_random_state(seed),
            metric="euclidean",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
            parallel=False,
        )
    return np.asarray(coordinates, dtype=np.float32)


def user_map(space: np.ndarray, *, n_neighbors: int, seed: int) -> np.ndarray:
    """A map of users for the eye: UMAP's plane, or the principal plane of very few users.

    Parameters
    ----------
    space
        float32 [n, d].
    n_neighbors
        Neighbours that stay together, the user included.
    seed
        The same seed gives the same map.

    Returns
    -------
    numpy.ndarray
        float32 [n, 2].
    """
    if len(space) < MIN_MAP_USERS or is_one_place(space):
        return _principal_plane(space)
    graph = neighbor_graph(space, min(n_neighbors, len(space) - 1))
    return lay_out(space, graph, n_dimensions=2, min_dist=MAP_MIN_DIST, seed=seed)


def is_one_place(space: np.ndarray) -> bool:
    """Whether users [n, d] differ by no more than rounding."""
    return bool(np.ptp(space, axis=0).max() <= SAME_PLACE * np.abs(space).max())


def _principal_plane(space: np.ndarray) -> np.ndarray:
    """The first two principal components of a few users, float32 [n, 2]."""
    left, values, _ = np.linalg.svd(space - space.mean(axis=0), full_matrices=False)
    plane = np.zeros((len(space), 2), dtype=np.float32)
    width = min(2, len(values))
    plane[:, :width] = left[:, :width] * values[:width]
    return plane


@contextmanager
def _umap() -> Iterator[ModuleType | Any]:
    """UMAP's functions, quiet about what is handled, and on one thread.

    One thread because a parallel mean inside depends on the number of cores in its last digits.
    """
    with warnings.catch_warnings():
        for message, category in HARMLESS_WARNINGS:
            warnings.filterwarnings("ignore", message, category)
        import numba  # noqa: PLC0415 - slow to import, and needed at fit time only
        from umap import umap_  # noqa: PLC0415

        n_threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            yield umap_
        finally:
            numba.set_num_threads(n_threads)
