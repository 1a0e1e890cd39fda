"""Journeys and forecasts over HTTP: as the commands give them, or refused, and never failures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from typer.testing import CliRunner

from segmenter.__main__ import build_app
from segmenter.errors import ConfigError
from segmenter.events.samples import planted_personas
from segmenter.mlflow_home import MlflowHome
from serving.api.generate_answers import Source
from serving.api.generate_schemas import PATHS
from serving.api.keys import add_key, read_keys
from serving.api.server import ServerSettings
from serving.api.settings import Limits
from tests.models import World, make_store, with_sessions
from tests.serving.api.running import Client, running

NOWHERE = MlflowHome(Path("nowhere"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough users that some segments have fifty and others have not."""
    log = with_sessions(planted_personas(260, seed=3, n_days=30).events)
    return make_store(log, tmp_path_factory.mktemp("crowd")).path


@pytest.fixture(scope="module")
def sizes(world: World, store: Path) -> np.ndarray:
    """Users of each segment whom the model learned from."""
    return np.bincount(Source.read(world.model, store).population.segments, minlength=99)


@pytest.fixture(scope="module")
def drawing(world: World, store: Path) -> Iterator[Client]:
    """A server that generates."""
    with running(ServerSettings(NOWHERE, str(world.bundle), generate_store=store)) as asking:
        yield asking


def command(world: World, store: Path, *words: str) -> Any:
    """What the command line answers."""
    model = ("--store", str(store), "--model", str(world.bundle), "--json")
    done = CliRunner().invoke(build_app(), [*words, *model])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


CASES = [
    ({"n": 6, "seed": 4}, "--n 6 --seed 4"),
    ({"segment": 0, "n": 7, "temperature": 0.7}, "--segment {0} --n 7 --temperature 0.7"),
    ({"mixture": {0: 0.75, 1: 0.25}, "n": 8}, "--segment {0}:0.75 --segment {1}:0.25 --n 8"),
    ({"place": "user:{user}", "n": 3, "seed": 2}, "--from-point user:{user} --n 3 --seed 2"),
    (
        {"path": ["user:{user}", "segment:{0}"], "n": 2, "steps": 3, "on_the_data": True},
        "--path user:{user} segment:{0} --n 2 --steps 3 --on-the-data",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case[1] for case in CASES])
def test_journeys_are_those_of_the_command(  # noqa: PLR0917 - the parameters of a case
    drawing: Client,
    world: World,
    store: Path,
    sizes: np.ndarray,
    tmp_path: Path,
    case: tuple[dict[str, Any], str],
) -> None:
    asked, words = case
    first, second = np.argsort(-sizes)[:2].tolist()
    named = {"user": world.store.user_ids()[3]}
    filled = [word.format(first, second, **named) for word in words.split()]
    asked = dict(asked)
    if "segment" in asked:
        asked["segment"] = first
    if "mixture" in asked:
        asked["mixture"] = {str(first): 0.75, str(second): 0.25}
    for name in ("place", "path"):
        if name in asked:
            text = json.dumps(asked[name]).format(first, **named)
            asked[name] = json.loads(text)
    found = drawing.post("/v1/generate", asked)
    assert found.status == 200, found.body
    answer, out = found.plain, tmp_path / "out"
    wanted = command(world, store, "generate", "--out", str(out), *filled)
    journeys = answer.pop("journeys")
    assert answer.pop("describes_users") == ("place" not in asked and "path" not in asked)
    assert answer == {name: wanted[name] for name in wanted if name not in ("out", "files")}
    about = pl.read_parquet(out / "journeys.parquet").drop("point")
    assert [{name: one[name] for name in about.columns} for one in journeys] == about.to_dicts()
    log = pl.read_parquet(out / "events.parquet")
    events = [event for one in journeys for event in one["events"]]
    told = pl.DataFrame(events, infer_schema_length=None).with_columns(
        pl.col("time").str.to_datetime(time_unit="us", time_zone="UTC")
    )
    assert told.equals(log.select(told.columns))
    lines = drawing.ask("POST", "/v1/generate", asked, accept="application/x-ndjson")
    assert (lines.headers["content-type"], lines.lines) == ("application/x-ndjson", journeys)


def test_a_journey_can_be_asked_a_segment_of(drawing: Client) -> None:
    (journey,) = drawing.post("/v1/generate", {"n": 1}).plain["journeys"]
    found = drawing.post("/v1/assign", {"user_id": "made", "events": journey["events"]})
    assert found.status == 200, found.body


def test_a_group_below_fifty_users_is_refused(
    drawing: Client, world: World, sizes: np.ndarray
) -> None:
    small = next(one.id for one in world.model.segments if sizes[one.id] < 50)
    listed = world.store.user_ids().head(49).to_list()
    for asked in ({"segment": small}, {"place": f"segment:{small}"}, {"users": listed}):
        found = drawing.post("/v1/generate", asked)
        assert found.status == 422
        assert found.headers["content-type"] == "application/problem+json"
        assert "at least 50 users" in found.plain["detail"]


