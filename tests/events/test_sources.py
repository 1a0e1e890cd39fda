"""Files of every form are read as they were meant: texts, numbers, times, ids."""

import gzip
import json

import polars as pl
import pytest

from segmenter.events.contract import ColumnMapping
from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions
from segmenter.events.store import EventStore


def test_the_same_log_in_every_form_makes_the_same_store(forms, tmp_path):
    digests = {}
    for name, path in forms.items():
        options = IngestOptions(delimiter=";" if name == "semicolons.csv" else None)
        digests[name] = ingest([path], tmp_path / name, options=options).manifest["digest"]
    assert len(digests) == 9
    assert len(set(digests.values())) == 1


PLACES = pl.DataFrame(
    {
        "user": ["José", "Zoë", "José"],
        "event": ["café", "thé", "thé"],
        "time": ["2024-01-01", "2024-01-02", "2024-01-03"],
    }
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "UTF8", "cp1252", "utf-16"])
@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.csv.gz", "log.jsonl.gz"])
def test_text_in_a_named_encoding_is_read_as_it_was_meant(tmp_path, encoding, name):
    PLACES.write_parquet(tmp_path / "log.parquet")
    text = PLACES.write_ndjson() if "jsonl" in name else PLACES.write_csv()
    data = text.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    plain = ingest([tmp_path / "log.parquet"], tmp_path / "plain")
    options = IngestOptions(encoding=encoding)
    read = ingest([tmp_path / name], tmp_path / "read", options=options)
    assert read.manifest["digest"] == plain.manifest["digest"]


def test_csv_as_spreadsheets_write_it_is_read(tmp_path):
    (tmp_path / "log.csv").write_bytes(
        b"\xef\xbb\xbf,User ID,event,time,item,,\r\n"
        b'0,"00,7",view,2024-01-01,"two\r\nlines",,\r\n'
        b'1,"say ""hi""",view,2024-01-01,,,\r\n'
    )
    report = ingest([tmp_path / "log.csv"], tmp_path / "store")
    store = EventStore.open(tmp_path / "store")
    assert (report.n_events, report.rejected) == (2, {})
    assert sorted(store.user_ids()) == ["00,7", 'say "hi"']
    assert store.vocabulary("item") == ["two\r\nlines"]


def test_gzip_files_that_were_joined_are_read_to_their_end(tmp_path):
    parts = ["user,event,time\na,view,2024-01-01\n", "b,view,2024-01-01\n"]
    data = b"".join(gzip.compress(part.encode()) for part in parts)
    (tmp_path / "log.csv.gz").write_bytes(data)
    ingest([tmp_path / "log.csv.gz"], tmp_path / "store")
    assert sorted(EventStore.open(tmp_path / "store").user_ids()) == ["a", "b"]


def test_zone_and_unit_of_times_are_those_that_were_said(tmp_path):
    (tmp_path / "zone.csv").write_text("user,event,time\na,x,2024-07-01 02:00\n")
    (tmp_path / "unit.csv").write_text("user,event,time\na,x,86400\n")
    paris, milliseconds = IngestOptions(timezone="Europe/Paris"), IngestOptions(time_unit="ms")
    local = ingest([tmp_path / "zone.csv"], tmp_path / "local", options=paris)
    assert local.manifest["newest"] == "2024-07-01T00:00:00Z"
    early = ingest([tmp_path / "unit.csv"], tmp_path / "early", options=milliseconds)
    assert early.manifest["newest"] == "1970-01-01T00:01:26.400000Z"


def test_torn_json_lines_are_set_aside(tmp_path):
    good = '{"user": 1, "event": "view", "time": "2024-01-01"}\n'
    (tmp_path / "log.jsonl").write_text(
        good + "\n[1]\n" + good.replace("1,", "2,") + '{"user": 3,'
    )
    report = ingest([tmp_path / "log.jsonl"], tmp_path / "store")
    assert report.rejected == {"unreadable line": 2}
    assert sorted(EventStore.open(tmp_path / "store").user_ids()) == ["1", "2"]


