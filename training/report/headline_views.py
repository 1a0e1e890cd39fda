"""The model in two lines: how its segments did on later behaviour, and whether that is enough."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from segmenter.validity.rows import Row, best_rule
from segmenter.validity.validity_report import ValidityReport
from segmenter.validity.verdicts import standing
from training.report.data import ABOVE_FLOOR, BELOW_FLOOR, NOT_JUDGED, ReportData
from training.report.validity_views import best_model
from training.report.words import counted, titled

STANDINGS = ("ahead of", "level with", "behind")
BADGES = {
    BELOW_FLOOR: "Below the floor",
    ABOVE_FLOOR: "Above the floor",
    NOT_JUDGED: "Not judged",
}


@dataclass(frozen=True)
class StandingView:
    """How the segments stand to what needs no training.

    Attributes
    ----------
    kind
        `ReportData.standing`.
    badge, reason
        It in two or three words, and why.
    """

    kind: str
    badge: str
    reason: str


def standing_view(data: ReportData) -> StandingView:
    """The badge of a report, with its reason."""
    kind, report = data.standing, data.validity_report
    if report is None:
        reason = "no later events are known; keep some back with --until"
    elif kind == NOT_JUDGED:
        reason = report.reason
    elif kind == BELOW_FLOOR:
        reason = "; ".join(report.floor_reasons)
    else:
        reason = "; ".join(_merits(report))
    return StandingView(kind, BADGES[kind], f"{titled(reason)}.")


def _merits(report: ValidityReport) -> list[str]:
    """What keeps segments above the floor: see `ValidityReport.floor_reasons`."""
    rule, n_outcomes = report.best_rule(0), len(report.outcomes)
    ahead = None if rule is None else rule.scores[0].ahead
    n_ahead = sum(_is_ahead(report, place) for place in range(n_outcomes))
    found = f"on {n_ahead} of {counted(n_outcomes, 'outcome')}"
    merits = [f"ahead of the best rule or of an untrained model {found}"]
    if rule is not None and ahead is not None:
        merits.insert(0, f"{standing(ahead)} {rule.name} on {report.outcomes[0].title}")
    return merits


def _is_ahead(report: ValidityReport, place: int) -> bool:
    models = (row for row in report.rows if row.kind == "model")
    found = [row.scores[place].ahead for row in (report.best_rule(place), *models) if row]
    return any(ahead is not None and standing(ahead) == STANDINGS[0] for ahead in found)


def verdict(report: ValidityReport) -> str:
    """One line: on how many outcomes the segments are ahead, level and behind."""
    places = range(len(report.outcomes))
    models = [row for row in report.rows if row.kind == "model"]
    model = models[0].name if len(models) == 1 else "the best other clustering"
    sides = {
        "the best hand-written rule": [best_rule(report.rows, place) for place in places],
        model: [best_model(report.rows, place) for place in places],
    }
    tallies = [tally for name, rows in sides.items() if (tally := _tally(name, rows))]
    judged = f"Judged on {counted(len(places), 'later outcome')}"
    return f"{judged}, the segments are {'; '.join(tallies)}." if tallies else f"{judged}."


def _tally(name: str, rows: Sequence[Row | None]) -> str:
    """Ahead of it on 4, level on 1 and behind on 1."""
    made = [row.scores[place].ahead for place, row in enumerate(rows) if row is not None]
    counts = Counter(standing(ahead) for ahead in made if ahead is not None)
    found = [(word, counts[word]) for word in STANDINGS if counts[word]]
    words = [
        f"{word.split()[0] if later else f'{word} {name}'} on {number}"
        for later, (word, number) in enumerate(found)
    ]
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
