"""The space over HTTP: the answers of the commands, and refusals that are never failures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from hypothesis import HealthCheck, given, settings, strategies as st
from typer.testing import CliRunner

from segmenter.errors import ConfigError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from serving import space_commands
from serving.api.keys import add_key, read_keys
from serving.api.server import ServerSettings
from serving.api.space_routes import read_space
from serving.api.space_schemas import PATHS
from serving.batch import score
from tests.models import World
from tests.serving.api.running import Client, running
from tests.space.clouds import people

NOWHERE = MlflowHome(Path("nowhere"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Embeddings and what is known of their users."""
    space, folder = people(), tmp_path_factory.mktemp("space")
    user = space.ids.alias("user_id")
    vectors = pl.Series("embedding", space.vectors.tolist())
    pl.DataFrame([user, vectors]).write_parquet(folder / "embeddings.parquet")
    space.metadata.insert_column(0, user).write_parquet(folder / "metadata.parquet")
    return {name: folder / f"{name}.parquet" for name in ("embeddings", "metadata")}


@pytest.fixture(scope="module")
def plain(world: World, files: dict[str, Path]) -> Iterator[Client]:
    """A server with plain embeddings."""
    with running(
        ServerSettings(
            NOWHERE,
            str(world.bundle),
            space=files["embeddings"],
            space_metadata=files["metadata"],
        )
    ) as asking:
        yield asking


