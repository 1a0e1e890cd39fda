"""``segmenter score``: what a person reads and what a script gets."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from segmenter.autoencoder.config import DAY_US
from segmenter.clock import iso
from segmenter.errors import ConfigError, OutputError, RegistryError, StoreError
from segmenter.mlflow_home import MlflowHome
from serving import cli
from tests.models import N_USERS, World


def segmenter(*words: str | Path) -> Result:
    """The command as typed, with this room's commands alone."""
    app = typer.Typer()
    cli.register(app)
    app.callback()(lambda: None)  # else a single command is not named
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def words(world: World, shared_home: MlflowHome, tmp_path: Path) -> list[str | Path]:
    """A command line that works."""
    store, home = world.store.path, shared_home.path
    return ["score", "--store", store, "--out", tmp_path / "out put", "--mlruns", home]


def test_a_script_gets_one_json_object_and_people_the_rest(words, tmp_path):
    done = segmenter(*words, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["out"] == str(tmp_path / "out put")
    assert (result["n_users"], result["n_reused"], result["model"]) == (N_USERS, 0, "shoppers/1")
    assert sum(segment["n_users"] for segment in result["segments"]) == N_USERS
    assert "Scored users" in done.stderr
    found = pl.read_parquet(tmp_path / "out put" / "assignments")
    assert len(found) == N_USERS


def test_a_person_reads_counts_places_and_what_was_reused(words, world, tmp_path):
    first, second = segmenter(*words), segmenter(*words)
    assert (first.exit_code, second.exit_code) == (0, 0)
    for segment in world.model.segments:
        assert segment.name.split(":")[0] in first.stdout
    for name in ("assignments", "embeddings", "manifest.json"):
        assert str(tmp_path / "out put" / name) in first.stdout
    assert "Reused" not in first.stdout
    assert "Reused 1 of 1 shards" in second.stdout


def test_the_commands_that_are_printed_can_be_pasted(words):
    done = segmenter(*words, "--model", "shoppers@challenger")
    printed = done.stdout.split("Next:")[1].strip().splitlines()
    show, page, look = (shlex.split(line) for line in printed)
    home = words[-1]
    assert page == [
        *("segmenter", "report", "--model", "shoppers@challenger", "--out", "report.html"),
        *("--mlruns", str(home)),
    ]
    assert look == ["segmenter", "ui", "--mlruns", str(home)]
    ran = subprocess.run([sys.executable, *show[1:]], capture_output=True, text=True, check=False)  # noqa: S603 - what was printed
    assert ran.returncode == 0, ran.stderr
    assert f"({N_USERS}, 12)" in ran.stdout


def test_a_folder_and_another_time_can_be_scored(words, world):
    moment = iso(world.store.newest - 20 * DAY_US)
    done = segmenter(*words, "--model", world.bundle, "--as-of", moment, "--json")
    result = json.loads(done.stdout)
    assert (result["model"], result["as_of"]) == (world.model.digest, moment)
    assert result["n_without_events"] > 0
    assert "listed without a segment" in " ".join(done.stderr.split())


def test_names_with_brackets_are_printed_as_they_are(words, world, tmp_path):
    first, *others = world.model.segments
    named = replace(world.model, segments=(replace(first, name="[/b] [red]x"), *others))
    named.save(tmp_path / "bundle")
    done = segmenter(*words, "--model", tmp_path / "bundle")
    assert done.exit_code == 0, done.output
    assert "[/b] [red]x" in done.stdout


@pytest.mark.parametrize(
    "case",
    [
        (StoreError, {"--store": "nowhere"}, "no event store at nowhere"),
        (ConfigError, {"--as-of": "yesterday"}, "--as-of must be an ISO 8601"),
        (ConfigError, {"--as-of": "1999-01-01"}, "pass a later --as-of"),
        (RegistryError, {"--model": "shoppers/9"}, "holds shoppers@challenger"),
        (RegistryError, {"--mlruns": "nowhere"}, "no MLflow home in nowhere"),
        (OutputError, {"--out": "pyproject.toml"}, "choose another --out"),
    ],
)
def test_what_cannot_be_done_is_a_deliberate_error(words, case, monkeypatch):
    kind, changes, said = case
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    options = dict(zip(words[1::2], words[2::2], strict=True)) | changes
    flat = [word for pair in options.items() for word in pair]
    done = segmenter("score", *flat)
    assert isinstance(done.exception, kind)
    assert said in str(done.exception)
