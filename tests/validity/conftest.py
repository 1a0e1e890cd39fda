"""Stores that several tests of the validity room share."""

from pathlib import Path

import polars as pl
import pytest

from segmenter.events.samples import SampleLog, planted_personas
from segmenter.events.store import EventStore
from tests.validity.reference import DAY_US, START_US, store_of

CUT = START_US + 90 * DAY_US


@pytest.fixture(scope="session")
def log() -> SampleLog:
    """600 users of four personas over 120 days; persona ``i % 4`` for user ``i``."""
    return planted_personas(600, seed=5)


@pytest.fixture(scope="session")
def store(log: SampleLog, tmp_path_factory: pytest.TempPathFactory) -> EventStore:
    return store_of(log.events, tmp_path_factory.mktemp("personas"))


@pytest.fixture(scope="session")
def cut() -> int:
    """The 90th of 120 days."""
    return CUT


@pytest.fixture(scope="session")
def personas(log: SampleLog, store: EventStore) -> pl.Series:
    """The persona of each user, in store order."""
    truth = dict(log.attributes.iter_rows())
    return pl.Series([truth[user] for user in store.user_ids()])


@pytest.fixture
def make_store(tmp_path: Path):
    """Ingest a table of events into a store of the test's own."""
    made = iter(range(1_000))
    return lambda events: store_of(events, tmp_path / str(next(made)))
