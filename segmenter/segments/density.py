"""The dense cores of a space, found once at fit time: UMAP, HDBSCAN leaves, Ward.

Behaviour is a continuum with ridges: many small cores are found first and then merged. Who lies
between the cores is assigned elsewhere, by vote.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segmenter.errors import ConfigError
from segmenter.segments.assignment import N_NEIGHBORS, NO_SEGMENT, inverse_distance, tally
from segmenter.segments.layout import lay_out, neighbor_graph
from segmenter.segments.merging import absorb_small, cut, ward_tree
from segmenter.segments.neighbors import NearestReferences
from segmenter.segments.projection import require_finite_users
from segmenter.terminal import ProgressCallback

MAP_MIN_DIST = 0.1

SAME_PLACE = 1e-6
"""Leaves nearer to each other than this share of the spread are one place, told apart by noise."""

N_STEPS = 5


@dataclass(frozen=True)
class DensitySettings:
    """How dense cores are sought and how many segments are made of them.

    Attributes
    ----------
    n_segments
        Segments to publish; fewer where the data hold fewer.
    min_cluster_size
        Users in the smallest leaf.
    min_samples
        Neighbours that make a place dense (HDBSCAN).
    n_neighbors
        Neighbours in UMAP's graph, the user included.
    umap_dimensions
        Of the layout in which density is measured.
    min_segment_users, min_segment_share
        A published segment has at least so many users of the fit (a fifth of them where they are
        few) and at least this share, once everybody is assigned; a smaller one joins its nearest
        neighbour and the next split of the tree takes its place.
    max_fit_users
        More users than this are sampled.
    full_size_users
        Above so many users of the fit `min_cluster_size` grows in proportion, so that the number
        of leaves levels off.
    """

    n_segments: int = 16
    min_cluster_size: int = 8
    min_samples: int = 3
    n_neighbors: int = 15
    umap_dimensions: int = 8
    min_segment_users: int = 20
    min_segment_share: float = 0.005
    max_fit_users: int = 30_000
    full_size_users: int = 8_000

    def __post_init__(self) -> None:
        lowest = {"n_segments": 1, "min_cluster_size": 2, "min_samples": 1, "n_neighbors": 2}
        lowest |= {"umap_dimensions": 1, "max_fit_users": 50, "full_size_users": 1}
        for name, bound in lowest.items():
            if getattr(self, name) < bound:
                message = f"{name} must be at least {bound}; found {getattr(self, name)}"
                raise ConfigError(message)

    def leaf_size(self, n_users: int) -> int:
        """Users in the smallest leaf of a fit on `n_users`."""
        return round(self.min_cluster_size * max(1.0, n_users / self.full_size_users))

    def smallest_segment(self, n_users: int) -> int:
        """Users in the smallest segment of a fit on `n_users`."""
        fewest = min(self.min_segment_users, n_users // 5)
        return max(fewest, math.ceil(self.min_segment_share * n_users))


@dataclass(frozen=True)
class DensityResult:
    """Segments of the core members of a fit, and how they came to be.

    Attributes
    ----------
    fit_rows
        int64 [n_fit], ascending rows of the space that took part.
    segment_labels
        int32 [n_fit]: segment 1..n_segments of a core member, the largest is 1; -1 between cores.
    leaf_labels
        int32 [n_fit]: leaf 0..n_leaves-1 of a core member, -1 between cores.
    segment_of_leaf
        int32 [n_leaves].
    leaf_persistence, segment_persistence
        float64 [n_leaves], [n_segments] in [0, 1], higher is better: how long a leaf outlives its
        birth as density rises; of a segment the mean over its core members.
    merge_tree
        float64 [n_leaves - 1, 4], size-weighted Ward over leaf centroids as a linkage for scipy.
    map_xy
        float32 [n_fit, 2], a map for the eye.
    noise_share
        Share of the users of the fit that lie between cores.
    """

    fit_rows: np.ndarray
    segment_labels: np.ndarray
    leaf_labels: np.ndarray
    segment_of_leaf: np.ndarray
    leaf_persistence: np.ndarray
    segment_persistence: np.ndarray
    merge_tree: np.ndarray
    map_xy: np.ndarray
    noise_share: float

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        return len(self.segment_of_leaf)

    @property
    def n_segments(self) -> int:
        """Number of segments."""
        return len(self.segment_persistence)


def find_segments(
    space: np.ndarray,
    *,
    settings: DensitySettings,
    seed: int,
    progress: ProgressCallback | None = None,
) -> DensityResult:
    """Find the dense cores of a space and merge them into segments.

    Where fewer than two cores stand out (a handful of users, or everybody in one place) there is
    one segment and everybody is its core: an honest answer that can still be served.

    Parameters
    ----------
    space
        float32 [n, d], users in encoder space.
    settings
        See `DensitySettings`.
    seed
        The same seed gives the same result.
    progress
        Told of (steps done, steps in all).

    Returns
    -------
    DensityResult
        Segments are numbered by their users once everybody of the fit is assigned.

    Raises
    ------
    FitError
        If there are no users or coordinates, or a coordinate is NaN or infinite.

    References
    ----------
    Campello, Moulavi, Sander (2013), "Density-based clustering based on hierarchical density
    estimates" (leaves of the condensed tree); Ward (1963).
    """
    require_finite_users(space)
    rows = _sample(space, settings, seed)
    fitted = np.ascontiguousarray(space[rows], dtype=np.float32)
    tell = progress or _tell_nobody
    tell(0, N_STEPS)
    if len(rows) < 2 * settings.min_cluster_size or _is_one_place(fitted):
        tell(N_STEPS, N_STEPS)
        return _one_segment(rows, _principal_plane(fitted))
    graph = neighbor_graph(fitted, min(settings.n_neighbors, len(rows) - 1))
    tell(1, N_STEPS)
    n_dimensions = min(settings.umap_dimensions, len(rows) // 4)
    dense = lay_out(fitted, graph, n_dimensions=n_dimensions, min_dist=0.0, seed=seed)
    tell(2, N_STEPS)
    map_xy = lay_out(fitted, graph, n_dimensions=2, min_dist=MAP_MIN_DIST, seed=seed)
    tell(3, N_STEPS)
    leaf, persistence = _leaves(dense, settings)
    tell(4, N_STEPS)
    if len(persistence) < 2:
        result = _one_segment(rows, map_xy)
    else:
        result = _merged(fitted, leaf, settings, rows=rows, persistence=persistence, map_xy=map_xy)
    tell(N_STEPS, N_STEPS)
    return result


def _tell_nobody(done: int, total: int) -> None:
    """Stand in where nobody asked for progress."""


def _sample(space: np.ndarray, settings: DensitySettings, seed: int) -> np.ndarray:
    """Ascending rows of the users that take part in the fit."""
    if len(space) <= settings.max_fit_users:
        return np.arange(len(space))
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(len(space), settings.max_fit_users, replace=False))


def _leaves(dense: np.ndarray, settings: DensitySettings) -> tuple[np.ndarray, np.ndarray]:
    """HDBSCAN's leaves: labels int32 [n], the largest leaf is 0, and their persistence."""
    import hdbscan  # noqa: PLC0415 - at fit time only

    found = hdbscan.HDBSCAN(
        min_cluster_size=settings.leaf_size(len(dense)),
        min_samples=settings.min_samples,
        cluster_selection_method="leaf",
        approx_min_span_tree=False,
        core_dist_n_jobs=1,
    ).fit(dense.astype(np.float64))
    labels = found.labels_
    sizes = np.bincount(labels[labels >= 0], minlength=len(found.cluster_persistence_))
    by_size = np.lexsort((np.arange(len(sizes)), -sizes))
    rank = np.empty(len(sizes) + 1, dtype=np.int32)
    rank[by_size], rank[-1] = np.arange(len(sizes)), NO_SEGMENT
    return rank[labels], np.asarray(found.cluster_persistence_)[by_size]


