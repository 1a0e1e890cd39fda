"""The coordinates in which segments are sought: the forecast part, and a little of the taste part.

Segments along the forecast part alone are bands of activity; a small share of the taste part's
main directions makes them differ in what people do, at no cost in what they predict.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.errors import FitError

ROUNDING = 1e-6
"""A part whose spread is at most this share of its greatest value is constant but for rounding."""


@dataclass(frozen=True)
class Projection:
    """An affine map from exported embeddings to segment coordinates.

    Attributes
    ----------
    offset
        float32 [D], subtracted first.
    matrix
        float32 [D, S].
    """

    offset: np.ndarray
    matrix: np.ndarray

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Segment coordinates float32 [n, S] of embeddings float32 [n, D]."""
        return (embeddings - self.offset) @ self.matrix

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for a bundle."""
        return {"offset": self.offset, "matrix": self.matrix}


def fit_projection(
    embeddings: np.ndarray,
    *,
    n_forecast: int,
    taste_weight: float,
    taste_components: int,
    metric: np.ndarray | None = None,
) -> Projection:
    """Scale the forecast part to a total spread of one and add weighted taste components.

    Parameters
    ----------
    embeddings
        float32 [n, D]; the first `n_forecast` columns are the forecast part.
    n_forecast
        Width of the forecast part.
    taste_weight
        Total spread of the taste components relative to the forecast part; 0 leaves them out.
    taste_components
        Principal components of the taste part that take part.
    metric
        float [n_forecast, n_forecast], a map of the forecast part after which plain distance
        means likeness; None takes that part as it is.

    Returns
    -------
    Projection
        To ``n_forecast + taste_components`` coordinates; fewer where the taste part is narrower or
        left out. A part that does not vary is zero everywhere.

    Raises
    ------
    FitError
        If there are no users or coordinates, or a coordinate is NaN or infinite.
    """
    require_finite_users(embeddings)
    offset = embeddings.mean(axis=0, dtype=np.float64)
    centred = embeddings - offset
    forecast, taste = centred[:, :n_forecast], centred[:, n_forecast:]
    n_taste = min(taste_components, taste.shape[1]) if taste_weight > 0 else 0
    matrix = np.zeros((embeddings.shape[1], n_forecast + n_taste))
    measured = np.eye(n_forecast) if metric is None else metric
    spread = np.sqrt((forecast @ measured).var(axis=0).sum())
    forecast_gain = _gain(embeddings[:, :n_forecast] @ measured, spread)
    matrix[:n_forecast, :n_forecast] = measured * forecast_gain
    if n_taste:
        covariance = taste.T @ taste / max(len(taste), 1)
        variances, directions = np.linalg.eigh(covariance)
        chosen = directions[:, ::-1][:, :n_taste]
        total = np.sqrt(max(variances[::-1][:n_taste].sum(), 0.0))
        gain = taste_weight * _gain(embeddings[:, n_forecast:], total)
        signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(n_taste)])
        matrix[n_forecast:, n_forecast:] = chosen * signs * gain
    return Projection(offset.astype(np.float32), matrix.astype(np.float32))


def require_finite_users(space: np.ndarray) -> None:
    """Refuse users from whom nothing can be learned.

    Parameters
    ----------
    space
        float32 [n, d] of users.

    Raises
    ------
    FitError
        If there are no users or coordinates, or a coordinate is NaN or infinite.
    """
    if space.ndim != 2 or not space.size:
        message = f"segments need users with coordinates; found an array of shape {space.shape}"
        raise FitError(message)
    unusable = int((~np.isfinite(space).all(axis=1)).sum())
    if unusable:
        message = (
            f"{unusable} of {len(space)} users have NaN or infinite coordinates, so training "
            "diverged; lower learning_rate"
        )
        raise FitError(message)


def _gain(part: np.ndarray, spread: float) -> float:
    """Factor that makes a part's spread one; 0 where it is rounding of a constant."""
    greatest = float(np.abs(part).max(initial=0.0))
    return 1 / spread if spread > ROUNDING * greatest else 0.0
