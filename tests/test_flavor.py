"""The model through MLflow's own door: the same answers, whatever the caller leaves out."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.config import DAY_US
from segmenter.errors import BundleError
from segmenter.flavor import PyfuncModel, write_flavor
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from tests.models import World, frame_of, lists_of

OUTPUTS = ["user_id", "segment_id", "segment_name", "strength", "second_segment_id", "coverage"]


@pytest.fixture(scope="module")
def model_folder(shared_home: MlflowHome) -> Path:
    """The MLflow model of ``shoppers/1``, where the registry says it is."""
    return Path(shared_home.client().get_model_version_download_uri("shoppers", "1"))


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> Any:
    return mlflow.pyfunc.load_model(str(model_folder))


@pytest.fixture(scope="module")
def direct(world: World) -> PyfuncModel:
    """The same model without MLflow's checks of its input."""
    return PyfuncModel(world.model)


@pytest.fixture
def frame(world: World) -> pd.DataFrame:
    users = world.store.user_ids()[:12].to_list()
    table = frame_of(lists_of(world.log, users), users)
    return table.assign(as_of=world.store.newest)


def test_mlflow_predicts_what_the_model_says(loaded, world, frame):
    found = loaded.predict(frame, params={"with_embedding": True})
    embeddings = world.model.embed(world.store, np.arange(12), as_of=world.store.newest)
    wanted = world.model.assign(embeddings)
    names = {segment.id: segment.name for segment in world.model.segments}
    assert found.columns.tolist() == [*OUTPUTS, "embedding"]
    assert found["user_id"].tolist() == frame["user_id"].tolist()
    assert found["segment_id"].tolist() == wanted.segment_id.tolist()
    assert found["second_segment_id"].tolist() == wanted.second_segment_id.tolist()
    assert found["segment_name"].tolist() == [names[number] for number in wanted.segment_id]
    np.testing.assert_allclose(found["strength"].astype(float), wanted.strength, atol=1e-4)
    np.testing.assert_allclose(np.stack(found["embedding"]), embeddings, rtol=0, atol=1e-5)


def test_without_the_parameter_there_is_no_embedding(loaded, frame):
    assert loaded.predict(frame).columns.tolist() == OUTPUTS
    off = loaded.predict(frame, params={"with_embedding": False})
    assert off.columns.tolist() == OUTPUTS


def test_the_answer_of_a_user_does_not_depend_on_the_company(loaded, frame):
    together = loaded.predict(frame)
    for row in (0, 5):
        alone = loaded.predict(frame.iloc[[row]]).iloc[0]
        assert alone["segment_id"] == together.iloc[row]["segment_id"]
        assert alone["strength"] == pytest.approx(together.iloc[row]["strength"], abs=1e-4)


def test_the_signature_is_flat(loaded):
    signature = loaded.metadata.signature
    inputs = {column.name: column for column in signature.inputs.inputs}
    fields = ["user_id", "event", "time", "category", "item", "session", "value", "as_of"]
    assert set(inputs) == set(fields)
    assert {name for name, column in inputs.items() if column.required} == set(fields[:3])
    assert "Object" not in repr(signature.inputs)
    assert [column.name for column in signature.outputs.inputs] == OUTPUTS
    assert [spec.name for spec in signature.params.params] == ["with_embedding"]


def test_none_inside_a_list_and_none_for_a_list_are_missing_values(loaded, frame):
    blank = frame.drop(columns=["category", "value"])
    nothing = frame.assign(category=[None] * 12, value=[None] * 12)
    holes = frame.assign(
        category=[[None] * len(row) for row in frame["time"]],
        value=[[None] * len(row) for row in frame["time"]],
    )
    answers = [
        loaded.predict(table, params={"with_embedding": True}) for table in (blank, nothing, holes)
    ]
    pd.testing.assert_frame_equal(answers[0], answers[1])
    pd.testing.assert_frame_equal(answers[0], answers[2])
    full = loaded.predict(frame, params={"with_embedding": True})
    assert full["embedding"].tolist() != answers[0]["embedding"].tolist()


def test_texts_beside_a_none_keep_all_their_letters(loaded, frame):
    category = [[None, *row[1:]] for row in frame["category"]]
    other = [[None, *["never seen"] * (len(row) - 1)] for row in frame["category"]]
    known, unknown = (
        loaded.predict(frame.assign(category=lists), params={"with_embedding": True})
        for lists in (category, other)
    )
    assert known["embedding"].tolist() != unknown["embedding"].tolist()


def test_whole_numbers_are_values_too(loaded, frame):
    value = [[7] * len(row) for row in frame["time"]]
    doubles = [[7.0] * len(row) for row in frame["time"]]
    answers = [loaded.predict(frame.assign(value=lists)) for lists in (value, doubles)]
    pd.testing.assert_frame_equal(*answers)


def test_users_without_an_event_until_then_have_no_segment(loaded, world, frame):
    some = frame.copy()
    some.loc[3, "as_of"] = world.store.oldest - 1
    some.at[5, "time"] = some.at[5, "event"] = []  # noqa: PD008 - a list into one cell
    for name in ("category", "item", "session", "value"):
        some.at[5, name] = None  # noqa: PD008 - as above
    found = loaded.predict(some, params={"with_embedding": True})
    full = loaded.predict(frame, params={"with_embedding": True})
    for row in (3, 5):
        assert found.iloc[row].drop("user_id").tolist() == [None] * 6
    rest = [row for row in range(12) if row not in (3, 5)]
    for name in OUTPUTS:
        if name != "strength":
            assert found[name][rest].tolist() == full[name][rest].tolist()
    np.testing.assert_allclose(
        np.stack(found["embedding"][rest]), np.stack(full["embedding"][rest]), rtol=0, atol=1e-5
    )


