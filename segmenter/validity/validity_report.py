"""What a validation found, in a form that is stored with the model and shown to people."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from segmenter.clock import iso, parse_time
from segmenter.validity.lift import CONFIDENCE, Interval

SEGMENTS = "Segments"
NO_SEGMENTS = "No segments"


@dataclass(frozen=True)
class OutcomeSummary:
    """An outcome that was predicted.

    Attributes
    ----------
    name, kind, population
        As in `Outcome`; `population` is its name.
    n_users
        Users in the population.
    mean
        Over these users in the natural unit: a rate where `kind` is ``"auc"``.
    """

    name: str
    kind: str
    population: str
    n_users: int
    mean: float

    @property
    def title(self) -> str:
        """What is printed: the name, the population where it is not everybody, the score."""
        among = "" if self.population == "everybody" else f" ({self.population})"
        return f"{self.name[:1].upper()}{self.name[1:]}{among} {self.score_name}"

    @property
    def score_name(self) -> str:
        """R2 or AUC."""
        return self.kind.upper()


@dataclass(frozen=True)
class Score:
    """How well one segmentation predicts one outcome.

    Attributes
    ----------
    score
        R2 or AUC, out of fold.
    ahead
        The score of the segments under test minus this one, paired over users; None for
        themselves.
    rule
        Which of several rules this is, the best for the outcome; empty where there is one.
    """

    score: Interval
    ahead: Interval | None = None
    rule: str = ""


@dataclass(frozen=True)
class Row:
    """One segmentation.

    Attributes
    ----------
    name
        As printed.
    kind
        ``"segments"`` under test, ``"rule"`` that a person could write, ``"model"`` made by
        learning, or ``"none"``.
    n_groups
        Its groups; None where it stands for several rules.
    scores
        One for each outcome.
    """

    name: str
    kind: str
    n_groups: int | None
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Lift:
    """One segment and one outcome.

    Attributes
    ----------
    n_users
        Members in the outcome's population.
    mean
        What they did later, in the natural unit.
    predicted
        What the rest of their segment had said of them: the mean of the out-of-fold predictions.
    lift
        `mean` relative to that of all users, above 1 is more; None where nobody is a member.
    """

    n_users: int
    mean: float
    predicted: float
    lift: Interval | None


@dataclass(frozen=True)
class SegmentValidity:
    """What the members of one segment did later: a `Lift` for each outcome."""

    segment_id: int
    n_users: int
    lifts: tuple[Lift, ...]


@dataclass(frozen=True)
class ValidityReport:
    """Whether the segments predict what users did later.

    Attributes
    ----------
    cut, end
        Segments were made before `cut`; outcomes are events from `cut` to before `end`,
        microseconds.
    n_users
        Users who were judged.
    outcomes, rows, segments
        Empty where nothing could be judged.
    notes
        Sentences that belong beside the figures, losses among them.
    reason
        Why nothing could be judged; empty otherwise.
    confidence
        Of every interval.
    """

    cut: int
    end: int
    n_users: int
    outcomes: tuple[OutcomeSummary, ...] = ()
    rows: tuple[Row, ...] = ()
    segments: tuple[SegmentValidity, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    confidence: float = CONFIDENCE

    def row(self, name: str) -> Row | None:
        """The row of that name, or None."""
        return next((row for row in self.rows if row.name == name), None)

    def best_rule(self, place: int) -> Row | None:
        """The rule with the best score for the outcome at `place`, or None."""
        rules = [row for row in self.rows if row.kind == "rule"]
        return max(rules, key=lambda row: row.scores[place].score.value, default=None)

    def summary_line(self) -> str:
        """One line for the terminal: the first outcome, segments beside the baselines."""
        return self.outcome_lines()[0] if self.outcomes else f"Not judged: {self.reason}"

    def outcome_lines(self) -> list[str]:
        """One line for each outcome."""
        return [self._outcome_line(place) for place in range(len(self.outcomes))]

    def _outcome_line(self, place: int) -> str:
        cells = []
        for row in self.rows:
            score = row.scores[place].score
            if row.kind == "segments":
                span = f"({figure(score.low)} to {figure(score.high)})"
                cells.append(f"{self.outcomes[place].title} {figure(score.value)} {span}")
            elif row.kind != "none":
                cells.append(f"{row.name} {figure(score.value)}")
        return " | ".join(cells)

    def to_json(self) -> dict[str, Any]:
        """Plain form; `from_json` gives back an equal report."""
        plain = asdict(self) | {"cut": iso(self.cut), "end": iso(self.end)}
        listed: dict[str, Any] = plain | {
            "notes": list(self.notes),
            "summary": self.summary_line(),
        }
        return listed

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Rebuild a report from `to_json`."""
        return cls(
            cut=parse_time(plain["cut"], option="cut"),
            end=parse_time(plain["end"], option="end"),
            n_users=plain["n_users"],
            outcomes=tuple(OutcomeSummary(**outcome) for outcome in plain["outcomes"]),
            rows=tuple(_row(row) for row in plain["rows"]),
            segments=tuple(_segment(segment) for segment in plain["segments"]),
            notes=tuple(plain["notes"]),
            reason=plain["reason"],
            confidence=plain["confidence"],
        )


def figure(value: float) -> str:
    """A score as printed: two decimals without the leading zero, ``.52``."""
    text = f"{value:.2f}"
    return text.replace("-0.", "-.", 1) if value < 0 else text.removeprefix("0")


def _interval(plain: dict[str, float] | None) -> Interval | None:
    return None if plain is None else Interval(**plain)


def _row(plain: dict[str, Any]) -> Row:
    scores = (
        Score(Interval(**score["score"]), _interval(score["ahead"]), score["rule"])
        for score in plain["scores"]
    )
    return Row(plain["name"], plain["kind"], plain["n_groups"], tuple(scores))


def _segment(plain: dict[str, Any]) -> SegmentValidity:
    lifts = (
        Lift(lift["n_users"], lift["mean"], lift["predicted"], _interval(lift["lift"]))
        for lift in plain["lifts"]
    )
    return SegmentValidity(plain["segment_id"], plain["n_users"], tuple(lifts))
