"""Finding models: every way to name one, and what is said when there is none."""

import functools
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from mlflow.utils import validation

from segmenter.audience_model import AudienceModel
from segmenter.errors import BundleError, ConfigError, RegistryError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import DIGEST_TAG, all_pages, check_model_name, list_models, resolve

EVERYTHING = ("shoppers@challenger", "shoppers@champion", "shoppers/2", "shoppers/1")


@pytest.mark.parametrize(
    ("spec", "version"),
    {
        "shoppers@champion": 1,
        "shoppers@challenger": 2,
        "shoppers/1": 1,
        "shoppers/2": 2,
        None: 1,
    }.items(),
)
def test_a_registered_model_is_found_by_alias_by_version_and_alone(shared_home, spec, version):
    found = resolve(shared_home, spec)
    aliases = {1: ("champion",), 2: ("challenger",)}[version]
    assert (found.name, found.version, found.aliases) == ("shoppers", version, aliases)
    assert found.label == f"shoppers/{version}"
    assert found.folder.is_relative_to(shared_home.artifacts)
    assert AudienceModel.load(found.folder).digest == found.digest
    assert shared_home.client().get_run(found.run_id).info.status == "FINISHED"


def test_versions_differ_as_their_bundles_do(shared_home, world):
    first, second = (resolve(shared_home, f"shoppers/{number}").digest for number in (1, 2))
    assert first == world.model.digest != second


def test_a_folder_is_found_however_it_is_written_and_needs_no_home(world, tmp_path, monkeypatch):
    bundle = Path(shutil.copytree(world.bundle, tmp_path / "bundle"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (str(bundle), "./bundle", "bundle", "~/bundle", f"../{tmp_path.name}/bundle"):
        found = resolve(MlflowHome(tmp_path / "none"), place)
        assert found.folder.resolve() == bundle
        assert (found.name, found.version, found.aliases) == ("bundle", None, ())
        assert found.label == found.digest == world.model.digest
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "spec",
    [
        "shoppers",
        "shoppers@",
        "@champion",
        "buyers@champion",
        "shoppers@nobody",
        "shoppers@1",
        "shoppers/3",
        "shoppers/0",
        "shoppers/champion",
        "some/folder",
        "shoppers/1/2",
        "",
    ],
)
def test_an_unknown_model_is_refused_with_all_that_exist(shared_home, spec):
    with pytest.raises(RegistryError, match="there is no model or bundle folder") as refused:
        resolve(shared_home, spec)
    assert all(name in str(refused.value) for name in EVERYTHING)


def test_among_several_models_one_must_be_chosen(own_home):
    client = own_home.client()
    client.create_registered_model("an empty one")
    assert resolve(own_home).name == "shoppers"
    second = resolve(own_home, "shoppers/2")
    client.create_registered_model("buyers")
    client.create_model_version("buyers", str(second.folder))
    with pytest.raises(RegistryError, match="choose a model with --model") as refused:
        resolve(own_home)
    assert all(name in str(refused.value) for name in (*EVERYTHING, "buyers/1"))


def test_without_a_champion_the_alias_must_be_said(own_home):
    own_home.client().delete_registered_model_alias("shoppers", "champion")
    with pytest.raises(RegistryError, match=r"shoppers@champion; .* shoppers@challenger"):
        resolve(own_home)
    assert resolve(own_home, "shoppers@challenger").version == 2


def test_a_version_that_was_deleted_is_gone_under_every_name(own_home):
    own_home.client().delete_model_version("shoppers", "1")
    for spec in ("shoppers/1", "shoppers@champion", None):
        with pytest.raises(RegistryError, match="holds shoppers@challenger, shoppers/2"):
            resolve(own_home, spec)


def test_an_empty_home_says_how_to_train(mlflow_home):
    for spec in (None, "shoppers@champion"):
        with pytest.raises(RegistryError, match="holds no registered model: train one"):
            resolve(mlflow_home, spec)
    assert list_models(mlflow_home) == ()


def test_a_missing_home_says_how_to_get_one(tmp_path):
    for ask in (resolve, list_models):
        with pytest.raises(RegistryError, match="there is no MLflow home in"):
            ask(MlflowHome(tmp_path / "none"))


def test_models_are_listed_with_versions_and_aliases(own_home):
    client = own_home.client()
    client.create_registered_model("a first one")
    shoppers = {model.name: model for model in list_models(own_home)}["shoppers"]
    assert [model.name for model in list_models(own_home)] == ["a first one", "shoppers"]
    assert shoppers.versions == (2, 1)
    assert shoppers.aliases == {"challenger": 2, "champion": 1}


def test_every_page_of_a_search_is_read(mlflow_home):
    client = mlflow_home.client()
    names = [f"model {number}" for number in range(5)]
    for name in names:
        client.create_registered_model(name)
    for size in (1, 2, 5, 100):
        search = functools.partial(client.search_registered_models, max_results=size)
        assert sorted(model.name for model in all_pages(search)) == names


@pytest.mark.parametrize("name", ["o'brien", 'so "called"', "a@b", "50 %", "ümlaut"])
def test_a_model_that_others_named_oddly_is_found(own_home, name):
    own_home.client().rename_registered_model("shoppers", name)
    assert resolve(own_home, f"{name}@champion").version == 1
    assert resolve(own_home, f"{name}/2").version == 2
    assert resolve(own_home).label == f"{name}/1"


def remove_files(folder: Path) -> None:
    shutil.rmtree(folder.parents[1])


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


def exchange(folder: Path) -> None:
    """Put a bundle in place that is whole, but another one."""
    document = json.loads((folder / "training.json").read_text()) | {"as_of_us": 0}
    model = AudienceModel.load(folder)
    model.training.update(document)
    model.save(folder)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (remove_files, "its files are missing"),
        (damage_manifest, "manifest.json is no manifest"),
        (exchange, "not what was registered"),
    ],
)
def test_a_version_whose_bundle_is_harmed_is_refused(
    own_home: MlflowHome, harm: Callable[[Path], None], said: str
):
    harm(resolve(own_home, "shoppers/1").folder)
    with pytest.raises(RegistryError, match=f"model shoppers/1 .*{said}"):
        resolve(own_home, "shoppers@champion")
    assert resolve(own_home, "shoppers/2").version == 2


