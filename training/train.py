"""The training job: event store and configuration in, registered model version and report out.

Every step leaves its result in the job's own folder under the MLflow home, so that a killed job
resumes where it was, and the same job asked for twice is done once.
"""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import polars as pl

from segmenter.audience_model import AudienceModel, embed_users
from segmenter.clock import iso
from segmenter.errors import ConfigError, FitError
from segmenter.events.batches import SequenceReader, history_ends
from segmenter.events.store import EventStore
from segmenter.files import atomic_file, digest_of_file, digest_of_json, write_json, write_text
from segmenter.registry import MlflowHome
from segmenter.terminal import ProgressCallback
from segmenter.validity.validate import ValidityReport, validate
from training.config import TrainConfig
from training.fit import FittedNetwork, fit_network
from training.report.data import ReportData
from training.report.page import render
from training.segmentation import Segmentation, fit_segments
from training.summary import build_report, figures_of
from training.tracking import RegisteredVersion, Tracker, register

Bar = Callable[[str], AbstractContextManager[ProgressCallback]]
"""Opens a progress bar with a description."""


@dataclass(frozen=True)
class TrainRequest:
    """What to train, on what, and where it is tracked.

    Attributes
    ----------
    store
        Folder of the event store.
    config
        Settings.
    mlruns
        The MLflow home.
    until
        Only events before this time are learned from, microseconds; None takes all.
    attributes
        File with one row per user (CSV or Parquet), for demographic rules; or None.
    """

    store: Path
    config: TrainConfig
    mlruns: Path
    until: int | None = None
    attributes: Path | None = None


@dataclass(frozen=True)
class TrainPlan:
    """A request resolved against its store: what would happen.

    Attributes
    ----------
    request
        As asked.
    store
        The opened store.
    as_of
        Time of the newest event that is learned from, microseconds.
    users
        int64 rows of the users with an event until then.
    n_events
        Events until then.
    folder
        The job's own folder.
    """

    request: TrainRequest
    store: EventStore
    as_of: int
    users: np.ndarray
    n_events: int
    folder: Path


@dataclass(frozen=True)
class TrainOutcome:
    """What a training job left behind; everything named exists.

    Attributes
    ----------
    version
        The registered model version.
    bundle, report
        The model's folder and its page.
    data
        What the report shows: segments, validity, figures of the fit.
    reused
        Whether an earlier, finished job answered.
    """

    version: RegisteredVersion
    bundle: Path
    report: Path
    data: ReportData
    reused: bool


def plan_training(request: TrainRequest) -> TrainPlan:
    """Open the store and resolve the training period.

    Raises
    ------
    StoreError
        If the folder is no event store.
    ConfigError
        If the file of attributes cannot be read.
    FitError
        If no event lies before ``until``.
    """
    store = EventStore.open(request.store)
    if request.attributes is not None:
        read_attributes(request.attributes)
    before = store.newest if request.until is None else request.until - 1
    starts = np.asarray(store.offsets[:-1])
    ends = history_ends(store, np.arange(store.n_users), before)
    users = np.flatnonzero(ends > starts)
    if len(users) == 0:
        message = f"no event of {store.path} lies before {iso(before + 1)}; pass a later --until"
        raise FitError(message)
    identity = {
        "store": store.digest,
        "until": request.until,
        "config": request.config.to_json(),
        "attributes": request.attributes and digest_of_file(request.attributes),
    }
    return TrainPlan(
        request,
        store,
        int(np.asarray(store.times[ends[users] - 1]).max()),
        users,
        int((ends - starts).sum()),
        request.mlruns / "jobs" / digest_of_json(identity)[:16],
    )


