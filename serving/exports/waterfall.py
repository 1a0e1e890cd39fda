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
    "not_suppressed": "on no suppression or deletion list",
    "with_identifier": "with an identifier that the destination looks for",
    "valid": "with a valid one",
    "people": "different people",
    "not_held": "not in the control group",
}
WRITTEN, WARNED, REFUSED = "written", "written with a warning", "refused"
UNCHANGED = "unchanged"
"""Nothing has to be sent: the list is as it should be."""


@dataclass(frozen=True)
class Change:
    """What the files of one audience do to its list.

    Attributes
    ----------
    added, removed
        People written to be put on the list, and to be taken off it.
    stuck
        People who should be taken off, of whom a plain identifier is not known any more.
    """

    added: int
    removed: int
    stuck: int

    @property
    def told(self) -> str:
        """In a sentence for people."""
        stuck = (
            f"; of {self.stuck:,} a device id or name was sent that is not known any more and "
            "cannot be taken off by a payload: replace the list"
            if self.stuck
            else ""
        )
        return f"people put on the list {self.added:,}, taken off {self.removed:,}{stuck}"


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
        ``written``, ``written with a warning``, ``refused`` or ``unchanged``.
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
    change
        What the files do to the list; None for an export without a ledger.
    delivery
        Number in the ledger; None without one, and where nothing was ever sent.
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
    change: Change | None = None
    delivery: int | None = None

    @property
    def title(self) -> str:
        """What it is, on one line."""
        kind = SEGMENT if self.level == SEGMENT else f"{self.level} {SEGMENT}"
        return f"{self.destination}: {kind} {self.segment_id}, {self.segment_name}"

    @property
    def is_refused(self) -> bool:
        """Whether nobody may be added; people who leave may be taken off all the same."""
        return self.verdict == REFUSED

    @property
    def is_written(self) -> bool:
        """Whether there are files with people of the audience."""
        return self.verdict in (WRITTEN, WARNED)

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
