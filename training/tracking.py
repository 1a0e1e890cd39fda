"""Runs in an MLflow home, written so that training outlives a failure of tracking.

What lives here: `Tracker`, which logs one run and never raises once it has started. Registering a
model is `training.registration`; reading models back is `segmenter.registry`.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segmenter.errors import RegistryError, SegmenterError
from segmenter.files import write_json
from segmenter.mlflow_home import import_mlflow
from segmenter.tracking_server import Registry

PAUSE_S = 300.0
"""After a failed write, how long further writes are kept back: each may wait 20 s for a lock."""
MAX_RETRY_S = 60.0
"""Time after which the last retry gives up: a refusal comes at once, a lock is waited for."""
PARAMETERS_PER_CALL = 100
DATASET_DIGEST_LENGTH = 36

Write = Callable[[Any], object]
"""One write, given an MLflow client."""


@dataclass(frozen=True)
class TrackingFailure:
    """A write that is not in MLflow.

    Attributes
    ----------
    what
        What was to be written, for people.
    reason
        First line of the error.
    """

    what: str
    reason: str


class Tracker:
    """One MLflow run that is being written; made by `Tracker.start`, used in a `with` block.

    A write that fails is kept, reported once, and tried again at the end. Training never stops
    for it. The block's end finishes the run; an exception leaves it as failed, to be resumed.

    Attributes
    ----------
    home
        Where the run lives.
    run_id
        MLflow's id of the run.
    resumed
        Whether the run had been started earlier.
    """

    def __init__(
        self,
        home: Registry,
        run_id: str,
        *,
        resumed: bool,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self.home, self.run_id, self.resumed = home, run_id, resumed
        self._on_failure = on_failure
        self._kept: list[tuple[str, Write, str]] = []
        self._paused_until = 0.0

    @classmethod
    def start(
        cls,
        home: Registry,
        experiment: str,
        *,
        resume: Path | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> "Tracker":
        """Start a run, or go on with one that was started earlier.

        Parameters
        ----------
        home
            Where to track; made when missing.
        experiment
            Name of the experiment; made when missing, with its files under
            ``artifacts/<experiment>``.
        resume
            File that keeps the run's id. Where it names a run that still exists, that run goes on;
            otherwise a new run is started and written down there.
        on_failure
            Told once, in a sentence, when a write fails.

        Returns
        -------
        Tracker
            The run, in state RUNNING.

        Raises
        ------
        RegistryError
            If the home cannot be used: better said before hours of training than after.
        """
        home.prepare()
        with as_registry_error(f"cannot start a run in {home.path}"):
            client = home.client()
            kept = _kept_run(client, resume)
            if kept is not None:
                client.update_run(kept, status="RUNNING")
                return cls(home, kept, resumed=True, on_failure=on_failure)
            run = client.create_run(
                _experiment_id(home, client, experiment),
                tags={"mlflow.source.name": "segmenter train", "mlflow.source.type": "LOCAL"},
            )
            if resume is not None:
                write_json(resume, {"run_id": run.info.run_id})
        return cls(home, run.info.run_id, resumed=False, on_failure=on_failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.fail()

    @property
    def failures(self) -> tuple[TrackingFailure, ...]:
        """The writes that are not in MLflow, oldest first; empty when all is well."""
        return tuple(TrackingFailure(what, reason) for what, _, reason in self._kept)

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Log parameters; nested mappings become dotted names, other values than text JSON."""
        items = list(flattened(values))

        def write(client: Any) -> None:  # noqa: ANN401 - mlflow.MlflowClient
            entities = import_mlflow().entities
            for start in range(0, len(items), PARAMETERS_PER_CALL):
                part = items[start : start + PARAMETERS_PER_CALL]
                client.log_batch(self.run_id, params=[entities.Param(*item) for item in part])

        self._write("parameters", write)

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Log metrics of one step (an epoch); a kept-back write keeps its own time."""
        now = int(time.time() * 1000)
        numbers = {name: float(value) for name, value in values.items()}

        def write(client: Any) -> None:  # noqa: ANN401 - mlflow.MlflowClient
            metric = import_mlflow().entities.Metric
            client.log_batch(
                self.run_id,
                metrics=[metric(name, value, now, step) for name, value in numbers.items()],
            )

        self._write(f"metrics of step {step}", write)

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Set tags of the run."""
        texts = dict(values)

        def write(client: Any) -> None:  # noqa: ANN401 - mlflow.MlflowClient
            tag = import_mlflow().entities.RunTag
            client.log_batch(self.run_id, tags=[tag(name, text) for name, text in texts.items()])

        self._write(f"tags {', '.join(texts)}", write)

    def log_data(self, name: str, digest: str, *, source: str, context: str = "training") -> None:
        """Log data that the run reads, by its digest alone; the data itself is not read.

        Parameters
        ----------
        name
            What the data is called.
        digest
            Its identity. MLflow keeps 36 characters; the tag ``<name>.digest`` keeps them all.
        source
            Where it was read from, for people.
        context
            What it is used for.
        """

        def write(client: Any) -> None:  # noqa: ANN401 - mlflow.MlflowClient
            entities = import_mlflow().entities
            dataset = entities.Dataset(
                name=name,
                digest=digest[:DATASET_DIGEST_LENGTH],
                source_type="local",
                source=json.dumps({"uri": source}),
                profile=json.dumps({"digest": digest}),
            )
            tag = entities.InputTag("mlflow.data.context", context)
            client.log_inputs(self.run_id, [entities.DatasetInput(dataset, [tag])])
            client.set_tag(self.run_id, f"{name}.digest", digest)

        self._write(f"dataset {name}", write)

    def log_artifact(self, path: Path, *, folder: str | None = None) -> None:
        """Copy a file, or all that is in a folder, to the run's artifacts (under `folder`)."""

        def write(client: Any) -> None:  # noqa: ANN401 - mlflow.MlflowClient
            log = client.log_artifacts if path.is_dir() else client.log_artifact
            log(self.run_id, str(path), folder)

        self._write(f"artifact {path.name}", write)

    def finish(self) -> tuple[TrackingFailure, ...]:
        """End the run well, after trying once more what had failed; returns what still fails."""
        return self._end("FINISHED")

    def fail(self) -> tuple[TrackingFailure, ...]:
        """End the run as failed; a later `start` with its file goes on with it."""
        return self._end("FAILED")

    def _end(self, status: str) -> tuple[TrackingFailure, ...]:
        def write(client: Any) -> None:  # noqa: ANN401 - mlflow.MlflowClient
            client.set_terminated(self.run_id, status)

        waiting = [(what, again) for what, again, _ in self._kept]
        self._kept, end = [], time.monotonic() + MAX_RETRY_S
        for what, again in [*waiting, (f"state {status}", write)]:
            if time.monotonic() < end:
                self._try(what, again)
            else:
                self._kept.append((what, again, "not tried again after other failures"))
        return self.failures

    def _write(self, what: str, write: Write) -> None:
        """Write now, or keep for the end when writing has just failed."""
        if time.monotonic() < self._paused_until:
            self._kept.append((what, write, "kept back after another failure"))
        elif not self._try(what, write):
            self._paused_until = time.monotonic() + PAUSE_S

    def _try(self, what: str, write: Write) -> bool:
        try:
            write(self.home.client())
        except Exception as error:  # noqa: BLE001 - training must outlive whatever tracking raises
            self._kept.append((what, write, _first_line(error)))
            if self._on_failure is not None:
                self._on_failure(
                    f"MLflow did not take {what} ({_first_line(error)}); "
                    "the work goes on and tracking is tried again at the end"
                )
                self._on_failure = None
            return False
        return True


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and texts of a nested mapping."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


