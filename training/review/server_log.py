"""The log of decisions on a tracking server, where there is no file and no lock.

MLflow lets nobody change or delete a parameter of a run, and refuses a second value under the
same name: parameters are a log that is only added to, and the name of the next entry is taken by
one writer alone. So the log is a run, and of two reviewers who decide at the same moment, from
whichever machines, the later one is refused.
"""

import hashlib
from typing import Any

from segmenter.errors import ReviewError
from segmenter.mlflow_home import import_mlflow
from training.review.decision_log import IN_RUN, INTENT, Decision, Entry, checked_chain, pending

EXPERIMENT = "segmenter decisions"
"""Its tag names the run; an experiment's name is unique, so that there is one log."""
RUN_TAG = "decisions.run"
CHUNK = 4_000
"""Characters of a parameter's value; MLflow takes 6,000."""
N_TRIES = 5


class ServerLog:
    """The log in the parameters of a run; see `training.review.decision_log.DecisionLog`.

    ``entry.000007`` holds the SHA-256 of the entry's line, ``line.<digest>.0`` and so on the line.

    Parameters
    ----------
    client
        An `mlflow.MlflowClient` of the server.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - mlflow.MlflowClient
        self._client, self._run = client, ""
        self._seen: tuple[Entry, ...] = ()

    @property
    def kind(self) -> str:
        """`IN_RUN`."""
        return IN_RUN

    def read(self) -> tuple[Entry, ...]:
        """Every entry, oldest first; what is decided next must follow from these.

        Raises
        ------
        ReviewError
            If the chain is broken.
        """
        run = self._run_id(make=False)
        told = self._client.get_run(run).data.params if run else {}
        numbers = sorted(name for name in told if name.startswith("entry."))
        lines = [_line(told, told[name]) for name in numbers]
        self._seen = checked_chain(lines, where=f"run {run}")
        return self._seen

    def append(self, kind: str, decision: Decision, *, of: int = 0) -> Entry:
        """Write one more entry after those that were read.

        An intent is refused where another entry came first: it was decided without knowing it.
        What closes an intent is written after whatever came.

        Raises
        ------
        ReviewError
            If somebody else was faster.
        """
        if kind == INTENT:
            if pending(self._seen):
                raise ReviewError(_TOO_LATE)
            return self._put(Entry.after(self._seen, kind, decision))
        for _ in range(N_TRIES):
            closed = [entry for entry in self.read() if of and entry.of == of]
            if closed:
                return closed[0]
            try:
                return self._put(Entry.after(self._seen, kind, decision, of=of))
            except ReviewError:
                continue
        raise ReviewError(_TOO_LATE)

    def _put(self, entry: Entry) -> Entry:
        """Write a line and then take its number."""
        run, text = self._run_id(make=True), entry.line().decode()
        digest = hashlib.sha256(entry.line()).hexdigest()
        for place, start in enumerate(range(0, len(text), CHUNK)):
            self._client.log_param(run, f"line.{digest}.{place}", text[start : start + CHUNK])
        exceptions = import_mlflow().exceptions
        try:
            self._client.log_param(run, f"entry.{entry.number:06d}", digest)
        except exceptions.MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise ReviewError(_TOO_LATE) from error
        self._seen = (*self._seen, entry)
        return entry

    def _run_id(self, *, make: bool) -> str:
        """The run that is the log; empty where there is none and none shall be made."""
        if self._run:
            return self._run
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is None and make:
            self._make()
            found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return ""
        self._run = str(found.tags[RUN_TAG])
        return self._run

    def _make(self) -> None:
        """Start the log; where two do so at once, the experiment is made by one of them."""
        (somewhere, *_) = self._client.search_experiments(max_results=1)
        run = self._client.create_run(
            somewhere.experiment_id, run_name=EXPERIMENT, tags={"mlflow.source.name": "segmenter"}
        )
        exceptions = import_mlflow().exceptions
        try:
            self._client.create_experiment(EXPERIMENT, tags={RUN_TAG: run.info.run_id})
            self._client.set_terminated(run.info.run_id)
        except exceptions.MlflowException as error:
            self._client.delete_run(run.info.run_id)
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


_TOO_LATE = (
    "somebody else decided at the same moment, and nothing was changed by this command; look at "
    "`segmenter history` and decide again"
)


def _line(told: dict[str, str], digest: str) -> bytes:
    """The line of an entry from its pieces; anything else where one is missing."""
    pieces: list[str] = []
    while f"line.{digest}.{len(pieces)}" in told:
        pieces.append(told[f"line.{digest}.{len(pieces)}"])
    return "".join(pieces).encode()
