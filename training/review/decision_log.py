"""The log of decisions: who made which version champion, when and why.

It is only ever added to. Each line holds the SHA-256 of the line before, so that a changed,
removed or inserted line is noticed; the head of the chain is kept apart, as a tag of the
registered model, so that a cut end is noticed too. A decision is written down as an intent before
anything moves and as done afterwards, so that the next command can complete what a kill
interrupted.
"""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from segmenter.clock import EPOCH, iso
from segmenter.errors import ReviewError

LOG_FILE = "decisions.jsonl"
FIRST = "0" * 64
"""What the first entry holds in place of the digest of the one before."""
IN_FILE, IN_RUN = "file", "run"
PLACES = {
    IN_FILE: f"{LOG_FILE} of the home that the server stands on: name it with --mlruns",
    IN_RUN: "a run of the tracking server in front of this home: name it with --tracking-uri",
}
"""Where else the log of a registry may be, which must have one alone."""
INTENT, DONE, VOID, NOTE = "intent", "done", "void", "note"
MEND = "restore it from a backup"


@dataclass(frozen=True)
class Decision:
    """What was decided about a version.

    Attributes
    ----------
    action
        ``register``, ``rename``, ``review``, ``approve``, ``reject``, ``promote``, ``rollback``,
        or ``found`` for aliases that were moved by other means.
    model, version, digest
        The version and the digest of its bundle.
    by, reason
        Who, and why.
    aliases
        Alias to the version that it stands for afterwards; None where it is removed.
    tags
        Version number, as text, to the tags that it gets.
    details
        What else is worth knowing.
    """

    action: str
    model: str
    version: int
    digest: str
    by: str
    reason: str
    aliases: Mapping[str, int | None] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """``name/3``."""
        return f"{self.model}/{self.version}"


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Attributes
    ----------
    number
        From 1.
    previous
        SHA-256 of the line before.
    at
        ISO 8601 time of writing.
    kind
        ``intent``, then ``done`` or ``void`` of it; or ``note``, which moves nothing.
    of
        Number of the intent that is done or void; otherwise 0.
    decision
        What was decided.
    """

    number: int
    previous: str
    at: str
    kind: str
    of: int
    decision: Decision

    def line(self) -> bytes:
        """The entry as it is stored: canonical JSON without a line break."""
        plain = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return plain.encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the line, which the next entry holds."""
        return hashlib.sha256(self.line()).hexdigest()

    @property
    def head(self) -> str:
        """Number and digest in a word, for a tag."""
        return f"{self.number} {self.digest}"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Inverse of `line`; raises ValueError, KeyError or TypeError for anything else."""
        plain = json.loads(line)
        return cls(**{**plain, "decision": Decision(**plain["decision"])})

    @classmethod
    def after(
        cls, entries: Sequence["Entry"], kind: str, decision: Decision, *, of: int = 0
    ) -> Self:
        """The entry that follows those that there are, written now."""
        now = iso((dt.datetime.now(dt.UTC) - EPOCH) // dt.timedelta(microseconds=1))
        previous = entries[-1].digest if entries else FIRST
        return cls(len(entries) + 1, previous, now, kind, of, decision)


class DecisionLog(Protocol):
    """Where entries are kept; see `FileLog` and `training.review.server_log.ServerLog`.

    Attributes
    ----------
    kind
        `IN_FILE` or `IN_RUN`.
    """

    @property
    def kind(self) -> str:
        """Of the place."""

    def read(self) -> tuple[Entry, ...]:
        """Every entry, oldest first, after the chain was checked."""

    def append(self, kind: str, decision: Decision, *, of: int = 0) -> Entry:
        """Write one more entry, durably, and return it."""


@dataclass(frozen=True)
class FileLog:
    """The log in a file of JSON lines; whoever appends holds the lock of the home.

    Attributes
    ----------
    path
        The file; made when first written to.
    """

    path: Path

    @property
    def kind(self) -> str:
        """`IN_FILE`."""
        return IN_FILE

    def read(self) -> tuple[Entry, ...]:
        """Every entry, oldest first.

        A last line without its end is one whose writer was killed: nothing was done on its
        strength, and it is not read.

        Raises
        ------
        ReviewError
            If the file cannot be read, or an entry was changed, removed or inserted.
        """
        try:
            content = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            message = f"cannot read {self.path}: {error.strerror}; make it readable"
            raise ReviewError(message) from error
        return checked_chain(content.split(b"\n")[:-1], where=str(self.path))

    def append(self, kind: str, decision: Decision, *, of: int = 0) -> Entry:
        """Write one more entry; it is on the disk when this returns.

        Raises
        ------
        ReviewError
            If the log is broken or cannot be written.
        """
        entry = Entry.after(self.read(), kind, decision, of=of)
        try:
            is_new = not self.path.exists()
            with self.path.open("ab+") as opened:
                opened.seek(0)
                opened.truncate(opened.read().rfind(b"\n") + 1)
                opened.write(entry.line() + b"\n")
                opened.flush()
                os.fsync(opened.fileno())
            if is_new:
                _sync_folder(self.path.parent)
        except OSError as error:
            message = f"cannot write {self.path}: {error.strerror}; nothing was decided"
            raise ReviewError(message) from error
        return entry


def checked_chain(lines: Sequence[bytes], *, where: str) -> tuple[Entry, ...]:
    """Entries of stored lines, each of which must follow from the one before.

    Raises
    ------
    ReviewError
        With the first entry that does not.
    """
    entries: list[Entry] = []
    previous = FIRST
    for number, line in enumerate(lines, start=1):
        try:
            entry = Entry.from_line(line)
        except (ValueError, KeyError, TypeError) as error:
            message = f"the log of decisions is broken: entry {number} of {where} is none; {MEND}"
            raise ReviewError(message) from error
        if entry.previous != previous or entry.number != number or entry.line() != line:
            message = (
                f"the log of decisions is broken: entry {number} of {where} does not follow from "
                f"the one before, so one of them was changed, removed or added by hand; {MEND}"
            )
            raise ReviewError(message)
        entries.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return tuple(entries)


def check_head(
    entries: Sequence[Entry], head: str | None, *, model: str, kind: str = IN_FILE
) -> None:
    """Refuse a log that lacks the entry that a model's tag names.

    Parameters
    ----------
    entries
        Of the log.
    head
        `Entry.head` and the kind of the log that the model was told of last; None before that.
    model
        Its name.
    kind
        Of this log.

    Raises
    ------
    ReviewError
        If the end of the log was cut off, or it is another log.
    """
    if head is None:
        return
    told, _, place = head.rpartition(" ")
    if place in PLACES and place != kind:
        message = f"decisions about {model} are kept in {PLACES[place]}"
        raise ReviewError(message)
    number = int(told.split()[0]) if told.split()[:1] and told.split()[0].isdigit() else 0
    if not 1 <= number <= len(entries) or entries[number - 1].head != told:
        message = (
            f"the log of decisions is broken: {model} was last told of entry {told[:20]}, and the "
            f"log has {len(entries)} entries without it, so its end was cut off or it was "
            f"replaced; {MEND}"
        )
        raise ReviewError(message)


def pending(entries: Sequence[Entry]) -> list[Entry]:
    """Intents that are neither done nor void, oldest first."""
    closed = {entry.of for entry in entries if entry.kind in {DONE, VOID}}
    return [entry for entry in entries if entry.kind == INTENT and entry.number not in closed]


def _sync_folder(folder: Path) -> None:
    """Let a new file's name survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