def _kept_run(client: Any, resume: Path | None) -> str | None:  # noqa: ANN401 - MlflowClient
    """Id of the run that the file names, if it exists and was not deleted."""
    if resume is None or not resume.is_file():
        return None
    try:
        run = client.get_run(json.loads(resume.read_text(encoding="utf-8"))["run_id"])
    except (ValueError, KeyError, import_mlflow().exceptions.MlflowException):
        return None
    return run.info.run_id if run.info.lifecycle_stage == "active" else None


def _experiment_id(home: Registry, client: Any, name: str) -> str:  # noqa: ANN401
    """The experiment of that name, made when missing with an explicit place for its files."""
    with home.lock():
        found = client.get_experiment_by_name(name)
        if found is None:
            place = home.experiment_place(name)
            return str(client.create_experiment(name, artifact_location=place))
    if found.lifecycle_stage != "active":
        message = (
            f"the experiment {name} of {home.path} was deleted; restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}`, or choose another --name"
        )
        raise RegistryError(message)
    return str(found.experiment_id)


@contextmanager
def as_registry_error(what: str) -> Iterator[None]:
    """Say what could not be done, whatever MLflow raised."""
    try:
        yield
    except SegmenterError:
        raise
    except Exception as error:
        message = f"{what}: {_first_line(error)}"
        raise RegistryError(message) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
