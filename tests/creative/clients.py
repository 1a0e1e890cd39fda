"""A client's library with planted drift.

The lower a region's adherence, the further its palette, its brand strip and its clutter are from
the guideline.
"""

from dataclasses import dataclass

import numpy as np

from tests.creative.ads import REGIONS, Ads, draw_ads

GUIDELINE = {"palette": 0.1, "brand": 0.95, "clutter": 0.1}
SPREAD = 0.25
"""Of the adherence inside a region."""
FREE = 0.7
"""Part of what is off the guideline that is arbitrary; the rest is its opposite. With these two a
model of the true attributes tells a flagged asset from others at an AUC of .96."""


@dataclass(frozen=True)
class Client:
    """A client's library: the advertisements, their true adherence and what reviewers said.

    Attributes
    ----------
    ads
        The pictures' attributes.
    adherence
        float64 [n], to the guideline; 1 is on brand.
    on_brand
        Text [n]: yes, no or not reviewed.
    """

    ads: Ads
    adherence: np.ndarray
    on_brand: np.ndarray


def draw_client(
    adherence: tuple[float, float, float],
    *,
    n_ads: int = 1_800,
    seed: int,
    reviewed: float = 1.0,
    local_taste: bool = False,
    flag_share: float = 0.2,
) -> Client:
    """A library whose regions keep to the guideline to different degrees.

    Parameters
    ----------
    adherence
        Mean of each region of `REGIONS`.
    n_ads
        Advertisements, a third per region.
    seed
        Of everything.
    reviewed
        Share that reviewers looked at; of those the best `flag_share` of each region are flagged.
    local_taste
        Whether asia prefers outdoor balls, which has nothing to do with the brand.
    flag_share
        Share of the reviewed of each region that is flagged on brand.
    """
    generator = np.random.default_rng([seed, 77])
    ads = draw_ads(n_ads, seed=seed + 1_000)
    region = np.repeat(np.arange(3), n_ads // 3 + 1)[:n_ads]
    ads = ads.where("region", np.array(REGIONS)[region])
    true = np.clip(np.array(adherence)[region] + SPREAD * generator.standard_normal(n_ads), 0, 1)
    for name, aim in GUIDELINE.items():
        own = FREE * ads.columns[name] + (1 - FREE) * (1 - aim)
        ads = ads.where(name, (1 - true) * own + true * aim)
    if local_taste:
        local = (region == 0) & (generator.random(n_ads) < 0.8)
        for name, value in (("setting", "outdoor"), ("shape", "ball")):
            ads = ads.where(name, np.where(local, value, ads.columns[name]))
    seen = generator.random(n_ads) < reviewed
    judged = true + 0.05 * generator.standard_normal(n_ads)
    flags = np.where(seen, "no", "not reviewed").astype(object)
    for place in range(3):
        candidates = np.flatnonzero(seen & (region == place))
        best = candidates[np.argsort(-judged[candidates])]
        flags[best[: round(flag_share * len(best))]] = "yes"
    order = generator.permutation(n_ads)
    return Client(ads.take(order), true[order], flags.astype(str)[order])
