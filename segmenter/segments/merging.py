"""Small leaves to published segments: a size-weighted Ward tree over centroids, and its cuts."""

from collections.abc import Callable

import numpy as np


def ward_costs(
    centroid: np.ndarray, size: float, *, others: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Growth of twice the within-group sum of squares if a group joins each of the others.

    Parameters
    ----------
    centroid
        float64 [d] of the group.
    size
        Its users.
    others, sizes
        float64 [n, d] and [n] of the other groups.

    Returns
    -------
    numpy.ndarray
        float64 [n]; its square root is the height that scipy's Ward linkage reports.

    References
    ----------
    Ward (1963), "Hierarchical grouping to optimize an objective function", JASA 58.
    """
    weights = 2 * size * sizes / (size + sizes)
    return weights * np.square(others - centroid).sum(axis=1)


def ward_tree(centroids: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Merge groups two by two, the cheapest pair first.

    Parameters
    ----------
    centroids
        float64 [n, d].
    sizes
        int64 [n], users in each group.

    Returns
    -------
    numpy.ndarray
        float64 [n - 1, 4], a linkage that scipy's functions take: the two groups, the height, how
        many of the n groups are together; row i makes group n + i. The heights are those of
        scipy's Ward linkage of every user put at the centroid of its group.
    """
    n_groups = len(centroids)
    places, weights = centroids.astype(np.float64), sizes.astype(np.float64)
    names, counts = np.arange(n_groups), np.ones(n_groups)
    costs = np.full((n_groups, n_groups), np.inf)
    for row in range(n_groups - 1):
        rest = slice(row + 1, n_groups)
        costs[row, rest] = costs[rest, row] = ward_costs(
            places[row], weights[row], others=places[rest], sizes=weights[rest]
        )
    tree = np.empty((max(n_groups - 1, 0), 4))
    for step in range(n_groups - 1):
        kept, gone = sorted(np.unravel_index(costs.argmin(), costs.shape))
        together = weights[kept] + weights[gone]
        pair = sorted((names[kept], names[gone]))
        counts[kept] += counts[gone]
        tree[step] = (*pair, np.sqrt(costs[kept, gone]), counts[kept])
        places[kept] = (weights[kept] * places[kept] + weights[gone] * places[gone]) / together
        weights[kept], names[kept] = together, n_groups + step
        costs[gone] = costs[:, gone] = np.inf
        open_groups = np.isfinite(costs[kept])
        costs[kept, open_groups] = costs[open_groups, kept] = ward_costs(
            places[kept], together, others=places[open_groups], sizes=weights[open_groups]
        )
    return tree


def cut(tree: np.ndarray, n_groups: int) -> np.ndarray:
    """Groups of the leaves when the tree is cut so that `n_groups` remain.

    Parameters
    ----------
    tree
        float64 [n - 1, 4] from `ward_tree`.
    n_groups
        1 to n.

    Returns
    -------
    numpy.ndarray
        int64 [n], group 0..n_groups-1 of each leaf, numbered in the order of the leaves.
    """
    n_leaves = len(tree) + 1
    group = np.arange(n_leaves)
    for step in range(n_leaves - n_groups):
        group[np.isin(group, tree[step, :2])] = n_leaves + step
    return _in_order_of_appearance(group)


def absorb_small(
    group: np.ndarray,
    centroids: np.ndarray,
    sizes: np.ndarray,
    *,
    count_users: Callable[[np.ndarray], np.ndarray],
    min_users: int,
) -> np.ndarray:
    """Merge the smallest group into its cheapest neighbour until all are large enough.

    Parameters
    ----------
    group
        int64 [n], group of each leaf.
    centroids, sizes
        float64 [n, d] and int64 [n] of the leaves.
    count_users
        From the groups of the leaves to the users that each group has once everybody is assigned.
    min_users
        Smallest group to leave standing, unless it is the only one.

    Returns
    -------
    numpy.ndarray
        int64 [n], numbered in the order of the leaves.
    """
    while group.max() > 0:
        users = count_users(group)
        smallest = int(users.argmin())
        if users[smallest] >= min_users:
            break
        places, weights = group_centroids(group, centroids, sizes)
        costs = ward_costs(places[smallest], weights[smallest], others=places, sizes=weights)
        costs[smallest] = np.inf
        group = _in_order_of_appearance(np.where(group == smallest, costs.argmin(), group))
    return group


def group_centroids(
    group: np.ndarray, centroids: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Size-weighted centroids float64 [g, d] and sizes float64 [g] of groups of leaves.

    Parameters
    ----------
    group
        int64 [n], group 0..g-1 of each leaf.
    centroids, sizes
        float64 [n, d] and int64 [n] of the leaves.
    """
    membership = np.equal.outer(np.arange(group.max() + 1), group) * sizes
    weights = membership.sum(axis=1, dtype=np.float64)
    return membership @ centroids / weights[:, None], weights


def _in_order_of_appearance(group: np.ndarray) -> np.ndarray:
    """Renumber groups 0, 1, .. by their first leaf."""
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse]
