"""The MLflow home: made once, noticed when moved, mended, never guessed."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from segmenter.errors import RegistryError
from segmenter.mlflow_home import LOCATION_COLUMNS, MlflowHome, relocate


def run_with_artifact(home: MlflowHome, experiment: str = "shoppers") -> str:
    """A run with one artifact, through MLflow's own client."""
    client = home.client()
    place = home.artifacts / experiment
    number = client.create_experiment(experiment, artifact_location=str(place))
    run = client.create_run(number)
    client.log_text(run.info.run_id, "hello", "greeting.txt")
    return run.info.run_id


def read_artifact(home: MlflowHome, run_id: str) -> str:
    return Path(home.client().download_artifacts(run_id, "greeting.txt")).read_text()


def test_three_processes_that_make_one_home_at_once_all_succeed(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from segmenter.mlflow_home import MlflowHome\n"
        "home = MlflowHome(pathlib.Path(sys.argv[1])).prepare()\n"
        "home.client().create_experiment(sys.argv[2])\n"
    )
    racers = [
        subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", code, str(tmp_path / "mlruns"), f"experiment {number}"],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        for number in range(3)
    ]
    said = [racer.communicate(timeout=120)[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0], said
    experiments = MlflowHome(tmp_path / "mlruns").client().search_experiments()
    assert {f"experiment {n}" for n in range(3)} <= {item.name for item in experiments}
    assert os.listdir(tmp_path) == ["mlruns"]  # noqa: PTH208 - names alone


def test_everything_that_a_run_writes_stays_inside_the_home(mlflow_home: MlflowHome) -> None:
    run_with_artifact(mlflow_home)
    with sqlite3.connect(mlflow_home.database) as connection:
        places = [
            place
            for table, column in LOCATION_COLUMNS
            for (place,) in connection.execute(f"SELECT {column} FROM {table}")  # noqa: S608
        ]
    assert places
    assert all(place.startswith(f"{mlflow_home.artifacts}/") for place in places)


@pytest.mark.parametrize("name", ["with space", "ümlaut", "hash#mark", "question?mark"])
def test_a_home_may_have_an_odd_name(mlflow_template: Path, tmp_path: Path, name: str) -> None:
    home = MlflowHome(shutil.copytree(mlflow_template, tmp_path / name))
    relocate(home)
    assert read_artifact(home, run_with_artifact(home)) == "hello"


def test_a_home_in_a_path_with_a_percent_sign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="path with %"):
        MlflowHome(tmp_path / "50%" / "mlruns").prepare()


def test_a_moved_home_is_refused_until_it_is_relocated(
    mlflow_home: MlflowHome, tmp_path: Path
) -> None:
    run_id = run_with_artifact(mlflow_home)
    moved = MlflowHome(mlflow_home.path.rename(tmp_path / "elsewhere"))
    with pytest.raises(RegistryError, match="segmenter relocate --mlruns"):
        moved.client()

    done = relocate(moved)

    assert (done.old, done.new) == (mlflow_home.root, moved.root)
    assert read_artifact(moved, run_id) == "hello"
    assert done.changed["runs.artifact_uri"] == 1
    assert done.backup is not None
    assert done.backup.is_file()


def test_a_copied_home_is_independent_once_relocated(
    mlflow_home: MlflowHome, tmp_path: Path
) -> None:
    run_id = run_with_artifact(mlflow_home)
    copy = MlflowHome(shutil.copytree(mlflow_home.path, tmp_path / "copy"))
    relocate(copy)
    shutil.rmtree(mlflow_home.path)
    assert read_artifact(copy, run_id) == "hello"


def test_relocating_twice_or_in_place_changes_nothing(mlflow_home: MlflowHome) -> None:
    before = mlflow_home.database.read_bytes()
    assert relocate(mlflow_home).changed == {}
    assert mlflow_home.database.read_bytes() == before


def test_a_relocation_that_died_after_the_database_ends_right_when_repeated(
    mlflow_home: MlflowHome, tmp_path: Path
) -> None:
    run_id = run_with_artifact(mlflow_home)
    moved = MlflowHome(mlflow_home.path.rename(tmp_path / "elsewhere"))
    record = (moved.path / "home.json").read_text()
    relocate(moved)
    (moved.path / "home.json").write_text(record)
    relocate(moved)
    assert read_artifact(moved, run_id) == "hello"


def test_a_folder_name_inside_another_is_not_rewritten(
    mlflow_home: MlflowHome, tmp_path: Path
) -> None:
    neighbour = f"{mlflow_home.root}-archive/artifacts"
    mlflow_home.client().create_experiment("archive", artifact_location=neighbour)
    moved = MlflowHome(mlflow_home.path.rename(tmp_path / "elsewhere"))
    relocate(moved)
    assert moved.client().get_experiment_by_name("archive").artifact_location == neighbour


def test_a_home_reached_through_a_link_is_the_same_home(
    mlflow_home: MlflowHome, tmp_path: Path
) -> None:
    run_id = run_with_artifact(mlflow_home)
    link = tmp_path / "link"
    link.symlink_to(mlflow_home.path)
    assert read_artifact(MlflowHome(link), run_id) == "hello"


def test_a_missing_home_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"segmenter train.*--mlruns DIR"):
        MlflowHome(tmp_path / "none").client()
    assert not (tmp_path / "none").exists()


def test_a_foreign_or_damaged_home_is_refused(mlflow_home: MlflowHome) -> None:
    record = mlflow_home.path / "home.json"
    newer = json.loads(record.read_text()) | {"format_version": 99}
    record.write_text(json.dumps(newer))
    with pytest.raises(RegistryError, match="upgrade segmenter"):
        mlflow_home.check()
    record.unlink()
    with pytest.raises(RegistryError, match="segmenter did not make"):
        mlflow_home.check()
    mlflow_home.database.write_bytes(b"this is no database, however long it may be")
    with pytest.raises(RegistryError, match="no SQLite database"):
        mlflow_home.check()


def test_a_database_of_another_mlflow_version_names_the_version(mlflow_home: MlflowHome) -> None:
    with sqlite3.connect(mlflow_home.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'f4a9b2c7d1e6'")
    with pytest.raises(RegistryError, match=r"MLflow 3\.\d+\.\d+ cannot open"):
        mlflow_home.client()


def test_a_home_where_a_file_stands_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("in the way")
    with pytest.raises(RegistryError, match="cannot make an MLflow home"):
        MlflowHome(tmp_path / "mlruns").prepare()
