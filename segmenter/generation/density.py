"""Where users lie: a mixture of local Gaussians over embeddings, and points drawn from it.

Never a standard normal: the latent is not made to be one, and most of its prior is empty. Every
component has the covariance of a neighbourhood of at least 50 users and lies between its centre
and one of them, such that components together vary as the neighbourhood does. How large
neighbourhoods are, and how wide a component, is chosen by the likelihood of users that the mixture
was not fitted to: a mixture that remembers its users loses there.

References
----------
Vincent, Bengio: "Manifold Parzen Windows", NIPS 2002, for the local covariances. West:
"Approximating Posterior Distributions by Mixture", 1993, for the shrinkage of the centres.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from segmenter.errors import SpaceError
from segmenter.space.neighbors import nearest_rows

MIN_USERS = 50
"""Users of the smallest neighbourhood, and the fewest that a density is fitted to."""
NEIGHBORHOODS = (50, 80, 120, 200, 400)
RIDGES = (0.03, 0.01, 0.003, 0.001)
"""Variance added to each direction, in units of the embeddings' own: few users need more."""
WIDTHS = (0.7, 0.5, 0.35)
"""Spread of a component in units of its neighbourhood's. At 1 all components lie at the centres of
crowds and nobody is drawn who stands apart (decoded journeys of students are told from real ones
in .87 instead of .83 of pairs); far below these they would stand for single users."""
MAX_HELD = 500
"""Held-out users by whom mixtures are compared."""
MAX_COMPONENTS, MAX_TRIAL_COMPONENTS = 512, 128
HELD_OUT = 0.2
MAX_USERS = 20_000
OUTER = 0.99
"""Part of real users by the distance to their neighbours: points beyond are off the data."""
OFF_NEIGHBORS = 5


@dataclass(frozen=True)
class Density:
    """A fitted mixture with the border of the data.

    Attributes
    ----------
    means
        float64 [c, d]; components weigh alike.
    factors
        float64 [c, d, d]: a standard normal times ``factors[c].T`` has the component's covariance.
    n_neighbors, width
        Users of each component, and its spread in units of theirs.
    vectors
        float32 [n, d], the users that it was fitted to.
    scale
        float64 [d], in units of which distances count.
    border
        Distance to the fifth neighbour within which nearly all users lie.
    held_out
        Mean log-likelihood per user of those it was not fitted to when it was chosen, nats.
    """

    means: np.ndarray
    factors: np.ndarray
    n_neighbors: int
    width: float
    vectors: np.ndarray
    scale: np.ndarray
    border: float
    held_out: float

    def off_data(self, points: np.ndarray) -> np.ndarray:
        """Whether each point is farther from users than they are from each other, bool [n]."""
        _, far = nearest_rows(self.vectors / self.scale, points / self.scale, k=OFF_NEIGHBORS)
        return far[:, -1] > self.border

    def draw(self, n: int, *, generator: np.random.Generator) -> np.ndarray:
        """Points float64 [n, d] of the mixture, on the data or not."""
        component = generator.integers(len(self.means), size=n)
        noise = generator.standard_normal((n, self.means.shape[1]))
        points = self.means[component]
        for one in np.unique(component):
            chosen = component == one
            points[chosen] += noise[chosen] @ self.factors[one].T
        return points


def fit_density(vectors: np.ndarray, *, seed: int) -> Density:
    """Fit mixtures of several widths and keep the one under which held-out users are likeliest.

    Parameters
    ----------
    vectors
        float [n, d], at least 50.
    seed
        Of the split, and of the users around whom components are fitted where they are many.

    Raises
    ------
    SpaceError
        If there are fewer than 50 vectors.
    """
    if len(vectors) < MIN_USERS:
        message = f"a density needs at least {MIN_USERS} users; found {len(vectors)}"
        raise SpaceError(message)
    order = np.random.default_rng(seed).permutation(len(vectors))[:MAX_USERS]
    scale = np.maximum(vectors.std(axis=0, dtype=np.float64), 1e-9)
    known = vectors[order] / scale
    n_held = int(HELD_OUT * len(known))
    best, size, shape = _choose(known[:n_held][:MAX_HELD], known[n_held:])
    means, factors = _neighborhoods(known, size, MAX_COMPONENTS).mixture(*shape)
    return Density(
        means * scale,
        factors * scale[:, None],
        size,
        shape[0],
        vectors,
        scale,
        _border(known),
        best,
    )


def _choose(held: np.ndarray, fitted: np.ndarray) -> tuple[float, int, tuple[float, float]]:
    """Likelihood of the best mixture, the size of its neighbourhoods, its width and its ridge."""
    best, size, shape = -np.inf, 0, (0.0, 0.0)
    for trial in sorted({min(one, len(fitted)) for one in (*NEIGHBORHOODS, len(fitted))}):
        around = _neighborhoods(fitted, trial, MAX_TRIAL_COMPONENTS)
        for candidate in itertools.product(WIDTHS, RIDGES):
            score = _log_likelihood(held, *around.mixture(*candidate))
            if score > best:
                best, size, shape = score, trial, candidate
    return best, size, shape


@dataclass(frozen=True)
class _Neighborhoods:
    """Users [c, d] with the means [c, d] and covariances [c, d, d] of those around each."""

    users: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def mixture(self, width: float, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """Means and Cholesky factors of the components, with a variance added everywhere."""
        means = self.means + np.sqrt(1 - width**2) * (self.users - self.means)
        added = ridge * np.eye(self.means.shape[1])
        return means, width * np.linalg.cholesky(self.covariances + added)


def _neighborhoods(known: np.ndarray, size: int, n_components: int) -> _Neighborhoods:
    """Neighbourhoods of the first users."""
    users = known[:n_components]
    rows, _ = nearest_rows(known, users, k=size)
    means = np.stack([known[near].mean(axis=0) for near in rows])
    away = (known[near] - mean for near, mean in zip(rows, means, strict=True))
    return _Neighborhoods(users, means, np.stack([one.T @ one / size for one in away]))


def _log_likelihood(points: np.ndarray, means: np.ndarray, factors: np.ndarray) -> float:
    """Mean log-likelihood of points under the mixture, nats."""
    parts = []
    for mean, factor in zip(means, factors, strict=True):
        away = solve_triangular(factor, (points - mean).T, lower=True, check_finite=False)
        parts.append(-0.5 * (away**2).sum(axis=0) - np.log(np.diag(factor)).sum())
    constant = np.log(len(means)) + 0.5 * points.shape[1] * np.log(2 * np.pi)
    return float(np.mean(logsumexp(np.stack(parts), axis=0)) - constant)


def _border(known: np.ndarray) -> float:
    """Distance to the fifth other user within which nearly all lie."""
    _, far = nearest_rows(known, known[:2_000], k=OFF_NEIGHBORS + 1)
    return float(np.quantile(far[:, -1], OUTER))
