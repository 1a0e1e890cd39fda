"""Numbers of requests are taken or refused as those of a log are: refunds are taken."""

import datetime as dt
import json

import polars as pl
import pytest
from hypothesis import given, strategies as st

from segmenter.clock import EPOCH
from segmenter.events.bounds import LARGEST
from segmenter.events.cleaning import ROW, CleaningRules, clean_rows
from segmenter.events.contract import Layout
from segmenter.events.vocabulary import Vocabulary
from serving.api.problems import Problem
from serving.api.schemas import RequestReader
from serving.api.settings import Limits

FIELDS = ("user", "time", "event", "value", "quantity")
LAYOUT = Layout({name: name for name in FIELDS}, {}, ())
RULES = CleaningRules(timezone="UTC", time_unit=None, until=None, latest=2**62)
READER = RequestReader(Vocabulary({"event": ("view",)}, ("value", "quantity")), Limits())
NOW = EPOCH + dt.timedelta(days=20_000)

numbers = st.floats(allow_nan=False) | st.sampled_from(
    [0.0, -0.0, -1.0, -12.5, LARGEST, -LARGEST, 1.01 * LARGEST, -1.01 * LARGEST]
)


def in_a_log(name: str, number: float) -> float | None:
    """The number as ingestion keeps it; None where it sets the row aside."""
    plain = {"user": "a", "time": 10**15, "event": "view", "value": 1.0, "quantity": 1.0}
    raw = pl.DataFrame({name_: [value] for name_, value in (plain | {name: number}).items()})
    rows = clean_rows(raw.with_columns(pl.lit(0).alias(ROW)), LAYOUT, RULES).rows
    return rows[name].item() if len(rows) else None


def online(name: str, number: float) -> float | None:
    """The number as a request has it; None where it is refused."""
    event = {"time": 10**15, "event": "view", name: number}
    body = json.dumps({"user_id": "a", "events": [event]}).encode()
    try:
        return READER.read(body, NOW)["events"][0][name]
    except Problem:
        return None


@given(st.sampled_from(["value", "quantity"]), numbers)
def test_a_number_is_taken_exactly_where_a_log_s_is(name: str, number: float) -> None:
    assert online(name, number) == in_a_log(name, number)


@pytest.mark.parametrize("name", ["value", "quantity"])
def test_a_negative_number_is_a_refund_or_a_return(name: str) -> None:
    assert online(name, -3.5) == -3.5
