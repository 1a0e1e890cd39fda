"""The dense cores of a space, found once at fit time: UMAP, then HDBSCAN's leaves.

Behaviour is a continuum with ridges: many small cores stand out on it. What segments are made of
them, and where everybody between them belongs, is the business of `prototypes`.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.errors import ConfigError
from segmenter.segments.layout import is_one_place, lay_out, neighbor_graph
from segmenter.segments.projection import require_finite_users

BETWEEN = -1
"""Leaf of a user who lies between the cores."""


@dataclass(frozen=True)
class DensitySettings:
    """How dense cores are sought.

    Attributes
    ----------
    min_cluster_size
        Users in the smallest leaf.
    min_samples
        Neighbours that make a place dense (HDBSCAN).
    n_neighbors
        Neighbours in UMAP's graph, the user included.
    umap_dimensions
        Of the layout in which density is measured.
    max_fit_users
        More users than this are sampled.
    full_size_users
        Above so many users of the fit `min_cluster_size` grows in proportion, so that the number
        of leaves levels off.
    """

    min_cluster_size: int = 8
    min_samples: int = 3
    n_neighbors: int = 15
    umap_dimensions: int = 8
    max_fit_users: int = 30_000
    full_size_users: int = 8_000

    def __post_init__(self) -> None:
        lowest = {"min_cluster_size": 2, "min_samples": 1, "n_neighbors": 2}
        lowest |= {"umap_dimensions": 1, "max_fit_users": 50, "full_size_users": 1}
        for name, bound in lowest.items():
            if getattr(self, name) < bound:
                message = f"{name} must be at least {bound}; found {getattr(self, name)}"
                raise ConfigError(message)

    def leaf_size(self, n_users: int) -> int:
        """Users in the smallest leaf of a fit on `n_users`."""
        return round(self.min_cluster_size * max(1.0, n_users / self.full_size_users))


@dataclass(frozen=True)
class Leaves:
    """The dense cores among the users of a fit.

    Attributes
    ----------
    rows
        int64 [n_fit], ascending rows of the space that took part.
    labels
        int32 [n_fit]: leaf 0..n_leaves-1 of a core member, the largest is 0; `BETWEEN` for the
        others.
    persistence
        float64 [n_leaves] in [0, 1], higher is better: how long a leaf outlives its birth as
        density rises.
    """

    rows: np.ndarray
    labels: np.ndarray
    persistence: np.ndarray

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        return len(self.persistence)

    @property
    def between_share(self) -> float:
        """Share of the users of the fit who lie between the cores."""
        return float((self.labels == BETWEEN).mean())


def find_leaves(space: np.ndarray, *, settings: DensitySettings, seed: int) -> Leaves:
    """Find the dense cores of a space.

    Where fewer than two cores stand out (a handful of users, or everybody in one place) there is
    one leaf and everybody is its core: an honest answer that can still be served.

    Parameters
    ----------
    space
        float32 [n, d], users in encoder space.
    settings
        See `DensitySettings`.
    seed
        The same seed gives the same result.

    Raises
    ------
    FitError
        If there are no users or coordinates, or a coordinate is NaN or infinite.

    References
    ----------
    Campello, Moulavi, Sander (2013), "Density-based clustering based on hierarchical density
    estimates" (leaves of the condensed tree).
    """
    require_finite_users(space)
    rows = _sample(space, settings, seed)
    fitted = np.ascontiguousarray(space[rows], dtype=np.float32)
    if len(rows) < 2 * settings.min_cluster_size or is_one_place(fitted):
        return _one_leaf(rows)
    graph = neighbor_graph(fitted, min(settings.n_neighbors, len(rows) - 1))
    n_dimensions = min(settings.umap_dimensions, len(rows) // 4)
    dense = lay_out(fitted, graph, n_dimensions=n_dimensions, min_dist=0.0, seed=seed)
    labels, persistence = _leaves(dense, settings)
    if len(persistence) < 2:
        return _one_leaf(rows)
    return Leaves(rows, labels, persistence)


def _one_leaf(rows: np.ndarray) -> Leaves:
    return Leaves(rows, np.zeros(len(rows), dtype=np.int32), np.zeros(1))


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
    by_size = np.argsort(-sizes, kind="stable")
    rank = np.empty(len(sizes) + 1, dtype=np.int32)
    rank[by_size], rank[-1] = np.arange(len(sizes)), BETWEEN
    return rank[labels], np.asarray(found.cluster_persistence_)[by_size]
