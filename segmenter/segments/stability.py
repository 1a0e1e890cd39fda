"""How well each segment comes out again when segments are made from half of the users."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segmenter.segments.distances import nearest
from segmenter.segments.segment import Segment


def with_stability(
    segments: Sequence[Segment],
    segment_id: np.ndarray,
    points: np.ndarray,
    *,
    halves: Sequence[np.ndarray],
    owners: np.ndarray | None = None,
) -> tuple[Segment, ...]:
    """Give each segment its stability; nothing changes without halves.

    Parameters
    ----------
    segments
        As published.
    segment_id
        int32 [n] of all users.
    points
        float [n, d], the same users in segment coordinates.
    halves
        Prototypes float64 [k, d] that were made from halves of the users.
    owners
        int [k], what each of these prototypes stands for; None where each stands for itself.
    """
    if not halves:
        return tuple(segments)
    ids = [item.id for item in segments]
    labels = [nearest(points, prototypes) for prototypes in halves]
    if owners is not None:
        labels = [owners[label] for label in labels]
    agreed = np.mean([best_overlaps(segment_id, ids, label) for label in labels], axis=0)
    return tuple(
        replace(item, stability=float(share)) for item, share in zip(segments, agreed, strict=True)
    )


def best_overlaps(segment_id: np.ndarray, ids: Sequence[int], label: np.ndarray) -> np.ndarray:
    """Greatest Jaccard index of each segment with any group of another segmentation.

    Parameters
    ----------
    segment_id
        int [n], segment of each user.
    ids
        The k segments asked about.
    label
        int [n] from 0, group of each user.

    Returns
    -------
    numpy.ndarray
        float64 [k] in [0, 1], higher is better: 1 where the segment is one of the groups.

    References
    ----------
    Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics & Data
    Analysis 52 (2007); a cluster below .5 is dissolved, one above .75 is stable.
    """
    groups = np.bincount(label)
    overlaps = []
    for number in ids:
        inside = segment_id == number
        both = np.bincount(label[inside], minlength=len(groups))
        overlaps.append((both / np.maximum(inside.sum() + groups - both, 1)).max())
    return np.array(overlaps)