def test_a_list_of_users_is_drawn_as_they_lie(drawing: Client, world: World) -> None:
    listed = world.store.user_ids().to_list()
    found = drawing.post("/v1/generate", {"users": listed, "n": 3})
    assert found.plain["request"]["users"] == len(listed)
    assert len(found.plain["journeys"]) == 3


def test_a_forecast_is_that_of_the_command(drawing: Client, world: World, store: Path) -> None:
    user = world.store.user_ids()[3]
    found = drawing.post("/v1/forecast", {"user": user})
    assert found.status == 200, found.body
    assert found.plain == command(world, store, "forecast", "--user", user)
    stranger = drawing.post("/v1/forecast", {"user": "stranger"})
    assert (stranger.status, "no user" in stranger.plain["detail"]) == (422, True)


@pytest.mark.parametrize("path", PATHS)
def test_the_document_holds_an_example_that_is_a_request(drawing: Client, path: str) -> None:
    """An example cannot name a user of this store; all else of it is answered."""
    document = drawing.get("/openapi.json").plain["paths"][path]["post"]
    (content,) = document["requestBody"]["content"].values()
    found = drawing.post(path, content["example"])
    assert found.status == 200 or "no user" in found.plain["detail"], found.body


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"n": 0}, "n"),
        ({"n": 501}, "n"),
        ({"n": 100, "path": ["user:a", "user:b"], "steps": 5}, "body"),
        ({"n": "5"}, "n"),
        ({"segment": 1, "place": "user:a"}, "body"),
        ({"mixture": {}}, "mixture"),
        ({"mixture": {"1": 0.0}}, "mixture.1"),
        ({"path": ["user:a"]}, "path"),
        ({"users": []}, "users"),
        ({"seed": -1}, "seed"),
        ({"temperature": 6.0}, "temperature"),
        ({"correct": True}, "correct"),
    ],
)
def test_a_refusal_names_the_field(drawing: Client, asked: dict[str, Any], field: str) -> None:
    found = drawing.post("/v1/generate", asked)
    assert (found.status, found.fields) == (422, [field])


places = st.sampled_from(["user:nobody", "user:", "segment:1", "segment:²", "segment:99", "\x00"])
words = places | st.text(max_size=4)
wild = st.none() | st.integers(-2, 9) | st.integers() | st.floats() | words | st.lists(words)
fields = "n segment mixture users place path steps on_the_data seed temperature user more"
weights = st.dictionaries(st.sampled_from(["1", "2", "99", "x", "²", ""]), wild, max_size=3)
bodies = st.dictionaries(st.sampled_from(fields.split()), wild | weights, max_size=4)
sensible = st.fixed_dictionaries(
    {"n": st.integers(1, 3)},
    optional={"seed": st.integers(0, 2**32 - 1), "temperature": st.floats(0, 5)},
).flatmap(
    lambda asked: st.sampled_from(
        [
            *({"segment": one} for one in (-1, 0, 1, 2, 10**30)),
            *({"place": one} for one in ("segment:1", "segment:²", "segment:" + "9" * 900)),
            {"mixture": {"1": 1e-6, "2": 1e6}},
            {"path": ["segment:1", "segment:1"]},
            {"users": ["\x00"]},
        ]
    ).map(lambda source: asked | source)
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PATHS), bodies | sensible | st.binary(max_size=20))
def test_whatever_is_asked_is_answered_or_refused(
    drawing: Client, path: str, body: dict[str, Any] | bytes
) -> None:
    found = drawing.post(path, body)
    assert found.status in (200, 400, 422), found.body


def test_a_key_needs_the_scope(world: World, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    space, generate = (add_key(path, name, scopes=[name]) for name in ("space", "generate"))
    keys = read_keys(path)
    with running(
        ServerSettings(NOWHERE, str(world.bundle), keys=keys, generate_store=store)
    ) as asking:
        for name in PATHS:
            assert Client(asking.port, space).post(name, {}).status == 403
        assert Client(asking.port).post("/v1/generate", {}).status == 401
        assert Client(asking.port, generate).post("/v1/generate", {"n": 1}).status == 200
        assert Client(asking.port, generate).get("/v1/segments").status == 403


def test_a_full_house_is_told_when_to_come_again(world: World, store: Path) -> None:
    full = Limits(space_waiting=0)
    with running(
        ServerSettings(NOWHERE, str(world.bundle), limits=full, generate_store=store)
    ) as asking:
        found = asking.post("/v1/generate", {"n": 1})
        assert (found.status, found.headers["retry-after"]) == (503, "1")
        assert asking.get("/v1/segments").status == 200


def test_a_server_without_a_store_has_no_such_routes(
    client: Client, world: World, tmp_path: Path
) -> None:
    assert {client.post(path, {}).status for path in PATHS} == {404}
    with pytest.raises(ConfigError, match="--generate-store"):
        Source.read(world.model, tmp_path / "nothing")