def test_nobody_with_an_event_is_no_error(loaded, world, frame):
    found = loaded.predict(frame.assign(as_of=world.store.oldest - 1))
    assert found["segment_id"].tolist() == [None] * 12
    assert found["user_id"].tolist() == frame["user_id"].tolist()


def test_an_answer_can_be_sent_as_json(loaded, world, frame):
    frame.loc[3, "as_of"] = world.store.oldest - 1
    found = loaded.predict(frame, params={"with_embedding": True})
    records = json.loads(json.dumps(found.to_dict("records"), allow_nan=False))
    assert records[3]["segment_id"] is None
    assert isinstance(records[0]["segment_id"], int)
    assert 0 <= records[0]["strength"] <= 1


def test_only_events_until_as_of_count(direct, frame, world):
    as_of = world.store.oldest + 12 * DAY_US
    keep = [[time <= as_of for time in row] for row in frame["time"]]
    cut = frame.copy()
    for name in ("event", "time", "category", "item", "session", "value"):
        cut[name] = [
            [value for value, kept in zip(row, keeps, strict=True) if kept]
            for row, keeps in zip(frame[name], keep, strict=True)
        ]
    pd.testing.assert_frame_equal(
        direct.predict(frame.assign(as_of=as_of)), direct.predict(cut.assign(as_of=as_of))
    )


@pytest.mark.parametrize("form", ["no column", "none", "nan"])
def test_without_as_of_each_user_stands_at_the_newest_event(direct, frame, form):
    newest = frame.assign(as_of=[max(row) for row in frame["time"]])
    given = {
        "no column": frame.drop(columns="as_of"),
        "none": frame.assign(as_of=pd.Series([None] * 12, dtype=object)),
        "nan": frame.assign(as_of=float("nan")),
    }[form]
    pd.testing.assert_frame_equal(direct.predict(given), direct.predict(newest))


@pytest.mark.parametrize("form", [tuple, np.array])
def test_tuples_and_arrays_are_lists(direct, frame, form):
    other = frame.copy()
    for name in ("event", "time", "category"):
        other[name] = [form(row) for row in frame[name]]
    pd.testing.assert_frame_equal(direct.predict(other), direct.predict(frame))


@pytest.mark.parametrize(
    "case",
    [
        ("category", [3], "lists of texts or None; found 3"),
        ("value", ["7"], "lists of numbers or None; found '7'"),
        ("value", [True], "found True"),
        ("time", [1.5], "lists of whole numbers; found 1.5"),
        ("time", [None], "lists of whole numbers; found None"),
        ("time", 3, "a list per user; found 3"),
        ("event", "view", "a list per user; found 'view'"),
        ("category", [None, None], "holds 2 values for 1 times"),
    ],
)
def test_values_of_another_kind_are_refused_by_name(direct, world, case):
    field, value, said = case
    one = {"event": ["view"], "time": [world.store.newest], field: value}
    frame = pd.DataFrame({"user_id": ["one"], **{name: [cell] for name, cell in one.items()}})
    with pytest.raises(ValueError, match=f"'{field}'.*{said}"):
        direct.predict(frame)


def test_mlflow_refuses_an_input_without_a_required_column(loaded, frame):
    with pytest.raises(MlflowException, match="time"):
        loaded.predict(frame.drop(columns="time"))


def test_user_ids_keep_their_text(loaded, frame):
    odd = ["007", "7", "7.0", " x", "NA", "", "ü", "1e3", "None", "nan", "true", "0"]
    assert loaded.predict(frame.assign(user_id=odd))["user_id"].tolist() == odd


def test_the_model_folder_is_plain_files_without_a_place_of_this_machine(
    model_folder, shared_home
):
    files = [path for path in model_folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors", ".yaml", ".txt", ""}
    texts = [path.read_text() for path in files if path.suffix != ".safetensors"]
    places = (shared_home.root.parents[1], Path.home(), Path.cwd())
    assert not [text for text in texts for place in places if str(place) in text]
    described = mlflow.models.Model.load(str(model_folder)).flavors["python_function"]
    assert described["loader_module"] == "segmenter.flavor"
    assert described["data"].startswith("data/")


def test_the_bundle_inside_is_the_registered_one(shared_home, model_folder, world):
    folder = resolve(shared_home, "shoppers/1").folder
    assert folder.is_relative_to(model_folder)
    assert AudienceModel.load(folder).digest == world.model.digest


def test_a_bundle_that_does_not_load_makes_no_flavor(world, tmp_path):
    world.model.save(tmp_path / "bundle")
    (tmp_path / "bundle" / "segments.json").write_text("[]")
    with pytest.raises(BundleError, match="damaged"):
        write_flavor(
            tmp_path / "model", tmp_path / "bundle", name="a", run_id="b" * 32, model_id="m-c"
        )
    assert not (tmp_path / "model").exists()
