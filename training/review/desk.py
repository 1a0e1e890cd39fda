"""Where decisions are made: the registry and the log together, under one lock.

The order of writes is the whole of it. An intent is on the disk before a tag or an alias moves,
and says everything that shall move; each of these moves can be repeated; then the intent is
closed. So a decision is made at one instant, and whoever comes next completes it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from segmenter.errors import ReviewError
from segmenter.mlflow_home import import_mlflow
from segmenter.registry import CHAMPION
from segmenter.tracking_server import Registry, TrackingServer
from training.review.decision_log import (
    DONE,
    INTENT,
    LOG_FILE,
    NOTE,
    VOID,
    Decision,
    DecisionLog,
    Entry,
    FileLog,
    check_head,
    pending,
)
from training.review.server_log import ServerLog
from training.tracking import as_registry_error

PREVIOUS = "previous"
"""Alias of the version that was champion before."""
HEAD_TAG = "decisions.head"
"""Tag of a registered model: the last entry that it was told of, and the kind of the log."""
REGISTER, RENAME, FOUND = "register", "rename", "found"
"""Actions that no reviewer takes."""
OUTSIDE = "not by a command of segmenter, or before these kept a log"


@dataclass(frozen=True)
class Desk:
    """A registry with its log, to be used while its lock is held.

    Attributes
    ----------
    client
        MLflow's.
    log
        The decisions.
    """

    client: Any
    log: DecisionLog

    def settle(self, model: str) -> None:
        """Complete what was interrupted, and write down what was moved by other means.

        Raises
        ------
        ReviewError
            If the log is broken.
        """
        entries = self.log.read()
        check_head(entries, self._tags(model).get(HEAD_TAG), model=model, kind=self.log.kind)
        for entry in pending(entries):
            self._complete(entry)
        self._note_what_moved(model)

    def decide(self, decision: Decision) -> Entry:
        """Write a decision down, carry it out, and close it.

        Returns
        -------
        Entry
            That the decision is done.
        """
        return self._complete(self.log.append(INTENT, decision))

    def note(self, decision: Decision) -> Entry:
        """Write down what moves nothing."""
        entry = self.log.append(NOTE, decision)
        self._tell(entry)
        return entry

    def aliases(self, model: str) -> dict[str, int]:
        """What the aliases of a model stand for now."""
        found = self.client.get_registered_model(model).aliases
        return {alias: int(number) for alias, number in found.items()}

    def _complete(self, intent: Entry) -> Entry:
        """Do what an intent says, whether or not some of it was done before."""
        decision = intent.decision
        reason = self._impossible(decision)
        if reason is not None:
            void = Decision(**{**vars(decision), "aliases": {}, "tags": {}, "reason": reason})
            entry = self.log.append(VOID, void, of=intent.number)
        else:
            for version, tags in decision.tags.items():
                for name, text in tags.items():
                    self.client.set_model_version_tag(decision.model, version, name, text)
            self._move(decision)
            entry = self.log.append(DONE, decision, of=intent.number)
        self._tell(entry)
        return entry

    def _move(self, decision: Decision) -> None:
        """Set the aliases, the champion last."""
        held = self.aliases(decision.model)
        for alias, version in sorted(
            decision.aliases.items(), key=lambda pair: pair[0] == CHAMPION
        ):
            if version is None:
                if alias in held:
                    self.client.delete_registered_model_alias(decision.model, alias)
            elif held.get(alias) != version:
                self.client.set_registered_model_alias(decision.model, alias, str(version))

    def _impossible(self, decision: Decision) -> str | None:
        """Why a decision can no longer be carried out: a version of it was deleted since."""
        named = {number for number in decision.aliases.values() if number is not None}
        for number in sorted(named | {int(text) for text in decision.tags}):
            if not self._exists(decision.model, number):
                return f"{decision.model}/{number} was deleted before it could be carried out"
        return None

    def _exists(self, model: str, version: int) -> bool:
        try:
            self.client.get_model_version(model, str(version))
        except import_mlflow().exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return True

    def _tags(self, model: str) -> dict[str, str]:
        return dict(self.client.get_registered_model(model).tags)

    def _tell(self, entry: Entry) -> None:
        """Let the registered model know the newest entry about it."""
        head = f"{entry.head} {self.log.kind}"
        self.client.set_registered_model_tag(entry.decision.model, HEAD_TAG, head)

    def _note_what_moved(self, model: str) -> None:
        """Write down aliases that are not where the log left them."""
        before, held = alias_state(self.log.read(), model), self.aliases(model)
        found = {
            alias: held.get(alias)
            for alias in (PREVIOUS, CHAMPION)
            if held.get(alias) != before.get(alias)
        }
        if found:
            gone = [
                f"{model}/{before[alias]} was deleted while it was {alias}"
                for alias in found
                if alias in before and not self._exists(model, before[alias])
            ]
            reason = "; ".join(gone) or OUTSIDE
            number = held.get(CHAMPION, 0)
            self.note(Decision(FOUND, model, number, "", "", reason, aliases=found))


def alias_state(entries: tuple[Entry, ...], model: str) -> Mapping[str, int]:
    """What the aliases of a model stand for when the log is followed to its end."""
    state: dict[str, int] = {}
    for entry in entries:
        if entry.decision.model == model and entry.kind in {DONE, NOTE}:
            for alias, version in entry.decision.aliases.items():
                state.pop(alias, None)
                if version is not None:
                    state[alias] = version
    return state


def is_placing(decision: Decision, label: str) -> bool:
    """Whether a decision gave a new version its first aliases."""
    return decision.label == label and decision.action in {REGISTER, RENAME}


def log_of(home: Registry, client: Any) -> DecisionLog:  # noqa: ANN401 - mlflow.MlflowClient
    """The log of a home, which is a file in it, or of a server, which is a run on it."""
    if isinstance(home, TrackingServer):
        return ServerLog(client)
    return FileLog(home.root / LOG_FILE)


@contextmanager
def open_desk(home: Registry, model: str) -> Iterator[Desk]:
    """Hold a registry for one decision about a model; what was interrupted is completed first.

    Raises
    ------
    ReviewError
        If the log is broken.
    RegistryError
        If MLflow cannot be read or written, or there is no such model.
    """
    with as_registry_error(f"cannot decide about {model} in {home.path}"), home.lock():
        client = home.client()
        desk = Desk(client, log_of(home, client))
        desk.settle(model)
        yield desk


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - the condition is the point
    """Refuse a decision unless a condition holds.

    Raises
    ------
    ReviewError
        With the message.
    """
    if not condition:
        raise ReviewError(message)
