"""What becomes of every row, of a store in its place, and of its order."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions
from segmenter.events.ordering import sort_rows
from segmenter.events.spill import HASH
from segmenter.events.store import EventStore
from tests.events.logs import LOG
from tests.events.reference import files_of

DAY = 86_400_000_000
MESSY = """user,event,time,seq,item,value,quantity
ann,view,2024-01-01,1,a,1.5,
,view,2024-01-01,1,a,1.5,
ann,,2024-01-01,1,a,1.5,
ann,view,soon,1,a,1.5,
ann,view,2024-01-01,2,a,1.50,
ann,view,2999-01-01,1,a,1.5,
bob,return,2024-01-02,1,b,-3,-1
bob,buy,2024-01-02,1,b,inf,1
bob,buy,2024-01-02,1,b,free,1
bob,buy,2024-01-02
bob,buy,2024-01-03,1,c,3,1
"""


def test_a_store_is_the_same_byte_for_byte_whatever_the_chunks(forms, tmp_path):
    (tmp_path / "log.csv").write_text(MESSY)
    for source in (forms["log.parquet"], tmp_path / "log.csv"):
        reference = None
        for number, (chunk, group) in enumerate([(500_000, 300_000), (500_000, 1), (7, 300_000)]):
            store = tmp_path / f"{source.name}-{number}"
            rows = max(chunk, 1000) if source.suffix == ".parquet" else chunk
            ingest([source], store, options=IngestOptions(chunk_rows=rows, group_rows=group))
            content = files_of(store)
            reference = reference or content
            assert content.keys() == reference.keys()
            assert [name for name in content if content[name] != reference[name]] == []


def test_many_files_and_folders_are_one_log(forms, tmp_path):
    parts = tmp_path / "parts"
    (parts / "deep" / "er").mkdir(parents=True)
    third = len(LOG) // 3
    LOG[:third].write_parquet(parts / "a.parquet")
    LOG[third : 2 * third].write_parquet(parts / "deep" / "er" / "b.parquet")
    LOG[2 * third :].write_parquet(tmp_path / "c.parquet")
    (parts / "_SUCCESS").write_text("")
    whole = ingest([forms["log.parquet"]], tmp_path / "whole")
    split = ingest([parts, tmp_path / "c.parquet", parts / "a.parquet"], tmp_path / "split")
    assert split.manifest["digest"] == whole.manifest["digest"]
    assert len(split.manifest["log"]["sources"]) == 3


def test_a_store_inside_the_source_folder_is_no_source(tmp_path):
    LOG.write_parquet(tmp_path / "log.parquet")
    first = ingest([tmp_path], tmp_path / "store")
    again = ingest([tmp_path], tmp_path / "store")
    assert again.reused
    assert again.n_events == first.n_events == len(LOG)


def test_unusable_rows_are_kept_with_their_reason_and_place(tmp_path):
    (tmp_path / "messy.csv").write_text(MESSY)
    report = ingest([tmp_path / "messy.csv"], tmp_path / "store")
    assert report.rejected == {
        "exact duplicate": 1,
        "impossible value": 2,
        "no event": 1,
        "no user": 1,
        "time in the future": 1,
        "unreadable line": 1,
        "unreadable time": 1,
    }
    assert (report.n_read, report.n_events, report.n_users) == (11, 3, 2)
    rows, duplicates, lines = (
        pl.read_parquet(tmp_path / "store" / "rejected" / f"{name}.parquet")
        for name in ("rows", "duplicates", "lines")
    )
    assert dict(zip(rows["row"], rows["reason"], strict=True)) == {
        2: "no user",
        3: "no event",
        4: "unreadable time",
        6: "time in the future",
        8: "impossible value",
        9: "impossible value",
    }
    assert rows.row(by_predicate=pl.col("row") == 9, named=True) == {
        "reason": "impossible value",
        "source": str(tmp_path / "messy.csv"),
        "row": 9,
        "user": "bob",
        "time": "2024-01-02",
        "seq": "1",
        "event": "buy",
        "item": "b",
        "value": "free",
        "quantity": "1",
    }
    assert duplicates.select("row", "user", "item", "time").rows() == [
        (5, "ann", "a", "2024-01-01T00:00:00.000000Z")
    ]
    assert lines["line"].to_list() == ["bob,buy,2024-01-02"]
    assert set(report.rejected_files) == set((tmp_path / "store" / "rejected").iterdir())


def test_a_row_is_found_in_its_own_file(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("user,event,time\nann,view,2024-01-01\n,view,2024-01-01\n")
    ingest([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "store")
    rows = pl.read_parquet(tmp_path / "store" / "rejected" / "rows.parquet")
    assert [Path(source).name for source in rows["source"]] == ["a.csv", "b.csv"]
    assert rows["row"].to_list() == [2, 2]
    duplicates = pl.read_parquet(tmp_path / "store" / "rejected" / "duplicates.parquet")
    assert [Path(source).name for source in duplicates["source"]] == ["b.csv"]


def test_duplicates_are_kept_when_asked_for(tmp_path):
    (tmp_path / "messy.csv").write_text(MESSY)
    options = IngestOptions(keep_duplicates=True)
    report = ingest([tmp_path / "messy.csv"], tmp_path / "store", options=options)
    assert report.n_events == 4
    assert "exact duplicate" not in report.rejected


TWICE = pl.DataFrame(
    {
        "user": ["a"] * 4,
        "event": ["view"] * 4,
        "time": ["2024-01-01"] * 4,
        "seq": [1, 2, 3, 4],
        "message": ["m1", "m2", "m2", None],
    }
)


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.parquet"])
def test_rows_that_differ_in_a_column_that_is_not_read_are_no_duplicates(tmp_path, name):
    write = {"csv": TWICE.write_csv, "jsonl": TWICE.write_ndjson, "parquet": TWICE.write_parquet}
    write[name.partition(".")[2]](tmp_path / name)
    report = ingest([tmp_path / name], tmp_path / "store", options=IngestOptions(chunk_rows=1))
    assert report.rejected == {"exact duplicate": 1}
    assert report.n_events == 3
    assert "message" not in EventStore.open(tmp_path / "store").categorical


def test_duplicates_are_found_across_files_whose_categories_are_numbered_otherwise(tmp_path):
    kinds = TWICE.with_columns(message=pl.Series(["x", "y", "y", "z"]))
    for number, order in enumerate(([0, 1, 2, 3], [3, 2, 1, 0])):
        part = kinds[order].with_columns(pl.col("message").cast(pl.Categorical))
        part.write_parquet(tmp_path / f"{number}.parquet")
    report = ingest([tmp_path], tmp_path / "store")
    assert (report.n_read, report.n_events) == (8, 3)


def test_returns_with_negative_numbers_are_valid(tmp_path):
    (tmp_path / "messy.csv").write_text(MESSY)
    ingest([tmp_path / "messy.csv"], tmp_path / "store")
    store = EventStore.open(tmp_path / "store")
    assert np.nanmin(store.numbers("value")) == -3
    assert np.nanmin(store.numbers("quantity")) == -1


def test_events_at_or_after_until_are_left_out_and_counted(forms, tmp_path):
    moment = 1_735_689_600_000_000 + 30 * DAY
    before = LOG.filter(pl.col("time").to_physical() < moment)
    options = IngestOptions(until=moment)
    report = ingest([forms["log.parquet"]], tmp_path / "store", options=options)
    assert report.n_events == len(before)
    assert report.n_after_until == len(LOG) - len(before)
    assert EventStore.open(tmp_path / "store").newest < moment
    before.write_parquet(tmp_path / "before.parquet")
    alone = ingest([tmp_path / "before.parquet"], tmp_path / "alone")
    assert alone.manifest["digest"] == report.manifest["digest"]


def test_columns_that_nobody_asked_for_are_listed_and_not_stored(tmp_path):
    LOG.with_columns(churned=pl.lit(1)).write_parquet(tmp_path / "log.parquet")
    report = ingest([tmp_path / "log.parquet"], tmp_path / "store")
    assert report.to_json()["ignored_columns"] == ["churned"]
    assert not any("churned" in name for name in files_of(tmp_path / "store"))


def test_an_ingest_of_the_same_is_not_repeated_and_of_another_replaces(forms, tmp_path):
    store = tmp_path / "store"
    assert not ingest([forms["log.csv"]], store).reused
    stamp = (store / "manifest.json").stat().st_mtime_ns
    again = ingest([forms["log.csv"]], store)
    assert again.reused
    assert again.n_events == len(LOG)
    assert (store / "manifest.json").stat().st_mtime_ns == stamp
    assert not ingest([forms["log.csv"]], store, options=IngestOptions(until=10**16)).reused
    (store / "times.bin").write_bytes(b"")
    assert not ingest([forms["log.csv"]], store, options=IngestOptions(until=10**16)).reused
    assert EventStore.open(store).n_events == len(LOG)


def test_events_of_the_future_become_usable_in_time(tmp_path):
    (tmp_path / "log.csv").write_text("user,event,time\na,x,2024-01-01\na,x,2024-06-01\n")
    now = 1_706_000_000_000_000
    early, late = IngestOptions(now=now), IngestOptions(now=now + 300 * DAY)
    assert ingest([tmp_path / "log.csv"], tmp_path / "store", options=early).n_events == 1
    report = ingest([tmp_path / "log.csv"], tmp_path / "store", options=late)
    assert (report.reused, report.n_events) == (False, 2)


def test_progress_only_grows_and_ends_at_its_total(forms, tmp_path):
    calls = []
    ingest(
        [forms["log.csv"]], tmp_path / "s", progress=lambda done, all_: calls.append((done, all_))
    )
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]


def test_users_whose_hashes_collide_stay_apart():
    rows = pl.DataFrame(
        {
            "user": ["b", "a", "b", "a", "c"],
            "time": [2, 1, 1, 1, 0],
            "item": ["1", "2", "3", "4", "5"],
            HASH: pl.Series([9, 9, 9, 9, 1], dtype=pl.UInt64),
        }
    )
    ordered = sort_rows(rows)
    assert ordered["item"].to_list() == ["5", "2", "4", "3", "1"]
    assert ordered["<user>"].to_list() == [0, 1, 1, 2, 2]
