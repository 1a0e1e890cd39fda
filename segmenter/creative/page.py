"""The page of one study: a single HTML file that needs no network, no script and no server."""

import base64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from segmenter.creative.drift import BrandDrift, group_column
from segmenter.creative.map_view import HEIGHT, WIDTH, lay_out
from segmenter.creative.on_brand import OnBrandScore
from segmenter.creative.refresh import Refresh
from segmenter.creative.store import CreativeSpace
from segmenter.space.group_drift import GroupPlace
from segmenter.space.spectrum import anchored_spectrum, random_spectrum

ASSETS = Path(__file__).parent
COLOURS = ("#1657af", "#c98000", "#7b0320", "#00a577", "#b74a84", "#635d04", "#611571", "#0981b3")
"""Apart in hue and lightness, also for colour-blind eyes; after eight they come again."""
N_STEPS = 9
N_ROWS = 12


@dataclass(frozen=True)
class Study:
    """What a page shows.

    Attributes
    ----------
    title
        Of the page.
    drift
        The drift study.
    refreshes
        One per region.
    score
        On-brand score; None where too few were reviewed.
    """

    title: str
    drift: BrandDrift
    refreshes: tuple[Refresh, ...]
    score: OnBrandScore | None


def render(space: CreativeSpace, study: Study) -> str:
    """The page as HTML for a file in UTF-8; everything that comes from data is escaped.

    Parameters
    ----------
    space
        The library.
    study
        What was found.
    """
    names = [place.name for place in study.drift.measured.groups]
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    strips = _strips(space, study.drift)
    boards = [one for found in study.refreshes for board in found.boards for one in board.ids]
    picked = _map(space, study.drift, colours)
    wanted = {*boards, *(one for _, ids in strips for one in ids), *picked.pop("ids")}
    small = space.thumbnails(sorted(wanted))
    return _template().render(
        study=study,
        drift=study.drift,
        bars=_bars(study.drift),
        colours=colours,
        map=picked,
        strips=strips,
        images={
            one: "data:image/jpeg;base64," + base64.b64encode(content).decode()
            for one, content in small.items()
        },
        readability=space.readability,
        encoder=space.encoder,
        counts=(space.n_pictures, len(space.assets) - space.n_pictures),
        style=(ASSETS / "page.css").read_text(encoding="utf-8"),
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
    return environment.get_template("page.html")


def _bars(drift: BrandDrift) -> list[dict[str, Any]]:
    """Drift bars with their intervals and the control, in percents of the width."""
    groups = drift.measured.groups
    far = max(place.drift.high for place in groups) or 1.0
    raw = max(place.raw for place in groups) or 1.0

    def percent(value: float, whole: float) -> float:
        return round(100 * min(max(value / whole, 0.0), 1.0), 2)

    def bar(place: GroupPlace) -> dict[str, Any]:
        return {
            "place": place,
            "value": percent(place.drift.value, far),
            "low": percent(place.drift.low, far),
            "high": percent(place.drift.high, far),
            "raw": percent(place.raw, raw),
            "reason": drift.reason(place.name),
        }

    return [bar(place) for place in groups]


def _strips(space: CreativeSpace, drift: BrandDrift) -> list[tuple[str, list[str]]]:
    """Real pictures along the brand's axis, and as many random ones."""
    vectors = space.vectors[: space.n_pictures]
    axis = drift.measured.axis
    found = anchored_spectrum(vectors, axis, n_steps=N_STEPS)
    control = random_spectrum(vectors, axis, n_steps=N_STEPS)
    ids = space.pictures.ids
    return [
        (
            f"From off brand to on brand, all else alike (largest step {found.largest_step:.2f})",
            ids.gather(found.rows).to_list(),
        ),
        (
            f"Control: random pictures (largest step {control.largest_step:.2f})",
            ids.gather(control.rows).to_list(),
        ),
    ]


def _map(space: CreativeSpace, drift: BrandDrift, colours: dict[str, str]) -> dict[str, Any]:
    """Points and thumbnails of the map."""
    layout = lay_out(space.vectors[: space.n_pictures])
    names = group_column(space.assets[: space.n_pictures], drift.by).fill_null("").to_list()
    flags = space.on_brand
    ids = space.pictures.ids
    dots = [
        (x, y, colours.get(name, "#999999"), bool(flag))
        for (x, y), name, flag in zip(layout.points.tolist(), names, flags.tolist(), strict=True)
    ]
    shown = [
        (ids[row], *layout.points[row].tolist(), colours.get(names[row], "#999999"))
        for row in layout.shown.tolist()
    ]
    return {
        "ids": [one[0] for one in shown],
        "width": WIDTH,
        "height": HEIGHT,
        "dots": dots,
        "shown": shown,
        "share": layout.share,
    }
