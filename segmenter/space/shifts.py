"""How far two distributions of one quantity are apart: of values with names, and of numbers.

Statistics that scipy has are taken from there; what lives here is the form that monitoring wants,
one figure of the same scale for every field.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance

FLOOR = 1e-3
"""Least share of a bin in the stability index: a value that one side never had would otherwise
count without bound."""
N_BINS = 10
"""Bins of a number, of equal size on the old side."""


@dataclass(frozen=True)
class Shift:
    """How a distribution changed; 0 means not at all.

    Attributes
    ----------
    psi
        Population stability index; from .1 a small, from .25 a large shift.
    jensen_shannon
        Distance in [0, 1], the square root of the divergence in bits; of numbers between the same
        bins as the index.
    ks
        Greatest difference of the cumulative distributions of a number, in [0, 1]; None of values
        with names.
    wasserstein
        Mean way that a number would have to go, in standard deviations of the old side; None of
        values with names, and where the old side does not vary.
    """

    psi: float
    jensen_shannon: float
    ks: float | None = None
    wasserstein: float | None = None


def value_shift(old: np.ndarray, new: np.ndarray) -> Shift:
    """Compare shares of the same values.

    Parameters
    ----------
    old, new
        float64 [V], shares or counts of either side, not all zero.
    """
    shares = [side / side.sum() for side in (old, new)]
    return Shift(stability_index(*shares), float(jensenshannon(*shares, base=2)))


def number_shift(old: np.ndarray, new: np.ndarray) -> Shift:
    """Compare two samples of a number.

    Parameters
    ----------
    old, new
        float64 [n] and [m], finite, neither empty.
    """
    inner = np.unique(np.quantile(old, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(inner, side, side="left"), minlength=len(inner) + 1)
        for side in (old, new)
    ]
    binned, spread = value_shift(*counts), float(old.std())
    moved = float(wasserstein_distance(old, new)) / spread if spread > 0 else None
    ks = float(ks_2samp(old, new, method="asymp").statistic)
    return Shift(binned.psi, binned.jensen_shannon, ks, moved)


def stability_index(old: np.ndarray, new: np.ndarray) -> float:
    """Population stability index of shares, at least 0: the symmetric divergence in nats.

    Parameters
    ----------
    old, new
        float64 [V], each adding up to 1; shares below `FLOOR` count as that much.

    References
    ----------
    Siddiqi, "Credit Risk Scorecards", 2006; Kullback, Leibler, "On information and sufficiency",
    1951, the divergence J of equation 2.6.
    """
    floored = [np.maximum(side, FLOOR) for side in (old, new)]
    first, second = (side / side.sum() for side in floored)
    return float(((second - first) * np.log(second / first)).sum())
