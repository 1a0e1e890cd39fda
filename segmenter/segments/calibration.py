"""Whether strength means what it says: of users at .8, four in five keep their segment."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import linear_sum_assignment

from segmenter.segments.distances import nearest

N_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Users of about the same strength.

    Attributes
    ----------
    strength
        Their mean strength.
    kept
        Share of them, over all refits, that keeps its segment.
    n_users
        How many they are.
    """

    strength: float
    kept: float
    n_users: int


@dataclass(frozen=True)
class Calibration:
    """The reliability of strength.

    Attributes
    ----------
    bins
        Ascending, those that hold users.
    error
        Mean distance of strength and kept share over users, in [0, 1]; 0 is best.
    n_refits
        Halves of the users that it was measured on.
    measured_for
        The earlier model that a refit has it from; empty where it was measured for this one.
    """

    bins: tuple[Bin, ...]
    error: float
    n_refits: int
    measured_for: str = ""

    @property
    def text(self) -> str:
        """The measure in a sentence."""
        whose = f" (measured for {self.measured_for})" if self.measured_for else ""
        return (
            f"Strength is off by {self.error:.3f} on average from the share that keeps its "
            f"segment when segments are made afresh from {self.n_refits} halves of the "
            f"users{whose}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        bins = tuple(Bin(**item) for item in plain["bins"])
        return cls(bins, plain["error"], plain["n_refits"], plain["measured_for"])


def calibrate(
    strength: np.ndarray,
    segment_id: np.ndarray,
    points: np.ndarray,
    *,
    halves: Sequence[np.ndarray],
) -> Calibration | None:
    """Measure how reliable strength is.

    Parameters
    ----------
    strength, segment_id
        float and int [n], as assigned.
    points
        float [n, d], the same users in segment coordinates.
    halves
        Prototypes float64 [k, d] that were made from halves of the users.

    Returns
    -------
    Calibration or None
        None without halves.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017: expected
    calibration error over bins of equal width.
    """
    if not halves or not len(strength):
        return None
    kept = kept_shares(segment_id, [nearest(points, prototypes) for prototypes in halves])
    place = np.minimum((strength * N_BINS).astype(int), N_BINS - 1)
    users = np.bincount(place, minlength=N_BINS)
    said, stayed = (np.bincount(place, values, N_BINS) for values in (strength, kept))
    error = float(np.abs(said - stayed).sum() / len(strength))
    bins = tuple(
        Bin(float(said[bin_] / users[bin_]), float(stayed[bin_] / users[bin_]), int(users[bin_]))
        for bin_ in np.flatnonzero(users)
    )
    return Calibration(bins, error, len(halves))


def kept_shares(segment_id: np.ndarray, labels: Sequence[np.ndarray]) -> np.ndarray:
    """Share of other segmentations in which each user keeps its segment, float64 [n].

    Parameters
    ----------
    segment_id
        int [n].
    labels
        Other segmentations of the same users, int [n] from 0 each. The segments of each are
        matched so that as many users as possible keep theirs.

    References
    ----------
    Kuhn, "The Hungarian method for the assignment problem", 1955.
    """
    ids, code = np.unique(segment_id, return_inverse=True)
    stays = np.zeros(len(segment_id))
    for label in labels:
        table = np.zeros((len(ids), label.max() + 1), dtype=np.int64)
        np.add.at(table, (code, label), 1)
        mine, theirs = linear_sum_assignment(table, maximize=True)
        match = np.full(len(ids), -1)
        match[mine] = theirs
        stays += match[code] == label
    return stays / len(labels)
