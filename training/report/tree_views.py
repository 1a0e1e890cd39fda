"""The three levels as an icicle: macro segments above, micro segments below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segmenter.segments.hierarchy import parents_of
from training.report.data import ReportData
from training.report.segment_views import SegmentView

LABEL_SHARE = 0.045
"""A box with a smaller share of the users shows its number and no name."""


@dataclass(frozen=True)
class BoxView:
    """One segment of a level as a box whose width is its size.

    Attributes
    ----------
    id, name, n_users, share
        Of the segment.
    slot
        Place of its colour in the palette; None of a macro segment, which holds several.
    is_named
        Whether the box is wide enough for the name.
    stability
        In [0, 1]; None where it is not known.
    parts
        Boxes below it.
    """

    id: int
    name: str
    n_users: int
    share: float
    slot: int | None
    is_named: bool
    stability: float | None
    parts: tuple["BoxView", ...] = ()


@dataclass(frozen=True)
class TreeView:
    """The levels of a model.

    Attributes
    ----------
    macros
        The largest first, each with its segments, each with its micro segments.
    n_micros
        Micro segments in all.
    reason
        Why there are so many macro segments.
    """

    macros: tuple[BoxView, ...]
    n_micros: int
    reason: str


def tree_view(data: ReportData, segments: Sequence[SegmentView]) -> TreeView | None:
    """The levels of a report.

    Parameters
    ----------
    data
        The report.
    segments
        Its published segments.

    Returns
    -------
    TreeView or None
        None of a model without levels.
    """
    plain = data.hierarchy
    if plain is None:
        return None
    slots = {view.segment.id: view.slot for view in segments}
    micros = _below(plain["micros"], parents_of(plain, "micro"), slots=slots)
    published = _below(data.segments, parents_of(plain, "segment"), slots=slots, parts=micros)
    macros = [_box(row, None, published.get(row["id"], ())) for row in plain["macros"]]
    return TreeView(_by_size(macros), len(plain["micros"]), plain["reason"])


def _below(
    rows: Sequence[Mapping[str, Any]],
    parents: Mapping[int, int],
    *,
    slots: Mapping[int, int],
    parts: Mapping[int, tuple[BoxView, ...]] | None = None,
) -> dict[int, tuple[BoxView, ...]]:
    """Boxes of a level by the id of their parent, in the colour of their segment."""
    boxes: dict[int, list[BoxView]] = {}
    for row in rows:
        number, parent = row["id"], parents[row["id"]]
        slot = slots.get(parent if parts is None else number, 0)
        boxes.setdefault(parent, []).append(_box(row, slot, (parts or {}).get(number, ())))
    return {parent: _by_size(some) for parent, some in boxes.items()}


def _box(row: Mapping[str, Any], slot: int | None, parts: tuple[BoxView, ...]) -> BoxView:
    name = " ".join(str(row["name"]).split()) or f"Segment {row['id']}"
    share = float(row["share"])
    return BoxView(
        row["id"],
        name,
        row["n_users"],
        share,
        slot,
        share >= LABEL_SHARE,
        row.get("stability"),
        parts,
    )


def _by_size(boxes: Sequence[BoxView]) -> tuple[BoxView, ...]:
    return tuple(sorted(boxes, key=lambda box: (-box.n_users, box.id)))
