"""What a training job would do: a request resolved against its event store."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from segmenter.clock import iso
from segmenter.errors import ConfigError, FitError
from segmenter.events.batches import history_ends
from segmenter.events.store import EventStore
from segmenter.files import digest_of_file, digest_of_json
from segmenter.registry import check_model_name
from training.config import TrainConfig

BUNDLE, REPORT = "bundle", "report.html"
FINISHED = "finished.json"
"""Written last, when all else stands in the job's folder and in MLflow."""


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

    @property
    def is_finished(self) -> bool:
        """Whether an earlier job of the same data and settings ran to its end."""
        return all((self.folder / name).exists() for name in (FINISHED, BUNDLE, REPORT))


def plan_training(request: TrainRequest) -> TrainPlan:
    """Open the store and resolve the training period.

    Raises
    ------
    StoreError
        If the folder is no event store.
    ConfigError
        If the file of attributes cannot be read, or the name is none for a model.
    FitError
        If no event lies before ``until``.
    """
    check_model_name(request.config.name)
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
