"""Paths between two points: straight, or over the users in between, in even steps of what is seen.

Equal steps of coordinates are not equal steps of meaning: most of a decoded change may fall into
one of them. A function that profiles points is passed in, what a decoder gives or what the nearest
users do, and the steps are placed so that each changes the profile alike.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra
from scipy.stats import spearmanr

from segmenter.errors import SpaceError
from segmenter.space.neighbors import nearest_rows

Profile = Callable[[np.ndarray], np.ndarray]
"""Points float64 [n, d] to what they look like, float [n, p]."""
N_FINE = 65
"""Points at which a line is profiled before its steps are placed."""
N_NEIGHBORS = 10
MAX_LANDMARKS = 5_000
"""Of more users a sample carries the neighbour graph."""


@dataclass(frozen=True)
class Path:
    """Points from one place to another.

    Attributes
    ----------
    points
        float64 [s, d]; the first and the last are the ends that were asked for.
    profiles
        float64 [s, p], what each looks like.
    progress
        float64 [s], how far each profile is on the line from the first to the last: 0 and 1 at
        the ends.
    monotonicity
        Spearman's correlation of progress with the order of the points: 1 never goes back.
    largest_step
        Largest change of progress between neighbours: 1 / (s - 1) is even, 1 is a single jump.
    detour
        Length of the way of the profiles over the distance of its ends: 1 is the shortest.
    """

    points: np.ndarray
    profiles: np.ndarray
    progress: np.ndarray
    monotonicity: float
    largest_step: float
    detour: float


def straight_line(start: np.ndarray, end: np.ndarray, *, n_points: int = N_FINE) -> np.ndarray:
    """Points float64 [n_points, d] in equal steps of the coordinates."""
    way = np.linspace(0.0, 1.0, n_points)[:, None]
    return (1 - way) * np.asarray(start, np.float64) + way * np.asarray(end, np.float64)


def graph_line(
    vectors: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    *,
    n_neighbors: int = N_NEIGHBORS,
    n_points: int = N_FINE,
    seed: int = 0,
) -> np.ndarray:
    """Points along the shortest chain of neighbouring users, so that the way stays on the data.

    Parameters
    ----------
    vectors
        float [n, d], users; of more than `MAX_LANDMARKS` a sample is taken.
    start, end
        float [d].
    n_neighbors
        Users that each user is joined to.
    n_points
        Points that are laid on the chain at equal distances.
    seed
        Of the sample.

    Returns
    -------
    numpy.ndarray
        float64 [n_points, d].

    Raises
    ------
    SpaceError
        If no chain of neighbours joins the ends.

    References
    ----------
    Bernstein et al., "Graph approximations to geodesics on embedded manifolds", 2000. An edge
    costs its squared length: many short steps among users are shorter than one across a gap.
    """
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:MAX_LANDMARKS]
    nodes = np.vstack([start, end, vectors[np.sort(chosen)]]).astype(np.float64)
    before = _shortest_tree(nodes, n_neighbors)
    chain = [1]
    while chain[-1] != 0:
        if before[chain[-1]] < 0:
            message = (
                f"no chain of users, each joined to {n_neighbors}, leads from one end to the "
                "other: the crowd falls into parts; go straight or raise the neighbours"
            )
            raise SpaceError(message)
        chain.append(int(before[chain[-1]]))
    return _evenly_spaced(nodes[chain[::-1]], n_points)


def _shortest_tree(nodes: np.ndarray, n_neighbors: int) -> np.ndarray:
    """The node before each on the cheapest chain from the first, below 0 where there is none."""
    rows, distances = nearest_rows(nodes, nodes, k=n_neighbors + 1)
    origin = np.repeat(np.arange(len(nodes)), rows.shape[1])
    # An edge of length 0 would count as none.
    cost = np.maximum(distances.ravel() ** 2, np.finfo(np.float64).tiny)
    shape = (len(nodes), len(nodes))
    graph = sparse.csr_matrix((cost, (origin, rows.ravel())), shape=shape)
    _, before = dijkstra(graph, directed=False, indices=0, return_predecessors=True)
    return before


def _evenly_spaced(corners: np.ndarray, n_points: int) -> np.ndarray:
    """Points at equal distances on the line through corners [c, d]; its ends are kept."""
    return _at_lengths(corners, np.linalg.norm(np.diff(corners, axis=0), axis=1), n_points)


def _at_lengths(points: np.ndarray, lengths: np.ndarray, n_points: int) -> np.ndarray:
    """Points at equal parts of the way on a line whose pieces have these lengths, [c - 1]."""
    way = np.concatenate([[0.0], np.cumsum(lengths)])
    if way[-1] == 0:
        return straight_line(points[0], points[-1], n_points=n_points)
    asked = np.linspace(0.0, way[-1], n_points)
    found = np.stack([np.interp(asked, way, column) for column in points.T], axis=1)
    found[0], found[-1] = points[0], points[-1]
    return found


def find_path(line: np.ndarray, profile: Profile, *, n_steps: int) -> Path:
    """Place points on a line so that each step changes the profile alike.

    Parameters
    ----------
    line
        float64 [m, d] from `straight_line` or `graph_line`, at fine distances.
    profile
        What points look like. It should be free of noise: steps of noise count as steps.
    n_steps
        Points of the path less one, at least 1.

    Raises
    ------
    SpaceError
        If fewer than one step is asked for, or both ends look alike.
    """
    if n_steps < 1:
        message = f"a path needs at least one step; found {n_steps}"
        raise SpaceError(message)
    for n_points in (len(line), n_steps + 1):  # finer where much happens, then the steps
        seen = np.asarray(profile(line), dtype=np.float64)
        # The first place that gets so far: what goes back in between is passed over.
        reached = np.maximum.accumulate(np.clip(_progress(seen), 0.0, 1.0))
        line = _at_lengths(line, np.diff(reached), n_points)
    points = line
    profiles = np.asarray(profile(points), dtype=np.float64)
    progress = _progress(profiles)
    moved = np.linalg.norm(np.diff(profiles, axis=0), axis=1)
    return Path(
        points=points,
        profiles=profiles,
        progress=progress,
        monotonicity=float(spearmanr(np.arange(len(progress)), progress).statistic),
        largest_step=float(np.abs(np.diff(progress)).max()),
        detour=float(moved.sum() / np.linalg.norm(profiles[-1] - profiles[0])),
    )


def _progress(profiles: np.ndarray) -> np.ndarray:
    """Where profiles float64 [m, p] lie on the line from the first to the last."""
    whole = profiles[-1] - profiles[0]
    square = float(whole @ whole)
    if square == 0:
        message = "a path must lead somewhere: both ends have the same profile; take others"
        raise SpaceError(message)
    return (profiles - profiles[0]) @ whole / square


def neighbor_profile(
    vectors: np.ndarray, features: np.ndarray, *, n_neighbors: int = 25
) -> Profile:
    """What the users around a point are like: a profile for spaces without a decoder.

    Parameters
    ----------
    vectors
        float [n, d].
    features
        float [n, p], numbers of each user.
    n_neighbors
        Users around a point. Those nearer weigh more, and the last nothing, so that the profile
        does not jump when one user takes the place of another.

    Returns
    -------
    callable
        Points float64 [m, d] to weighted means float64 [m, p].
    """

    def profile(points: np.ndarray) -> np.ndarray:
        rows, distances = nearest_rows(vectors, points, k=n_neighbors + 1)
        edge = np.maximum(distances[:, -1:], np.finfo(np.float64).tiny)
        weights = np.maximum(1 - (distances / edge) ** 2, 1e-9)
        weights /= weights.sum(axis=1, keepdims=True)
        return np.einsum("mk,mkp->mp", weights, features[rows].astype(np.float64))

    return profile


def density_percentile(
    vectors: np.ndarray,
    points: np.ndarray,
    *,
    n_neighbors: int = N_NEIGHBORS,
    n_users: int = 2_000,
) -> np.ndarray:
    """How crowded it is around points, beside where users are.

    Parameters
    ----------
    vectors
        float [n, d].
    points
        float [m, d].
    n_neighbors
        The distance to this neighbour counts.
    n_users
        Users, evenly picked, that points are compared with.

    Returns
    -------
    numpy.ndarray
        float64 [m] in [0, 1]: share of users around whom it is less crowded; 0 is off the data.
    """
    picked = vectors[np.linspace(0, len(vectors) - 1, min(n_users, len(vectors))).astype(np.int64)]
    # A user is its own first neighbour.
    _, own = nearest_rows(vectors, picked, k=n_neighbors + 1)
    _, found = nearest_rows(vectors, points, k=n_neighbors)
    reference = np.sort(own[:, -1])
    return 1 - np.searchsorted(reference, found[:, -1], side="left") / len(reference)