def read_attributes(path: Path) -> pl.DataFrame:
    """Read a table of users: ``user_id`` as text and any attribute columns.

    Raises
    ------
    ConfigError
        If the file cannot be read or has no column ``user_id`` or ``user``.
    """
    try:
        table = (
            pl.read_parquet(path)
            if path.suffix == ".parquet"
            else pl.read_csv(path, infer_schema=False)
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"--attributes {path} cannot be read: {error}"
        raise ConfigError(message) from error
    user = next((name for name in ("user_id", "user") if name in table.columns), None)
    if user is None:
        message = f"--attributes {path} must have a column user_id; found {table.columns}"
        raise ConfigError(message)
    return table.rename({user: "user_id"}).with_columns(pl.col("user_id").cast(pl.String))


def train(plan: TrainPlan, bar: Bar) -> TrainOutcome:
    """Run, resume or reuse a training job.

    Parameters
    ----------
    plan
        From `plan_training`.
    bar
        Opens a progress bar per step.

    Raises
    ------
    FitError
        If the data cannot carry the model.
    RegistryError
        If the model was trained but could not be registered; the same command registers it later.
    """
    home = MlflowHome(plan.request.mlruns)
    plan.folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(plan.folder / "lock"):
        home.prepare()
        done = plan.folder / "done.json"
        if done.exists():
            return _outcome(plan, json.loads(done.read_text(encoding="utf-8")), reused=True)
        with Tracker.start(
            home, plan.request.config.name, resume=plan.folder / "run.json"
        ) as tracker:
            version = _run(plan, home, tracker, bar)
        write_json(done, asdict(version))
        return _outcome(plan, asdict(version), reused=False)


def _outcome(plan: TrainPlan, version: dict[str, Any], *, reused: bool) -> TrainOutcome:
    """Read back what the finished job wrote."""
    folder = plan.folder
    return TrainOutcome(
        version=RegisteredVersion(**version | {"aliases": tuple(version["aliases"])}),
        bundle=folder / "bundle",
        report=folder / "report.html",
        data=ReportData.from_json(json.loads((folder / "report.json").read_text("utf-8"))),
        reused=reused,
    )


def _run(plan: TrainPlan, home: MlflowHome, tracker: Tracker, bar: Bar) -> RegisteredVersion:
    """All steps in order, on one screen."""
    config, started = plan.request.config, time.monotonic()
    tracker.log_params(config.to_json() | {"as_of": iso(plan.as_of)})
    tracker.log_data("events", plan.store.digest, source=str(plan.store.path))
    with bar("Training the autoencoder") as progress:
        network = fit_network(
            plan.store,
            config,
            as_of=plan.as_of,
            folder=plan.folder,
            on_epoch=lambda stage, epoch, metrics: tracker.log_metrics(
                {f"{stage} {name}": value for name, value in metrics.items()}, step=epoch
            ),
            progress=progress,
        )
    embeddings = _embed(plan, network, bar)
    with bar("Finding segments") as progress:
        segmentation = fit_segments(
            embeddings,
            SequenceReader(plan.store, network.model.vocabulary),
            plan.users,
            as_of=plan.as_of,
            network=network.model,
            config=config,
            progress=progress,
        )
    validity = _validate(plan, segmentation, bar)
    figures = figures_of(network, segmentation, seconds=time.monotonic() - started)
    model = AudienceModel(
        network.model,
        segmentation.projection,
        segmentation.assigner,
        segmentation.segments,
        training={
            "as_of_us": plan.as_of,
            "as_of": iso(plan.as_of),
            "config": config.to_json(),
            "store_digest": plan.store.digest,
            "n_users": len(plan.users),
            "n_events": plan.n_events,
            "figures": figures,
        },
    ).save(plan.folder / "bundle")
    data = build_report(plan, model, segmentation, network=network, validity=validity)
    return _publish(plan, home, tracker, model=model, data=data)


def _embed(plan: TrainPlan, network: FittedNetwork, bar: Bar) -> np.ndarray:
    """Embeddings of the training users, kept in the job's folder."""
    path = plan.folder / "embeddings.npy"
    if path.exists():
        return np.load(path)
    with bar("Embedding users") as progress:
        embeddings = embed_users(
            network.model, plan.store, plan.users, as_of=plan.as_of, progress=progress
        )
    with atomic_file(path) as temporary, temporary.open("wb") as opened:
        np.save(opened, embeddings)
    return embeddings


def _validate(plan: TrainPlan, segmentation: Segmentation, bar: Bar) -> ValidityReport | None:
    """Hold the segments against what users did after the training period, if it is known."""
    if plan.store.newest <= plan.as_of:
        return None
    attributes = plan.request.attributes
    with bar("Checking against later behaviour") as progress:
        return validate(
            plan.store,
            users=plan.users,
            labels=segmentation.assignment.segment_id,
            cut=plan.as_of + 1,
            attributes=None if attributes is None else read_attributes(attributes),
            n_segments=len(segmentation.segments),
            seed=plan.request.config.seed,
            progress=progress,
        )


def _publish(
    plan: TrainPlan, home: MlflowHome, tracker: Tracker, *, model: AudienceModel, data: ReportData
) -> RegisteredVersion:
    """Write the report, log everything, register the version."""
    tracker.log_metrics(data.metrics(), step=0)
    version = register(
        home,
        tracker,
        plan.folder / "bundle",
        plan.request.config.name,
        tags={
            "store.digest": plan.store.digest,
            "config.digest": digest_of_json(plan.request.config.to_json()),
            "as_of": iso(plan.as_of),
        },
        description=data.headline(),
    )
    data = data.with_version(version.version)
    write_json(plan.folder / "report.json", data.to_json())
    write_text(plan.folder / "report.html", render(data))
    for name in ("report.json", "report.html"):
        tracker.log_artifact(plan.folder / name)
    return version
