"""What each route answers."""

import datetime as dt
import json

import pytest

from segmenter.clock import iso
from tests.models import World
from tests.serving.api.running import Client, json_lines


def test_an_answer_holds_all_that_was_promised(
    client: Client, world: World, request_of_one: dict
) -> None:
    found = client.post("/v1/assign", request_of_one)
    names = {segment.id: segment.name for segment in world.model.segments}
    answer = found.plain
    assert found.status == 200
    assert answer["user_id"] == request_of_one["user_id"]
    assert answer["segment_name"] == names[answer["segment_id"]]
    assert answer["second_segment_name"] == names[answer["second_segment_id"]]
    assert 0 < answer["strength"] <= 1
    assert answer["novelty"] > 0
    assert answer["as_of"] == iso(world.store.newest)
    assert answer["model_version"] == world.model.digest


def test_without_as_of_an_answer_holds_for_now(client: Client, request_of_one: dict) -> None:
    del request_of_one["as_of"]
    before = dt.datetime.now(dt.UTC)
    told = client.post("/v1/assign", request_of_one).plain["as_of"]
    assert before <= dt.datetime.fromisoformat(told) <= dt.datetime.now(dt.UTC)


def test_the_order_of_events_and_fields_that_the_model_does_not_read_do_not_matter(
    client: Client, request_of_one: dict
) -> None:
    usual = client.post("/v1/embed", request_of_one).plain
    for event in request_of_one["events"]:
        event["colour"] = {"deep": [1]}
    request_of_one["events"].sort(key=lambda event: -event["time"])
    assert client.post("/v1/embed", request_of_one).plain == usual


def test_blank_and_absent_and_null_are_all_missing(client: Client, world: World) -> None:
    event = {"time": world.store.newest, "event": "view"}
    forms = [{}, {"category": None, "value": None}, {"category": " \t"}, {"category": ""}]
    answers = [
        client.post(
            "/v1/embed",
            {"user_id": "a", "events": [event | more], "as_of": world.store.newest},
        ).plain
        for more in forms
    ]
    assert all(answer == answers[0] for answer in answers)
    other = {"user_id": "a", "events": [event | {"category": "?"}], "as_of": world.store.newest}
    assert client.post("/v1/embed", other).plain != answers[0]


def test_a_bad_line_of_a_batch_does_not_spoil_the_others(
    client: Client, request_of_one: dict
) -> None:
    late = request_of_one | {"as_of": "1950-01-01"}
    body = json_lines([request_of_one]) + b"\n \nnonsense\n" + json_lines([late, request_of_one])
    found = client.post("/v1/assign:batch", body.rstrip())
    first, nonsense, empty, last = found.lines
    assert found.status == 200
    alone = client.post("/v1/assign", request_of_one).plain
    for answer in (first, last):
        assert answer.pop("strength") == pytest.approx(alone["strength"], rel=1e-5)
        assert answer.pop("novelty") == pytest.approx(alone["novelty"], rel=1e-5)
        assert answer.items() <= alone.items()
    assert (nonsense["line"], nonsense["error"]["status"]) == (2, 400)
    assert (empty["line"], empty["error"]["errors"][0]["field"]) == (3, "events")


def test_segments_are_listed_and_told_one_by_one(client: Client, world: World) -> None:
    listed = client.get("/v1/segments").plain["segments"]
    assert [segment["name"] for segment in listed] == [s.name for s in world.model.segments]
    one = client.get(f"/v1/segments/{listed[2]['id']}").plain
    assert one == listed[2]
    assert one["facts"][0]["text"] == world.model.segments[2].facts[0].text
    assert client.get("/v1/segments/4711").status == 404
    assert client.get("/v1/segments/x").status == 422
    assert client.get("/v1/segments/" + "9" * 5000).status in (404, 422)


def test_the_model_and_health_and_metrics_are_told(client: Client, world: World) -> None:
    model = client.get("/v1/model").plain
    assert (model["sha256"], model["version"]) == (world.model.digest, None)
    assert model["fields"]["value"] == "number"
    assert client.get("/healthz").plain == {"status": "ok"}
    assert client.get("/readyz").plain["model"] == world.model.digest
    text = client.get("/metrics").body.decode()
    assert 'segmenter_requests_total{route="/healthz",status="200"}' in text
    assert f'sha256="{world.model.digest}"' in text


def test_the_document_names_the_fields_and_its_example_is_answered(client: Client) -> None:
    document = client.get("/openapi.json").plain
    event = document["components"]["schemas"]["Event"]
    assert {"event", "time", "category", "value"} <= set(event["properties"])
    assert set(event["required"]) == {"event", "time"}
    for path, mean in document["paths"].items():
        for content in mean.get("post", {}).get("requestBody", {}).get("content", {}).values():
            found = client.post(path, json.dumps(content["example"]).encode())
            assert found.status == 200
            assert "error" not in found.lines[0]


@pytest.mark.parametrize("path", ["/", "/v1/assign", "/v1/nothing", "/readyz/"])
def test_an_unknown_route_or_method_is_a_problem_too(client: Client, path: str) -> None:
    found = client.get(path)
    assert found.status in (404, 405)
    assert found.headers["content-type"] == "application/problem+json"
    assert found.plain["request_id"] == found.headers["x-request-id"]
