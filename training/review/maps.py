"""Both models' users on a plane, side by side, in the same colours, as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.report.palette import PALETTE, colour_slots
from training.review.migration import Migration
from training.review.sides import Side

MAX_POINTS = 2_500
SIDE, GAP, HEAD = 480, 24, 30
"""Of a map, between the maps, and above them, in the units of the picture."""
EDGE = 8
LABEL = 'aria-label="Users of both models on a plane" font-family="sans-serif"'
NAMED = 8
"""Largest segments whose id stands in the map."""


@dataclass(frozen=True)
class Plane:
    """Users of one model on a plane.

    Attributes
    ----------
    title
        What stands above.
    x, y
        float [n] in [0, 1].
    segment_id
        int [n].
    """

    title: str
    x: np.ndarray
    y: np.ndarray
    segment_id: np.ndarray


def plane_of(side: Side, *, title: str) -> Plane:
    """The map that was kept with a model, or the principal plane of the users of the slice."""
    kept = side.report.get("user_map", {})
    if kept.get("x"):
        x, y = (np.array(kept[name], dtype=np.float64) for name in ("x", "y"))
        labels, told = np.array(kept["segment_id"], dtype=np.int64), "users of the fit"
    else:
        space = side.model.projection(side.embeddings).astype(np.float64)
        left, values, _ = np.linalg.svd(space - space.mean(axis=0), full_matrices=False)
        x, y = (
            left[:, one] * values[one] if one < len(values) else left[:, 0] * 0 for one in (0, 1)
        )
        labels, told = side.found.segment_id.astype(np.int64), "principal plane of the slice"
    shown = np.random.default_rng(0).permutation(len(x))[:MAX_POINTS]
    return Plane(f"{title}: {told}", _unit(x)[shown], _unit(y)[shown], labels[shown])


def _unit(values: np.ndarray) -> np.ndarray:
    """Values stretched to [0, 1]."""
    span = float(np.ptp(values))
    return (values - values.min()) / (span or 1.0)


def slots_of(
    champion: Side | None, challenger: Side, moved: Migration | None
) -> list[dict[int, int]]:
    """Colour of each segment of the champion and of the challenger; heirs keep the colour."""
    new = colour_slots(challenger.sizes)
    if champion is None or moved is None:
        return [new]
    old = colour_slots(champion.sizes)
    taken = {old[moved.matched[one]] for one in moved.matched}
    free = [slot for slot in range(len(PALETTE)) if slot not in taken] or [0]
    fresh = [one for one in challenger.sizes if one not in moved.matched]
    heirs = {one: old[moved.matched[one]] for one in moved.matched}
    return [old, heirs | {one: free[place % len(free)] for place, one in enumerate(fresh)}]


def draw(planes: list[Plane], slots: Sequence[Mapping[int, int]]) -> str:
    """The planes as one SVG picture that stands alone."""
    width = len(planes) * SIDE + (len(planes) - 1) * GAP
    box = f"0 0 {width} {SIDE + HEAD}"
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" {LABEL}>']
    for place, (plane, colours) in enumerate(zip(planes, slots, strict=True)):
        left = place * (SIDE + GAP)
        parts.append(f'<text x="{left}" y="19" font-size="14" fill="#666c76">{plane.title}</text>')
        parts.append(
            f'<rect x="{left}" y="{HEAD}" width="{SIDE}" height="{SIDE}" rx="10" fill="none" '
            'stroke="#8886" />'
        )
        parts += _dots(plane, colours, left)
        parts += _names(plane, colours, left)
    return "".join(parts) + "</svg>\n"


def _dots(plane: Plane, colours: Mapping[int, int], left: float) -> list[str]:
    """A path of round dots per segment, so that the picture stays small."""
    room, parts = SIDE - 2 * EDGE, []
    for number in np.unique(plane.segment_id).tolist():
        inside = plane.segment_id == number
        xs = left + EDGE + room * plane.x[inside]
        ys = HEAD + EDGE + room * (1 - plane.y[inside])
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in zip(xs, ys, strict=True))
        slot = colours.get(number, 0)
        parts.append(
            f'<path d="{path}" stroke="{PALETTE[slot][0]}" stroke-width="4" '
            'stroke-linecap="round" fill="none" opacity=".75"/>'
        )
    return parts


def _names(plane: Plane, colours: Mapping[int, int], left: float) -> list[str]:
    """Ids of the largest segments at the middle of their users."""
    room, parts = SIDE - 2 * EDGE, []
    numbers, counts = np.unique(plane.segment_id, return_counts=True)
    for number in numbers[np.argsort(-counts)][:NAMED].tolist():
        inside = plane.segment_id == number
        x = left + EDGE + room * float(np.median(plane.x[inside]))
        y = HEAD + EDGE + room * (1 - float(np.median(plane.y[inside])))
        fill = PALETTE[colours.get(number, 0)][0]
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="10" fill="{fill}" stroke="#fff"/>'
            f'<text x="{x:.1f}" y="{y + 4:.1f}" font-size="11" font-weight="700" fill="#fff" '
            f'text-anchor="middle">{number}</text>'
        )
    return parts
