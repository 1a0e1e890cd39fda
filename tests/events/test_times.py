"""Times in every usual form become the same microseconds."""

import datetime as dt
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, strategies as st

from segmenter.errors import ConfigError
from segmenter.events.times import check_timezone, to_microseconds

MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
MICROS = 1_704_164_645_000_000

FORMS = [
    "2024-01-02T03:04:05Z",
    "2024-01-02T03:04:05",
    "2024-01-02 03:04:05",
    "2024-01-02 03:04:05.000",
    " 2024-01-02T03:04:05.000000Z ",
    "2024-01-02T05:04:05+02:00",
    "2024-01-02T05:04:05+0200",
    "2024-01-02 05:04:05+02",
    "2024-01-01 22:04:05 -0500",
    "2024-01-02 03:04:05 UTC",
    "2024-01-02 03:04:05.000000 UTC",
    "20240102T030405Z",
    "20240102T030405",
    "1704164645",
    "1704164645.0",
    "1704164645000",
    "1704164645000000",
    "1704164645000000000",
]
UNREADABLE = ["", "  ", "yesterday", "2024-13-01", "2024-01-02T25:00:00", "24-01-02", "nan", "inf"]


@pytest.mark.parametrize("text", FORMS)
def test_a_usual_form_is_read(text):
    assert to_microseconds(pl.Series([text])).to_list() == [MICROS]


def test_a_column_may_mix_forms_and_each_row_is_read_by_its_own():
    mixed = [*UNREADABLE, None, *FORMS, "2024-01-02", "2024-01-02 03:04", "2024-01-02T03:04Z"]
    found = to_microseconds(pl.Series(mixed)).to_list()
    nothing = [None] * (len(UNREADABLE) + 1)
    assert found == [
        *nothing,
        *[MICROS] * len(FORMS),
        MICROS - 11_045_000_000,
        *[MICROS - 5_000_000] * 2,
    ]


@given(
    st.lists(
        st.datetimes(dt.datetime(1900, 1, 2), dt.datetime(2200, 1, 1)),  # noqa: DTZ001 - zone below
        min_size=1,
    ),
    st.sampled_from(["UTC", "+05:30", "-09:00"]),
)
def test_iso_texts_agree_with_the_standard_library(moments, zone):
    offset = dt.UTC if zone == "UTC" else dt.datetime.strptime(zone, "%z").tzinfo
    aware = [moment.replace(tzinfo=offset) for moment in moments]
    expected = [
        (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        for moment in aware
    ]
    texts = pl.Series([moment.isoformat() for moment in aware])
    assert to_microseconds(texts).to_list() == expected
    assert to_microseconds(pl.Series(aware)).to_list() == expected


@given(st.lists(st.integers(200_000_000, 4_000_000_000), min_size=1))
def test_epoch_numbers_are_told_apart_by_their_size(seconds):
    expected = [second * 1_000_000 for second in seconds]
    for factor in (1, 10**3, 10**6, 10**9):
        numbers = [second * factor for second in seconds]
        assert to_microseconds(pl.Series(numbers)).to_list() == expected
        assert (
            to_microseconds(pl.Series([str(number) for number in numbers])).to_list() == expected
        )


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from(["s", "ms", "us", "ns"]))
def test_a_named_unit_wins_over_the_size(numbers, unit):
    shift = {"s": 10**6, "ms": 10**3, "us": 1, "ns": 1}[unit]
    expected = [number * shift // (1000 if unit == "ns" else 1) for number in numbers]
    assert to_microseconds(pl.Series(numbers), time_unit=unit).to_list() == expected


def test_fractions_of_seconds_survive_in_floating_point():
    column = pl.Series([1704164645.25, None, float("nan"), float("inf"), 1704164645250.0])
    expected = [MICROS + 250_000, None, None, None, MICROS + 250_000]
    assert to_microseconds(column).to_list() == expected


def test_numbers_beyond_every_calendar_are_no_times():
    huge = pl.Series([2**63 - 1, -(2**63), 10**12], dtype=pl.Int64)
    assert to_microseconds(huge, time_unit="s").to_list() == [None, None, None]
    assert to_microseconds(huge, time_unit="ms").to_list()[:2] == [None, None]


def test_times_without_zone_are_of_the_given_zone():
    texts = pl.Series(["2024-07-01 12:00:00", "2024-07-01T12:00:00Z", "2024-12-01"])
    paris = ZoneInfo("Europe/Paris")
    expected = [
        dt.datetime(2024, 7, 1, 12, tzinfo=paris),
        dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC),
        dt.datetime(2024, 12, 1, tzinfo=paris),
    ]
    micros = [int(moment.timestamp()) * 1_000_000 for moment in expected]
    assert to_microseconds(texts, timezone="Europe/Paris").to_list() == micros
    naive = pl.Series([dt.datetime(2024, 7, 1, 12)])  # noqa: DTZ001 - the point of the test
    assert to_microseconds(naive, timezone="Europe/Paris").to_list() == micros[:1]


def test_the_hour_struck_twice_is_the_first_and_the_skipped_hour_is_unreadable():
    texts = pl.Series(["2024-10-27 02:30:00", "2024-03-31 02:30:00"])
    first = dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC)
    found = to_microseconds(texts, timezone="Europe/Paris").to_list()
    assert found == [int(first.timestamp()) * 1_000_000, None]


def test_date_types_of_files_are_read():
    for unit in ("ms", "us", "ns"):
        assert to_microseconds(pl.Series([MOMENT]).cast(pl.Datetime(unit, "UTC"))).to_list() == [
            MICROS
        ]
    days = pl.Series([dt.date(2024, 1, 2), None])
    assert to_microseconds(days).to_list() == [MICROS - 11_045_000_000, None]
    assert to_microseconds(pl.Series([None, None])).to_list() == [None, None]


def test_an_unknown_zone_is_refused():
    check_timezone("America/New_York")
    with pytest.raises(ConfigError, match="Nowhere"):
        check_timezone("Nowhere/Land")
