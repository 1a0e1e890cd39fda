"""Numbers as classes: exact atoms for lumpy values, quantile bins for the rest.

Gaps and prices of real logs are lumpy (most gaps inside a basket are exactly 0), so a smooth
density would smear what matters. A number becomes one class of "missing", the atoms, or a bin.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

MIN_ATOM_SHARE = 0.01
"""A value with at least this share of the training events is a class of its own."""


@dataclass(frozen=True)
class NumberClasses:
    """How a number maps to classes.

    Attributes
    ----------
    atoms
        Exact values, ascending; class ``1 + i``. Class 0 is missing.
    edges
        Inner borders of the quantile bins of all other values, ascending.
    centres
        Median training value of each bin, one more than edges.
    """

    atoms: tuple[float, ...]
    edges: tuple[float, ...]
    centres: tuple[float, ...]

    @property
    def n_classes(self) -> int:
        """Count of classes, missing included."""
        return 1 + len(self.atoms) + len(self.centres)

    def encode(self, values: Tensor) -> Tensor:
        """Class of each value, int64 of the same shape; NaN is class 0."""
        atoms = torch.tensor(self.atoms, device=values.device)
        edges = torch.tensor(self.edges, device=values.device)
        plain = torch.nan_to_num(values)
        classes = 1 + len(self.atoms) + torch.searchsorted(edges, plain.contiguous(), right=True)
        if len(self.atoms):
            place = torch.searchsorted(atoms, plain.contiguous()).clamp(max=len(atoms) - 1)
            classes = torch.where(atoms[place] == plain, 1 + place, classes)
        return torch.where(torch.isnan(values), 0, classes)

    def typical(self) -> np.ndarray:
        """A typical value per class, float64 [n_classes]; NaN for missing."""
        return np.array([np.nan, *self.atoms, *self.centres])

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle."""
        return {"atoms": self.atoms, "edges": self.edges, "centres": self.centres}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "NumberClasses":
        """Inverse of `to_json`."""
        return cls(*(tuple(plain[name]) for name in ("atoms", "edges", "centres")))


def fit_number_classes(values: np.ndarray, *, n_bins: int = 16) -> NumberClasses:
    """Find atoms and quantile bins.

    Parameters
    ----------
    values
        float32 training values; NaN is missing.
    n_bins
        Greatest number of bins for values that are no atoms.

    Returns
    -------
    NumberClasses
        With at least one bin, so that any later value has a class.
    """
    known = np.asarray(values, dtype=np.float32)
    known = known[~np.isnan(known)]
    distinct, counts = np.unique(known, return_counts=True)
    common = counts >= MIN_ATOM_SHARE * max(len(known), 1)
    atoms = distinct[common]
    rest = known[~np.isin(known, atoms)]
    if len(rest) == 0:
        centre = float(np.median(known)) if len(known) else 0.0
        return NumberClasses(tuple(map(float, atoms)), (), (centre,))
    # Edges are values themselves, so that no bin is empty.
    parts = np.linspace(0, 1, n_bins + 1)[1:-1]
    edges = np.unique(np.quantile(rest, parts, method="higher"))
    edges = edges[edges > rest.min()]
    bins = np.searchsorted(edges, rest, side="right")
    centres = [float(np.median(rest[bins == place])) for place in range(len(edges) + 1)]
    return NumberClasses(tuple(map(float, atoms)), tuple(map(float, edges)), tuple(centres))
