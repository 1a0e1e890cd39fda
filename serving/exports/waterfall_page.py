"""The waterfall as one self-contained page: bars, figures and reasons, no script, no network."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from serving.exports.waterfall import STAGES, Waterfall

if TYPE_CHECKING:
    from jinja2 import Template

WIDTH, ROW, LABEL, GAP = 900, 26, 330, 12
BARS = 420
TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Export waterfall</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;
color:#1b1f24;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:2.2rem 0 .3rem}
svg{width:100%;height:auto;display:block}text{font:13px system-ui,sans-serif;fill:#1b1f24}
.quiet{color:#57606a}.bar{fill:#2f6fb3}.lost{fill:#d8dee4}.match{fill:#8fb4dc}
.refused{color:#b42318}.warned{color:#8a5a00}.written{color:#1a7f37}
ul{margin:.3rem 0 0 1.2rem;padding:0}
@media(prefers-color-scheme:dark){body{background:#12161b;color:#e6edf3}text{fill:#e6edf3}
.quiet{color:#9aa4af}.lost{fill:#30363d}.refused{color:#ff7b72}.warned{color:#e3b341}
.written{color:#56d364}}
</style></head><body>
<h1>What will be delivered</h1>
<p class="quiet">Scores as of {{ as_of }}, model {{ model }}.</p>
{% for one in audiences %}
<section><h2>{{ one.title }}</h2>
<p class="{{ one.css }}">{{ one.verdict }}</p>
{% if one.change %}<p class="quiet">{{ one.change }}</p>{% endif %}
<svg viewBox="0 0 {{ width }} {{ one.height }}" role="img" aria-label="{{ one.title }}">
{% for row in one.rows %}<text x="{{ label - 10 }}" y="{{ row.y + 17 }}"
 text-anchor="end">{{ row.label }}</text>
<rect class="lost" x="{{ label }}" y="{{ row.y + 3 }}" width="{{ row.before }}" height="18"/>
<rect class="{{ row.css }}" x="{{ label + row.start }}" y="{{ row.y + 3 }}"
 width="{{ row.width }}" height="18"/>
<text x="{{ label + bars + 10 }}" y="{{ row.y + 17 }}">{{ row.told }}</text>
{% endfor %}</svg>
{% if one.reasons %}<ul class="quiet">
{% for reason in one.reasons %}<li>{{ reason }}</li>{% endfor %}</ul>{% endif %}
{% if one.remedies %}<p>What helps:</p><ul>
{% for remedy in one.remedies %}<li>{{ remedy }}</li>{% endfor %}</ul>{% endif %}
</section>{% endfor %}
</body></html>
"""


def waterfall_page(as_of: str, model: str, waterfalls: Sequence[Waterfall]) -> str:
    """The page of some waterfalls.

    Parameters
    ----------
    as_of, model
        Of the scores.
    waterfalls
        In the order in which they are shown.
    """
    return _template().render(
        as_of=as_of,
        model=model,
        audiences=[_view(one) for one in waterfalls],
        width=WIDTH,
        label=LABEL,
        bars=BARS,
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, select_autoescape  # noqa: PLC0415 - sizes need no page

    environment = Environment(autoescape=select_autoescape(default=True, default_for_string=True))
    return environment.from_string(TEMPLATE)


def _view(one: Waterfall) -> dict[str, object]:
    css = "refused" if one.is_refused else "warned" if one.why else "written"
    rows = _rows(one)
    return {
        "title": one.title,
        "css": css,
        "verdict": one.verdict + (f": {one.why}" if one.why else ""),
        "change": one.change.told if one.change is not None else "",
        "rows": rows,
        "height": len(rows) * ROW + GAP,
        "reasons": [
            f"{reason}: {n_people:,}"
            for reasons in one.reasons.values()
            for reason, n_people in reasons.items()
        ],
        "remedies": one.remedies,
    }


def _rows(one: Waterfall) -> list[dict[str, object]]:
    most = max(one.counts["members"], 1)
    rows: list[dict[str, object]] = []
    before = one.counts["members"]
    for number, (stage, label) in enumerate(STAGES.items()):
        count = one.counts[stage]
        share = f" ({count / most:.0%})" if number else ""
        rows.append(
            {
                "y": number * ROW,
                "label": label,
                "css": "bar",
                "start": 0,
                "width": round(BARS * count / most, 1),
                "before": round(BARS * before / most, 1),
                "told": f"{count:,}{share}",
            }
        )
        before = count
    low, high = one.matched
    rows.append(
        {
            "y": len(STAGES) * ROW,
            "label": "may be found by the platform (assumption)",
            "css": "match",
            "start": round(BARS * low / most, 1),
            "width": round(max(BARS * (high - low) / most, 1), 1),
            "before": round(BARS * before / most, 1),
            "told": f"{low:,} to {high:,}",
        }
    )
    return rows
