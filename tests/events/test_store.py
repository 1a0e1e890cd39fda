"""The store holds exactly the usable rows of the log, in order, and refuses to be damaged."""

import json
import math
import shutil
import statistics
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from segmenter.errors import StoreError
from segmenter.events import finish
from segmenter.events.contract import ColumnMapping
from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions
from segmenter.events.spill import stable_hash
from segmenter.events.store import EventStore
from tests.events.reference import plain_hash, plain_store

TEXTS = st.one_of(st.none(), st.text(max_size=12), st.sampled_from(["a", "b", "ä", "日本語"]))
NUMBERS = st.one_of(st.none(), st.floats(allow_infinity=False), st.sampled_from([0.0, -0.0, 1.5]))
ROWS = st.fixed_dictionaries(
    {
        "user": st.one_of(TEXTS, st.sampled_from(["u1", "u2", "u3"])),
        "event": st.sampled_from(["view", "buy", "", None, " "]),
        "time": st.one_of(st.integers(0, 5), st.integers(0, 2_000_000_000)),
        "seq": st.one_of(st.none(), st.integers(-3, 3)),
        "item": TEXTS,
        "session": st.one_of(st.none(), st.sampled_from(["s", "t", "x"])),
        "value": NUMBERS,
        "note": st.sampled_from([None, "n", "m"]),
    }
)
NOW = 1_700_000_000_000_000
DAY = 86_400_000_000
OPTIONS = st.builds(
    IngestOptions,
    time_unit=st.just("s"),
    now=st.just(NOW),
    keep_duplicates=st.booleans(),
    chunk_rows=st.integers(1, 70),
    group_rows=st.integers(1, 70),
)
SCHEMA = {
    "user": pl.String,
    "event": pl.String,
    "time": pl.Int64,
    "seq": pl.Int64,
    "item": pl.String,
    "session": pl.String,
    "value": pl.Float64,
    "note": pl.String,
}


def clean(row):
    """A row as it is meant: blanks and NaN are missing, times are in seconds."""
    out = {}
    for name, value in row.items():
        if isinstance(value, str):
            out[name] = value if value.strip() else None
        elif isinstance(value, float):
            out[name] = None if math.isnan(value) else value
        else:
            out[name] = value
    return out | {"time": row["time"] * 1_000_000}


def decode(store: EventStore) -> dict[str, list[dict]]:
    """Every event of every user, back in words."""
    columns = {"time": np.asarray(store.times).tolist()}
    for name in store.categorical:
        words = [None, *store.vocabulary(name)]
        columns[name] = [words[code] for code in np.asarray(store.codes(name))]
    for name in store.numeric:
        numbers = np.asarray(store.numbers(name)).tolist()
        columns[name] = [None if math.isnan(number) else number for number in numbers]
    events = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    starts = np.asarray(store.offsets).tolist()
    users = store.user_ids().to_list()
    assert starts == sorted(set(starts)), "a user without events"
    assert (starts[0], starts[-1]) == (0, store.n_events)
    assert len(starts) - 1 == len(users) == store.n_users
    return {user: events[starts[i] : starts[i + 1]] for i, user in enumerate(users)}


def told(rows: list[dict], store: EventStore) -> list[dict]:
    names = ("time", *store.categorical, *store.numeric)
    return [{name: row[name] for name in names} for row in rows]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(ROWS, min_size=1, max_size=60), options=OPTIONS)
def test_the_store_equals_a_plain_reading_of_the_log(tmp_path, rows, options):
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    rows = [*rows, ROWS_SEED]
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(tmp_path / "log.parquet")
    report = ingest([tmp_path / "log.parquet"], tmp_path / "store", options=options)
    store = EventStore.open(tmp_path / "store")
    expected = plain_store(
        [clean(row) for row in rows],
        keep_duplicates=options.keep_duplicates,
        latest=NOW + DAY,
    )
    found = decode(store)
    assert list(found) == list(expected)
    for user, events in expected.items():
        assert found[user] == told(events, store), user
    store.verify()
    assert report.n_read == len(rows)
    assert report.n_events == store.n_events == sum(len(events) for events in expected.values())
    assert report.n_events + sum(report.rejected.values()) == len(rows)
    times = [event["time"] for events in expected.values() for event in events]
    assert (store.oldest, store.newest) == (min(times), max(times))
    check_vocabularies(store, expected)
    check_summary(store, expected)


