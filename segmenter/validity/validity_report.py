"""What a validation found, in a form that is stored with the model and shown to people."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from segmenter.clock import iso, parse_time
from segmenter.validity.lift import CONFIDENCE
from segmenter.validity.plain import from_plain
from segmenter.validity.rows import (
    EMBEDDING,
    NO_SEGMENTS,
    PLAIN_FEATURES,
    RANDOM_ENCODER,
    SEGMENTS,
    LiftCurve,
    OutcomeSummary,
    Row,
    SegmentValidity,
    WithinActivity,
    best_rule,
    figure,
)

__all__ = [
    "EMBEDDING",
    "NO_SEGMENTS",
    "PLAIN_FEATURES",
    "RANDOM_ENCODER",
    "SEGMENTS",
    "ValidityReport",
    "figure",
]


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
        What was predicted, how well by each segmentation, and what each segment did. Empty where
        nothing could be judged.
    notes
        Sentences that belong beside the figures, losses among them.
    reason
        Why nothing could be judged; empty otherwise.
    confidence
        Of every interval.
    linear
        What linear models predict, the one on the embedding first; apart from `rows`, which are
        what segmentations predict. Empty where no embedding was given.
    within
        What is left among users of equal activity; None where nothing could be judged.
    curves
        Lift by tenths of the users, for the segments and the best rule on each outcome.
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
    linear: tuple[Row, ...] = ()
    within: WithinActivity | None = None
    curves: tuple[LiftCurve, ...] = ()

    def row(self, name: str) -> Row | None:
        """The segmentation of that name, or None."""
        return next((row for row in self.rows if row.name == name), None)

    def linear_row(self, name: str) -> Row | None:
        """The linear model of that name, or None."""
        return next((row for row in self.linear if row.name == name), None)

    def best_rule(self, place: int) -> Row | None:
        """The rule with the best score for the outcome at `place`, or None."""
        return best_rule(self.rows, place)

    @property
    def below_floor(self) -> bool:
        """Whether the segments do not beat what needs no training: see `floor_reasons`."""
        return bool(self.floor_reasons)

    @property
    def floor_reasons(self) -> tuple[str, ...]:
        """Why the segments are below the floor; empty where they are not, or nothing was judged.

        They are when, by intervals of paired differences, they are

        * behind the best rule, or behind "no segments", on the first outcome, or
        * ahead of nothing: on no outcome ahead of its best rule, nor of a clustering of plain
          features or of an untrained encoder. Being ahead of "no segments" is no merit.
        """
        if not self.outcomes:
            return ()
        first = self.outcomes[0].title
        floors = (self.best_rule(0), self.row(NO_SEGMENTS))
        reasons = [
            f"behind {row.name} on {first}"
            for row in floors
            if row is not None and (ahead := row.scores[0].ahead) is not None and ahead.high < 0
        ]
        if not any(self._is_ahead(place) for place in range(len(self.outcomes))):
            reasons.append("ahead of no rule and of no untrained model on any outcome")
        return tuple(reasons)

    def _is_ahead(self, place: int) -> bool:
        models = [row for row in self.rows if row.kind == "model"]
        differences = [
            row.scores[place].ahead for row in (self.best_rule(place), *models) if row is not None
        ]
        return any(ahead is not None and ahead.low > 0 for ahead in differences)

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
        plain: dict[str, Any] = asdict(self) | {"cut": iso(self.cut), "end": iso(self.end)}
        return plain | {
            "notes": list(self.notes),
            "summary": self.summary_line(),
            "below_floor": self.below_floor,
            "floor_reasons": list(self.floor_reasons),
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Rebuild a report from `to_json`, also from one that an older version wrote."""
        times = {name: parse_time(plain[name], option=name) for name in ("cut", "end")}
        return from_plain(cls, plain | times)
