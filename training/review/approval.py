"""What must hold before a version may become champion."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segmenter.errors import ConfigError, ReviewError
from segmenter.files import digest_of_file
from segmenter.mlflow_home import import_mlflow
from segmenter.registry import CHAMPION, ResolvedModel, resolve
from segmenter.tracking_server import Registry
from training.review.decision_log import DONE, NOTE, Decision, Entry
from training.review.desk import Desk, require
from training.review.proof import Proof, prove

REVIEW, APPROVE, REJECT, ROLLBACK, PROMOTE = "review", "approve", "reject", "rollback", "promote"
REPORT_PLACE = "review/review.json"
"""The figures of a review among the artifacts of the version's run."""
NO_GOLDEN = "golden"
"""What ``--despite`` calls a bundle without golden vectors."""


@dataclass(frozen=True)
class Word:
    """A person's word.

    Attributes
    ----------
    by, reason
        Who, and why.
    despite
        Gates that failed and are accepted.
    """

    by: str
    reason: str
    despite: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse a word without a person or a reason.

        Raises
        ------
        ConfigError
            With the option that is missing.
        """
        for option, text in (("--by", self.by), ("--reason", self.reason)):
            if not text.strip():
                message = f"a decision needs {option}; found none; pass {option} TEXT"
                raise ConfigError(message)


def find_version(home: Registry, spec: str) -> ResolvedModel:
    """The registered version that a person names; a plain folder cannot be decided about.

    Raises
    ------
    ReviewError
        If `spec` names a folder.
    RegistryError
        If there is no such version, or its bundle is missing or another one.
    """
    found = resolve(home, spec)
    if found.version is None:
        message = f"only a registered version can be reviewed; found the folder {spec}"
        raise ReviewError(message)
    return found


def proven(found: ResolvedModel, *, despite: Sequence[str] = (), strict: bool = True) -> Proof:
    """Let a version's bundle prove itself; see `training.review.proof`.

    Parameters
    ----------
    found
        The version.
    despite
        ``golden`` accepts a bundle without golden vectors.
    strict
        Whether a bundle without golden vectors needs that acceptance.

    Raises
    ------
    ReviewError
        If the bundle changed while it was looked at, or has no golden vectors.
    BundleError
        If it does not load, or answers differently.
    """
    proof = prove(found.folder)
    require(
        proof.digest == found.digest,
        f"the bundle of {found.label} changed while it was tried: it has digest "
        f"{proof.digest[:12]}, registered was {found.digest[:12]}; fetch it again",
    )
    require(
        proof.n_golden > 0 or not strict or NO_GOLDEN in despite,
        f"the bundle of {found.label} keeps no golden vectors, so it cannot be checked that it "
        f"answers as it did; train or refit it again, or pass --despite {NO_GOLDEN}",
    )
    return proof


def last_of(entries: Sequence[Entry], label: str, *actions: str) -> Entry | None:
    """The newest finished entry with one of these actions about a version."""
    for entry in reversed(entries):
        decision = entry.decision
        if decision.label == label and decision.action in actions and entry.kind in {DONE, NOTE}:
            return entry
    return None


def withdrawn(entries: Sequence[Entry], label: str) -> Entry | None:
    """The newest entry that took a version back: a rejection, or a rollback away from it."""
    for entry in reversed(entries):
        decision = entry.decision
        if entry.kind != DONE:
            continue
        if decision.action == ROLLBACK and decision.details.get("from") == label:
            return entry
        if decision.action == REJECT and decision.label == label:
            return entry
    return None


def usable_review(desk: Desk, found: ResolvedModel, *, despite: Sequence[str]) -> Entry:
    """The review that an approval of this bundle stands on.

    Raises
    ------
    ReviewError
        If there is none, it is of another bundle or against another champion, or a gate failed
        that was not accepted.
    """
    entries, label = desk.log.read(), found.label
    review, again = last_of(entries, label, REVIEW), f"segmenter review {label}"
    if review is None:
        message = f"{label} has not been reviewed; run `{again}`"
        raise ReviewError(message)
    back = withdrawn(entries, label)
    if back is not None and back.number > review.number:
        message = (
            f"{label} was taken back after its review ({back.decision.action} by "
            f"{back.decision.by}: {back.decision.reason}); run `{again}`"
        )
        raise ReviewError(message)
    details = review.decision.details
    require(
        review.decision.digest == found.digest,
        f"the review of {label} is of another bundle ({review.decision.digest[:12]}, registered "
        f"is {found.digest[:12]}); run `{again}`",
    )
    _check_champion(desk, found, details, again=again)
    unasked = [name for name in despite if name not in details["failed"]]
    require(
        not unasked,
        f"--despite accepts gates that failed; {', '.join(unasked)} did not fail for {label}",
    )
    failed = [name for name in details["failed"] if name not in despite]
    require(
        not failed,
        f"{label} failed {', '.join(failed)}; mend the model, or accept a gate with "
        "--despite NAME and say why in --reason",
    )
    return review


def check_report(client: Any, found: ResolvedModel, review: Entry) -> None:  # noqa: ANN401
    """The report that people read must be the one that the log tells of.

    Parameters
    ----------
    client
        An `mlflow.MlflowClient`.
    found
        The reviewed version.
    review
        From `usable_review`.

    Raises
    ------
    ReviewError
        If it is missing, or was changed.
    """
    with tempfile.TemporaryDirectory(prefix="segmenter-") as folder:
        try:
            path = Path(client.download_artifacts(found.run_id, REPORT_PLACE, folder))
            digest = digest_of_file(path)
        except (OSError, import_mlflow().exceptions.MlflowException) as error:
            message = (
                f"the report of the review of {found.label} cannot be read ({error}); "
                f"run `segmenter review {found.label}`"
            )
            raise ReviewError(message) from error
    require(
        digest == review.decision.details["report"],
        f"the report of {found.label} is not the one that its review wrote: it is of another "
        f"review, or was changed; run `segmenter review {found.label}`",
    )


def _check_champion(desk: Desk, found: ResolvedModel, details: Any, *, again: str) -> None:  # noqa: ANN401
    """The version must have been held against the version that it would replace."""
    now = desk.aliases(found.name).get(CHAMPION)
    if now in {None, found.version}:
        return
    against, current = details["against"], f"{found.name}/{now}"
    require(
        against == current,
        f"{found.label} was reviewed against {against or 'nothing'}, and the champion is "
        f"{current} now; run `{again}`",
    )


def approved(entries: Sequence[Entry], found: ResolvedModel) -> Entry:
    """The approval that lets a version be promoted.

    Raises
    ------
    ReviewError
        If there is none of this bundle, or the version was taken back since.
    """
    approval = last_of(entries, found.label, APPROVE)
    if approval is None or approval.decision.digest != found.digest:
        message = (
            f"{found.label} is not approved; run `segmenter review {found.label}` and "
            f"`segmenter approve {found.label} --by NAME --reason TEXT`"
        )
        raise ReviewError(message)
    back = withdrawn(entries, found.label)
    if back is not None and back.number > approval.number:
        message = (
            f"{found.label} was taken back after its approval ({back.decision.action} by "
            f"{back.decision.by}: {back.decision.reason}); review and approve it again"
        )
        raise ReviewError(message)
    return approval


def plain(decision: Decision, entry: Entry) -> dict[str, Any]:
    """What a command prints of a decision as JSON."""
    return {
        "action": decision.action,
        "model": decision.label,
        "digest": decision.digest,
        "by": decision.by,
        "reason": decision.reason,
        "at": entry.at,
        "entry": entry.number,
        "aliases": dict(decision.aliases),
        "details": dict(decision.details),
    }
