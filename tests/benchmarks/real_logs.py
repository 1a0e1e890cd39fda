"""Real logs that benchmarks learn from, each with a cut and what to predict after it."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from segmenter.events.ingest import ingest
from segmenter.events.samples import complete_journey
from segmenter.events.store import EventStore
from tests.benchmarks.measure import ROOT

SHARED = ROOT / ".." / "shared" / "data"
OULAD_DAYS = 30
OULAD_START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
PASSED = ("Pass", "Distinction")


@dataclass(frozen=True)
class RealLog:
    """A log and its question.

    Attributes
    ----------
    name
        Short.
    store
        The events, those after the cut included where the outcome is behaviour.
    until
        Only events before this time are learned from, microseconds; None takes all.
    outcomes
        Outcomes that the log itself does not tell: ``user_id`` and a column each, or None.
    """

    name: str
    store: EventStore
    until: int | None
    outcomes: pl.DataFrame | None = None


def real_logs(folder: Path) -> Iterator[RealLog]:
    """The logs that are at hand, as event stores in a folder.

    Complete Journey comes with the extra ``demo``; OULAD and Online Retail are read from
    ``../shared/data`` and left out where that is absent.
    """
    yield _complete_journey(folder)
    if SHARED.exists():
        yield _oulad(folder)
        yield _online_retail(folder)


def _microseconds(*date: int) -> int:
    return int(dt.datetime(*date, tzinfo=dt.UTC).timestamp()) * 1_000_000  # type: ignore[misc,arg-type] # year, month, day


def _complete_journey(folder: Path) -> RealLog:
    store = folder / "complete_journey.store"
    if not store.exists():
        source = folder / "complete_journey.parquet"
        complete_journey().events.write_parquet(source)
        ingest([source], store)
    return RealLog("complete journey", EventStore.open(store), _microseconds(2017, 10, 1))


def _online_retail(folder: Path) -> RealLog:
    store = folder / "online_retail.store"
    if not store.exists():
        ingest([SHARED / "online_retail" / "events.parquet"], store)
    return RealLog("online retail", EventStore.open(store), _microseconds(2011, 9, 1))


def _oulad(folder: Path) -> RealLog:
    """Clicks of the first 30 days of those who are still enrolled then, and whether they pass."""
    people = pl.read_parquet(SHARED / "oulad_dev" / "users.parquet").filter(
        pl.col("date_unregistration").is_null() | (pl.col("date_unregistration") > OULAD_DAYS)
    )
    passed = people.select("user_id", passes=pl.col("final_result").is_in(PASSED).cast(pl.Int8))
    store = folder / "oulad.store"
    if not store.exists():
        source = folder / "oulad.parquet"
        day = pl.duration(days=pl.col("day").cast(pl.Int64))
        pl.scan_parquet(SHARED / "oulad_dev" / "events.parquet").filter(
            pl.col("day") < OULAD_DAYS, pl.col("user_id").is_in(people["user_id"].implode())
        ).with_columns(timestamp=pl.lit(OULAD_START) + day).sink_parquet(source)
        ingest([source], store)
    return RealLog("oulad", EventStore.open(store), None, passed)