def test_a_damaged_file_is_found_when_the_model_is_loaded(own_home):
    found = resolve(own_home)
    weights = found.folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=r"weights\.safetensors does not match its digest"):
        AudienceModel.load(resolve(own_home).folder)


def test_a_version_that_others_registered_is_refused(own_home):
    own_home.client().delete_model_version_tag("shoppers", "1", DIGEST_TAG)
    with pytest.raises(RegistryError, match=f"it has no tag {DIGEST_TAG}"):
        resolve(own_home)


def test_a_folder_that_is_no_bundle_is_refused_as_such(shared_home, tmp_path):
    with pytest.raises(BundleError, match="no model bundle"):
        resolve(shared_home, str(tmp_path))


def test_a_database_that_cannot_be_read_is_said_in_our_words(own_home):
    with sqlite3.connect(own_home.database) as connection:
        connection.execute("ALTER TABLE model_versions RENAME TO hidden")
    for ask in (resolve, list_models):
        with pytest.raises(RegistryError, match="cannot read the models of"):
            ask(own_home)


@given(st.text("ab1Ü _-./:@~'\n\u00b2", max_size=6))
def test_a_name_that_is_accepted_is_one_for_mlflow_and_for_resolve(name):
    try:
        check_model_name(name)
    except ConfigError as error:
        assert "--name" in str(error)  # noqa: PT017 - the other branch has more to check
        return
    validation._validate_model_name(name)
    assert name == name.strip()
    assert not set(name) & set("/:@\n")
    assert not name.startswith((".", "~", "-"))


@pytest.mark.parametrize("name", ["segmenter", "complete-journey", "v1.2 final", "a", "Käufer_2"])
def test_usual_names_are_accepted(name):
    check_model_name(name)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", "../up", ".hidden", "-x", "a\n"])
def test_impossible_names_are_refused_before_training(name):
    with pytest.raises(ConfigError, match="must begin with a letter or a digit"):
        check_model_name(name)
