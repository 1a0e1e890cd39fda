"""Times of requests are read as times of a log are."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, strategies as st
from pydantic_core import PydanticCustomError

from segmenter.events.times import to_microseconds
from serving.api.times import microseconds

zones = st.none() | st.builds(
    lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)), st.integers(-14 * 60, 14 * 60)
)
moments = st.datetimes(dt.datetime(1900, 1, 2), dt.datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001 - zones are drawn


def read(value: object) -> int | None:
    try:
        return microseconds(value)
    except PydanticCustomError:
        return None


@given(moments, st.sampled_from("T "))
def test_texts_mean_the_same_as_in_a_log(moment: dt.datetime, between: str) -> None:
    text = moment.isoformat(between)
    assert microseconds(text) == to_microseconds(pl.Series([text])).item()


@given(st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**12), 10**12))
def test_whole_numbers_mean_the_same_as_in_a_log(number: int) -> None:
    assert read(number) == to_microseconds(pl.Series([number], dtype=pl.Int64)).item()


@given(st.floats() | st.floats(-1e12, 1e12))
def test_numbers_mean_the_same_as_in_a_log(number: float) -> None:
    assert read(number) == to_microseconds(pl.Series([number], dtype=pl.Float64)).item()


@given(st.text() | st.booleans() | st.none() | st.lists(st.integers()) | st.integers())
def test_what_is_no_time_is_refused_and_never_fails_otherwise(value: object) -> None:
    found = read(value)
    if isinstance(value, str) and found is not None:
        assert found == to_microseconds(pl.Series([value])).item()


@pytest.mark.parametrize("text", ["2017-W05-1", "20171001", "2017-10-01x10:00", "17-10-01", ""])
def test_further_forms_of_python_are_none(text: str) -> None:
    assert read(text) is None
