"""Whether strength means what it says: of those at .8, 80 % should keep their segment."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import linear_sum_assignment

from segmenter.segments.distances import nearest

N_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Strength beside the share of users who keep their segment.

    Attributes
    ----------
    strength, kept
        Means of the users in each bin that has any, in [0, 1].
    users
        Users in it.
    error
        Expected calibration error: mean difference of the two over users; 0 is best.
    """

    strength: tuple[float, ...]
    kept: tuple[float, ...]
    users: tuple[int, ...]
    error: float

    def to_json(self) -> dict[str, Any]:
        """Plain form; `from_json` gives back an equal one."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        parts = {name: tuple(plain[name]) for name in ("strength", "kept", "users")}
        return cls(**parts, error=plain["error"])


def measure_reliability(
    segment_id: np.ndarray,
    strength: np.ndarray,
    points: np.ndarray,
    *,
    halves: Sequence[np.ndarray],
    owners: np.ndarray | None = None,
) -> Reliability | None:
    """Hold strength against segments that halves of the users give.

    Parameters
    ----------
    segment_id, strength
        int32 and float32 [n], as assigned.
    points
        float [n, d], the same users in segment coordinates.
    halves
        Prototypes float64 [k, d] that were made from halves of the users.
    owners
        int [k], what each of these prototypes stands for; None where the segments of a half are
        matched to the published ones so that as many users as possible stay.

    Returns
    -------
    Reliability or None
        None without halves.

    References
    ----------
    Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI 2015: expected calibration error over ten bins of equal width.
    """
    if not halves:
        return None
    stays = [_stays(segment_id, nearest(points, half), owners) for half in halves]
    kept = np.mean(stays, axis=0)
    place = np.minimum((strength * N_BINS).astype(int), N_BINS - 1)
    users = np.bincount(place, minlength=N_BINS)
    there = users > 0
    sums = (np.bincount(place, values, N_BINS)[there] for values in (strength, kept))
    mean_strength, mean_kept = (total / users[there] for total in sums)
    error = float(np.abs(mean_strength - mean_kept) @ users[there] / len(strength))
    return Reliability(
        tuple(mean_strength.tolist()),
        tuple(mean_kept.tolist()),
        tuple(users[there].tolist()),
        error,
    )


def _stays(segment_id: np.ndarray, label: np.ndarray, owners: np.ndarray | None) -> np.ndarray:
    """Whether each user keeps the segment, bool [n]."""
    if owners is not None:
        return owners[label] == segment_id
    ids, code = np.unique(segment_id, return_inverse=True)
    table = np.zeros((len(ids), int(label.max()) + 1))
    np.add.at(table, (code, label), 1)
    mine, theirs = linear_sum_assignment(table, maximize=True)
    heir = np.full(len(ids), -1)
    heir[mine] = theirs
    return heir[code] == label
