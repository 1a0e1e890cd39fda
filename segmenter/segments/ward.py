"""Grouping a few weighted points from the bottom up: segments to macro segments, cores to micro.

Ward's method joins the two groups whose union costs least, so that one tree gives every number of
groups; here a point counts as many times as it has users.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.segments.distances import squared_distances


@dataclass(frozen=True)
class Tree:
    """The unions of n points, the cheapest first.

    Attributes
    ----------
    labels
        int64 [n, n]: row g - 1 holds the group 0..g-1 of each point among g groups.
    costs
        float64 [n]: element g - 1 is what the union that left g groups added to the squared
        distances of users from the middle of their group; 0 of n groups, which no union left.
    """

    labels: np.ndarray
    costs: np.ndarray

    def cut(self, n_groups: int) -> np.ndarray:
        """Group 0..n_groups-1 of each point, int64 [n]; numbered by their first point."""
        return self.labels[n_groups - 1]


def ward_tree(points: np.ndarray, weights: np.ndarray) -> Tree:
    """Join points until one group is left.

    Parameters
    ----------
    points
        float64 [n, d].
    weights
        float [n], positive: users at each point.

    References
    ----------
    Ward, "Hierarchical grouping to optimize an objective function", 1963.
    """
    n_points = len(points)
    middles, users = points.astype(np.float64).copy(), weights.astype(np.float64).copy()
    label, costs = np.arange(n_points), np.zeros(n_points)
    rows = [label]
    alive = np.ones(n_points, dtype=bool)
    for n_left in range(n_points - 1, 0, -1):
        shared = np.outer(users, users) / np.add.outer(users, users)
        cost = np.where(
            np.outer(alive, alive), shared * squared_distances(middles, middles), np.inf
        )
        np.fill_diagonal(cost, np.inf)
        one, other = sorted(int(place) for place in np.unravel_index(cost.argmin(), cost.shape))
        costs[n_left - 1] = cost[one, other]
        both = users[one] + users[other]
        middles[one] = (users[one] * middles[one] + users[other] * middles[other]) / both
        users[one], alive[other] = both, False
        label = np.where(label == other, one, label)
        rows.append(np.unique(label, return_inverse=True)[1])
    return Tree(np.stack(rows[::-1]), costs)


def group_middles(points: np.ndarray, weights: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Weighted mean of the points of each label 0..k-1, float64 [k, d]."""
    users = np.bincount(label, weights)
    sums = np.stack([np.bincount(label, weights * column) for column in points.T], axis=1)
    return sums / users[:, None]
