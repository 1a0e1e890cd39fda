"""The page of a review: one HTML file that needs no network, no server and no script."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from training.report.page import page_style
from training.report.words import counted, moment, percent
from training.review.card import ROWS, figure
from training.review.maps import draw, plane_of, slots_of
from training.review.review import Review
from training.review.verdict import FAIL, NOT_JUDGED, PASS, Gate

ASSETS = Path(__file__).parent
KINDS = {PASS: "pass", FAIL: "fail", NOT_JUDGED: "unknown"}


@dataclass(frozen=True)
class Cell:
    """Users who went from one segment to another.

    Attributes
    ----------
    users
        How many.
    share
        Of the users of the champion's segment, whole percents.
    is_heir
        Whether the challenger's segment is the one that continues it.
    """

    users: int
    share: int
    is_heir: bool


def render_page(found: Review) -> str:
    """The review as one self-contained HTML document; everything from data is escaped."""
    return str(
        _template().render(
            review=found,
            style=page_style(),
            against="no champion" if found.champion is None else found.champion.label,
            part=found.slice_identity,
            gates=[_gate(gate) for gate in found.gates],
            counts={
                kind: sum(KINDS[g.verdict] == kind for g in found.gates) for kind in KINDS.values()
            },
            identity_rows=ROWS,
            maps=Markup(side_by_side(found)),  # noqa: S704 - drawn here; its texts are escaped
            **_migration(found),
        )
    )


@cache
def _template() -> Any:  # noqa: ANN401 - jinja2's own type says no more
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"counted": counted, "moment": moment, "percent": percent}
    return environment.get_template("review.html")


def side_by_side(found: Review) -> str:
    """Both maps as one picture."""
    champion, challenger = found.evidence.champion, found.evidence.challenger
    sides = [(champion, "Champion"), (challenger, "Challenger")]
    planes = [
        plane_of(side, title=escape(f"{word} {side.label}"))
        for side, word in sides
        if side is not None
    ]
    return draw(planes, slots_of(champion, challenger, found.evidence.migration))


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "name": gate.name,
        "title": gate.title,
        "kind": KINDS[gate.verdict],
        "verdict": gate.verdict,
        "challenger": figure(gate.challenger),
        "champion": figure(gate.champion),
        "margin": gate.margin,
        "reason": gate.reason,
    }


def _migration(found: Review) -> dict[str, Any]:
    """The matrix in the order of the champion's segments; heirs stand on its diagonal."""
    moved, champion = found.evidence.migration, found.evidence.champion
    challenger = found.evidence.challenger
    if moved is None or champion is None:
        return {"matrix": [], "columns": [], "moved": None}
    heirs = {old: new for new, old in moved.matched.items()}
    columns = [heirs[old] for old in moved.rows if old in heirs]
    columns += [new for new in moved.columns if new not in moved.matched]
    slots = slots_of(champion, challenger, moved)
    matrix = []
    for place, old in enumerate(moved.rows):
        total = max(int(moved.counts[place].sum()), 1)
        cells = []
        for new in columns:
            users = int(moved.counts[place, moved.columns.index(new)])
            cells.append(Cell(users, round(100 * users / total), heirs.get(old) == new))
        row = {"id": old, "name": champion.names[old], "slot": slots[0][old], "cells": cells}
        matrix.append(row | {"users": int(moved.counts[place].sum())})
    heads = [
        {
            "id": new,
            "name": challenger.names[new],
            "slot": slots[1][new],
            "users": challenger.sizes[new],
        }
        for new in columns
    ]
    return {"matrix": matrix, "columns": heads, "moved": moved}
