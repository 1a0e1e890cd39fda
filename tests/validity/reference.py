"""Slow, plain, independent forms of what the validity room computes, and small event logs."""

import datetime as dt
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from sklearn.model_selection import KFold

from segmenter.events.contract import ColumnMapping
from segmenter.events.ingest import ingest
from segmenter.events.store import EventStore

DAY_US = 86_400_000_000
START = dt.datetime(2025, 1, 1)  # noqa: DTZ001 - an event log's column of naive UTC times
START_US = 1_735_689_600_000_000
JUDGE = Path("shared/bench/segments/score_segments.py")


def store_of(events: pl.DataFrame, folder: Path, *, extras: tuple[str, ...] = ()) -> EventStore:
    """The event store of a table of events."""
    folder.mkdir(parents=True, exist_ok=True)
    events.write_parquet(folder / "log.parquet")
    ingest([folder / "log.parquet"], folder / "store", mapping=ColumnMapping(extras=extras))
    return EventStore.open(folder / "store")


def events_of(
    rows: list[tuple], columns: tuple[str, ...] = ("user", "event", "day")
) -> pl.DataFrame:
    """A table of events from tuples; ``day`` counts from the start and may be a fraction."""
    table = pl.DataFrame(rows, schema=list(columns), orient="row")
    micros = (pl.col("day") * DAY_US).cast(pl.Int64).cast(pl.Duration("us"))
    return table.with_columns((pl.lit(START).cast(pl.Datetime("us")) + micros).alias("time")).drop(
        "day"
    )


def before(events: pl.DataFrame, until: int) -> pl.DataFrame:
    return events.filter(pl.col("time").dt.epoch("us") < until)


def since(events: pl.DataFrame, cut: int) -> pl.DataFrame:
    return events.filter(pl.col("time").dt.epoch("us") >= cut)


def per_user(
    events: pl.DataFrame, store: EventStore, *measures: pl.Expr, users: np.ndarray | None = None
) -> pl.DataFrame:
    """One row per user of the store with these measures; users without events have zeros."""
    ids = store.user_ids() if users is None else store.user_ids().gather(users)
    table = events.group_by("user").agg(*measures)
    wanted = pl.DataFrame({"user": ids})
    return wanted.join(table, on="user", how="left", maintain_order="left").fill_null(0)


def slow_out_of_fold(labels, values, *, folds=5, prior=10.0, seed=0) -> np.ndarray:
    """Each user's smoothed group mean over the other folds, one user at a time."""
    labels, predicted = list(labels), np.empty(len(values))
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(values):
        overall = values[train].mean()
        for user in test:
            same = [values[other] for other in train if labels[other] == labels[user]]
            predicted[user] = (sum(same) + prior * overall) / (len(same) + prior)
    return predicted


def judge() -> ModuleType:
    """The independent judge of segmentations; skips where it is not at hand."""
    path = Path(__file__).resolve().parents[2] / ".." / JUDGE
    if not path.exists():
        pytest.skip(f"the judge {JUDGE} is not beside this checkout")
    spec = importlib.util.spec_from_file_location("score_segments", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
