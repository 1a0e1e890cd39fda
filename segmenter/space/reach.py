"""What a ranking is worth at each reach: how many hidden seeds it would have found there.

A seed that a ranking was not shown stands for everybody who is like it and not yet known. Where
it lands in the crowd says how far one has to reach to find it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from segmenter.validity.lift import CONFIDENCE, Interval

REACHES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares of the crowd at which a curve is told, even steps on a log axis."""


@dataclass(frozen=True)
class Landing:
    """Where held-out seeds land in a ranking of the crowd.

    Attributes
    ----------
    above
        float64 [s], share of the crowd that is ranked before each seed.
    tied
        float64 [s], share of the crowd that has the seed's very score.
    """

    above: np.ndarray
    tied: np.ndarray

    def found(self, reach: float) -> np.ndarray:
        """Chance float64 [s] that each seed is among the first share of the crowd.

        Of those with one score it is taken by lot who comes first.
        """
        sure = (self.above + self.tied <= reach).astype(np.float64)
        part = np.divide(reach - self.above, self.tied, out=sure, where=self.tied > 0)
        return np.clip(part, 0, 1)

    def separation(self) -> Interval:
        """Chance that a seed is ranked before one of the crowd: .5 for a ranking by lot.

        The area under the ROC curve, with the interval over seeds.
        """
        before = 1 - self.above - self.tied / 2
        value = float(before.mean())
        # Placements of a ranking by lot are uniform: no handful of seeds may look surer.
        spread = max(before.std(ddof=1), np.sqrt(value * (1 - value) / len(before)) / 2)
        half = float(norm.ppf((1 + CONFIDENCE) / 2) * spread / np.sqrt(len(before)))
        return Interval(value, max(value - half, 0.0), min(value + half, 1.0))


def landing(
    similarity: np.ndarray, is_seed: np.ndarray, *, fold: np.ndarray, group: np.ndarray
) -> Landing:
    """Where seeds land among the crowd.

    Parameters
    ----------
    similarity
        float64 [n], higher is ranked before.
    is_seed
        bool [n]; the others are the crowd.
    fold
        int64 [n]: a seed is held only against the crowd of its own fold, which was read by the
        same model.
    group
        int64 [n]: and only against its own group, where a ranking is balanced by groups.

    Returns
    -------
    Landing
        Of the seeds in the order of their rows.
    """
    _, cell = np.unique(np.stack([fold, group]), axis=1, return_inverse=True)
    # Where a cell has no crowd nothing is known of its seeds: they are found by lot.
    above, tied = np.zeros(len(similarity)), np.ones(len(similarity))
    for number in range(int(cell.max()) + 1):
        inside = cell == number
        seeds = np.flatnonzero(inside & is_seed)
        crowd = np.sort(similarity[inside & ~is_seed])
        if len(crowd):
            below = np.searchsorted(crowd, similarity[seeds], side="left")
            not_above = np.searchsorted(crowd, similarity[seeds], side="right")
            above[seeds] = 1 - not_above / len(crowd)
            tied[seeds] = (not_above - below) / len(crowd)
    return Landing(above[is_seed], tied[is_seed])


def lift_at(where: Landing, reach: float) -> Interval:
    """How many times more hidden seeds a reach finds than the same number taken by lot.

    Parameters
    ----------
    where
        Of held-out seeds.
    reach
        Share of the crowd, in (0, 1].

    Returns
    -------
    Interval
        1 is what chance finds; 1 / reach is the most. Wilson's interval of the share of seeds
        that is found, over the reach.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    found = where.found(reach)
    rate, n_seeds, z = float(found.mean()), len(found), norm.ppf((1 + CONFIDENCE) / 2)
    middle = (rate + z**2 / (2 * n_seeds)) / (1 + z**2 / n_seeds)
    half = z * np.sqrt(rate * (1 - rate) / n_seeds + (z / (2 * n_seeds)) ** 2)
    half /= 1 + z**2 / n_seeds
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return Interval(rate / reach, float(low / reach), float(high / reach))


def balanced_order(similarity: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Rank everybody so that every reach has each group's share of the crowd.

    Parameters
    ----------
    similarity
        float64 [n].
    group
        int64 [n].

    Returns
    -------
    numpy.ndarray
        float64 [n] in (0, 1), higher is ranked before: the standing inside the own group. Among
        the first m of them a group of share p has m p members, give or take half a member for each
        group there is.
    """
    standing = np.empty(len(similarity))
    for number in np.unique(group):
        inside = np.flatnonzero(group == number)
        ranks = rankdata(similarity[inside], method="ordinal")
        standing[inside] = (ranks - 0.5) / len(inside)
    return standing
