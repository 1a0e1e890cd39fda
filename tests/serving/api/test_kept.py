"""Kept histories over HTTP: the answers of whole ones, and the refusals."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from segmenter.clock import EPOCH
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from serving.api.kept import appended
from serving.api.scorer import Scorer
from serving.api.server import ServerSettings
from serving.api.settings import Limits
from serving.state.stores import MemoryStore, Retention
from tests.models import World, make_model
from tests.serving.api.running import Client, requests_of, running
from tests.serving.api.test_malformed import bodies, check

NOWHERE = MlflowHome(Path("nowhere"))
SAME = ("user_id", "segment_id", "segment_name", "second_segment_id", "as_of", "model_version")


@pytest.fixture(scope="module")
def keeping(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that keeps histories in a file."""
    where = f"sqlite:{tmp_path_factory.mktemp('state') / 'state.db'}"
    with running(ServerSettings(NOWHERE, str(world.bundle), state=where)) as asking:
        yield asking


def append(client: Client, user: str, events: list[dict], **more: object) -> dict:
    found = client.post("/v1/users:append", {"user_id": user, "events": events} | more)
    assert found.status == 200, found.body
    return found.plain


def test_a_kept_history_has_the_answers_of_the_whole_one(keeping: Client, world: World) -> None:
    users = world.store.user_ids()[:12].to_list()
    for request in requests_of(world.log, users, as_of=world.store.newest):
        events = sorted(request["events"], key=lambda event: event["time"])
        append(keeping, request["user_id"], events[:-3])
        for event in events[-3:]:
            append(keeping, request["user_id"], [event])
        last = {"as_of": world.store.newest}
        found = append(keeping, request["user_id"], [], **last)
        wanted = keeping.post("/v1/assign", request).plain
        assert [found[name] for name in SAME] == [wanted[name] for name in SAME]
        np.testing.assert_allclose(found["strength"], wanted["strength"], atol=1e-5)
        assert (found["n_events"], found["n_repeated"]) == (len(events), 0)


def test_a_request_sent_twice_counts_once_and_replace_begins_anew(
    keeping: Client, request_of_one: dict
) -> None:
    events = request_of_one["events"]
    first = append(keeping, "twice", events)
    again = append(keeping, "twice", events)
    assert (again["n_events"], again["n_repeated"]) == (first["n_events"], len(events))
    few = append(keeping, "twice", events[:2], replace=True)
    assert (few["n_events"], few["n_repeated"]) == (2, 0)


def test_nobody_is_known_before_and_after(keeping: Client, request_of_one: dict) -> None:
    nobody = {"user_id": "nobody", "events": []}
    assert keeping.post("/v1/users:append", nobody).status == 404
    append(keeping, "nobody", request_of_one["events"])
    forget = {"user_id": "nobody"}
    assert keeping.post("/v1/users:forget", forget).plain == {"forgotten": True}
    assert keeping.post("/v1/users:forget", forget).plain == {"forgotten": False}
    assert keeping.post("/v1/users:append", nobody).status == 404


def test_what_cannot_be_gone_on_with_is_a_conflict_and_changes_nothing(
    keeping: Client, world: World
) -> None:
    newest = world.store.newest
    event = {"event": "view", "category": "shoes"}
    history = [event | {"time": newest - 60_000_000 * minute} for minute in range(150)]
    told = append(keeping, "long", history)
    late = {"user_id": "long", "events": [event | {"time": newest - 86_400_000_000}]}
    found = keeping.post("/v1/users:append", late)
    assert found.status == 409
    assert "send the whole history with replace" in found.plain["detail"]
    early = {"user_id": "long", "events": [event | {"time": newest}], "as_of": newest - 1}
    assert keeping.post("/v1/users:append", early).fields == ["as_of"]
    assert append(keeping, "long", [])["n_events"] == told["n_events"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user_id": "a"}, "events"),
        ({"user_id": "a", "events": [], "replace": "yes"}, "replace"),
        ({"events": []}, "user_id"),
        ({"user_id": "a", "events": [{"event": "view"}]}, "events[0].time"),
        ({"user_id": "a", "events": [], "more": 1}, "more"),
    ],
)
def test_a_refusal_names_the_field(keeping: Client, body: dict, field: str) -> None:
    assert keeping.post("/v1/users:append", body).fields == [field]


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(bodies, st.sampled_from(["append", "forget"]))
def test_any_body_is_answered_or_refused(keeping: Client, body: bytes, name: str) -> None:
    check(keeping.post(f"/v1/users:{name}", body))


@pytest.mark.parametrize("body", [{}, {"user_id": ""}, {"user_id": 1}, {"user_id": "a", "b": 1}])
def test_only_a_user_can_be_forgotten(keeping: Client, body: dict) -> None:
    assert keeping.post("/v1/users:forget", body).status == 422


def test_a_history_goes_on_under_a_new_model(world: World, tmp_path: Path) -> None:
    other = make_model(world.store, seed=1).save(tmp_path / "other")
    bundles = (world.bundle, tmp_path / "other")
    first, second = (Scorer.load(resolve(NOWHERE, str(one)), Limits()) for one in bundles)
    (request,) = requests_of(world.log, world.store.user_ids()[:1].to_list())
    (wanted,) = second.assign([request], EPOCH)
    store = MemoryStore(Retention())
    told = appended(first, store, request, now=EPOCH)
    after = appended(second, store, request | {"events": []}, now=EPOCH)
    assert (told["model_version"], after["model_version"]) == (world.model.digest, other.digest)
    assert after["n_events"] == told["n_events"]
    assert after["segment_id"] == wanted["segment_id"]


def test_a_server_that_keeps_nobody_has_no_such_routes(client: Client) -> None:
    assert client.post("/v1/users:append", {"user_id": "a", "events": []}).status == 404
    assert "/v1/users:append" not in client.get("/openapi.json").plain["paths"]


def test_the_document_describes_what_is_kept(keeping: Client) -> None:
    document = keeping.get("/openapi.json").plain
    for path in ("/v1/users:append", "/v1/users:forget"):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert keeping.post(path, content["example"]).status == 200
    assert "replace" in document["components"]["schemas"]["AppendedEvents"]["properties"]
