"""Slices of real logs on which generators are compared: 800 users, their first 60 events.

The slices are those of the published comparison, user by user, so that figures stand side by side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from segmenter.events.samples import complete_journey
from tests.benchmarks.real_logs import SHARED

MAX_USERS, MAX_EVENTS, MIN_EVENTS, MAX_CATEGORIES = 800, 60, 5, 40
COLUMNS = ("user", "time", "event", "category", "value")


@dataclass(frozen=True)
class Slice:
    """Two halves of the users of a log.

    Attributes
    ----------
    name
        Of the log.
    learned, held_out
        Event logs with user, time, seq, event, category and value.
    """

    name: str
    learned: pl.DataFrame
    held_out: pl.DataFrame


def _shared(name: str) -> Callable[[], pl.DataFrame]:
    def read() -> pl.DataFrame:
        return pl.read_parquet(SHARED / name / "events.parquet").select(
            user=pl.col("user_id").cast(pl.String),
            time=pl.col("timestamp").cast(pl.Datetime("us")),
            event="event_type",
            item=pl.col("item_id").cast(pl.String),
            category=pl.col("category").cast(pl.String),
            value=pl.col("value").cast(pl.Float64),
        )

    return read


LOGS: dict[str, Callable[[], pl.DataFrame]] = {
    "oulad": _shared("oulad_dev"),
    "complete_journey": lambda: complete_journey().events,
    "online_retail": _shared("online_retail"),
}


def available() -> list[str]:
    """Logs that this machine has."""
    folders: dict[str, Path] = {
        "oulad": SHARED / "oulad_dev",
        "online_retail": SHARED / "online_retail",
    }
    return [name for name in LOGS if name not in folders or folders[name].exists()]


def make_slice(name: str, *, seed: int) -> Slice:
    """Draw the users of a slice and halve them.

    Parameters
    ----------
    name
        One of `LOGS`.
    seed
        Of both draws.
    """
    events = LOGS[name]().filter(pl.col("user").is_not_null())
    counts = events.group_by("user").len().filter(pl.col("len") >= MIN_EVENTS)
    users = counts["user"].sort().to_numpy().astype(object)
    np.random.default_rng(seed).shuffle(users)
    chosen = pl.Series(users[:MAX_USERS].tolist())
    events = events.filter(pl.col("user").is_in(chosen.implode()))
    events = events.sort("user", "time", maintain_order=True)
    events = events.filter(pl.int_range(pl.len()).over("user") < MAX_EVENTS)
    events = _plain(events)
    order = events["user"].unique(maintain_order=True).to_numpy().astype(object)
    np.random.default_rng(seed + 1).shuffle(order)
    first = pl.Series(order[: len(order) // 2].tolist())
    inside = events["user"].is_in(first.implode())
    return Slice(name, events.filter(inside), events.filter(~inside))


def _plain(events: pl.DataFrame) -> pl.DataFrame:
    """Common categories by name, nothing missing, categories as types where there is one."""
    if not events["category"].is_not_null().any():
        events = events.with_columns(category="item")
    known = pl.col("category").fill_null("NA")
    counts = events.select(known).to_series().value_counts().sort("count", descending=True)
    common = counts["category"].head(MAX_CATEGORIES)
    events = events.with_columns(
        category=pl.when(known.is_in(common.implode())).then(known).otherwise(pl.lit("OTHER")),
        value=pl.col("value").fill_null(0.0).fill_nan(0.0).clip(0.0),
        seq=pl.int_range(pl.len()).over("user"),
    )
    if events["event"].n_unique() == 1 and events["category"].n_unique() > 1:
        events = events.with_columns(event="category")
    return events.select("user", "time", "seq", "event", "category", "value")