IDS = [
    (pl.Series([7, 1234567890123456789]), ["1234567890123456789", "7"]),
    (pl.Series([7.0, 12.0]), ["12", "7"]),
    (pl.Series([7.5, 2.0**70]), ["1180591620717411303424", "7.5"]),
    (pl.Series([2**63, 2**64 - 1], dtype=pl.UInt64), [str(2**64 - 1), str(2**63)]),
    (pl.Series([b"ab", b"cd"]), ["ab", "cd"]),
    (pl.Series(["007", " 7"]), [" 7", "007"]),
    (pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"])), ["x", "y"]),
]


@pytest.mark.parametrize(("ids", "expected"), IDS)
def test_a_user_id_keeps_its_text_form(tmp_path, ids, expected):
    frame = pl.DataFrame({"user": ids, "event": ["view"] * 2, "time": [1_700_000_000] * 2})
    frame.write_parquet(tmp_path / "log.parquet")
    ingest([tmp_path / "log.parquet"], tmp_path / "store")
    assert sorted(EventStore.open(tmp_path / "store").user_ids()) == expected


LONG_IDS = ["007", "7", "1.50", "18446744073709551617", "1e3", "0x1F", "+7"]


def test_a_user_id_in_csv_keeps_every_sign(tmp_path):
    lines = [f"{user},view,2024-01-01\n" for user in LONG_IDS]
    (tmp_path / "log.csv").write_text("user,event,time\n" + "".join(lines))
    ingest([tmp_path / "log.csv"], tmp_path / "store")
    assert sorted(EventStore.open(tmp_path / "store").user_ids()) == sorted(LONG_IDS)


def test_a_user_id_in_json_keeps_every_digit_as_text_or_number(tmp_path):
    users = [json.dumps(user) for user in LONG_IDS] + ["9007199254740993", str(2**64 + 1)]
    lines = [f'{{"user": {user}, "event": "view", "time": "2024-01-01"}}\n' for user in users]
    (tmp_path / "log.jsonl").write_text("".join(lines))
    ingest([tmp_path / "log.jsonl"], tmp_path / "store", options=IngestOptions())
    found = sorted(EventStore.open(tmp_path / "store").user_ids())
    assert found == sorted([*LONG_IDS, "9007199254740993"])


def test_the_first_file_that_shows_a_value_decides_how_an_extra_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("user,event,time,price,note\na,x,2024-01-01,,\n")
    (tmp_path / "b.csv").write_text("user,event,time,price,note\na,x,2024-01-02,1.5,\n")
    mapping = ColumnMapping(extras=("price", "note"))
    report = ingest([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "s", mapping=mapping)
    assert EventStore.open(tmp_path / "s").numeric == ("price",)
    assert report.manifest["empty"] == ["note"]


def test_extras_are_read_as_they_look_or_as_said(tmp_path):
    (tmp_path / "log.csv").write_text(
        "user,event,time,price,zip,size,note\na,view,2024-01-01,1.5,01234,4,\n"
        "a,view,2024-01-02,,99999,5,\n"
    )
    mapping = ColumnMapping(extras=("price", "zip", "size:text", "note"))
    report = ingest([tmp_path / "log.csv"], tmp_path / "store", mapping=mapping)
    store = EventStore.open(tmp_path / "store")
    assert store.numeric == ("price",)
    assert store.categorical == ("event", "zip", "size")
    assert store.vocabulary("zip") == ["01234", "99999"]
    assert report.manifest["empty"] == ["note"]


def test_keys_may_be_absent_from_json_lines(tmp_path):
    first = {"user": "a", "event": "view", "time": 1_700_000_000}
    lines = [first, first | {"value": 2.5, "time": 1_700_000_001}]
    for name, one in zip(("a.jsonl", "b.jsonl"), lines, strict=True):
        (tmp_path / name).write_text(json.dumps(one) + "\n")
    ingest([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "store")
    assert EventStore.open(tmp_path / "store").numbers("value").tolist()[1] == 2.5
