"""Training killed with -9 where it hurts: the same command, typed again, ends right."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segmenter.__main__ import main
from segmenter.audience_model import AudienceModel
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from tests.models import SMALL
from tests.training.conftest import plant
from training.config import TrainConfig
from training.fit import fit_network
from training.plan import TrainPlan, TrainRequest, plan_training

CONFIG = TrainConfig(
    name="mortal",
    encoder="hybrid",
    n_cuts=6,
    min_events=1,
    forecast_epochs=4,
    taste_epochs=4,
    forecast_batch_users=4,
    taste_batch_users=4,
    n_segments=1,
    taste_weight=0.3,
    model=SMALL,
)
PATIENCE_S = 300
N_USERS = 12
"""So few that no layout is compiled, which would take each process ten seconds."""


@pytest.fixture
def plan(mlflow_home: MlflowHome, tmp_path: Path) -> TrainPlan:
    store = plant(tmp_path, N_USERS, seed=5, n_days=60).store
    return plan_training(TrainRequest(store.path, CONFIG, mlflow_home.path))


def command(plan: TrainPlan) -> list[str]:
    """The command that a person would type after ``segmenter``, its configuration in a file."""
    plain = {name: value for name, value in CONFIG.to_json().items() if value is not None}
    tables = {"model": plain.pop("model")}
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    for table, settings in tables.items():
        lines += [f"[{table}]", *(f"{name} = {value}" for name, value in settings.items())]
    path = plan.request.mlruns.parent / "settings.toml"
    path.write_text("\n".join(lines))
    options = {"--store": plan.store.path, "--config": path, "--mlruns": plan.request.mlruns}
    words = [str(word) for option in options.items() for word in option]
    return ["train", *words, "--json"]


def kill_when(reached: Callable[[], bool], words: list[str]) -> None:
    """Start the command and kill it, with no chance to clean up, once a point is reached."""
    process = subprocess.Popen(  # noqa: S603 - the words stand in this file
        [sys.executable, "-m", "segmenter", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + PATIENCE_S
    try:
        while not reached():
            assert process.poll() is None, "the command ended before it could be killed"
            assert time.monotonic() < end, "the point was never reached"
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()


def test_three_kills_and_a_last_run_leave_one_whole_model(
    plan: TrainPlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home, folder, words = MlflowHome(plan.request.mlruns), plan.folder, command(plan)

    kill_when((folder / "forecast-last.ckpt").exists, words)
    assert not (folder / "forecast.safetensors").exists()

    kill_when((folder / "taste-last.ckpt").exists, words)
    assert (folder / "forecast.safetensors").exists()
    assert not (folder / "taste.safetensors").exists()

    kill_when((folder / "bundle").exists, words)
    assert not plan.is_finished
    assert not (folder / "report.html").exists()
    trained_once = (folder / "taste.safetensors").stat().st_mtime_ns

    monkeypatch.setattr(sys, "argv", ["segmenter", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert (answer["version"], answer["reused"]) == (1, False)
    assert (folder / "taste.safetensors").stat().st_mtime_ns == trained_once
    assert plan.is_finished
    assert list(folder.glob(".*.tmp")) == []

    client = home.client()
    assert len(client.search_model_versions("name = 'mortal'")) == 1
    run = client.get_run(answer["run_id"])
    assert run.info.status == "FINISHED"
    assert len(client.search_runs([run.info.experiment_id])) == 1
    for stage, n_passes in {"forecast": 4, "taste": 4}.items():
        points = client.get_metric_history(run.info.run_id, f"{stage} train loss")
        assert {point.step for point in points} == set(range(n_passes))
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["report.html"]

    served = AudienceModel.load(resolve(home, "mortal/1").folder).network.state_dict()
    undisturbed = fit_network(plan.store, CONFIG, as_of=plan.as_of, folder=tmp_path / "other")
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(served[name], value), name
