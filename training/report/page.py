"""The page of one model: a single HTML file that needs no network and no server."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from segmenter.clock import iso
from training.report.card_views import card_views, stability_words
from training.report.coverage_views import coverage_view
from training.report.curve_views import stage_views
from training.report.data import MAP_SIDE, ReportData
from training.report.flow_views import flow_view
from training.report.headline_views import standing_view, verdict
from training.report.level_views import levels_view
from training.report.lift_views import lift_ticks, lift_views
from training.report.palette import css_colours
from training.report.segment_views import SegmentView, segment_views
from training.report.tree_views import tree_view
from training.report.validity_views import (
    other_notes,
    outcome_name,
    outcome_views,
    within_views,
)
from training.report.words import amount, counted, moment, percent, titled

ASSETS = Path(__file__).parent
SCRIPTS = ("scene.js", "labels.js", "explore.js")
MAX_ID_CHARACTERS = 1_000_000
"""More text than this in user ids is left out: a report stays small enough to be mailed."""
N_OPEN = 4
"""Outcomes shown in full; more are folded below a table of all of them."""
LAST_OF_A_CURVE = "final "
"""Figures with this beginning are the ends of the training curves."""


def render(data: ReportData) -> str:
    """The report as one self-contained HTML document.

    Everything that comes from data is escaped, and the page's own policy lets no script run but
    the one that is written here.

    Parameters
    ----------
    data
        What to show.

    Returns
    -------
    str
        HTML for a file in UTF-8.
    """
    segments = segment_views(data)
    script = "".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";(() => {{\n{script}}})();'
    return _template().render(
        data=data,
        segments=segments,
        cards=card_views(data),
        flow=flow_view(data),
        held=coverage_view(data),
        style=page_style(),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        payload=_embedded(map_payload(data, segments)),
        standing=standing_view(data),
        tree=tree_view(data, segments),
        levels=levels_view(data.levels),
        stages=stage_views(data.curves),
        fit_lines=data.fit_lines(),
        figures={
            name: value
            for name, value in data.figures.items()
            if not name.startswith(LAST_OF_A_CURVE)
        },
        provenance=list(flattened(data.provenance)),
        **_validity(data),
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
    environment.filters |= {
        "amount": amount,
        "counted": counted,
        "moment": moment,
        "percent": percent,
        "stability": stability_words,
        "titled": titled,
        "zipped": zip,
    }
    return environment.get_template("report.html")


def page_style() -> str:
    """Colours and style sheet that every page shares."""
    colours = (
        f":root{{{css_colours(0)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{css_colours(1)}}}}}"
    )
    return colours + (ASSETS / "report.css").read_text(encoding="utf-8")


def _validity(data: ReportData) -> dict[str, Any]:
    """What the template shows of the validation; all empty where there is none."""
    report = data.validity_report
    shown: dict[str, Any] = {
        "verdict": verdict(report) if report and report.outcomes else "",
        "report": report,
        "outcomes": [],
        "notes": [],
        "lifts": {},
    }
    if report is None:
        return shown
    return shown | {
        "outcomes": outcome_views(report),
        "n_open": N_OPEN,
        "notes": other_notes(report),
        "lifts": lift_views(report),
        "lift_ticks": lift_ticks(report),
        "lift_columns": [outcome_name(outcome) for outcome in report.outcomes],
        "within": within_views(report),
        "period": (iso(report.cut), iso(report.end)),
    }


def map_payload(data: ReportData, segments: list[SegmentView]) -> dict[str, Any]:
    """What the script needs to draw and search the map.

    Parameters
    ----------
    data
        The report.
    segments
        Its segments; points refer to them by place, -1 for a segment that is not among them.
    """
    users = data.user_map
    place = {view.segment.id: number for number, view in enumerate(segments)}
    fit_in = sum(map(len, users.user_id)) <= MAX_ID_CHARACTERS
    return {
        "side": MAP_SIDE,
        "segments": [
            {
                "id": view.segment.id,
                "name": view.name,
                "slot": view.slot,
                "size": f"{counted(view.segment.n_users, 'user')}, {percent(view.segment.share)}",
                "facts": [fact.line for fact in view.facts],
            }
            for view in segments
        ],
        "x": users.x,
        "y": users.y,
        "segment": [place.get(segment, -1) for segment in users.segment_id],
        "strength": users.strength,
        "user": users.user_id if fit_in else (),
    }


def _embedded(plain: Mapping[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def flattened(plain: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as pairs of a path and a printed value.

    Parameters
    ----------
    plain
        Plain values and mappings of them.
    above
        Path that they stand under.
    """
    for name, value in plain.items():
        path = f"{above} / {name}" if above else str(name)
        if isinstance(value, Mapping):
            yield from flattened(value, path)
        else:
            yield path, value if isinstance(value, str) else json.dumps(value, default=str)
