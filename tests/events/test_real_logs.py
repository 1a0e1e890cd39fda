"""Counts on real logs against those published for them."""

from pathlib import Path

import polars as pl
import pytest

from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions
from segmenter.events.store import EventStore

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def log_of(name: str) -> Path:
    path = DATA / name / "events.parquet"
    if not path.exists():
        pytest.skip(f"the real log {name} is not on this machine")
    return path


def test_online_retail_has_the_published_counts(tmp_path):
    path = log_of("online_retail")
    report = ingest([path], tmp_path / "store")
    assert report.n_read == 541_909
    assert report.rejected["no user"] == 135_080
    assert report.n_users == 4_372
    # Published: 5,268 exact duplicates, of which those without a user bear that reason.
    nobody = pl.read_parquet(path).filter(pl.col("user_id").is_null()).drop("seq")
    n_without_user = len(nobody) - len(nobody.unique())
    assert report.rejected["exact duplicate"] + n_without_user == 5_268
    assert n_without_user == 43
    assert report.n_events == 541_909 - 135_080 - 5_225


def test_whole_logs_survive_when_duplicates_are_kept(tmp_path):
    for name, n_rows, n_users in (
        ("wiki_sessions", 63_524, 10_000),
        ("gamelaunch", 29_324, 3_994),
    ):
        options = IngestOptions(keep_duplicates=True)
        report = ingest([log_of(name)], tmp_path / name, options=options)
        assert (report.n_read, report.n_events, report.n_users) == (n_rows, n_rows, n_users)
        EventStore.open(tmp_path / name).verify()


def test_oulad_is_read_whole_in_a_store_sorted_like_polars_sorts_it(tmp_path):
    path = log_of("oulad_dev")
    options = IngestOptions(keep_duplicates=True)
    report = ingest([path], tmp_path / "store", options=options)
    assert report.n_events == report.n_read == 3_268_091
    assert report.rejected == {}
    store = EventStore.open(tmp_path / "store")
    users = store.user_ids()
    rank = pl.DataFrame({"user_id": users, "rank": range(len(users))})
    expected = (
        pl.scan_parquet(path)
        .join(rank.lazy(), on="user_id")
        .sort("rank", "timestamp", "seq")
        .select(pl.col("timestamp").to_physical(), "item_id")
        .collect()
    )
    assert (expected["timestamp"].to_numpy() == store.times).all()
    words = pl.Series([None, *store.vocabulary("item")]).gather(store.codes("item"))
    assert words.equals(expected["item_id"], null_equal=True)
