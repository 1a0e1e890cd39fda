"""One log in every form that a file may have."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from tests.events.logs import LOG


@pytest.fixture(scope="session")
def forms(tmp_path_factory) -> dict[str, Path]:
    """The same log in every form."""
    folder = tmp_path_factory.mktemp("forms")
    LOG.write_parquet(folder / "log.parquet")
    text = LOG.with_columns(pl.col("time").dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ"))
    text.write_csv(folder / "log.csv")
    text.write_ndjson(folder / "log.jsonl")
    text.write_csv(folder / "log.tsv", separator="\t")
    epoch = LOG.with_columns(pl.col("time").to_physical())
    epoch.with_columns(pl.col("user", "event", "item").cast(pl.Categorical)).write_parquet(
        folder / "epoch.parquet"
    )
    epoch.write_csv(folder / "semicolons.csv", separator=";")
    nanoseconds = pl.col("time").dt.cast_time_unit("ns")
    LOG.with_columns(nanoseconds).write_parquet(folder / "nanoseconds.parquet")
    for name in ("log.csv", "log.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    return {path.name: path for path in folder.iterdir()}
