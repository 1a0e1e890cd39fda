"""What a training job would do: a request resolved against its event store."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segmenter.clock import iso
from segmenter.errors import FitError
from segmenter.events.batches import history_ends
from segmenter.events.store import EventStore
from segmenter.files import digest_of_json
from segmenter.registry import check_model_name
from training.config import TrainConfig
from training.data import observed_from
from training.user_tables import UserTables
from training.warm_start import WarmStart

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
    tables
        What is known of users beside their events.
    start
        An earlier model to go on from; None starts afresh.
    """

    store: Path
    config: TrainConfig
    mlruns: Path
    until: int | None = None
    tables: UserTables = field(default_factory=UserTables)
    start: WarmStart | None = None


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
        If a table of users cannot be read, the name is none for a model, or the model to start
        from is of other settings.
    FitError
        If no event lies before ``until``, or the model to start from does not fit the period.
    """
    check_model_name(request.config.name)
    store = EventStore.open(request.store)
    request.tables.read()
    before = store.newest if request.until is None else request.until - 1
    starts = np.asarray(store.offsets[:-1])
    ends = history_ends(store, np.arange(store.n_users), before)
    users = np.flatnonzero(ends > starts)
    if len(users) == 0:
        message = f"no event of {store.path} lies before {iso(before + 1)}; pass a later --until"
        raise FitError(message)
    as_of = int(np.asarray(store.times[ends[users] - 1]).max())
    start = request.start
    if start is not None:
        start.check(request.config, oldest=observed_from(store, as_of), as_of=as_of)
    identity = {
        "store": store.digest,
        "until": request.until,
        "config": request.config.to_json(),
        "tables": request.tables.digests(),
        "start": None if start is None else start.model.digest,
    }
    return TrainPlan(
        request,
        store,
        as_of,
        users,
        int((ends - starts).sum()),
        request.mlruns / "jobs" / digest_of_json(identity)[:16],
    )
