"""A bundle becomes a version: once, whatever interrupts it."""

import json
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pytest

from segmenter.audience_model import AudienceModel
from segmenter.errors import BundleError, ConfigError, RegistryError
from segmenter.mlflow_home import MlflowHome, relocate
from segmenter.registry import DIGEST_TAG, list_models, resolve
from tests.models import World
from training.registration import LINKS_TAG, REGISTERED_TAG, register
from training.tracking import Tracker


class Cut(Exception):  # noqa: N818 - stands for a power cut, not for an error
    """The process ends here."""


@dataclass(frozen=True)
class CutHome(MlflowHome):
    """A home whose client dies when its n-th call has had its effect."""

    at: int = -1
    calls: list[str] = field(default_factory=list)

    def client(self) -> Any:
        """MLflow's client, counted."""
        return CutClient(super().client(), self)


class CutClient:
    """MLflow's own client behind a counter."""

    def __init__(self, client: Any, home: CutHome) -> None:
        self._client, self._home = client, home

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            result = getattr(self._client, name)(*given, **named)
            self._home.calls.append(name)
            if len(self._home.calls) == self._home.at:
                raise Cut
            return result

        return call


def on(tracker: Tracker, home: MlflowHome) -> Tracker:
    """The same run, reached through another home object."""
    return Tracker(home, tracker.run_id, resumed=True)


def fresh(home: MlflowHome, place: Path) -> MlflowHome:
    """A copy of a home elsewhere."""
    copy = MlflowHome(Path(shutil.copytree(home.path, place)))
    relocate(copy)
    return copy


def calls_of_a_registration(home: MlflowHome, world: World, folder: Path) -> list[str]:
    """Names of the client's calls in a registration that nothing disturbs, in a copy of `home`."""
    counted = CutHome(fresh(home, folder / "undisturbed").path)
    tracker = Tracker.start(MlflowHome(counted.path), "shoppers")
    register(on(tracker, counted), world.bundle, "shoppers")
    return counted.calls


def assert_registered_once(home: MlflowHome, run_id: str, digest: str) -> None:
    """Everything that a registration promises, seen from outside."""
    client = home.client()
    (model,) = list_models(home)
    assert (model.name, model.versions) == ("shoppers", (1,))
    assert model.aliases == {"challenger": 1, "champion": 1}
    version = client.get_model_version("shoppers", "1")
    assert version.run_id == run_id
    assert version.tags[DIGEST_TAG] == digest
    assert REGISTERED_TAG in version.tags
    (experiment,) = [
        item.experiment_id for item in client.search_experiments() if item.name == "shoppers"
    ]
    (logged,) = client.search_logged_models([experiment])
    assert version.source == f"models:/{logged.model_id}"
    assert logged.status.value == "READY"
    assert json.loads(logged.tags[LINKS_TAG]) == [{"name": "shoppers", "version": 1}]
    assert {output.model_id for output in client.get_run(run_id).outputs.model_outputs} == {
        logged.model_id
    }
    assert AudienceModel.load(resolve(home).folder).digest == digest


def test_the_first_version_is_champion_and_challenger_and_the_next_one_challenges(
    mlflow_home, world
):
    versions = []
    for _ in range(3):
        with Tracker.start(mlflow_home, "shoppers") as tracker:
            versions.append(register(tracker, world.bundle, "shoppers"))
    assert [version.label for version in versions] == ["shoppers/1", "shoppers/2", "shoppers/3"]
    assert versions[0].aliases == ("challenger", "champion")
    assert [version.aliases for version in versions[1:]] == [("challenger",)] * 2
    assert list_models(mlflow_home)[0].aliases == {"challenger": 3, "champion": 1}


def test_a_version_that_may_not_lead_challenges_and_the_next_one_leads(mlflow_home, world):
    held_back = register(
        Tracker.start(mlflow_home, "shoppers"), world.bundle, "shoppers", may_lead=False
    )
    leads = register(Tracker.start(mlflow_home, "shoppers"), world.bundle, "shoppers")
    assert (held_back.aliases, leads.aliases) == (("challenger",), ("challenger", "champion"))


def test_a_version_says_where_it_comes_from(mlflow_home, world):
    with Tracker.start(mlflow_home, "shoppers") as tracker:
        version = register(
            tracker, world.bundle, "shoppers", tags={"store.digest": "ab"}, description="**good**"
        )
    assert_registered_once(mlflow_home, tracker.run_id, world.model.digest)
    stored = mlflow_home.client().get_model_version("shoppers", "1")
    assert (stored.description, stored.tags["store.digest"]) == ("**good**", "ab")
    assert version.run_id == tracker.run_id


def test_the_same_bundle_of_the_same_run_is_registered_once_and_moves_no_alias(mlflow_home, world):
    with Tracker.start(mlflow_home, "shoppers") as tracker:
        register(tracker, world.bundle, "shoppers")
    client = mlflow_home.client()
    client.delete_registered_model_alias("shoppers", "champion")
    client.set_registered_model_alias("shoppers", "mine", "1")
    again = register(tracker, world.bundle, "shoppers")
    assert (again.version, again.aliases) == (1, ("challenger", "mine"))
    assert list_models(mlflow_home)[0].versions == (1,)


def test_another_bundle_of_the_same_run_is_another_version(mlflow_home, world, tmp_path):
    tracker = Tracker.start(mlflow_home, "shoppers")
    register(tracker, world.bundle, "shoppers")
    world.model.save(tmp_path / "other", documents={"report": {}})
    assert register(tracker, tmp_path / "other", "shoppers").version == 2
    assert register(tracker, world.bundle, "shoppers").version == 1


