"""The history of every segment that a model and its forebears published: sizes, names, fates.

A lineage is kept in the model's bundle. Nothing in it is ever taken away: a segment that nobody
goes on from is retired, and its id is never given again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from segmenter.errors import ConfigError
from segmenter.segments.matching import APPEARED, GONE, KEPT, MERGED, SPLIT, Flow
from segmenter.segments.segment import Segment

FIRST, RENAMED = "first", "renamed"


@dataclass(frozen=True)
class Locks:
    """What a person decided, which no refit undoes.

    Attributes
    ----------
    together
        Segments that were merged by hand: they are not split.
    apart
        Pairs that were split by hand: they are not merged.
    """

    together: frozenset[int] = frozenset()
    apart: frozenset[frozenset[int]] = frozenset()


NO_LOCKS = Locks()


@dataclass(frozen=True)
class Step:
    """One thing that happened to a segment.

    Attributes
    ----------
    event
        ``first``, ``renamed``, or what a refit made of it: a kind of
        `segmenter.segments.matching.Flow`.
    at
        ISO 8601: the as-of time of the fit, or the moment of a renaming.
    name, n_users
        Since then; a segment that is gone has no users.
    author
        Who renamed, merged or split it; None for a fit.
    related
        The segments that it split from or merged into.
    """

    event: str
    at: str
    name: str
    n_users: int
    author: str | None = None
    related: tuple[int, ...] = ()


@dataclass(frozen=True)
class History:
    """What happened to one segment.

    Attributes
    ----------
    id
        Of the segment.
    retired
        Whether no segment goes on under this id.
    steps
        The oldest first.
    """

    id: int
    retired: bool
    steps: tuple[Step, ...]

    def with_step(self, step: Step, *, retired: bool = False) -> "History":
        """The same with one step more."""
        return History(self.id, retired, (*self.steps, step))


@dataclass(frozen=True)
class Lineage:
    """All histories.

    Attributes
    ----------
    next_id
        Smallest id that was never given.
    histories
        In the order of the ids.
    """

    next_id: int
    histories: tuple[History, ...]

    @classmethod
    def begin(cls, segments: Sequence[Segment], *, at: str) -> Self:
        """The lineage of a model that started afresh."""
        histories = (
            History(item.id, retired=False, steps=(_step(item, FIRST, at),)) for item in segments
        )
        ordered = tuple(sorted(histories, key=lambda history: history.id))
        return cls(max((history.id for history in ordered), default=0) + 1, ordered)

    def after_refit(self, segments: Sequence[Segment], flow: Sequence[Flow], *, at: str) -> Self:
        """The lineage of a refit.

        Parameters
        ----------
        segments
            That it publishes.
        flow
            Where everybody went.
        at
            Its as-of time, ISO 8601.
        """
        now = {item.id: item for item in segments}
        known = {history.id: history for history in self.histories}
        for number, item in now.items():
            old = known.get(number)
            sources = tuple(
                row.old_id
                for row in flow
                if row.new_id == number and row.kind == SPLIT and row.old_id is not None
            )
            born = SPLIT if sources else APPEARED
            event = born if old is None else _event(number, flow)
            step = replace(_step(item, event, at), related=sources if old is None else ())
            known[number] = (old or History(number, retired=False, steps=())).with_step(step)
        for number in set(known) - set(now):
            if not known[number].retired:
                known[number] = _retired(known[number], flow, at=at)
        ordered = tuple(known[number] for number in sorted(known))
        return type(self)(max(self.next_id, max(known, default=0) + 1), ordered)

    def after_renaming(self, segment: Segment, *, at: str, author: str) -> Self:
        """The lineage after a segment was given a name by a person."""
        step = replace(_step(segment, RENAMED, at), author=author)
        histories = tuple(
            history.with_step(step) if history.id == segment.id else history
            for history in self.histories
        )
        return replace(self, histories=histories)

    def after_regrouping(
        self, old: Sequence[int], new: Sequence[Segment], *, event: str, at: str, author: str
    ) -> Self:
        """The lineage after a person merged or split segments.

        Parameters
        ----------
        old
            Ids that are retired.
        new
            Segments that begin, under ids that were never given.
        event
            ``merged`` or ``split``.
        at, author
            When, ISO 8601, and who.
        """
        ended = tuple(item.id for item in new)
        histories = [
            history.with_step(
                Step(event, at, history.steps[-1].name, 0, author, ended), retired=True
            )
            if history.id in old
            else history
            for history in self.histories
        ]
        for item in new:
            step = replace(_step(item, event, at), author=author, related=tuple(old))
            histories.append(History(item.id, retired=False, steps=(step,)))
        ordered = tuple(sorted(histories, key=lambda history: history.id))
        return type(self)(max(self.next_id, *(number + 1 for number in ended)), ordered)

    @property
    def locks(self) -> Locks:
        """What a person put together or apart, as far as it goes on."""
        together, apart = set(), []
        for history in self.histories:
            first = history.steps[0]
            if history.retired or first.author is None:
                continue
            if first.event == MERGED:
                together.add(history.id)
            elif first.event == SPLIT:
                apart.append((history.id, first.related))
        pairs = {
            frozenset((one, other))
            for one, source in apart
            for other, same in apart
            if one != other and source == same
        }
        return Locks(frozenset(together), frozenset(pairs))

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(plain["next_id"], tuple(_history(item) for item in plain["histories"]))


NO_LINEAGE = Lineage(1, ())
"""Before anything was published."""


def carry_names(segments: Sequence[Segment], parents: Sequence[Segment]) -> tuple[Segment, ...]:
    """Names of segments that go on: a person's always, an automatic one while it is true.

    An automatic name is kept where the word for activity is what it was and no number stands in
    it; otherwise the new automatic name says what is so today.

    Parameters
    ----------
    segments
        Of a refit, with automatic names.
    parents
        Of the parent.
    """
    before = {item.id: item for item in parents}
    named = [_carried(item, before.get(item.id)) for item in segments]
    taken = {item.name for item in named if item.locked}
    unique = []
    for item in named:
        name, number = item.name, 2
        while name in taken and not item.locked:
            name, number = f"{item.name} ({number})", number + 1
        taken.add(name)
        unique.append(replace(item, name=name))
    return tuple(unique)


def rename(segments: Sequence[Segment], number: int, name: str) -> tuple[Segment, ...]:
    """The segments with a name that a person gave to one of them; it is locked from now on.

    Raises
    ------
    ConfigError
        If there is no such segment, or the name is empty or another segment's.
    """
    name = " ".join(name.split())
    ids = [item.id for item in segments]
    if number not in ids:
        message = f"there is no segment {number}; found {', '.join(map(str, ids))}"
        raise ConfigError(message)
    other = next((item.id for item in segments if item.name == name and item.id != number), None)
    if not name or other is not None:
        found = "an empty name" if not name else f"{name!r}, the name of segment {other}"
        message = f"a segment's name must be its own; found {found}; choose another"
        raise ConfigError(message)
    return tuple(
        replace(item, name=name, locked=True) if item.id == number else item for item in segments
    )


def _carried(item: Segment, before: Segment | None) -> Segment:
    if before is None:
        return item
    if before.locked:
        return replace(item, name=before.name, locked=True)
    still_true = before.name.split(":")[0] == item.name.split(":")[0]
    states_number = any(letter.isdigit() for letter in before.name)
    return replace(item, name=before.name) if still_true and not states_number else item


def _event(number: int, flow: Sequence[Flow]) -> str:
    """What became of a segment that goes on."""
    return next((row.kind for row in flow if row.old_id == row.new_id == number), KEPT)


def _retired(history: History, flow: Sequence[Flow], *, at: str) -> History:
    """The history of a segment that nobody goes on from, closed."""
    into = tuple(
        row.new_id
        for row in flow
        if row.old_id == history.id and row.kind == MERGED and row.new_id is not None
    )
    event, name = (MERGED if into else GONE), history.steps[-1].name
    return history.with_step(Step(event, at, name, 0, related=into), retired=True)


def _step(item: Segment, event: str, at: str) -> Step:
    return Step(event, at, item.name, item.n_users)


def _history(plain: dict[str, Any]) -> History:
    steps = (Step(**{**step, "related": tuple(step["related"])}) for step in plain["steps"])
    return History(plain["id"], plain["retired"], tuple(steps))
