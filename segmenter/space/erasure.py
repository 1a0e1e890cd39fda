"""Taking an attribute out of a space: no linear model reads it afterwards, and little else moves.

Linear erasure leaves what only a curved model can read: ask a tree probe afterwards.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.space.whitening import Whitening, fit_whitening

NOTHING = 1e-9
"""A covariance of less than this share of the attribute's spread is rounding."""


@dataclass(frozen=True)
class Eraser:
    """An affine map that takes an attribute out of embeddings.

    Attributes
    ----------
    mean
        float64 [d], of the crowd, which stays where it is.
    out
        float64 [d, r]: what is taken from a vector lies in its columns.
    read
        float64 [d, r]: how much, by what these columns read of the vector.
    """

    mean: np.ndarray
    out: np.ndarray
    read: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors float64 [n, d] without the attribute."""
        points = np.asarray(vectors, dtype=np.float64)
        return points - ((points - self.mean) @ self.read) @ self.out.T

    @property
    def rank(self) -> int:
        """Dimensions that are taken."""
        return self.out.shape[1]

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything there is to save."""
        return {"mean": self.mean, "out": self.out, "read": self.read}


def fit_eraser(vectors: np.ndarray, targets: np.ndarray) -> Eraser:
    """Learn to erase what is linearly related to an attribute, and as little else as possible.

    Parameters
    ----------
    vectors
        float [n, d].
    targets
        float [n, c], the attribute: a column of 0 and 1 per value, or numbers.

    Returns
    -------
    Eraser
        After it the covariance of these vectors with `targets` is 0, and of all affine maps for
        which that holds it moves the vectors least, in any norm of the space.

    Raises
    ------
    SpaceError
        If the vectors are not finite or all the same.

    References
    ----------
    Belrose et al., "LEACE: Perfect linear concept erasure in closed form", NeurIPS 2023, theorem
    4.2: x - W+ P W (x - E x) with W the whitening and P the orthogonal projection on the columns
    of W Cov(x, z).
    """
    whitening = fit_whitening(vectors)
    centred = targets - targets.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    scaled = centred / np.where(spread > 0, spread, 1.0)
    # Correlations of whitened coordinates with the attribute's columns.
    shared = whitening(vectors).T @ scaled / len(vectors)
    sides, sizes, _ = np.linalg.svd(shared, full_matrices=False)
    basis = sides[:, sizes > NOTHING]
    return _eraser(whitening, basis)


def _eraser(whitening: Whitening, basis: np.ndarray) -> Eraser:
    """Project out of whitened coordinates what an orthonormal basis [k, r] spans."""
    return Eraser(
        mean=whitening.mean,
        out=whitening.back_step(basis.T).T,
        read=(whitening.axes / whitening.scales) @ basis,
    )
