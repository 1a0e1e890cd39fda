"""The creative space over HTTP: the answers of the commands, and refusals, never failures."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("transformers", reason="needs pip install '.[creative]'")

from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from segmenter.creative.store import CreativeSpace
from segmenter.errors import ConfigError, CreativeError
from segmenter.mlflow_home import MlflowHome
from serving.api.creative_answers import Library
from serving.api.creative_schemas import PATHS
from serving.api.keys import add_key, read_keys
from serving.api.server import ServerSettings
from tests.creative.test_commands import result_of
from tests.models import World
from tests.serving.api.running import Client, running

NOWHERE = MlflowHome(Path("nowhere"))


@pytest.fixture(scope="module")
def library(world: World, space: CreativeSpace) -> Iterator[Client]:
    """A server with the creative space."""
    with running(ServerSettings(NOWHERE, str(world.bundle), creative=space.folder)) as asking:
        yield asking


CASES = [
    ("search", {"query": "calm indoor scene", "k": 4}, ["calm indoor scene", "--k", "4"]),
    (
        "search",
        {"query": "calm", "picture": "{asset}", "where": "region=asia"},
        ["calm", "--picture", "{asset}", "--where", "region=asia"],
    ),
    (
        "spectrum",
        {"start": "calm", "end": "energetic", "n": 5, "anchor": "{asset}", "seed": 3},
        ["--from", "calm", "--to", "energetic", "--n", "5", "--anchor", "{asset}", "--seed", "3"],
    ),
    ("drift", {}, []),
    ("refresh", {"region": "asia"}, ["--region", "asia"]),
    (
        "audit",
        {"group": "presenter", "queries": ["presenter anna"], "compare": ["presenter ben"]},
        ["--group", "presenter", "--query", "presenter anna", "--compare", "presenter ben"],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]} {len(case[1])}" for case in CASES])
def test_an_answer_is_that_of_the_command(
    library: Client, space: CreativeSpace, case: tuple[str, dict[str, Any], list[str]]
) -> None:
    name, asked, words = case
    asset = space.pictures.ids[7]
    filled = {
        field: asset if value == "{asset}" else value  # the ids hold no braces
        for field, value in asked.items()
    }
    found = library.post(f"/v1/creative/{name}", filled)
    assert found.status == 200, found.body
    assert b"NaN" not in found.body
    typed = [asset if word == "{asset}" else word for word in words]
    assert found.plain == result_of(name, *typed, "--space", space.folder)


def test_the_library_is_described(library: Client) -> None:
    told = library.get("/v1/creative").plain
    assert (told["n_pictures"], told["n_texts"]) == (900, 60)
    assert "region" in told["columns"]
    assert set(told["readable"]) <= set(told["columns"])
    assert library.get("/v1/model").status == 200


@pytest.mark.parametrize("name", PATHS)
def test_every_example_of_the_document_is_answered(library: Client, name: str) -> None:
    document = library.get("/openapi.json").plain["paths"][f"/v1/creative/{name}"]["post"]
    (content,) = document["requestBody"]["content"].values()
    found = library.post(f"/v1/creative/{name}", content["example"])
    assert found.status == 200, found.body


def test_a_thumbnail_is_shown_and_nothing_else_of_the_disk(
    library: Client, space: CreativeSpace
) -> None:
    asset = space.pictures.ids[3]
    found = library.get(f"/v1/creative/assets/{quote(asset)}")
    assert (found.status, found.headers["content-type"]) == (200, "image/jpeg")
    assert found.body == space.thumbnails([asset])[asset]
    assert Image.open(io.BytesIO(found.body)).format == "JPEG"
    for path in (
        "space.json",
        "../space.json",
        "/etc/hostname",
        "..%2f..%2fetc%2fhostname",
        "%00",
    ):
        for typed in (path, quote(path), f"{quote(asset)}/../../{path}"):
            assert library.get(f"/v1/creative/assets/{typed}").status == 404


def test_a_file_of_the_server_is_no_picture_to_look_like(
    library: Client, space: CreativeSpace
) -> None:
    """The command takes one; over HTTP it would tell what lies on the disk."""
    file = next((space.folder.parent / "library" / "asia").glob("*.png"))
    found = library.post("/v1/creative/search", {"picture": str(file)})
    assert found.status == 422
    assert "every id must be in the space" in found.plain["detail"]


def test_what_the_encoder_does_not_see_is_refused_with_the_reason(library: Client) -> None:
    found = library.post("/v1/creative/spectrum", {"start": "clean", "end": "busy"})
    assert found.status == 422
    assert found.headers["content-type"] == "application/problem+json"
    nowhere = library.post("/v1/creative/refresh", {"region": "atlantis"})
    assert "it has asia, europe, america" in nowhere.plain["detail"]


def test_an_audit_that_would_take_minutes_is_refused(library: Client) -> None:
    asked = {"group": "presenter", "queries": ["calm"]}
    assert library.post("/v1/creative/audit", asked | {"within": "energy"}).status == 200
    found = library.post("/v1/creative/audit", asked | {"group": "date", "within": "date"})
    assert found.status == 422
    assert "use segmenter creative audit" in found.plain["detail"]


@pytest.mark.parametrize(
    ("name", "asked", "field"),
    [
        ("search", {}, "body"),
        ("search", {"query": "x", "k": 1001}, "k"),
        ("search", {"query": "x" * 1001}, "query"),
        ("spectrum", {"start": "calm"}, "end"),
        ("spectrum", {"start": "calm", "end": "loud", "n": 51}, "n"),
        ("drift", {"by": ""}, "by"),
        ("refresh", {}, "region"),
        ("audit", {"group": "presenter", "queries": []}, "queries"),
        ("audit", {"group": "presenter", "queries": ["x"] * 51}, "queries"),
        ("audit", {"group": "presenter", "queries": ["x"], "more": 1}, "more"),
    ],
)
def test_a_refusal_names_the_field(  # noqa: PLR0917 - the parameters of a case
    library: Client, name: str, asked: dict[str, Any], field: str
) -> None:
    found = library.post(f"/v1/creative/{name}", asked)
    assert (found.status, found.fields) == (422, [field])


words = st.sampled_from(
    [
        *(
            "calm",
            "asset:",
            "asset:nothing",
            "asset:a,b",
            "",
            " ",
            "\x00",
            "region",
            "region=asia",
        ),
        *("asia", "date", "year", "id", "file", "hash", "presenter", "on_brand", "on_brand=yes"),
        *("region=", "width>3", "width>nan", "x" * 1000, "\N{PILE OF POO}" * 90, "/etc/passwd"),
    ]
)
values = words | st.none() | st.integers(-2, 40) | st.floats() | st.lists(words, max_size=2)
names = "query picture where k start end anchor n seed by unit region group queries compare within"
bodies = st.dictionaries(st.sampled_from([*names.split(), "more"]), values, max_size=5)
few = st.lists(words, min_size=1, max_size=2)
sensible = st.one_of(
    st.tuples(
        st.just("search"),
        st.fixed_dictionaries(
            {"query": words}, optional={"picture": words, "where": words, "k": st.integers(1, 999)}
        ),
    ),
    st.tuples(
        st.just("spectrum"),
        st.fixed_dictionaries(
            {"start": words, "end": words}, optional={"anchor": words, "n": st.integers(2, 50)}
        ),
    ),
    st.tuples(
        st.just("audit"),
        st.fixed_dictionaries(
            {"group": words, "queries": few},
            optional={"compare": few, "within": words, "k": st.integers(1, 1000)},
        ),
    ),
    st.tuples(st.just("refresh"), st.fixed_dictionaries({"region": words})),
)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(st.tuples(st.sampled_from(PATHS), bodies) | sensible)
def test_whatever_is_asked_is_answered_or_refused(
    library: Client, drawn: tuple[str, dict[str, Any]]
) -> None:
    name, asked = drawn
    found = library.post(f"/v1/creative/{name}", asked)
    assert found.status in (200, 400, 422), found.body


def test_a_key_needs_the_scope(world: World, space: CreativeSpace, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    other, creative = (add_key(path, name, scopes=[name]) for name in ("space", "creative"))
    keys = read_keys(path)
    with running(
        ServerSettings(NOWHERE, str(world.bundle), keys=keys, creative=space.folder)
    ) as asking:
        denied, allowed = Client(asking.port, other), Client(asking.port, creative)
        asset = f"/v1/creative/assets/{quote(space.pictures.ids[0])}"
        for name in PATHS:
            assert denied.post(f"/v1/creative/{name}", {}).status == 403
        for name in ("/v1/creative", asset):
            assert (denied.get(name).status, allowed.get(name).status) == (403, 200)
        assert allowed.post("/v1/creative/search", {"query": "calm"}).status == 200
        assert allowed.get("/v1/segments").status == 403


def test_a_folder_without_a_space_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--creative must name"):
        Library.read(tmp_path / "nothing", None)
    with pytest.raises(CreativeError, match="holds no creative space"):
        Library.read(tmp_path, None)


def test_without_the_extra_the_server_says_at_its_start_what_to_install(
    world: World, space: CreativeSpace
) -> None:
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *more: "
        "None if name == 'transformers' else find(name, *more)\n"
        "from segmenter.__main__ import main\nmain()\n"
    )
    words = ["serve", "--port", "0", "--model", str(world.bundle), "--creative", str(space.folder)]
    done = subprocess.run(  # noqa: S603 - the code stands above
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "pip install '.[creative]'" in done.stdout + done.stderr


def test_a_server_without_a_library_has_no_such_routes(world: World) -> None:
    with running(ServerSettings(NOWHERE, str(world.bundle))) as asking:
        for name in PATHS:
            assert asking.post(f"/v1/creative/{name}", {"query": "calm"}).status == 404
        assert asking.get("/v1/creative").status == 404
        assert json.loads(asking.get("/v1/creative/assets/a").body)["status"] == 404
