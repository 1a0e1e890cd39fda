"""Exact nearest reference points, the same for a user alone and in any batch.

Matrix products in single precision propose candidates; differences in double precision decide. A
row whose candidates cannot be proven complete looks at every point that rounding could have
hidden, so the answer never depends on how a matrix product was blocked. What the neighbours mean
is not known here.
"""

import numpy as np

BLOCK_ROWS = 128
"""Queries per matrix product: its result stays in the cache that the selection reads from."""

SPARE_CANDIDATES = 9
"""Candidates beyond the neighbours asked for; their distances prove the selection complete."""

FLOAT32_STEP, FLOAT32_MAX = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).max)

SMALLEST_REACH, GREATEST_REACH = 1e-15, 1e18
"""Lengths between which no product of two coordinates under- or overflows in single precision."""


class NearestReferences:
    """Finds the nearest of a fixed set of points, in Euclidean distance.

    Parameters
    ----------
    points
        float32 [m, d], m and d at least 1, finite.
    """

    def __init__(self, points: np.ndarray) -> None:
        self.points = np.ascontiguousarray(points, dtype=np.float32)
        n_points, n_dimensions = self.points.shape
        # The median, because one far point would take the mean away from all others.
        self._centre = np.median(self.points.astype(np.float64), axis=0)
        self._group = max(1, int(np.sqrt(n_points / 48)))
        self._n_groups = -(-n_points // self._group)
        n_padded = self._n_groups * self._group
        centred = self._centred(self.points)
        squares = squared_lengths(centred)
        # Points beyond `GREATEST_REACH` are never candidates: such rows look at every point.
        tame = np.flatnonzero(squares < GREATEST_REACH**2)
        self._factors = np.zeros((n_dimensions, n_padded), dtype=np.float32)
        self._factors[:, tame] = -2 * centred[tame].T
        self._norms = np.full(n_padded, np.inf, dtype=np.float32)
        self._norms[tame] = squares[tame]

    def __len__(self) -> int:
        return len(self.points)

    def query(self, space: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest points of each row, nearest first.

        Parameters
        ----------
        space
            float32 [n, d], finite.
        n_neighbors
            At most the number of points.

        Returns
        -------
        indices : numpy.ndarray
            int64 [n, n_neighbors]; at equal distance the smaller index comes first.
        distances : numpy.ndarray
            float64 [n, n_neighbors], ascending; row by row the same whatever the other rows are.
        """
        queries = np.ascontiguousarray(space, dtype=np.float32)
        indices = np.empty((len(queries), n_neighbors), dtype=np.int64)
        distances = np.empty((len(queries), n_neighbors))
        find = self._among_candidates
        if n_neighbors + SPARE_CANDIDATES >= len(self.points):
            find = self._among_all
        for start in range(0, len(queries), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            indices[rows], distances[rows] = find(queries[rows], n_neighbors)
        return indices, distances

    def _centred(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors float32 [n, d] from the centre of the points, which keeps rounding small."""
        return (vectors - self._centre).clip(-FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)

    def _among_all(self, queries: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest of a few points."""
        everything = np.broadcast_to(np.arange(len(self.points)), (len(queries), len(self.points)))
        return self._closest(queries, everything, n_neighbors)

    def _among_candidates(
        self, queries: np.ndarray, n_neighbors: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest of many points, by way of candidates.

        A point no farther than the last neighbour found has, with the query, a length of at most
        `reach`: its value is wrong by no more than the rounding of such lengths, so it lies within
        `limit`. The candidates are complete where `limit` stays below all other values.
        """
        centred = self._centred(queries)
        with np.errstate(over="ignore", invalid="ignore"):
            values = centred @ self._factors
            values += self._norms
        candidates, worst = self._candidates(values, n_neighbors + SPARE_CANDIDATES)
        indices, distances = self._closest(queries, candidates, n_neighbors)
        squares, farthest = squared_lengths(centred), distances[:, -1]
        reach = 2 * np.sqrt(squares) + farthest
        limit = farthest**2 - squares + product_error(reach, queries.shape[1])
        unproven = np.flatnonzero(~(limit < worst))
        _, first, place = np.unique(
            queries[unproven], axis=0, return_index=True, return_inverse=True
        )
        for row in unproven[first]:
            near = np.flatnonzero(~(values[row, : len(self.points)] > limit[row]))
            found = self._closest(queries[row : row + 1], near[None], n_neighbors)
            indices[row], distances[row] = found[0][0], found[1][0]
        indices[unproven] = indices[unproven[first[place]]]
        distances[unproven] = distances[unproven[first[place]]]
        return indices, distances

    def _candidates(self, values: np.ndarray, n_candidates: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns int64 [b, c] of the smallest values of each row, and the largest of these [b].

        The c smallest values lie in the c groups with the smallest minima, so the selection reads
        a part of each row only.
        """
        columns = self._columns_of_best_groups(values, n_candidates)
        some = np.take_along_axis(values, columns, axis=1)
        chosen = np.argpartition(some, n_candidates - 1, axis=1)[:, :n_candidates]
        worst = np.take_along_axis(some, chosen[:, -1:], axis=1)[:, 0].astype(np.float64)
        candidates = np.take_along_axis(columns, chosen, axis=1)
        # Padding is chosen only among infinite values, and by a row that is never proven.
        return np.minimum(candidates, len(self.points) - 1), worst

    def _columns_of_best_groups(self, values: np.ndarray, n_candidates: int) -> np.ndarray:
        """Columns int64 [b, g] that hold the `n_candidates` smallest values of each row."""
        if self._group == 1 or self._n_groups <= n_candidates:
            return np.broadcast_to(np.arange(values.shape[1]), values.shape)
        minima = values.reshape(len(values), self._group, self._n_groups).min(axis=1)
        best = np.argpartition(minima, n_candidates - 1, axis=1)[:, :n_candidates]
        members = np.arange(self._group) * self._n_groups
        return (best[:, :, None] + members).reshape(len(values), -1)

    def _closest(
        self, queries: np.ndarray, candidates: np.ndarray, n_neighbors: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest candidates in double precision, ties by index."""
        differences = self.points[candidates].astype(np.float64)
        differences -= queries[:, None, :]
        squares = np.square(differences, out=differences).sum(axis=-1)
        order = np.lexsort((candidates, squares), axis=-1)[:, :n_neighbors]
        nearest = np.take_along_axis(squares, order, axis=1)
        return np.take_along_axis(candidates, order, axis=1), np.sqrt(nearest)


def squared_lengths(vectors: np.ndarray) -> np.ndarray:
    """Squared length float64 [n] of vectors float32 [n, d]."""
    return np.square(vectors, dtype=np.float64).sum(axis=1)


def product_error(reach: np.ndarray, n_dimensions: int) -> np.ndarray:
    """Bound of what rounding does to a squared distance made of single-precision products.

    Parameters
    ----------
    reach
        float64 [n], the lengths of the two vectors together.
    n_dimensions
        Terms of the dot product.

    Returns
    -------
    numpy.ndarray
        float64 [n], at least four times the worst case; infinite where products may overflow.

    References
    ----------
    Higham (2002), "Accuracy and stability of numerical algorithms", section 3.1.
    """
    error = (n_dimensions + 8) * FLOAT32_STEP * np.maximum(reach, SMALLEST_REACH) ** 2
    return np.where(reach < GREATEST_REACH, error, np.inf)
