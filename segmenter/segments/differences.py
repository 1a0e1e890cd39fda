"""Differences between two groups of users, with intervals."""

from dataclasses import dataclass

import numpy as np

from segmenter.segments.profiles import CONFIDENCE, wilson

N_DRAWS = 400


@dataclass(frozen=True)
class Difference:
    """A figure of two groups, and how they differ.

    Attributes
    ----------
    here, there
        Of the first and of the second group.
    difference
        The first less the second.
    low, high
        90 % interval of the difference over users.
    """

    here: float
    there: float
    difference: float
    low: float
    high: float

    @property
    def is_apart(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def share_difference(here: int, n_here: int, there: int, n_there: int) -> Difference:  # noqa: PLR0917 - two counts, each of a total
    """Difference of two shares of users.

    Parameters
    ----------
    here, n_here
        Users of the first group who did it, and all of them.
    there, n_there
        The same of the second group.

    References
    ----------
    Newcombe, "Interval estimation for the difference between independent proportions", Statistics
    in Medicine 17 (1998), method 10: from Wilson's intervals of both shares.
    """
    one, other = here / max(n_here, 1), there / max(n_there, 1)
    (low, high), (low_other, high_other) = wilson(here, n_here), wilson(there, n_there)
    apart = one - other
    down = np.sqrt((one - low) ** 2 + (high_other - other) ** 2)
    up = np.sqrt((high - one) ** 2 + (other - low_other) ** 2)
    return Difference(one, other, apart, float(apart - down), float(apart + up))


def median_difference(here: np.ndarray, there: np.ndarray, *, seed: int) -> Difference:
    """Difference of two medians over users, by resampling users of both groups.

    Parameters
    ----------
    here, there
        float64 [n] and [m], neither empty.
    seed
        Of the resampled users.

    References
    ----------
    Efron, Tibshirani, "An Introduction to the Bootstrap", 1993: percentile interval.
    """
    generator = np.random.default_rng(seed)
    drawn = [
        np.array(
            [np.median(side[generator.integers(0, len(side), len(side))]) for _ in range(N_DRAWS)]
        )
        for side in (here, there)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn[0] - drawn[1], [tail, 1 - tail])
    one, other = float(np.median(here)), float(np.median(there))
    return Difference(one, other, one - other, float(low), float(high))


def share_score(here: int, n_here: int, there: int, n_there: int) -> float:  # noqa: PLR0917 - as above
    """How sure a difference of two shares is, in standard errors of the pooled share."""
    pooled = (here + there) / max(n_here + n_there, 1)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / max(n_here, 1) + 1 / max(n_there, 1)))
    apart = here / max(n_here, 1) - there / max(n_there, 1)
    return float(apart / spread) if spread > 0 else 0.0
