"""The commands as scripts call them: one JSON object, exit codes, nothing promised in vain."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from segmenter.__main__ import main
from segmenter.registry import resolve
from tests.training.conftest import TINY, UNTIL, TrainedJob
from training.report.page import render


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict:
        """The one JSON object on standard output, which holds nothing else."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls the command line as a shell would."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["segmenter", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        written = capsys.readouterr()
        return Answer(int(str(code or 0)), written.out, written.err)

    return call


def settings_file(folder: Path) -> Path:
    """The configuration of the shared job as a file."""
    plain = {name: value for name, value in TINY.to_json().items() if value is not None}
    model = plain.pop("model")
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    lines += ["[model]", *(f"{name} = {json.dumps(value)}" for name, value in model.items())]
    path = folder / "settings.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def train_options(own_job: TrainedJob, tmp_path: Path) -> list[object]:
    """The options that ask for the shared job."""
    request = own_job.request
    return [
        *("train", "--store", request.store, "--config", settings_file(tmp_path)),
        *("--until", UNTIL, "--attributes", request.tables.attributes),
        *("--mlruns", own_job.home.path),
    ]


def test_train_answers_with_what_it_made(
    run: Run, train_options: list[object], own_job: TrainedJob
) -> None:
    answer = run(*train_options, "--json")
    result, data = answer.result, own_job.outcome.data
    assert answer.code == 0
    assert result["reused"]
    assert (result["model"], result["version"], result["as_of"]) == ("personas", 1, data.as_of)
    assert Path(result["report"]).read_text() == render(data)
    assert (Path(result["bundle"]) / "manifest.json").exists()
    assert [segment["name"] for segment in result["segments"]] == [
        segment["name"] for segment in data.segments
    ]
    assert result["coverage"]["smallest"] == data.coverage.smallest
    assert result["validity"] == json.loads(json.dumps(data.validity))
    assert result["not_in_mlflow"] == []
    assert "Reused" in answer.err


def test_train_tells_people_what_it_made_and_what_to_type_next(
    run: Run, train_options: list[object], own_job: TrainedJob
) -> None:
    answer = run(*train_options)
    text = " ".join(answer.out.split())
    assert answer.code == 0
    assert "personas/1" in text
    assert "Later spend" in text
    for segment in own_job.outcome.data.segments:
        assert segment["name"].split(":")[0] in text
    assert f"segmenter segments --model personas/1 --mlruns {own_job.home.path}" in answer.out


def test_a_dry_run_changes_nothing(run: Run, own_job: TrainedJob, tmp_path: Path) -> None:
    home = tmp_path / "not made"
    options = ["train", "--store", own_job.request.store, "--mlruns", home, "--dry-run"]
    answer = run(*options, "--segments", 7, "--seed", 3, "--json")
    plan = answer.result
    assert answer.code == 0
    assert not home.exists()
    assert (plan["users"], plan["finished_before"]) == (240, False)
    assert not plan["judged_on_later_events"]
    assert (plan["config"]["n_segments"], plan["config"]["seed"]) == (7, 3)
    assert Path(plan["job_folder"]).parent == home / "jobs"
    spoken = run(*options)
    assert "nothing is changed" in spoken.out
    assert not home.exists()


def test_a_dry_run_knows_a_finished_job(run: Run, train_options: list[object]) -> None:
    plan = run(*train_options, "--dry-run", "--json").result
    assert plan["finished_before"]
    assert plan["judged_on_later_events"]


def test_segments_answers_with_the_table(run: Run, trained: TrainedJob) -> None:
    answer = run("segments", "--mlruns", trained.home.path, "--json")
    data = trained.outcome.data
    assert answer.code == 0
    assert answer.result["model"] == "personas/1"
    assert answer.result["as_of"] == data.as_of
    held = ("core", "voted", "second", "outsiders")
    plain = json.loads(json.dumps(data.segments))
    for row, segment in zip(answer.result["segments"], plain, strict=True):
        assert row == row | {name: told for name, told in segment.items() if name not in held}
        assert sum(row[name] for name in held) == row["n_users"]
    assert answer.result["groups"] == data.portrait["groups"]
    assert answer.result["coverage"]["core_share"] == data.coverage.core_share


def test_segments_prints_the_table(run: Run, trained: TrainedJob) -> None:
    answer = run("segments", "--model", "personas@challenger", "--mlruns", trained.home.path)
    assert answer.code == 0
    assert f"{len(trained.outcome.data.segments)} segments of 240 users" in answer.out
    assert "Coverage:" in answer.out
    assert answer.err == ""


@pytest.mark.parametrize("spec", ["personas/1", "folder", None])
def test_report_writes_the_page_that_training_wrote(
    run: Run, trained: TrainedJob, tmp_path: Path, *, spec: str | None
) -> None:
    out = tmp_path / "new folder" / "page.html"
    folder = resolve(trained.home, "personas/1").folder
    model = ["--model", folder if spec == "folder" else spec] if spec else []
    answer = run("report", "--out", out, *model, "--mlruns", trained.home.path, "--json")
    assert answer.code == 0
    assert answer.result["report"] == str(out)
    if spec == "folder":
        assert "personas" in out.read_text()
    else:
        assert out.read_bytes() == trained.outcome.report.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("segments", "--model", "personas/7"), "RegistryError"),
        (("report", "--model", "nobody@champion", "--out", "page.html"), "RegistryError"),
        (("train", "--store", "nowhere"), "StoreError"),
        (("train", "--store", "nowhere", "--until", "soon"), "ConfigError"),
    ],
)
def test_an_error_is_one_json_object_and_exit_code_1(
    run: Run, trained: TrainedJob, *, arguments: tuple[str, ...], kind: str
) -> None:
    answer = run(*arguments, "--mlruns", trained.home.path, "--json")
    assert answer.code == 1
    assert answer.result["error"]["type"] == kind
    assert answer.result["error"]["message"] in " ".join(answer.err.split())


def test_a_home_that_is_not_there_is_not_made_by_looking(run: Run, tmp_path: Path) -> None:
    answer = run("segments", "--mlruns", tmp_path / "mlruns", "--json")
    assert (answer.code, answer.result["error"]["type"]) == (1, "RegistryError")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("train",), ("report",), ("segments", "--modle", "x")])
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out) == (2, "")


@pytest.mark.parametrize(
    "command",
    ["ingest", "train", "validate", "score", "segments", "report", "ui", "relocate", "demo"],
)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    assert command in run("--help").out
    answer = run(command, "--help")
    assert answer.code == 0
    assert "--mlruns" in answer.out or command == "ingest"
    assert "--json" in answer.out
