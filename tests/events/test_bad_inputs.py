"""Every kind of unusable input gets an error that says what was found and what mends it."""

import gzip
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from segmenter.errors import (
    ColumnError,
    ConfigError,
    InputError,
    NoUsableRowsError,
    OutputError,
    SourceError,
)
from segmenter.events.contract import ColumnMapping
from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions

GOOD = "user,event,time\nann,view,2024-01-01\n"
WHOLE = pl.DataFrame({"user": ["ann"], "event": ["view"], "time": ["2024-01-01"]})


def write(folder: Path, name: str, content: str | bytes | pl.DataFrame) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pl.DataFrame):
        content.write_parquet(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class BadFile(NamedTuple):
    """A file that cannot be used, and the error that it gets."""

    name: str
    content: str | bytes | pl.DataFrame
    kind: type[InputError]
    message: str


BAD_FILES = [
    BadFile(
        "time_missing.csv",
        "user,when_seen,event\na,2024-01-01,view\n",
        ColumnError,
        (
            "event log must have a time column; found columns user, when_seen, event; "
            "pass --time when_seen"
        ),
    ),
    BadFile(
        "user_missing.csv",
        "shopper,event,time\na,view,2024-01-01\n",
        ColumnError,
        (
            "event log must have a user column; found columns shopper, event, time; "
            "pass --user COLUMN"
        ),
    ),
    BadFile(
        "event_missing.jsonl",
        '{"user": "a", "what happened type": "view", "time": 1}\n',
        ColumnError,
        (
            "event log must have an event column; found columns user, what happened type, time; "
            "pass --event 'what happened type'"
        ),
    ),
    BadFile(
        "two_users.csv",
        "user_id,customer_id,event,time\na,b,view,2024-01-01\n",
        ColumnError,
        (
            "columns user_id, customer_id could each be the user; "
            "choose one, for example --user user_id"
        ),
    ),
    BadFile("nothing.csv", "", SourceError, "nothing.csv is empty"),
    BadFile("blank.csv", "\n\n", SourceError, "it has no header line with column names"),
    BadFile(
        "header_only.csv", "user,event,time\n", NoUsableRowsError, "there is a header but no row"
    ),
    BadFile(
        "semicolons.csv",
        "user;event;time\na;view;2024-01-01\n",
        SourceError,
        "has one column, 'user;event;time', when split at ','; pass --delimiter ';'",
    ),
    BadFile(
        "tabs.csv",
        "user\tevent\ttime\na\tview\t2024-01-01\n",
        SourceError,
        "when split at ','; pass --delimiter '\\t'",
    ),
    BadFile("pipes.csv", "user|event|time\na|view|1\n", SourceError, "pass --delimiter '|'"),
    BadFile(
        "twice.csv",
        "user,event,time,event\na,view,2024-01-01,x\n",
        SourceError,
        "has two columns named event; rename one",
    ),
    BadFile(
        "latin_row.csv",
        "user,event,time\nJosé,view,2024-01-01\n".encode("latin-1"),
        SourceError,
        "is not UTF-8",
    ),
    BadFile(
        "latin_header.csv",
        "user,évent,time\na,view,2024-01-01\n".encode("latin-1"),
        SourceError,
        "is not UTF-8",
    ),
    BadFile(
        "latin.jsonl",
        '{"user": "José", "event": "view", "time": 1}\n'.encode("latin-1"),
        SourceError,
        "is not UTF-8",
    ),
    BadFile("prose.jsonl", "this is no JSON\n", SourceError, "does not begin with JSON lines"),
    BadFile("list.ndjson", "[1, 2]\n", SourceError, "one object per line"),
    BadFile("not_really.parquet", "user,event,time\n", SourceError, "is no readable Parquet file"),
    BadFile("not_really.csv.gz", GOOD, SourceError, "cannot read"),
    BadFile("cut.csv.gz", gzip.compress(GOOD.encode() * 100)[:-20], SourceError, "cannot read"),
    BadFile(
        "cut.jsonl.gz", gzip.compress(b'{"user": "a"}\n' * 100)[:-20], SourceError, "cannot read"
    ),
    BadFile("log.xlsx", GOOD, SourceError, "event files end in .parquet, .pq, .csv, .csv.gz"),
    BadFile(
        "no_users.csv",
        "user,event,time\n,view,2024-01-01\n  ,view,2024-01-01\n",
        NoUsableRowsError,
        "no usable row among 2: 2 no user; pass --user with the column of user ids",
    ),
    BadFile(
        "no_times.csv",
        "user,event,time\na,view,yesterday\nb,,2024-01-01\nb,view,today\n",
        NoUsableRowsError,
        (
            "no usable row among 3: 2 unreadable time, 1 no event; "
            "times are ISO 8601 or epoch numbers; pass --time with their column"
        ),
    ),
    BadFile(
        "far_future.csv",
        "user,event,time\na,view,2999-01-01\n",
        NoUsableRowsError,
        "1 time in the future; pass --time-unit with the unit of the times",
    ),
    BadFile(
        "comma_numbers.csv",
        'user,event,time,value\na,view,2024-01-01,"1,50"\n',
        NoUsableRowsError,
        "1 impossible value; numbers are written like 1234.5",
    ),
    BadFile("utf_16.csv", GOOD.encode("utf-16"), SourceError, "is not UTF-8"),
    BadFile("blank.jsonl", "\n\n", SourceError, "does not begin with JSON lines"),
    BadFile("nothing.csv.gz", gzip.compress(b""), SourceError, "is empty: it has no header line"),
    BadFile(
        "nested.jsonl",
        '{"user": {"id": 1}, "event": "view", "time": 1}\n',
        ColumnError,
        "holds Struct values; the user must be a plain value: flatten it first",
    ),
    BadFile(
        "nested.parquet",
        WHOLE.with_columns(time=pl.Series([[1]])),
        ColumnError,
        "holds List values; the time must be a plain value: flatten it first",
    ),
    BadFile(
        "bytes.parquet",
        WHOLE.with_columns(user=pl.Series([b"\xff\xfe"])),
        SourceError,
        "column user holds bytes that are not UTF-8 text",
    ),
    BadFile(
        "truths.parquet",
        WHOLE.with_columns(time=pl.Series([True])),
        ColumnError,
        "the time column holds Boolean values; a time is a text, a number or a date",
    ),
    BadFile(
        "dated_value.parquet",
        WHOLE.with_columns(value=pl.Series(["2024-01-01"]).str.to_date()),
        ColumnError,
        "the value must be a number; pass --value with another column",
    ),
    BadFile("no_row.parquet", WHOLE.head(0), NoUsableRowsError, "there is a header but no row"),
    BadFile("cut.parquet", b"PAR1" + b"\0" * 20, SourceError, "is no readable Parquet file"),
]


@pytest.mark.parametrize("case", BAD_FILES, ids=[case.name for case in BAD_FILES])
def test_a_bad_file_gets_a_clear_error_and_leaves_nothing(tmp_path, case):
    source = write(tmp_path / "in", case.name, case.content)
    store = tmp_path / "out" / "store"
    with pytest.raises(case.kind) as caught:
        ingest([source], store)
    assert type(caught.value) is case.kind
    assert case.message in str(caught.value)
    assert not store.exists()
    assert not store.parent.exists() or list(store.parent.iterdir()) == []


def test_missing_files_and_folders_without_events_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere.csv does not exist"):
        ingest([tmp_path / "nowhere.csv"], tmp_path / "store")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(SourceError, match="is empty; event files end in"):
        ingest([folder], tmp_path / "store")
    write(folder, "notes.txt", "no events")
    write(folder, ".hidden.csv", GOOD)
    with pytest.raises(SourceError, match=r"holds only .txt; event files end in"):
        ingest([folder], tmp_path / "store")
    with pytest.raises(SourceError, match="no event file was named"):
        ingest([], tmp_path / "store")


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    table, lines = write(tmp_path, "a.parquet", WHOLE), write(tmp_path, "b.csv", GOOD)
    with pytest.raises(SourceError, match=r"a.parquet is Parquet and .*b.csv is CSV"):
        ingest([table, lines], tmp_path / "store")
    wider = write(tmp_path, "c.csv", "user,event,time,item\na,view,2024-01-01,x\n")
    with pytest.raises(ColumnError, match=r"b.csv has no column item, which .*c.csv has"):
        ingest([lines, wider], tmp_path / "store")


BAD_CHOICES = [
    (
        ColumnMapping({"user": "usr"}),
        "no column usr for --user; found columns user, event, time, place",
    ),
    (ColumnMapping({"item": "plase"}), "did you mean --item place"),
    (
        ColumnMapping({"item": "place", "category": "place"}),
        "named for both --item and --category",
    ),
    (ColumnMapping({"item": "place"}, extras=("place",)), "named for both --item and --extra"),
    (ColumnMapping(extras=("nothing",)), "no column nothing for --extra"),
    (ColumnMapping(extras=("user",)), "--extra user: the contract has a field of that name"),
    (ColumnMapping({"colour": "place"}), "the event contract has no field colour"),
]


@pytest.mark.parametrize(("mapping", "message"), BAD_CHOICES)
def test_an_impossible_choice_of_columns_is_explained(tmp_path, mapping, message):
    source = write(tmp_path, "a.csv", "user,event,time,place\na,view,2024-01-01,x\n")
    with pytest.raises(ColumnError, match=message):
        ingest([source], tmp_path / "store", mapping=mapping)


BAD_OPTIONS = [
    (IngestOptions(timezone="Mars/Base"), "unknown time zone 'Mars/Base'; pass --timezone"),
    (IngestOptions(time_unit="h"), "--time-unit must be one of s, ms, us, ns; found h"),
    (IngestOptions(delimiter=";;"), "--delimiter must be one character; found ';;'"),
    (IngestOptions(encoding="klingon"), "unknown --encoding 'klingon'; pass a name like cp1252"),
    (IngestOptions(encoding="base64"), "unknown --encoding 'base64'"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_an_impossible_option_is_explained(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        ingest([write(tmp_path, "a.csv", GOOD)], tmp_path / "store", options=options)


def test_a_delimiter_that_the_file_does_not_use_is_found_out(tmp_path):
    source = write(tmp_path, "a.csv", GOOD)
    with pytest.raises(SourceError, match="when split at ';'; pass --delimiter ','"):
        ingest([source], tmp_path / "store", options=IngestOptions(delimiter=";"))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_bytes_that_are_not_in_the_named_encoding_are_refused(tmp_path, name):
    source = write(tmp_path, name, GOOD + "Jos\u00e9,view,2024-01-01\n")
    with pytest.raises(SourceError, match=r"is not ascii .*; pass its --encoding, for example"):
        ingest([source], tmp_path / "store", options=IngestOptions(encoding="ascii"))


def test_a_log_that_lies_wholly_after_until_says_so(tmp_path):
    source = write(tmp_path, "a.csv", GOOD)
    with pytest.raises(NoUsableRowsError, match="1 not before --until; pass a later --until"):
        ingest([source], tmp_path / "store", options=IngestOptions(until=0))


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    source = write(tmp_path / "in", "a.csv", GOOD)
    precious = write(tmp_path / "thesis", "manifest.json", '{"format": "of somebody else"}')
    for place in (tmp_path / "in", tmp_path / "thesis", source):
        with pytest.raises(OutputError, match="exists and is no event store"):
            ingest([source], place)
    assert precious.read_text() == '{"format": "of somebody else"}'
    with pytest.raises(OutputError, match="cannot write the event store"):
        ingest([source], source / "store")


def test_a_failed_ingest_leaves_the_old_store_as_it_was(tmp_path):
    store = tmp_path / "store"
    ingest([write(tmp_path, "a.csv", GOOD)], store)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with pytest.raises(InputError):
        ingest([write(tmp_path, "b.csv", "user,event,time\n,view,1\n")], store)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
