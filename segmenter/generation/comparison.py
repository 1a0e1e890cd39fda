"""What is different between two generated sets: what-if, and steps along a path."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.generation.features import Looks

N_SHOWN = 8


@dataclass(frozen=True)
class Change:
    """One feature that differs.

    Attributes
    ----------
    feature
        ``family: feature``.
    before, after
        Its means.
    low, high
        90 % interval of the difference.
    """

    feature: str
    before: float
    after: float
    low: float
    high: float


def changes(before: pl.DataFrame, after: pl.DataFrame, *, looks: Looks) -> tuple[Change, ...]:
    """Features that differ most, in units of the error of their difference.

    Parameters
    ----------
    before, after
        Event logs.
    looks
        What is looked at.
    """
    first, second = looks.table(before), looks.table(after)
    found = []
    for place, name in enumerate(first.names):
        a, b = (one.values[:, place] for one in (first, second))
        a, b = a[~np.isnan(a)], b[~np.isnan(b)]
        if min(len(a), len(b)) < 2:
            continue
        error = float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
        gap = float(b.mean() - a.mean())
        if error > 0 and abs(gap) > 1.645 * error:
            ends = (gap - 1.645 * error, gap + 1.645 * error)
            found.append((abs(gap) / error, Change(name, float(a.mean()), float(b.mean()), *ends)))
    found.sort(key=lambda one: -one[0])
    return tuple(change for _, change in found[:N_SHOWN])
