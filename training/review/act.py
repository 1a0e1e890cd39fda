"""The acts of a reviewer: approve, reject, promote, roll back.

Whatever can be checked without the lock is checked first, the fresh process among it; what depends
on the registry is checked again under it, so that of two reviewers the later one is told of the
earlier.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from segmenter.errors import ReviewError
from segmenter.registry import CHALLENGER, CHAMPION, ResolvedModel
from segmenter.tracking_server import Registry
from training.review.approval import (
    APPROVE,
    PROMOTE,
    REJECT,
    ROLLBACK,
    Word,
    approved,
    check_report,
    find_version,
    proven,
    usable_review,
)
from training.review.decision_log import Decision, Entry
from training.review.desk import PREVIOUS, Desk, open_desk, require

STATUS, BY, REASON = "review.status", "review.by", "review.reason"
"""Tags of a version that tell of the newest decision about it."""


@dataclass(frozen=True)
class Done:
    """A decision that was carried out.

    Attributes
    ----------
    decision
        What was decided.
    entry
        The line of the log that says so.
    before
        What was champion until then; None where nothing was.
    """

    decision: Decision
    entry: Entry
    before: int | None


def approve(home: Registry, spec: str, word: Word) -> Done:
    """Let a reviewed version become champion; the champion of before becomes `previous`.

    Parameters
    ----------
    home
        Where the model is registered.
    spec
        ``name/version`` or ``name@alias``.
    word
        Who says so and why, and which failed gates are accepted.

    Raises
    ------
    ConfigError
        If nobody says so, or for no reason.
    ReviewError
        If the version has no review of exactly this bundle against the champion of now, a gate
        failed, or the log is broken.
    BundleError
        If a fresh process cannot load the bundle, or gets other answers from it.
    RegistryError
        If there is no such version, or MLflow cannot be written.
    """
    word.check()
    found = find_version(home, spec)
    with open_desk(home, found.name) as desk:
        check_report(desk.client, found, usable_review(desk, found, despite=word.despite))
    proof = proven(found, despite=word.despite)
    with open_desk(home, found.name) as desk:
        review = usable_review(desk, find_version(home, found.label), despite=word.despite)
        details = {
            "review": review.number,
            "despite": list(word.despite),
            "not_judged": list(review.decision.details["not_judged"]),
            "proof": asdict(proof),
        }
        return _lead(desk, found, APPROVE, word=word, details=details)


def promote(home: Registry, spec: str, word: Word) -> Done:
    """Let a version become champion again that was approved earlier; raises like `approve`."""
    word.check()
    found = find_version(home, spec)
    with open_desk(home, found.name) as desk:
        approved(desk.log.read(), found)
    proof = proven(found, strict=False)
    with open_desk(home, found.name) as desk:
        approval = approved(desk.log.read(), find_version(home, found.label))
        require(
            desk.aliases(found.name).get(CHAMPION) != found.version,
            f"{found.label} is the champion already; nothing was changed",
        )
        details = {"approval": approval.number, "proof": asdict(proof)}
        return _lead(desk, found, PROMOTE, word=word, details=details)


def reject(home: Registry, spec: str, word: Word) -> Done:
    """Say that a version shall not become champion, and why.

    Raises
    ------
    ReviewError
        If the version is the champion, or the log is broken.
    """
    word.check()
    found = find_version(home, spec)
    with open_desk(home, found.name) as desk:
        aliases = desk.aliases(found.name)
        require(
            aliases.get(CHAMPION) != found.version,
            f"{found.label} is the champion; replace it first with `segmenter rollback "
            f"{found.name}` or by approving another version",
        )
        freed = {
            alias: None for alias in (CHALLENGER, PREVIOUS) if aliases.get(alias) == found.version
        }
        decision = _decision(found, REJECT, word, aliases=freed, details={})
        return Done(decision, desk.decide(decision), aliases.get(CHAMPION))


def roll_back(home: Registry, name: str, word: Word) -> Done:
    """Let the champion of before lead again; it is loaded and checked before anything moves.

    Raises
    ------
    ReviewError
        If there is no version to go back to, or the log is broken.
    BundleError
        If the version does not load, or answers differently; the champion stays.
    RegistryError
        If there is no such model, or the version's bundle is missing.
    """
    word.check()
    with open_desk(home, name) as desk:
        target = _version_before(desk, name)
    found = find_version(home, f"{name}/{target}")
    proof = proven(found, strict=False)
    with open_desk(home, name) as desk:
        require(
            _version_before(desk, name) == target,
            f"somebody else decided about {name} meanwhile; look at `segmenter history {name}`",
        )
        held = desk.aliases(name).get(CHAMPION)
        details = {"from": None if held is None else f"{name}/{held}", "proof": asdict(proof)}
        return _lead(desk, found, ROLLBACK, word=word, details=details)


def _version_before(desk: Desk, name: str) -> int:
    aliases = desk.aliases(name)
    target = aliases.get(PREVIOUS)
    if target is None or target == aliases.get(CHAMPION):
        message = (
            f"{name} has no version to go back to: nothing stands under the alias {PREVIOUS}; "
            f"approve another version"
        )
        raise ReviewError(message)
    return target


def _lead(
    desk: Desk, found: ResolvedModel, action: str, *, word: Word, details: Mapping[str, object]
) -> Done:
    """Make a version champion, and the champion of now `previous`."""
    before = desk.aliases(found.name).get(CHAMPION)
    aliases: dict[str, int | None] = {}
    if before != found.version:
        aliases = {CHAMPION: found.version}
        if before is not None:
            aliases[PREVIOUS] = before
        elif desk.aliases(found.name).get(PREVIOUS) == found.version:
            aliases[PREVIOUS] = None
    decision = _decision(found, action, word, aliases=aliases, details=details)
    return Done(decision, desk.decide(decision), before)


WORDS = {
    APPROVE: "approved",
    PROMOTE: "approved",
    REJECT: "rejected",
    ROLLBACK: "rolled back to",
}
"""What the tag of the version says after each act."""


def _decision(
    found: ResolvedModel,
    action: str,
    word: Word,
    *,
    aliases: Mapping[str, int | None],
    details: Mapping[str, object],
) -> Decision:
    assert found.version is not None
    tags = {str(found.version): {STATUS: WORDS[action], BY: word.by, REASON: word.reason}}
    left = details.get("from")
    if action == ROLLBACK and isinstance(left, str):
        gone = left.rsplit("/", 1)[1]
        tags[gone] = {STATUS: "rolled back from", BY: word.by, REASON: word.reason}
    return Decision(
        action,
        found.name,
        found.version,
        found.digest,
        word.by.strip(),
        word.reason.strip(),
        aliases=aliases,
        tags=tags,
        details=details,
    )
