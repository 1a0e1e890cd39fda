"""A validation in words: who is ahead, who is behind, and what to know about the data."""

from collections.abc import Sequence

from segmenter.clock import iso
from segmenter.events.store import EventStore
from segmenter.validity.lift import Interval
from segmenter.validity.rows import (
    ActivityShare,
    OutcomeSummary,
    Row,
    WithinActivity,
    best_rule,
    figure,
)
from segmenter.validity.trial import Trial
from segmenter.validity.window import DAY_US, windows

FEW_USERS = 1_000


def data_notes(trial: Trial, *, n_users: int) -> list[str]:
    """What to know about the users, the log and its times before reading any score."""
    store, n_judged, cut, end = trial.store, len(trial.users), trial.cut, trial.end
    notes = []
    if n_users < FEW_USERS:
        notes.append(f"Only {n_users:,} users: intervals are wide, and differences uncertain.")
    if n_judged < n_users:
        notes.append(f"Judged on {n_judged:,} of {n_users:,} users, drawn at random.")
    notes += _few_types(store)
    if _past_span(trial) < DAY_US:
        notes.append("All events before the cut lie within a day: recency and rhythm say nothing.")
    if store.newest < cut:
        notes.append(f"No future window: the log has no event from {iso(cut)} on.")
    elif end - cut < DAY_US:
        notes.append("The time after the cut is shorter than a day.")
    if "currency" in store.categorical and (n_currencies := len(store.vocabulary("currency"))) > 1:
        notes.append(f"Amounts in {n_currencies} currencies are added as they are.")
    return notes


def _few_types(store: EventStore) -> list[str]:
    """A sentence where a log hardly tells what users do."""
    n_types = len(store.vocabulary("event"))
    about = {"item", "category"} & set(store.categorical)
    if n_types > (1 if about else 2):
        return []
    told = f"the {min(about)}" if about else "when and how much"
    said = "One event type" if n_types == 1 else "Two event types"
    return [f"{said} only: segments can differ in {told}, hardly in what is done."]


def _past_span(trial: Trial) -> int:
    """Microseconds between the first and the last event of these users before the cut."""
    blocks = windows(trial.store, trial.users, end=trial.cut)
    ends = [(block.times.min(), block.times.max()) for block in blocks if len(block.times)]
    return int(max(last for _, last in ends) - min(first for first, _ in ends)) if ends else 0


def verdicts(outcomes: Sequence[OutcomeSummary], rows: tuple[Row, ...]) -> list[str]:
    """One sentence for each outcome: the segments beside the best rule and beside other models.

    Losses read as plainly as wins: a difference counts when its interval leaves out zero.
    """
    tested, *others = rows
    models = [row for row in others if row.kind == "model"]
    sentences = []
    for place, outcome in enumerate(outcomes):
        rule = best_rule(rows, place)
        compared = [_compared(row, place) for row in (rule, *models) if row is not None]
        score = figure(tested.scores[place].score.value)
        sentences.append(f"{outcome.title}: segments {score}, {_listed(compared)}.")
    return sentences


def linear_verdicts(
    outcomes: Sequence[OutcomeSummary], rows: tuple[Row, ...], linear: tuple[Row, ...]
) -> list[str]:
    """What the embedding predicts by a linear model, beside the best rule and untrained numbers.

    The first outcome in full, and on how many outcomes it is ahead of and behind the best rule.
    """
    if not linear:
        return []
    tested, *others = linear
    first, rule = tested.scores[0], best_rule(rows, 0)
    compared = [_compared(row, 0) for row in others]
    if rule is not None and first.over_rule is not None:
        value = rule.scores[0].score.value
        compared.insert(0, _beside(_named(rule, 0), value, first.over_rule))
    said = f"{outcomes[0].title} {figure(first.score.value)}, {_listed(compared)}."
    over = [score.over_rule for score in tested.scores]
    count = f"Linear on the embedding, beside the best rule: {_counted(outcomes, over)}."
    return [f"The embedding, read by a linear model: {said}", count]


def activity_verdicts(within: WithinActivity) -> list[str]:
    """Whether segments are more than bands of activity."""
    tested, *others = within.shares
    besides = ", ".join(f"{share.name} {_percent(share)}" for share in others)
    explained = (
        f"Activity alone explains {_percent(tested)} of the segmentation ({besides}): what a "
        "user's activity decile tells of the segment."
    )
    sentences = [explained]
    if within.outcomes:
        places = range(len(within.outcomes))
        rules = [best_rule(within.rows, place) for place in places]
        over = [
            None if rule is None else rule.scores[place].ahead
            for place, rule in zip(places, rules, strict=True)
        ]
        sentences.append(
            "Within activity deciles, segments beside the best rule: "
            f"{_counted(within.outcomes, over)}."
        )
        sentences += [
            f"Within activity deciles: {sentence[:1].lower()}{sentence[1:]}"
            for outcome, sentence in zip(
                within.outcomes, verdicts(within.outcomes, within.rows), strict=True
            )
            if outcome.kind == "mean auc"
        ]
    return sentences


def _percent(share: ActivityShare) -> str:
    return f"{share.information:.0%}".replace("%", " %")


def _counted(outcomes: Sequence[OutcomeSummary], ahead: Sequence[Interval | None]) -> str:
    """How many differences count, and which are losses."""
    words = [None if one is None else standing(one) for one in ahead]
    losses = [
        outcome.title for outcome, word in zip(outcomes, words, strict=True) if word == "behind"
    ]
    counts = (
        f"ahead on {words.count('ahead of')}, level on {words.count('level with')} "
        f"and behind on {len(losses)} of {len(words)} outcomes"
    )
    return f"{counts} ({'; '.join(losses)})" if losses else counts


def _compared(row: Row, place: int) -> str:
    """How what is tested stands beside one row."""
    score = row.scores[place]
    name = _named(row, place)
    return name if score.ahead is None else _beside(name, score.score.value, score.ahead)


def _named(row: Row, place: int) -> str:
    rule = row.scores[place].rule
    return f"{row.name} ({rule})" if rule else row.name


def _beside(name: str, value: float, ahead: Interval) -> str:
    span = f"({ahead.value:+.3f}; {ahead.low:+.3f} to {ahead.high:+.3f})"
    return f"{standing(ahead)} {name} {figure(value)} {span}"


def _listed(parts: list[str]) -> str:
    """Parts as a sentence lists them."""
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last


def standing(ahead: Interval) -> str:
    """In a word or two: ahead, behind, or level where the interval of the difference holds 0."""
    if ahead.low > 0:
        return "ahead of"
    return "behind" if ahead.high < 0 else "level with"
