"""Fixtures that several rooms share."""

import shutil
from pathlib import Path

import pytest

from segmenter.mlflow_home import MlflowHome, relocate


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
