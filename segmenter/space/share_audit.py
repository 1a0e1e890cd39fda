"""Who is shown: a group's share at the top of rankings against its share in the whole.

A small bias of the whole space may be large at the top, where people look; a test of the whole
misses it. What is tested is the labels: if the rankings know nothing of the group, any labels of
the same number would do as well.
"""

from dataclasses import dataclass

import numpy as np

from segmenter.errors import SpaceError
from segmenter.space.resampling import p_value

N_PERMUTATIONS = 1_999
LEVEL = 0.01


@dataclass(frozen=True)
class ShareAudit:
    """A group at the top of several rankings.

    Attributes
    ----------
    base
        Its share in the whole, or with strata the share to expect of each ranking's top, averaged.
    shares
        float64 [q], its share in the top of each ranking.
    skew
        Largest distance of these from what is to be expected.
    gap
        Mean share of the first rankings less that of those they are compared with; without
        comparison the mean distance from what is to be expected.
    p
        Chance of so large a gap, either way, if the labels meant nothing.
    """

    base: float
    shares: np.ndarray
    skew: float
    gap: float
    p: float

    @property
    def biased(self) -> bool:
        """Whether the labels mean something to the rankings."""
        return self.p < LEVEL


def audit_top_share(
    tops: np.ndarray,
    member: np.ndarray,
    *,
    compared: np.ndarray | None = None,
    strata: np.ndarray | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> ShareAudit:
    """Test whether rankings favour a group.

    Parameters
    ----------
    tops
        int64 [q, k], rows at the top of each ranking.
    member
        bool [n], who belongs to the group.
    compared
        bool [q], rankings that the others are compared with, such as calm scenes beside energetic
        ones; None compares with the whole.
    strata
        int64 [n]: labels are permuted inside each, so that a bias which is the library's own,
        such as more of the group among energetic scenes, is no bias of the ranking.
    n_permutations
        Relabellings.
    seed
        Of the relabellings.

    Raises
    ------
    SpaceError
        If everybody or nobody is a member, or nothing is left to compare.

    References
    ----------
    Phipson and Smyth, "Permutation p-values should never be zero", 2010.
    """
    if not 0 < member.sum() < len(member):
        message = f"a group is a part of the whole; {member.sum()} of {len(member)} belong to it"
        raise SpaceError(message)
    if compared is not None and not 0 < compared.sum() < len(compared):
        message = "a comparison needs rankings on both sides; name queries for both"
        raise SpaceError(message)
    stratum = np.zeros(len(member), np.int64) if strata is None else strata
    rates = np.bincount(stratum, member) / np.maximum(np.bincount(stratum), 1)
    expected = rates[stratum][tops].mean(axis=1)
    weight = np.full(len(tops), 1 / len(tops))
    if compared is not None:
        weight = np.where(compared, -1 / compared.sum(), 1 / (~compared).sum())
    # How often each row stands at a top, weighted: the gap is linear in the labels.
    pull = np.bincount(tops.ravel(), np.repeat(weight / tops.shape[1], tops.shape[1]), len(member))
    centre = 0.0 if compared is not None and strata is None else float(weight @ expected)
    gaps = [float(pull @ member) - centre]
    generator = np.random.default_rng(seed)
    blocks = [np.flatnonzero(stratum == one) for one in np.unique(stratum)]
    for _ in range(n_permutations):
        drawn = np.empty(len(member))
        for block in blocks:
            drawn[block] = generator.permutation(member[block])
        gaps.append(float(pull @ drawn) - centre)
    shares = member[tops].mean(axis=1)
    return ShareAudit(
        base=float(expected.mean()),
        shares=shares,
        skew=float(np.abs(shares - expected).max()),
        gap=gaps[0],
        p=p_value(np.abs(np.array(gaps))),
    )
