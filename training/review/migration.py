"""Who changes segment: the audiences that are live would get and lose these users."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from training.review.sides import Side


@dataclass(frozen=True)
class Migration:
    """Users of the slice by the champion's segment and the challenger's.

    Attributes
    ----------
    rows, columns
        Ids of the champion's segments and of the challenger's.
    counts
        Users, int64 [rows, columns].
    matched
        Challenger's id to the champion's id whose users it mostly holds (Hungarian, by Jaccard).
    same_id
        Share of the users who are in a segment of the same id by both.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    counts: np.ndarray
    matched: dict[int, int]
    same_id: float

    @property
    def same_matched(self) -> float:
        """Share of the users who stay when segments are paired by their users, not their ids."""
        held = sum(
            int(self.counts[self.rows.index(old), self.columns.index(new)])
            for new, old in self.matched.items()
        )
        return held / max(int(self.counts.sum()), 1)

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "champion_segments": list(self.rows),
            "challenger_segments": list(self.columns),
            "users": self.counts.tolist(),
            "matched": {str(new): old for new, old in self.matched.items()},
            "same_id_share": self.same_id,
            "same_matched_share": self.same_matched,
        }


def migrate(champion: Side, challenger: Side) -> Migration:
    """Count the users of the slice by both models' segments.

    References
    ----------
    Kuhn, "The Hungarian method for the assignment problem", 1955.
    """
    old, new = champion.found.segment_id, challenger.found.segment_id
    rows, columns = (tuple(side.sizes) for side in (champion, challenger))
    counts = np.array(
        [[int(((old == one) & (new == other)).sum()) for other in columns] for one in rows]
    )
    either = counts.sum(axis=1, keepdims=True) + counts.sum(axis=0, keepdims=True) - counts
    overlap = counts / np.maximum(either, 1)
    pairs = zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
    matched = {columns[other]: rows[one] for one, other in pairs if counts[one, other] > 0}
    return Migration(rows, columns, counts, matched, float((old == new).mean()))
