"""Whatever is sent, the answer is an answer or a problem that names a field, never a failure."""

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.models import World
from tests.serving.api.running import Client, Reply, json_lines


def encoded(value: Any) -> bytes:
    """As a careless sender writes it: NaN and infinities as they are, surrogates too."""
    return json.dumps(value).encode()


FIELDS = ["user_id", "events", "as_of", "time", "event", "category", "item", "value", "session"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**400, -(10**4000), 2**63, -(2**63), 0, -1, 3.5e38, 1e308, -0.0])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\x00", "\ud800", "٣", "2017-10-01", "9999-12-31T23:59:59-14:00"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=12,
)
events = st.dictionaries(st.sampled_from(FIELDS), values, max_size=6)
requests = st.fixed_dictionaries(
    {
        "user_id": st.text(min_size=1, max_size=4) | values,
        "events": st.lists(events, max_size=4) | values,
    },
    optional={"as_of": values, "more": values},
)
bodies = st.binary(max_size=60) | (requests | values).map(encoded)


def check(found: Reply) -> None:
    assert found.status == 200 or 400 <= found.status < 500, found.body
    if found.status == 422:
        assert found.headers["content-type"] == "application/problem+json"
        assert all(error["field"] and error["message"] for error in found.plain["errors"])


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(bodies, st.sampled_from(["/v1/assign", "/v1/embed"]))
def test_any_body_is_answered_or_refused(client: Client, body: bytes, path: str) -> None:
    check(client.post(path, body))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(bodies, max_size=4))
def test_any_lines_are_answered_or_refused(client: Client, bodies: list[bytes]) -> None:
    found = client.post("/v1/assign:batch", b"\n".join(bodies))
    assert found.status == 200
    for line in found.lines:
        assert "segment_id" in line or 400 <= line["error"]["status"] < 500


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(0, 10**16), st.floats(-3.4e38, 3.4e38)), min_size=1, max_size=6)
)
def test_any_possible_history_is_answered(
    client: Client, world: World, drawn: list[tuple[int, float]]
) -> None:
    history = [
        {"time": world.store.newest - age, "event": "view", "value": value}
        for age, value in drawn
        if age < world.store.newest
    ]
    request = {"user_id": "a", "events": history, "as_of": world.store.newest}
    found = client.post("/v1/assign", request)
    assert found.status in (200, 422)
    if found.status == 200:
        assert math.isfinite(found.plain["novelty"])
        assert 0 <= found.plain["strength"] <= 1


@pytest.mark.parametrize(
    "case",
    [
        ("events", [], "events"),
        ("events", None, "events"),
        ("user_id", "", "user_id"),
        ("user_id", 7, "user_id"),
        ("user_id", "u" * 300, "user_id"),
        ("as_of", "yesterday", "as_of"),
        ("as_of", "2400-01-01", "as_of"),
        ("as_of", "1950-01-01", "events"),
        ("more", 1, "more"),
    ],
)
def test_a_refusal_names_the_field_of_a_request(
    client: Client, request_of_one: dict, case: tuple[str, Any, str]
) -> None:
    name, value, named = case
    found = client.post("/v1/assign", request_of_one | {name: value})
    assert (found.status, found.fields) == (422, [named])


@pytest.mark.parametrize(
    "case",
    [
        ("time", "2400-01-01"),
        ("time", -(10**19)),
        ("time", 10**30),
        ("time", float("nan")),
        ("time", None),
        ("time", True),
        ("time", []),
        ("event", ""),
        ("event", None),
        ("event", 3),
        ("category", 3),
        ("category", "x" * 1001),
        ("value", "7"),
        ("value", True),
        ("value", float("nan")),
        ("value", float("-inf")),
        ("value", 1e39),
        ("value", [1]),
    ],
)
def test_a_refusal_names_the_field_of_an_event(
    client: Client, request_of_one: dict, case: tuple[str, Any]
) -> None:
    name, value = case
    request_of_one["events"][2][name] = value
    for path in ("/v1/assign", "/v1/embed"):
        found = client.post(path, request_of_one)
        assert (found.status, found.fields) == (422, [f"events[2].{name}"])
    (line,) = client.post("/v1/assign:batch", json_lines([request_of_one])).lines
    assert line["error"]["errors"][0]["field"] == f"events[2].{name}"


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"{", b"\xff", b'{"a": 1' + b"0" * 9999])
def test_what_is_no_json_is_a_bad_request(client: Client, body: bytes) -> None:
    assert client.post("/v1/assign", body).status == 400


def test_a_refund_is_a_value_as_it_is_in_batch_scoring(
    client: Client, request_of_one: dict
) -> None:
    request_of_one["events"][0]["value"] = -12.5
    assert client.post("/v1/assign", request_of_one).status == 200