def _merged(
    fitted: np.ndarray,
    leaf: np.ndarray,
    settings: DensitySettings,
    *,
    rows: np.ndarray,
    persistence: np.ndarray,
    map_xy: np.ndarray,
) -> DensityResult:
    """The result of a fit with at least two leaves."""
    sizes = np.bincount(leaf[leaf >= 0])
    centroids = np.stack([fitted[leaf == i].mean(0, np.float64) for i in range(len(sizes))])
    tree = ward_tree(centroids, sizes)
    segment_of_leaf = _segments_of(
        tree, centroids, sizes, fitted=fitted, leaf=leaf, settings=settings
    )
    totals = np.bincount(segment_of_leaf, weights=sizes)[1:]
    persisting = np.bincount(segment_of_leaf, weights=sizes * persistence)[1:]
    labels = np.where(leaf >= 0, segment_of_leaf[leaf], NO_SEGMENT).astype(np.int32)
    return DensityResult(
        fit_rows=rows,
        segment_labels=labels,
        leaf_labels=leaf,
        segment_of_leaf=segment_of_leaf,
        leaf_persistence=persistence,
        segment_persistence=persisting / totals,
        merge_tree=tree,
        map_xy=map_xy,
        noise_share=float((leaf < 0).mean()),
    )


def _segments_of(
    tree: np.ndarray,
    centroids: np.ndarray,
    sizes: np.ndarray,
    *,
    fitted: np.ndarray,
    leaf: np.ndarray,
    settings: DensitySettings,
) -> np.ndarray:
    """Segment int32 [n_leaves] of each leaf: the cut with no small segment, the largest is 1."""
    count_users = _user_counter(fitted, leaf)
    spread = np.sqrt(fitted.var(axis=0, dtype=np.float64).sum() * len(fitted))
    n_places = 1 + int((tree[:, 2] > SAME_PLACE * spread).sum())
    wanted = min(settings.n_segments, n_places)
    best = np.zeros(len(sizes), dtype=np.int64)
    for n_groups in range(wanted, min(2 * wanted, n_places) + 1):
        group = absorb_small(
            cut(tree, n_groups),
            centroids,
            sizes,
            count_users=count_users,
            min_users=settings.smallest_segment(len(fitted)),
        )
        if best.max() < group.max() < wanted:
            best = group
        if best.max() + 1 == wanted:
            break
    users = count_users(best)
    rank = np.lexsort((np.arange(len(users)), -users)).argsort()
    return (rank[best] + 1).astype(np.int32)


