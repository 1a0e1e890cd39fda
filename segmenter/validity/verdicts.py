"""A validation in words: who is ahead, who is behind, and what to know about the data."""

from segmenter.events.store import EventStore
from segmenter.validity.lift import Interval
from segmenter.validity.validity_report import OutcomeSummary, Row, figure

FEW_USERS = 1_000


def data_notes(store: EventStore, n_users: int, *, n_judged: int) -> list[str]:
    """What to know about the users and amounts before reading any score."""
    notes = []
    if n_users < FEW_USERS:
        notes.append(f"Only {n_users:,} users: intervals are wide, and differences uncertain.")
    if n_judged < n_users:
        notes.append(f"Judged on {n_judged:,} of {n_users:,} users, drawn at random.")
    if "currency" in store.categorical and (n_currencies := len(store.vocabulary("currency"))) > 1:
        notes.append(f"Amounts in {n_currencies} currencies are added as they are.")
    return notes


def verdicts(outcomes: tuple[OutcomeSummary, ...], rows: tuple[Row, ...]) -> list[str]:
    """One sentence for each outcome: the segments beside the best rule and beside other models.

    Losses read as plainly as wins: a difference counts when its interval leaves out zero.
    """
    tested, *others = rows
    rules = [row for row in others if row.kind == "rule"]
    models = [row for row in others if row.kind == "model"]
    sentences = []
    for place, outcome in enumerate(outcomes):
        best = max(rules, key=lambda row: row.scores[place].score.value)
        compared = [_compared(row, place) for row in (best, *models)]
        score = figure(tested.scores[place].score.value)
        sentences.append(f"{outcome.title}: segments {score}, {' and '.join(compared)}.")
    return sentences


def _compared(row: Row, place: int) -> str:
    """How the segments stand beside one row."""
    score = row.scores[place]
    ahead = score.ahead
    if ahead is None:
        return row.name
    rule = f" ({score.rule})" if score.rule else ""
    name = f"{row.name}{rule} {figure(score.score.value)}"
    span = f"({ahead.value:+.3f}; {ahead.low:+.3f} to {ahead.high:+.3f})"
    return f"{standing(ahead)} {name} {span}"


def standing(ahead: Interval) -> str:
    """In a word or two: ahead, behind, or level where the interval of the difference holds 0."""
    if ahead.low > 0:
        return "ahead of"
    return "behind" if ahead.high < 0 else "level with"
