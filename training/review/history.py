"""Reading the log: what was champion at a time, since when, and who decided it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from segmenter.clock import iso, parse_time
from segmenter.registry import CHAMPION
from segmenter.tracking_server import Registry
from training.review.decision_log import DONE, NOTE, VOID, Entry
from training.review.desk import open_desk

DATE_LENGTH = len("2026-03-03")


@dataclass(frozen=True)
class History:
    """The decisions about a model.

    Attributes
    ----------
    model
        The registered name.
    entries
        Finished decisions, reviews and notes, oldest first.
    aliases
        What the aliases stand for now.
    """

    model: str
    entries: tuple[Entry, ...]
    aliases: dict[str, int]

    def champion_at(self, micros: int) -> Entry | None:
        """The entry that made the champion of a time champion; None where there was none."""
        moment = iso(micros)
        moves = [
            entry
            for entry in self.entries
            if CHAMPION in entry.decision.aliases and comparable(entry.at) <= comparable(moment)
        ]
        led = moves[-1] if moves else None
        return led if led is not None and led.decision.aliases[CHAMPION] is not None else None

    def moves_between(self, start: int, end: int) -> tuple[Entry, ...]:
        """Entries that changed the champion after one time and before another, microseconds."""
        return tuple(
            entry
            for entry in self.entries
            if CHAMPION in entry.decision.aliases
            and comparable(iso(start)) < comparable(entry.at) < comparable(iso(end))
        )


def comparable(moment: str) -> int:
    """A stored time as a number."""
    return parse_time(moment, option="at")


def read_history(home: Registry, model: str) -> History:
    """Read the decisions about a model, after completing what was interrupted.

    Raises
    ------
    ReviewError
        If the log is broken.
    RegistryError
        If there is no such model, or MLflow cannot be read.
    """
    with open_desk(home, model) as desk:
        entries = tuple(
            entry
            for entry in desk.log.read()
            if entry.decision.model == model and entry.kind in {DONE, NOTE, VOID}
        )
        return History(model, entries, desk.aliases(model))


def asked_period(text: str) -> tuple[int, int]:
    """First and last microsecond that ``--at`` asks about: a whole day for a date alone.

    Raises
    ------
    ConfigError
        If the text is no time.
    """
    start = parse_time(text, option="--at")
    day = 86_400_000_000
    return start, start + (day - 1 if len(text) == DATE_LENGTH else 0)


def entry_row(entry: Entry) -> dict[str, Any]:
    """An entry as a command prints it in JSON."""
    decision = entry.decision
    return {
        "entry": entry.number,
        "at": entry.at,
        "kind": entry.kind,
        "action": decision.action,
        "version": decision.version,
        "by": decision.by,
        "reason": decision.reason,
        "digest": decision.digest,
        "aliases": dict(decision.aliases),
        "details": dict(decision.details),
    }


def champion_of(entries: Sequence[Entry]) -> str:
    """Version that the last of these entries made champion, in a word."""
    for entry in reversed(entries):
        if CHAMPION in entry.decision.aliases:
            number = entry.decision.aliases[CHAMPION]
            return "none" if number is None else f"{entry.decision.model}/{number}"
    return "none"