def _user_counter(fitted: np.ndarray, leaf: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function from groups of leaves to users per group, once everybody has voted."""
    core = np.flatnonzero(leaf >= 0)
    references = NearestReferences(fitted[core])
    indices, distances = references.query(fitted, min(N_NEIGHBORS, len(core)))
    voting_leaves, weights = leaf[core][indices], inverse_distance(distances)

    def count_users(group: np.ndarray) -> np.ndarray:
        n_groups = int(group.max()) + 1
        winners = tally(group[voting_leaves], weights, n_groups).argmax(axis=1)
        return np.bincount(winners, minlength=n_groups)

    return count_users


def _is_one_place(fitted: np.ndarray) -> bool:
    """Whether users differ by no more than rounding."""
    return bool(np.ptp(fitted, axis=0).max() <= SAME_PLACE * np.abs(fitted).max())


def _one_segment(rows: np.ndarray, map_xy: np.ndarray) -> DensityResult:
    """Everybody is the core of one segment, which is its own single leaf."""
    n_users = len(rows)
    return DensityResult(
        fit_rows=rows,
        segment_labels=np.ones(n_users, dtype=np.int32),
        leaf_labels=np.zeros(n_users, dtype=np.int32),
        segment_of_leaf=np.ones(1, dtype=np.int32),
        leaf_persistence=np.zeros(1),
        segment_persistence=np.zeros(1),
        merge_tree=np.empty((0, 4)),
        map_xy=map_xy,
        noise_share=0.0,
    )


def _principal_plane(fitted: np.ndarray) -> np.ndarray:
    """A map of few users: their first two principal components, float32 [n, 2]."""
    left, values, _ = np.linalg.svd(fitted - fitted.mean(axis=0), full_matrices=False)
    plane = np.zeros((len(fitted), 2), dtype=np.float32)
    width = min(2, len(values))
    plane[:, :width] = left[:, :width] * values[:width]
    return plane