@pytest.fixture(scope="module")
def scored(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with the scores of its own model."""
    out = tmp_path_factory.mktemp("scored")
    model = resolve(NOWHERE, str(world.bundle))
    score(world.store.path, out, model, as_of=world.store.newest)
    with running(ServerSettings(NOWHERE, str(world.bundle), space=out)) as asking:
        yield asking


def command(files: dict[str, Path], *words: str) -> Any:
    """What the command line answers."""
    app = typer.Typer()
    space_commands.register(app)
    app.callback()(lambda: None)
    options = [f"--{name}={path}" for name, path in files.items()]
    done = CliRunner().invoke(app, ["space", *words, *options, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


CASES = [
    (
        "search",
        {"near": "user:u7", "minus": "age=65+", "plus": "age=19-24", "groups": "age", "k": 4},
        "search --near user:u7 --minus age=65+ --plus age=19-24 --groups age --k 4",
    ),
    (
        "direction",
        {"target": "age=65+", "reference": "age=19-24", "without": ["spend"], "apply": "user:u7"},
        "direction --target age=65+ --reference age=19-24 --without spend --apply user:u7",
    ),
    (
        "path",
        {"start": "age=65+", "end": "age=19-24", "steps": 3, "on_the_data": True},
        "path --from age=65+ --to age=19-24 --steps 3 --on-the-data",
    ),
    (
        "drift",
        {"group": "age=65+", "target": "age=19-24", "by": "segment_id"},
        "drift --group age=65+ --target age=19-24 --by segment_id",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_an_answer_is_that_of_the_command(
    plain: Client, files: dict[str, Path], case: tuple[str, dict[str, Any], str]
) -> None:
    name, asked, words = case
    found = plain.post(f"/v1/space/{name}", asked)
    assert (found.status, found.plain) == (200, command(files, *words.split()))


def test_look_alikes_are_those_of_the_command(plain: Client, files: dict[str, Path]) -> None:
    ids = people().ids.filter(people().metadata["age"] == "65+").head(60).to_list()
    asked = {"seeds": [*ids, "stranger"], "controls": ["spend"], "audit": ["age"], "n_users": 40}
    found = plain.post("/v1/space/lookalikes", asked).plain
    listed = files["embeddings"].parent / "seeds.csv"
    pl.DataFrame({"user_id": ids}).write_csv(listed)
    words = ("--seeds", str(listed), "--control", "spend", "--share", "0.1")
    wanted = command(files, "lookalike", *words)
    assert found["curve"] == wanted["curve"]
    assert found["controls"] == wanted["controls"]
    assert len(found["users"]) == 40
    assert found["n_unknown_seeds"] == 1
    assert "age" in found["audit"]


@pytest.mark.parametrize("name", PATHS)
def test_every_example_of_the_document_is_answered(scored: Client, name: str) -> None:
    """But for seeds that a model without training does not set apart."""
    document = scored.get("/openapi.json").plain["paths"][f"/v1/space/{name}"]["post"]
    (content,) = document["requestBody"]["content"].values()
    found = scored.post(f"/v1/space/{name}", content["example"])
    assert found.status == 200 or (name == "lookalikes" and found.status == 422), found.body


def test_behaviour_is_searched_for_with_the_model_of_the_space(
    scored: Client, plain: Client, request_of_one: dict
) -> None:
    told = scored.get("/v1/space").plain
    assert (told["of_model_in_use"], plain.get("/v1/space").plain["of_model_in_use"]) == (
        True,
        False,
    )
    asked = {"events": request_of_one["events"], "k": 3}
    found = scored.post("/v1/space/search", asked).plain["users"]
    assert len(found) == 3
    assert plain.post("/v1/space/search", asked).status == 409
    bad = scored.post("/v1/space/search", {"events": [{"event": "view"}]})
    assert bad.fields == ["events[0].time"]


def test_seeds_that_nothing_sets_apart_are_refused_with_the_reason(plain: Client) -> None:
    found = plain.post("/v1/space/lookalikes", {"seed_group": "known=true"})
    assert found.status == 422
    assert found.headers["content-type"] == "application/problem+json"
    assert "not distinctive" in found.plain["detail"]
    strangers = plain.post("/v1/space/lookalikes", {"seeds": ["x"]})
    assert "nobody of the 1 seeds" in strangers.plain["detail"]


@pytest.mark.parametrize(
    ("name", "asked", "field"),
    [
        ("search", {}, "body"),
        ("search", {"near": "age=65+", "events": []}, "events"),
        ("search", {"near": "age=65+", "k": 1001}, "k"),
        ("search", {"near": "age=65+", "k": "3"}, "k"),
        ("lookalikes", {"seeds": []}, "seeds"),
        ("lookalikes", {"seed_group": "age=65+", "seeds": ["u1"]}, "body"),
        ("lookalikes", {"seeds": ["u"] * 10_001}, "seeds"),
        ("direction", {"target": "age=65+"}, "reference"),
        ("path", {"start": "user:u1", "end": "user:u2", "steps": 51}, "steps"),
        ("drift", {"group": "age=65+", "target": "x" * 1001}, "target"),
        ("drift", {"group": "age=65+", "target": "age=19-24", "more": 1}, "more"),
    ],
)
def test_a_refusal_names_the_field(  # noqa: PLR0917 - the parameters of a case
    plain: Client, name: str, asked: dict, field: str
) -> None:
    assert plain.post(f"/v1/space/{name}", asked).fields == [field]


words = st.sampled_from(
    [
        *("user:u1", "user:nobody", "age=65+", "age>3", "spend>1e999", "spend>nan", "spend>100"),
        *("", "=", "age", "segment_id", "spend", "colour=red", "age=65+ & spend<=10", "\x00"),
    ]
)
values = words | st.none() | st.integers(-2, 40) | st.floats() | st.lists(words, max_size=2)
names = "near minus plus events where groups k seeds seed_group controls already balance audit"
names += " target reference without apply amount start end steps on_the_data group by seed"
bodies = st.dictionaries(st.sampled_from(names.split()), values, max_size=6)
sensible = st.fixed_dictionaries(
    {"near": words, "start": words, "end": words, "group": words, "target": words},
    optional={"reference": words, "seed_group": words, "by": words, "where": words, "apply": words}
    | {
        "groups": words,
        "already": words,
        "balance": words,
        "controls": st.lists(words, max_size=2),
    },
)
FIELDS = {
    "search": ("near", "where", "groups"),
    "lookalikes": ("seed_group", "already", "balance", "controls"),
    "direction": ("target", "reference", "apply"),
    "path": ("start", "end"),
    "drift": ("group", "target", "by"),
}


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PATHS), bodies, sensible)
def test_whatever_is_asked_is_answered_or_refused(  # noqa: PLR0917 - drawn by Hypothesis
    plain: Client, name: str, wild: dict, asked: dict
) -> None:
    mended = {field: asked[field] for field in FIELDS[name] if field in asked}
    for body in (wild, mended):
        found = plain.post(f"/v1/space/{name}", body)
        assert found.status in (200, 400, 422), found.body


def test_a_key_needs_the_scope(world: World, files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assign, space = (add_key(path, name, scopes=[name]) for name in ("assign", "space"))
    with running(
        ServerSettings(NOWHERE, str(world.bundle), keys=read_keys(path), space=files["embeddings"])
    ) as client:
        asked = {"near": "user:u1", "k": 1}
        assert Client(client.port, assign).post("/v1/space/search", asked).status == 403
        assert Client(client.port, space).post("/v1/space/search", asked).status == 200
        assert Client(client.port, space).get("/v1/space").status == 200
        assert Client(client.port, space).get("/v1/segments").status == 403


def test_a_server_without_a_space_has_no_such_routes(client: Client, tmp_path: Path) -> None:
    assert client.post("/v1/space/search", {"near": "user:u1"}).status == 404
    with pytest.raises(ConfigError, match="--space"):
        read_space(tmp_path / "nothing", None)
