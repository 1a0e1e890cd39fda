"""Fixtures that several rooms share."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from segmenter.mlflow_home import MlflowHome, relocate
from tests.models import World, make_model, make_world
from training.registration import register
from training.tracking import Tracker

# A busy machine is no defect: speed is measured in the benchmarks, never asserted here.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow home, made once: MLflow's migrations take a second."""
    return MlflowHome(tmp_path_factory.mktemp("template") / "mlruns").prepare().path


@pytest.fixture
def mlflow_home(mlflow_template: Path, tmp_path: Path) -> MlflowHome:
    """An empty MLflow home of the test's own."""
    home = MlflowHome(shutil.copytree(mlflow_template, tmp_path / "mlruns"))
    relocate(home)
    return home


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A log, its store and an untrained model of it; to be read only."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def shared_home(
    world: World, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> MlflowHome:
    """A home in a path with a space, with two versions of one model; to be read only.

    ``shoppers/1`` is the champion, ``shoppers/2`` (other segments) the challenger.
    """
    place = tmp_path_factory.mktemp("registered") / "my runs"
    home = MlflowHome(shutil.copytree(mlflow_template, place))
    relocate(home)
    second = make_model(world.store, seed=1)
    second.save(place.parent / "second")
    for bundle in (world.bundle, place.parent / "second"):
        with Tracker.start(home, "shoppers") as tracker:
            register(tracker, bundle, "shoppers")
    return home


@pytest.fixture
def own_home(shared_home: MlflowHome, tmp_path: Path) -> MlflowHome:
    """A copy of `shared_home` that the test may change."""
    home = MlflowHome(shutil.copytree(shared_home.path, tmp_path / "own runs"))
    relocate(home)
    return home
