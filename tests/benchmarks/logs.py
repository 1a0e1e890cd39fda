"""Logs that benchmarks run on: synthetic ones, OULAD where it is there, or a given store.

A store of one's own is named by the environment variable `STORE`.
"""

import os
from pathlib import Path

import polars as pl

from segmenter.events.ingest import ingest
from segmenter.events.samples import planted_personas
from segmenter.files import atomic_file
from tests.benchmarks.measure import ROOT

OULAD = ROOT / ".." / "shared" / "data" / "oulad_dev" / "events.parquet"
STORE = "SEGMENTER_BENCHMARK_STORE"
FILE_USERS = 25_000


def write_personas(folder: Path, n_users: int, *, n_days: int) -> list[Path]:
    """Write the log of planted users, at most `FILE_USERS` to a file; files there are kept.

    The first users of a longer log are the users of a shorter one.

    Parameters
    ----------
    folder
        Where the files stand.
    n_users, n_days
        Users, and the length of the period: about 1.2 events per user and day.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, start in enumerate(range(0, n_users, FILE_USERS)):
        size = min(FILE_USERS, n_users - start)
        path = folder / f"{number:04d}-{size}.parquet"
        if not path.exists():
            log = planted_personas(size, seed=number, n_days=n_days).events
            user = pl.format("{} of part {}", "user", pl.lit(number))
            with atomic_file(path) as temporary:
                log.with_columns(user).write_parquet(temporary)
        paths.append(path)
    return paths


def persona_store(folder: Path, n_users: int, *, n_days: int) -> Path:
    """Make an event store of planted users in `folder`, unless it is there."""
    store = folder / f"personas-{n_users}-{n_days}.store"
    if not store.exists():
        ingest(write_personas(folder / f"log-{n_users}-{n_days}", n_users, n_days=n_days), store)
    return store


def stores(folder: Path, n_users: int, *, n_days: int, given: Path | None) -> dict[str, Path]:
    """Stores to measure on, by the name in the table: a given one alone, or synthetic and OULAD.

    Parameters
    ----------
    folder
        Where stores are made.
    n_users, n_days
        Size of the synthetic one.
    given
        An event store; None looks at the environment variable `STORE`.
    """
    named = given or (Path(os.environ[STORE]) if os.environ.get(STORE) else None)
    if named is not None:
        return {named.stem: named}
    found = {"synthetic": persona_store(folder, n_users, n_days=n_days)}
    if OULAD.exists():
        found["OULAD dev"] = folder / "oulad.store"
        if not found["OULAD dev"].exists():
            ingest([OULAD], found["OULAD dev"])
    return found
