"""Pictures that are nearly the same: an export in another size, another compression."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from segmenter.creative.images import differing_bits

MAX_BITS = 10
"""Of 256: sizes and compressions of one picture differ in fewer, other pictures in more."""
MIN_COSINE = 0.98


def near_duplicates(hashes: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The first picture that each is nearly the same as.

    Parameters
    ----------
    hashes
        uint64 [n, 4], of `segmenter.creative.images.picture_hash`.
    vectors
        float32 [n, d] of unit length, of the same pictures.

    Returns
    -------
    numpy.ndarray
        int64 [n], a row, its own where it is the first or the only one.
    """
    pairs = list(_pairs(hashes, vectors))
    n_pictures = len(hashes)
    rows = np.array([pair[0] for pair in pairs] or [0])
    others = np.array([pair[1] for pair in pairs] or [0])
    graph = sparse.csr_matrix((np.ones(len(rows)), (rows, others)), (n_pictures, n_pictures))
    _, part = connected_components(graph, directed=False)
    first = np.full(n_pictures, n_pictures)
    np.minimum.at(first, part, np.arange(n_pictures))
    return first[part]


def _pairs(hashes: np.ndarray, vectors: np.ndarray) -> Iterator[tuple[int, int]]:
    """Later pictures that are nearly the same as an earlier one."""
    for row in range(len(hashes) - 1):
        near = row + 1 + np.flatnonzero(differing_bits(hashes[row], hashes[row + 1 :]) <= MAX_BITS)
        if len(near):
            alike = near[vectors[near] @ vectors[row] >= MIN_COSINE]
            yield from ((row, other) for other in alike.tolist())
