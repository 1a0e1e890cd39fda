"""Reviews without their computation, and decisions whose process dies at a chosen point."""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segmenter.files import digest_of_file, write_json
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import CHAMPION, resolve
from segmenter.tracking_server import Registry
from training.review.approval import REPORT_PLACE, REVIEW
from training.review.decision_log import Decision, Entry, FileLog
from training.review.desk import Desk, open_desk


def write_review(
    home: Registry, spec: str, *, failed: tuple[str, ...] = (), digest: str | None = None
) -> Entry:
    """Note a review of a version against the champion of now, with the gates that failed."""
    found = resolve(home, spec)
    with open_desk(home, found.name) as desk:
        report = put_report(desk.client, found.run_id, {"failed": list(failed)})
        champion = desk.aliases(found.name).get(CHAMPION)
        against = None if champion in {None, found.version} else f"{found.name}/{champion}"
        details = {"against": against, "failed": list(failed), "not_judged": ["consent"]}
        details["report"] = report
        return desk.note(
            Decision(
                REVIEW,
                found.name,
                found.version or 0,
                found.digest if digest is None else digest,
                "Ada",
                "",
                details=details,
            )
        )


def put_report(client: Any, run_id: str, content: dict[str, Any]) -> str:
    """Keep a report with a run; its digest.

    In a home the file is written as it lies there: MLflow remembers the place of a run for the
    life of the process, and copies of a home have runs of the same id.
    """
    place = client.get_run(run_id).info.artifact_uri
    if place.startswith("/"):
        write_json(Path(place) / REPORT_PLACE, content)
    else:
        client.log_dict(run_id, content, REPORT_PLACE)
    return digest_of_file(Path(client.download_artifacts(run_id, REPORT_PLACE)))


@dataclass
class Fuse:
    """Ends the process, without any clean-up, at the n-th tick; 0 never."""

    at: int
    ticks: list[str] = field(default_factory=list)

    def tick(self, what: str) -> None:
        """One more step was made."""
        self.ticks.append(what)
        if len(self.ticks) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class FusedClient:
    """MLflow's client; each call ticks before and after it had its effect."""

    def __init__(self, client: Any, fuse: Fuse) -> None:
        self._client, self._fuse = client, fuse

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            self._fuse.tick(f"before {name}")
            result = getattr(self._client, name)(*given, **named)
            self._fuse.tick(f"after {name}")
            return result

        return call


@dataclass(frozen=True)
class FusedLog(FileLog):
    """The log; each append ticks before, in the middle of the line, and after it."""

    fuse: Fuse = field(default_factory=lambda: Fuse(0))

    def append(self, kind: str, decision: Decision, *, of: int = 0) -> Entry:
        """Write one more entry, or half of one."""
        self.fuse.tick("before append")
        half = Entry.after(self.read(), kind, decision, of=of).line()
        self.fuse.ticks.append("inside append")
        if len(self.fuse.ticks) == self.fuse.at:
            with self.path.open("ab") as opened:
                opened.write(half[: len(half) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        entry = super().append(kind, decision, of=of)
        self.fuse.tick("after append")
        return entry


def fused(desk: Desk, home: MlflowHome, fuse: Fuse) -> Desk:
    """The same desk on a fuse."""
    return Desk(FusedClient(desk.client, fuse), FusedLog(home.root / "decisions.jsonl", fuse))


def decide_and_die(home: MlflowHome, decision: Decision, at: int) -> bool:
    """Decide in a forked process that is killed at a tick; whether it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            with open_desk(home, decision.model) as desk:
                fused(desk, home, Fuse(at)).decide(decision)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return not os.WIFSIGNALED(status)


def log_file(home: MlflowHome) -> Path:
    """The file of a home's log."""
    return home.root / "decisions.jsonl"