def test_one_bundle_under_two_names_is_linked_to_both(mlflow_home, world):
    tracker = Tracker.start(mlflow_home, "shoppers")
    for name in ("shoppers", "buyers"):
        register(tracker, world.bundle, name)
    client = mlflow_home.client()
    (logged,) = client.search_logged_models([client.get_run(tracker.run_id).info.experiment_id])
    assert [link["name"] for link in json.loads(logged.tags[LINKS_TAG])] == ["shoppers", "buyers"]
    assert resolve(mlflow_home, "buyers@champion").digest == world.model.digest


def test_a_registration_cut_after_any_of_its_writes_is_completed_by_the_next(
    mlflow_template, world, tmp_path
):
    template = MlflowHome(mlflow_template)
    calls = calls_of_a_registration(template, world, tmp_path)
    writes = [
        at for at, name in enumerate(calls, start=1) if not name.startswith(("get_", "search_"))
    ]
    assert len(writes) == 11
    for at in writes:
        home = fresh(template, tmp_path / str(at))
        tracker = Tracker.start(home, "shoppers")
        with pytest.raises(RegistryError, match="could not be registered as shoppers: Cut"):
            register(on(tracker, CutHome(home.path, at=at)), world.bundle, "shoppers")
        version = register(tracker, world.bundle, "shoppers")
        assert version.aliases == ("challenger", "champion")
        assert_registered_once(home, tracker.run_id, world.model.digest)


def test_files_that_were_half_copied_are_copied_again(mlflow_home, world, tmp_path):
    at = 1 + calls_of_a_registration(mlflow_home, world, tmp_path).index("log_model_artifacts")
    tracker = Tracker.start(mlflow_home, "shoppers")
    with pytest.raises(RegistryError):
        register(on(tracker, CutHome(mlflow_home.path, at=at)), world.bundle, "shoppers")
    (weights,) = mlflow_home.artifacts.rglob("weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    for name in ("MLmodel", "manifest.json"):
        next(mlflow_home.artifacts.rglob(name)).unlink()
    assert list_models(mlflow_home) == ()
    register(tracker, world.bundle, "shoppers")
    assert_registered_once(mlflow_home, tracker.run_id, world.model.digest)


def test_a_registration_that_ends_late_does_not_displace_a_newer_challenger(
    mlflow_home, world, tmp_path
):
    first = Tracker.start(mlflow_home, "shoppers")
    at = 1 + calls_of_a_registration(mlflow_home, world, tmp_path).index("create_model_version")
    with pytest.raises(RegistryError):
        register(on(first, CutHome(mlflow_home.path, at=at)), world.bundle, "shoppers")
    second = register(Tracker.start(mlflow_home, "shoppers"), world.bundle, "shoppers")
    late = register(first, world.bundle, "shoppers")
    assert (late.version, second.version) == (1, 2)
    assert list_models(mlflow_home)[0].aliases == {"challenger": 2, "champion": 2}


def test_two_registrations_at_once_are_two_versions_and_one_champion(mlflow_home, world):
    trackers = [Tracker.start(mlflow_home, "shoppers") for _ in range(2)]
    threads = [
        threading.Thread(target=register, args=(tracker, world.bundle, "shoppers"))
        for tracker in trackers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (model,) = list_models(mlflow_home)
    assert model.versions == (2, 1)
    assert model.aliases == {"challenger": 2, "champion": 1}
    runs = {resolve(mlflow_home, f"shoppers/{number}").run_id for number in (1, 2)}
    assert runs == {tracker.run_id for tracker in trackers}


def test_a_damaged_bundle_is_never_registered(mlflow_home, world, tmp_path):
    bundle = world.model.save(tmp_path / "bundle") and tmp_path / "bundle"
    (bundle / "weights.safetensors").write_bytes(b"damaged")
    tracker = Tracker.start(mlflow_home, "shoppers")
    with pytest.raises(BundleError, match=r"weights\.safetensors does not match"):
        register(tracker, bundle, "shoppers")
    with pytest.raises(BundleError, match="no model bundle"):
        register(tracker, tmp_path, "shoppers")
    assert list_models(mlflow_home) == ()
    world.model.save(bundle)
    assert register(tracker, bundle, "shoppers").version == 1


@pytest.mark.parametrize("name", ["a/b", "a:b", "", ".", "a@b"])
def test_an_impossible_name_is_refused_and_nothing_is_written(mlflow_home, world, name):
    tracker = Tracker.start(mlflow_home, "shoppers")
    with pytest.raises(ConfigError, match="a model's name must begin"):
        register(tracker, world.bundle, name)
    client = mlflow_home.client()
    assert client.search_registered_models() == []
    assert client.search_logged_models([client.get_run(tracker.run_id).info.experiment_id]) == []


@pytest.mark.parametrize("name", ["v1.2 final", "Käufer_2"])
def test_a_name_with_a_dot_a_space_or_an_umlaut_is_one(mlflow_home, world, name):
    register(Tracker.start(mlflow_home, name), world.bundle, name)
    assert resolve(mlflow_home, f"{name}@champion").label == f"{name}/1"


def test_the_program_s_own_tracking_address_is_given_back(mlflow_home, world):
    for before in ("sqlite:////tmp/elsewhere.db", None):
        mlflow.set_tracking_uri(before)
        register(Tracker.start(mlflow_home, "shoppers"), world.bundle, "shoppers")
        assert mlflow.is_tracking_uri_set() == (before is not None)
        assert os.environ.get("MLFLOW_TRACKING_URI") == before