ROWS_SEED = {
    "user": "always",
    "event": "view",
    "time": 3,
    "seq": None,
    "item": "one",
    "session": "s",
    "value": 1.0,
    "note": None,
}


def check_summary(store, expected):
    events = [event["value"] for events in expected.values() for event in events]
    values = [value for value in events if value is not None]
    said = store.manifest["summaries"]["value"]
    assert said["count"] == len(values)
    assert (said["minimum"], said["maximum"]) == (min(values), max(values))
    error = 1e-9 * max(map(abs, values))
    assert said["mean"] == pytest.approx(statistics.fmean(values), abs=error)
    assert said["quantiles"]["0.5"] == pytest.approx(statistics.median(values), abs=error)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=40), st.floats(-1e9, 1e9))
def test_the_spread_of_a_column_is_exact_whatever_the_parts_and_the_offset(values, offset):
    column = np.array(values) + offset
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        column.astype("<f8").tofile(path := Path(folder) / "numbers.bin")
        patch.setattr(finish, "CHUNK_EVENTS", 3)
        said = finish._summary(path) if values else {"count": 0}
    known = column[~np.isnan(column)]
    assert said["count"] == len(known)
    if len(known):
        assert said["standard_deviation"] == pytest.approx(np.std(known), rel=1e-6, abs=1e-5)


def check_vocabularies(store, expected):
    events = [event for events in expected.values() for event in events]
    for name in ("event", "item"):
        counts = Counter(event[name] for event in events if event[name] is not None)
        ordered = sorted(counts, key=lambda text: (-counts[text], text.encode()))
        assert store.vocabulary(name) == ordered
        assert store.vocabulary_counts(name).tolist() == [counts[text] for text in ordered]
    pairs = [
        (user, event["session"])
        for user, events in expected.items()
        for event in events
        if event["session"] is not None
    ]
    distinct = list(dict.fromkeys(pairs))
    codes = np.asarray(store.codes("session"))
    assert codes[codes > 0].tolist() == [distinct.index(pair) + 1 for pair in pairs]
    assert store.vocabulary_counts("session").tolist() == [pairs.count(pair) for pair in distinct]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=40))
def test_the_hash_of_users_is_the_documented_one(texts):
    column = pl.Series(texts)
    assert stable_hash(column).tolist() == [plain_hash(text) for text in texts]
    assert stable_hash(column[1:]).tolist() == [plain_hash(text) for text in texts[1:]]


def test_the_hash_spreads_ids_that_differ_little():
    buckets = stable_hash(pl.Series([f"user-{i}" for i in range(50_000)])) >> np.uint64(54)
    counts = np.bincount(buckets.astype(np.int64), minlength=1024)
    # 1,023 degrees of freedom: a fair spread lies within 1,023 +- 5 * sqrt(2 * 1,023).
    chi_square = float((((counts - counts.mean()) ** 2) / counts.mean()).sum())
    assert 797 < chi_square < 1249


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    (folder / "log.csv").write_text(
        "user_id,event_type,timestamp,sku,price,colour,ads_consent,basket_id\n"
        "007,view,2024-01-01T00:00:00Z,a,,red,yes,\n"
        "007,purchase,2024-01-02T00:00:00Z,a,12.5,red,no,B1\n"
        '"7",view,2024-01-01T12:00:00+02:00,b,3,,maybe,\n'
        "7,view,2024-01-03,a/b c,nan,,,\n",
        encoding="utf-8",
    )
    mapping = ColumnMapping({"value": "price"}, extras=("colour",))
    ingest([folder / "log.csv"], folder / "store", mapping=mapping)
    return folder / "store"


