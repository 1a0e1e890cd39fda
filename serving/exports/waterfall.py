"""The waterfall of one audience: how many people are left after each step, and why.

What lives here: the figures and how they are told. Where they come from lives in `audiences`.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from segmenter.segments.hierarchy import SEGMENT

STAGES = {
    "members": "members of the segment",
    "strong": "strength at or above the threshold",
    "consented": "with consent",
    "adult": "not a minor",
    "not_suppressed": "on no suppression list",
    "with_identifier": "with an identifier that the destination looks for",
    "valid": "with a valid one",
    "people": "different people",
}
WRITTEN, WARNED, REFUSED = "written", "written with a warning", "refused"


@dataclass(frozen=True)
class Waterfall:
    """One audience for one destination.

    Attributes
    ----------
    destination, segment_id, segment_name
        What it is.
    counts
        People left at each of `STAGES`.
    reasons
        Of a stage, why people were left out there, with their number.
    minimum
        People that are needed.
    verdict
        ``written``, ``written with a warning`` or ``refused``.
    why
        Of a warning or a refusal; empty else.
    remedies
        What could be done about it.
    matched
        Interval of people that the platform may find; an assumption.
    match_rate
        The assumed interval behind it.
    level
        Of the segment: ``macro``, ``segment`` or ``micro``.
    """

    destination: str
    segment_id: int
    segment_name: str
    counts: dict[str, int]
    reasons: dict[str, dict[str, int]]
    minimum: int
    verdict: str
    why: str
    remedies: tuple[str, ...]
    matched: tuple[int, int]
    match_rate: tuple[float, float]
    level: str = SEGMENT

    @property
    def title(self) -> str:
        """What it is, on one line."""
        kind = SEGMENT if self.level == SEGMENT else f"{self.level} {SEGMENT}"
        return f"{self.destination}: {kind} {self.segment_id}, {self.segment_name}"

    @property
    def is_written(self) -> bool:
        """Whether there are files."""
        return self.verdict != REFUSED

    def to_json(self) -> dict[str, Any]:
        """Plain form, with the assumption labelled."""
        plain = asdict(self)
        plain["matched"] = {
            "assumption": "share of people whom a platform finds; not measured",
            "rate": list(self.match_rate),
            "people": list(self.matched),
        }
        del plain["match_rate"]
        return plain


@dataclass
class Tally:
    """Counts of one audience while its people pass by.

    Attributes
    ----------
    counts
        By stage.
    reasons
        By stage and reason.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, stage: str, n_people: int) -> None:
        """Add people who are left at a stage."""
        self.counts[stage] += n_people

    def explain(self, stage: str, reasons: dict[str, int]) -> None:
        """Add reasons why people were left out at a stage."""
        known = self.reasons.setdefault(stage, {})
        for reason, n_people in reasons.items():
            known[reason] = known.get(reason, 0) + n_people
