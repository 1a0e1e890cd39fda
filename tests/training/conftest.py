"""Fixtures of the training room: planted users, and one small job that many tests look at."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from segmenter.clock import parse_time
from segmenter.events.samples import PERSONAS, planted_personas
from segmenter.events.store import EventStore
from segmenter.mlflow_home import MlflowHome, relocate
from segmenter.terminal import ProgressCallback
from tests.models import SMALL, make_store
from training.config import TrainConfig
from training.plan import TrainRequest, plan_training
from training.train import TrainOutcome, train
from training.user_tables import UserTables

UNTIL = "2025-02-01"
TINY = TrainConfig(
    name="personas",
    encoder="hybrid",
    n_cuts=2,
    min_events=3,
    forecast_epochs=1,
    taste_epochs=1,
    forecast_batch_users=128,
    n_segments=4,
    taste_weight=0.3,
    model=SMALL,
)
"""A job of seconds: small network, one pass per stage, few segments."""


NEWS = ("wishes", "returns")
"""Event types that a newer log has and its parent has never seen."""


@dataclass(frozen=True)
class Personas:
    """Users whose kind is known.

    Attributes
    ----------
    store, attributes
        The event store, and a table of users with their persona.
    persona
        int [n], kind of each user in the order of the store.
    """

    store: EventStore
    attributes: Path
    persona: np.ndarray


@dataclass(frozen=True)
class TrainedJob:
    """A finished job: what was asked and what came of it."""

    request: TrainRequest
    outcome: TrainOutcome
    home: MlflowHome


@contextmanager
def no_bar(_: str) -> Iterator[ProgressCallback]:
    """Progress that nobody looks at."""
    yield lambda _done, _total: None


def plant(folder: Path, n_users: int, *, seed: int, n_days: int) -> Personas:
    """Ingest planted users."""
    log = planted_personas(n_users, seed=seed, n_days=n_days)
    store = make_store(log.events, folder)
    attributes = folder / "attributes.parquet"
    log.attributes.filter(pl.int_range(pl.len()) % 3 > 0).write_parquet(attributes)
    persona = np.array([int(user[5:]) % len(PERSONAS) for user in store.user_ids()])
    return Personas(store, attributes, persona)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small products are slower on several threads, by far where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def personas(tmp_path_factory: pytest.TempPathFactory) -> Personas:
    """240 planted users over forty days; to be read only."""
    return plant(tmp_path_factory.mktemp("personas"), 240, seed=1, n_days=40)


@pytest.fixture(scope="session")
def two_months(tmp_path_factory: pytest.TempPathFactory) -> Personas:
    """400 planted users over the two months of `tests.training.crowd`; to be read only."""
    return plant(tmp_path_factory.mktemp("two months"), 400, seed=1, n_days=60)


@pytest.fixture(scope="session")
def trained(
    personas: Personas, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainedJob:
    """A job on the first month, judged on the rest; to be read only."""
    home = MlflowHome(shutil.copytree(mlflow_template, tmp_path_factory.mktemp("job") / "mlruns"))
    relocate(home)
    request = TrainRequest(
        store=personas.store.path,
        config=TINY,
        mlruns=home.path,
        until=parse_time(UNTIL, option="--until"),
        tables=UserTables(attributes=personas.attributes),
    )
    return TrainedJob(request, train(plan_training(request), no_bar), home)


@pytest.fixture(scope="session")
def newer(personas: Personas, tmp_path_factory: pytest.TempPathFactory) -> EventStore:
    """The log of the parent, with two new event types after the parent's time."""
    folder = tmp_path_factory.mktemp("newer")
    log = pl.read_parquet(personas.store.path.parent / "log.parquet")
    place = pl.int_range(pl.len())
    late = pl.col("time") >= pl.lit(UNTIL).str.to_datetime()
    event = pl.col("event")
    for number, text in enumerate(NEWS):
        event = pl.when(late & (place % 5 == number)).then(pl.lit(text)).otherwise(event)
    return make_store(log.with_columns(event.alias("event")), folder)


@pytest.fixture
def own_job(trained: TrainedJob, tmp_path: Path) -> TrainedJob:
    """A copy of the finished job that the test may change."""
    home = MlflowHome(shutil.copytree(trained.home.path, tmp_path / "mlruns"))
    relocate(home)
    return TrainedJob(replace(trained.request, mlruns=home.path), trained.outcome, home)