@pytest.fixture
def copy(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "store"))


def test_every_field_is_read_back(built):
    store = EventStore.open(built)
    found = decode(store)
    assert set(found) == {"007", "7"}
    assert [event["value"] for event in found["007"]] == [None, 12.5]
    assert [event["item"] for event in found["7"]] == ["b", "a/b c"]
    assert [event["colour"] for event in found["007"]] == ["red", "red"]
    assert [event["order"] for event in found["007"]] == [None, "B1"]
    assert store.categorical == ("event", "item", "order", "colour")
    assert store.numeric == ("value",)
    assert store.newest == 1_704_240_000_000_000
    assert store.codes("event").dtype == np.int32
    assert store.numbers("value").dtype == np.float64
    assert store.vocabulary("event") == ["view", "purchase"]
    assert store.manifest["summaries"]["value"]["maximum"] == 12.5


def test_consent_has_codes_of_its_own_and_is_no_field_to_learn_from(built):
    store = EventStore.open(built)
    first = store.user_ids().to_list().index("007")
    codes = np.asarray(store.codes("consent"))[store.offsets[first] : store.offsets[first + 1]]
    assert [store.vocabulary("consent")[code - 1] for code in codes] == ["granted", "denied"]
    assert np.asarray(store.codes("consent")).tolist().count(0) == 2
    assert "consent" not in (*store.categorical, *store.numeric)


def test_an_unknown_field_is_named_with_those_that_exist(built):
    store = EventStore.open(built)
    with pytest.raises(StoreError, match="has no field size; it has event, item, order, colour"):
        store.codes("size")
    with pytest.raises(StoreError, match="has no field event; it has value"):
        store.numbers("event")


def test_a_missing_file_is_named(copy):
    (copy / "times.bin").unlink()
    with pytest.raises(StoreError, match=r"lacks times.bin; run segmenter ingest again"):
        EventStore.open(copy)


def test_a_shortened_file_is_named(copy):
    data = (copy / "times.bin").read_bytes()
    (copy / "times.bin").write_bytes(data[:-8])
    with pytest.raises(StoreError, match=r"times.bin has 24 bytes, not 32"):
        EventStore.open(copy)


def test_a_changed_byte_is_found_by_verify(copy):
    data = bytearray((copy / "times.bin").read_bytes())
    data[3] ^= 1
    (copy / "times.bin").write_bytes(data)
    with pytest.raises(StoreError, match=r"times.bin was changed"):
        EventStore.open(copy).verify()


def test_a_newer_format_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format_version": 99}))
    with pytest.raises(StoreError, match="has format 99; this version reads formats up to 1"):
        EventStore.open(copy)


STORE = '"format": "segmenter event store"'
BAD_MANIFESTS = [
    ("", "cannot read manifest.json"),
    ("{", "cannot read manifest.json"),
    ("[]", "is of something else"),
    ('{"format": "something else"}', "is of something else"),
    (f"{{{STORE}}}", "is incomplete"),
    (f'{{{STORE}, "format_version": 1}}', "is incomplete"),
    (f'{{{STORE}, "format_version": 1, "files": []}}', "is incomplete"),
]


@pytest.mark.parametrize(("text", "message"), BAD_MANIFESTS)
def test_a_manifest_that_says_too_little_is_refused(copy, text, message):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=message):
        EventStore.open(copy)


def test_a_folder_without_manifest_and_no_folder_at_all_are_refused(copy):
    (copy / "manifest.json").unlink()
    with pytest.raises(StoreError, match=r"has no manifest.json"):
        EventStore.open(copy)
    with pytest.raises(StoreError, match=r"no event store at .*; make one: segmenter ingest"):
        EventStore.open(copy / "nowhere")
