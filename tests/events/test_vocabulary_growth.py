"""A vocabulary that grows: known codes stay, frequent new values follow, nothing is lost."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import FitError
from segmenter.events.contract import ColumnMapping
from segmenter.events.ingest import ingest
from segmenter.events.store import EventStore
from segmenter.events.vocabulary import (
    FIRST,
    MISSING,
    OTHER,
    Vocabulary,
    fit_vocabulary,
    grow_vocabulary,
    known_counts,
)

FIELDS = ("event", "item", "category", "device")
TEXTS = "abcdefgh"
N_EVENTS = 300


@dataclass(frozen=True)
class Log:
    """A store, its events in order of time, and the time of each."""

    store: EventStore
    events: pl.DataFrame
    times: np.ndarray

    def counts(self, name: str, *, as_of: int) -> Counter:
        """Events of each text of a field, None included, counted by hand."""
        return Counter(self.events.filter(pl.Series(self.times <= as_of))[name].to_list())


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Values come up one after the other; the device and the height only in the second half."""
    folder = tmp_path_factory.mktemp("vocabulary")
    generator = np.random.default_rng(0)
    step = np.arange(N_EVENTS)
    reach = 1 + step * len(TEXTS) // N_EVENTS
    columns = {
        name: [TEXTS[generator.integers(n)] if generator.random() < 0.9 else None for n in reach]
        for name in FIELDS
    }
    columns["event"] = [text or "seen" for text in columns["event"]]
    late = step >= N_EVENTS // 2
    columns["device"] = [
        text if is_late else None for text, is_late in zip(columns["device"], late, strict=True)
    ]
    times = np.datetime64("2025-01-01", "us") + step * np.timedelta64(1, "h")
    table = pl.DataFrame(
        {
            "user": [f"user-{number % 7}" for number in step],
            "time": times,
            "height": np.where(late, step, np.nan),
            **columns,
        }
    )
    table.write_parquet(folder / "log.parquet")
    mapping = ColumnMapping(extras=("device", "height"))
    ingest([folder / "log.parquet"], folder / "store", mapping=mapping)
    return Log(EventStore.open(folder / "store"), table, times.astype(np.int64))


def limits_of(most: int) -> dict[str, int]:
    return {"event": most, "item": most, "category": most, "extra": most}


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, N_EVENTS - 1),
    st.tuples(st.integers(1, len(TEXTS)), st.integers(0, len(TEXTS) + 1)),
)
def test_known_values_keep_their_codes_and_the_most_frequent_new_ones_follow(
    log: Log, first: int, rooms: tuple[int, int]
) -> None:
    early, late, (few, room) = int(log.times[first]), int(log.times[-1]), rooms
    known = fit_vocabulary(log.store, as_of=early, limits=limits_of(few))
    grown = grow_vocabulary(known, log.store, as_of=late, limits=limits_of(room))
    assert grown.categorical[: len(known.values)] == known.categorical
    assert grown.numeric[: len(known.numeric)] == known.numeric
    assert set(grown.categorical) == set(FIELDS)
    assert "height" in grown.numeric
    for name in grown.categorical:
        before = known.values.get(name, ())
        assert grown.values[name][: len(before)] == before
        if before:
            assert grown.encode(name, before) == known.encode(name, before)
        counts = log.counts(name, as_of=late)
        unknown = [text for text in counts if text is not None and text not in before]
        unknown.sort(key=lambda text: (-counts[text], text))
        assert list(grown.values[name][len(before) :]) == unknown[: max(0, room - len(before))]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, N_EVENTS - 1), st.integers(1, len(TEXTS)))
def test_nothing_grows_where_nothing_is_new(log: Log, first: int, most: int) -> None:
    as_of = int(log.times[first])
    known = fit_vocabulary(log.store, as_of=as_of, limits=limits_of(most))
    assert grow_vocabulary(known, log.store, as_of=as_of, limits=limits_of(most)) == known


@settings(max_examples=20, deadline=None)
@given(st.integers(1, N_EVENTS - 1), st.integers(1, len(TEXTS)))
def test_events_are_counted_per_code(log: Log, last: int, most: int) -> None:
    as_of = int(log.times[last])
    known = fit_vocabulary(log.store, as_of=as_of, limits=limits_of(most))
    known = replace(known, values={**known.values, "never": ("x", "y")})
    found = known_counts(known, log.store, as_of=as_of)
    for name in known.categorical:
        counts = log.counts(name, as_of=as_of) if name != "never" else Counter({None: last + 1})
        expected = [counts[text] for text in known.values[name]]
        other = sum(counts.values()) - counts[None] - sum(expected)
        assert found[name].tolist() == [counts[None], other, *expected]
        assert (MISSING, OTHER, FIRST) == (0, 1, 2)


def test_fields_and_values_that_a_store_lacks_stay(log: Log) -> None:
    known = Vocabulary({"event": ("gone", "seen"), "colour": ("red",)}, ("weight",), "session")
    grown = grow_vocabulary(known, log.store, as_of=log.store.newest, limits=limits_of(99))
    assert grown.values["colour"] == ("red",)
    assert grown.values["event"][:2] == ("gone", "seen")
    assert grown.numeric[0] == "weight"
    assert grown.grouping == "session"
    assert Vocabulary.from_json(grown.to_json()) == grown


@pytest.mark.parametrize(
    "known",
    [
        Vocabulary({"event": ("a",), "height": ("tall",)}, ()),
        Vocabulary({"event": ("a",)}, ("device",)),
    ],
)
def test_a_field_that_changed_its_kind_is_refused(log: Log, known: Vocabulary) -> None:
    with pytest.raises(FitError, match=r"changed its kind: (height|device) of"):
        grow_vocabulary(known, log.store, as_of=log.store.newest, limits=limits_of(9))
