"""Systematic bias of searches: who is at the top of them, and what mends it.

Erasing a group from a text query makes a bias worse and is not offered. Re-ranking leaves every
vector as it is; erasure is for drift and clusters, where the group must not count, and costs
search.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.creative.store import CreativeSpace
from segmenter.errors import CreativeError
from segmenter.space.reach import balanced_order
from segmenter.space.share_audit import ShareAudit, audit_top_share

MIN_K = 10
TOP_SHARE = 12
"""A top of one in so many of the library is looked at."""


@dataclass(frozen=True)
class GroupAudit:
    """One value of a tag at the top of searches.

    Attributes
    ----------
    value
        Of the tag.
    before, after
        The audit as searched, and after re-ranking.
    """

    value: str
    before: ShareAudit
    after: ShareAudit


@dataclass(frozen=True)
class SearchAudit:
    """An audit of searches.

    Attributes
    ----------
    tag
        Whose values are counted.
    k
        Hits that are looked at.
    n_pictures
        Pictures of which the tag is known.
    groups
        By value.
    """

    tag: str
    k: int
    n_pictures: int
    groups: tuple[GroupAudit, ...]

    @property
    def biased(self) -> bool:
        """Whether any value is favoured or passed over by more than chance."""
        return any(group.before.biased for group in self.groups)


def audit_searches(
    space: CreativeSpace,
    queries: np.ndarray,
    *,
    tag: str,
    compared: np.ndarray | None = None,
    within: str | None = None,
    rows: np.ndarray | None = None,
    k: int | None = None,
) -> SearchAudit:
    """Count who is at the top of searches, before and after re-ranking.

    Parameters
    ----------
    space
        The library.
    queries
        float32 [q, d], searches.
    tag
        Column whose values are counted.
    compared
        bool [q], searches that the others are compared with; None compares with the library.
    within
        Column inside whose values labels are exchanged: what the library itself has more of there
        is no bias of the search.
    rows
        int64, pictures that count; None takes all of which the tag is known.
    k
        Hits; None takes a twelfth of the library.

    Raises
    ------
    CreativeError
        If a column is not known.
    SpaceError
        If the tag has one value alone.
    """
    table = space.pictures.metadata
    for name in (tag, *([] if within is None else [within])):
        if name not in table.columns:
            message = f"the manifest has no column {name!r}; it has {', '.join(table.columns)}"
            raise CreativeError(message)
    known = table[tag].is_not_null().to_numpy()
    chosen = np.flatnonzero(known) if rows is None else rows[known[rows]]
    values = table[tag].cast(pl.String).gather(chosen).to_numpy().astype(str)
    names, codes = np.unique(values, return_inverse=True)
    strata = None
    if within is not None:
        bands = table[within].cast(pl.String).fill_null("?").gather(chosen).to_numpy().astype(str)
        _, strata = np.unique(bands, return_inverse=True)
    k = k or max(len(chosen) // TOP_SHARE, MIN_K)
    scores = queries.astype(np.float32) @ space.vectors[chosen].T
    tops = [_tops(scores, k), _tops([balanced_order(one, codes) for one in scores], k)]
    groups = [
        GroupAudit(
            str(name),
            *(
                audit_top_share(top, codes == code, compared=compared, strata=strata)
                for top in tops
            ),
        )
        for code, name in enumerate(names)
    ]
    return SearchAudit(tag, k, len(chosen), tuple(groups))


def _tops(scores: np.ndarray | Sequence[np.ndarray], k: int) -> np.ndarray:
    """Rows of the k best of each ranking, int64 [q, k]."""
    return np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
