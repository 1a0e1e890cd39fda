"""What has to hold before anything is written: sizes, sensitive segments, fresh scores, champion.

References
----------
Specification of ad platforms, section 22: a hard floor of 100 people, a warning under 1,000.
"""

import datetime as dt
from dataclasses import dataclass

from segmenter.errors import ExportRefusedError, RegistryError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import CHAMPION, resolve
from segmenter.segments.hierarchy import MACRO, SEGMENT
from serving.exports.destination import Destination
from serving.exports.scores import ScoredSegment, Scores
from serving.exports.waterfall import REFUSED, UNCHANGED, WARNED, WRITTEN

HARD_FLOOR = 100
WARN_UNDER = 1_000


@dataclass(frozen=True)
class Verdict:
    """Whether an audience may be written.

    Attributes
    ----------
    word
        ``written``, ``written with a warning`` or ``refused``.
    why
        Reason of a warning or refusal; empty else.
    """

    word: str
    why: str = ""


def minimum_people(destination: Destination, floor: int) -> int:
    """People that a list for a destination needs."""
    return max(destination.minimum.refuse or 0, floor, HARD_FLOOR)


def judge(
    segment: ScoredSegment, destination: Destination, n_people: int, *, floor: int
) -> Verdict:
    """Judge one audience.

    Parameters
    ----------
    segment
        What is exported.
    destination
        Where to.
    n_people
        Different people with a valid identifier.
    floor
        Setting of the least number of people, at least `HARD_FLOOR`.
    """
    if segment.evidence is not None:
        return Verdict(REFUSED, f"the segment is sensitive: {segment.evidence}")
    needed = minimum_people(destination, floor)
    if n_people < needed:
        source = (
            destination.minimum.clause
            if needed == destination.minimum.refuse
            else "k-anonymity floor"
        )
        return Verdict(REFUSED, f"{n_people:,} people, {needed:,} are needed ({source})")
    warn = max(destination.minimum.warn, WARN_UNDER)
    if n_people < warn:
        return Verdict(WARNED, f"fewer than {warn:,} people: may not be served everywhere")
    return Verdict(WRITTEN)


def remedies(
    segment: ScoredSegment, scores: Scores, neighbors: dict[int, int], *, verdict: Verdict
) -> tuple[str, ...]:
    """What can be done about an audience that is too small.

    Parameters
    ----------
    segment
        The audience.
    scores
        Names of the others.
    neighbors
        Segment id to members of this one whose second segment it is.
    verdict
        Of the audience; only one for its size has a remedy.
    """
    if verdict.word in (WRITTEN, UNCHANGED) or segment.evidence is not None:
        return ()
    usable = {
        other: n_members
        for other, n_members in neighbors.items()
        if other != segment.id
        and other in scores.segments
        and scores.segments[other].n_users
        and scores.segments[other].evidence is None
    }
    nearest = sorted(usable.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    merges = [
        f"merge it with segment {other} ({scores.segments[other].name}, "
        f"{scores.segments[other].n_users:,} members): second segment of {n_members:,} of its own"
        for other, n_members in nearest
    ]
    return (
        *merges,
        *_level_above(segment, scores),
        "extend it by people who are like its members (look-alikes)",
    )


def _level_above(segment: ScoredSegment, scores: Scores) -> tuple[str, ...]:
    """The larger segment that holds one, where it may leave."""
    parent = scores.above.get(segment.parent or 0)
    if parent is None or parent.evidence is not None:
        return ()
    level = MACRO if scores.level == SEGMENT else SEGMENT
    told = (
        f"take the level above it in the hierarchy: {level} {parent.id} ({parent.name}, "
        f"{parent.n_users:,} members), --level {level} --segments {parent.id}"
    )
    return (told,)


def stale_reason(scores: Scores, now: dt.datetime, max_age_days: int) -> str | None:
    """Why scores are too old to be exported; None when they are not."""
    age_days = (now - scores.moment).total_seconds() / 86_400
    if age_days <= max_age_days:
        return None
    return f"the scores are of {scores.moment:%Y-%m-%d}, {age_days:,.0f} days ago"


def model_reason(scores: Scores, home: MlflowHome) -> str | None:
    """Why the scores' model is not the one in charge; None when it is the champion."""
    name, _, version = scores.model_version.rpartition("/")
    if not name or not version.isdigit():
        return "the scores were made by a folder, not by a registered model"
    try:
        champion = resolve(home, f"{name}@{CHAMPION}").label
    except RegistryError as error:
        return f"the champion of {name} is not known: {error}"
    if champion == scores.model_version:
        return None
    return f"the scores are of {scores.model_version}, the champion is {champion}"


def refuse(reason: str | None, *, allowed: bool, option: str) -> None:
    """Refuse an export for a reason, unless it is allowed by an option.

    Raises
    ------
    ExportRefusedError
        If there is a reason and it is not allowed.
    """
    if reason is not None and not allowed:
        message = f"nothing is exported: {reason}; score again, or pass {option} to mark it so"
        raise ExportRefusedError(message)
