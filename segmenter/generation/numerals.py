"""Classes of numbers back to numbers: what lies inside each class, and how finely a log counts.

The decoder knows a number by its class, an exact value or a bin. Inside a bin a number is drawn
from quantiles over many users, never taken from one of them.
"""

from dataclasses import dataclass

import numpy as np
import torch

from segmenter.autoencoder.likelihoods import NumberClasses

QUANTILES = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
"""Probabilities at which a class is described; its ends are those of the bin."""
TAIL = 0.95
"""Beyond this part of the outermost bins excesses are exponential, of the users' mean excess."""
MAX_EXCESSES = 5.0
"""A tail ends at so many mean excesses: no draw is far beyond what was seen."""
MIN_VALUES = 20
"""Values below which a bin is taken as its centre: quantiles of few users are their values."""
DECIMALS = (0, 1, 2, 3, 4)
EXACT_SHARE = 0.999
SHORT_FLOAT = 1.2e-7
"""Relative error of the network's numbers."""
CLOCKS_US = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)
"""Day, hour, minute, second, millisecond."""


@dataclass(frozen=True)
class Numerals:
    """How to draw a number of one field from its class.

    Attributes
    ----------
    points
        float64 [n_classes, 13], quantiles of each class; those of class 0, missing, are NaN.
    below, above
        Mean excess of the outermost 5 % of the lowest and of the highest bin.
    n_bins
        The last classes, which are bins; those between them and class 0 are exact values.
    decimals
        Digits behind the point; None where values have no common grid.
    """

    points: np.ndarray
    below: float
    above: float
    n_bins: int
    decimals: int | None

    def draw(self, classes: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Numbers float64 [E] of classes int64 [E] at probabilities in [0, 1] of the class."""
        rows = self.points[classes]
        place = np.clip(np.searchsorted(QUANTILES, chance), 1, len(QUANTILES) - 1)
        low, high = QUANTILES[place - 1], QUANTILES[place]
        part = np.clip((chance - low) / (high - low), 0.0, 1.0)
        each = np.arange(len(classes))
        value = (1 - part) * rows[each, place - 1] + part * rows[each, place]
        value = np.where(self._is_tail(classes, chance), self._tail(rows, chance), value)
        return value if self.decimals is None else np.round(value, self.decimals)

    def _is_tail(self, classes: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Whether a number lies in the open end of an outermost bin."""
        lowest = len(self.points) - self.n_bins
        upper = (classes == len(self.points) - 1) & (chance > TAIL)
        return upper | ((classes == lowest) & (chance < 1 - TAIL))

    def _tail(self, rows: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Numbers beyond the outermost quantiles."""
        rest = np.minimum(chance, 1 - chance) / (1 - TAIL)
        excess = np.minimum(-np.log(np.maximum(rest, 1e-9)), MAX_EXCESSES)
        return np.where(
            chance > 0.5, rows[:, -2] + self.above * excess, rows[:, 1] - self.below * excess
        )


def fit_numerals(classes: NumberClasses, values: np.ndarray) -> Numerals:
    """Describe what lies inside the classes of a field.

    Parameters
    ----------
    classes
        Of the field.
    values
        float64 values of many users; NaN is missing.
    """
    known = values[~np.isnan(values)]
    points = np.repeat(classes.typical()[:, None], len(QUANTILES), axis=1)
    code = classes.encode(torch.from_numpy(known.astype(np.float32))).numpy()
    first = 1 + len(classes.atoms)
    below = above = 0.0
    borders = [np.nan, *classes.edges, np.nan]
    for one in range(first, classes.n_classes):
        inside = known[code == one]
        if len(inside) < MIN_VALUES:
            continue
        points[one] = np.quantile(inside, QUANTILES)
        low, high = borders[one - first : one - first + 2]
        points[one, 0] = points[one, 1] if np.isnan(low) else low
        points[one, -1] = points[one, -2] if np.isnan(high) else high
        if one == first:
            below = _mean_excess(points[one, 1] - inside)
        if one == classes.n_classes - 1:
            above = _mean_excess(inside - points[one, -2])
    return Numerals(points, below, above, len(classes.centres), _decimals(known))


def _mean_excess(beyond: np.ndarray) -> float:
    """Mean of what is above zero; 0 where nothing is."""
    above = beyond[beyond > 0]
    return float(above.mean()) if len(above) else 0.0


def _decimals(values: np.ndarray) -> int | None:
    """Fewest digits behind the point that nearly all values have; None if there are none."""
    for digits in DECIMALS:
        scaled = values * 10**digits
        error = 1e-6 + SHORT_FLOAT * np.abs(scaled)
        if len(values) and (np.abs(scaled - np.round(scaled)) <= error).mean() >= EXACT_SHARE:
            return digits
    return None


def clock_of(times: np.ndarray) -> int:
    """The coarsest clock, in microseconds, on which nearly all times int64 fall; 1 at worst."""
    for clock in CLOCKS_US:
        if len(times) and (times % clock == 0).mean() >= EXACT_SHARE:
            return clock
    return 1
