"""``segmenter drift``: what a script gets, and when a check fails."""

import datetime as dt
import json

import numpy as np
import pytest

from segmenter.errors import ConfigError, SourceError
from serving.health.limits import Limits
from tests.serving.health.folders import write_folder
from tests.serving.test_cli import segmenter

N_USERS = 400
AS_OF_DAYS = dt.datetime(2026, 2, 1, tzinfo=dt.UTC).timestamp() / 86_400


def now_days():
    return dt.datetime.now(dt.UTC).timestamp() / 86_400


def users(first=0):
    return {f"user {number}": 1 + number % 4 for number in range(first, first + N_USERS)}


def cloud(seed, *, shift=0.0):
    """Users of four segments around four corners."""
    generator = np.random.default_rng(seed)
    corner = np.eye(4)[np.arange(N_USERS) % 4]
    return generator.normal(size=(N_USERS, 4)) + 4 * corner + shift


@pytest.fixture
def old(tmp_path):
    return write_folder(tmp_path / "old", users(), vectors=cloud(0))


def test_two_draws_of_one_population_are_within_bounds(old, tmp_path) -> None:
    later = {"as_of": "2026-02-01T00:00:00Z", "model_as_of": "2025-12-31T00:00:00Z"}
    new = write_folder(tmp_path / "new", users(40), vectors=cloud(1), **later)
    done = segmenter("drift", old, new, "--json")
    result = json.loads(done.stdout)
    assert done.exit_code == 0, done.output
    assert (result["passed"], result["reasons"]) == (True, [])
    assert (result["users_of_both"], result["kept_share"]) == (N_USERS - 40, 1.0)
    ages = result["age"]
    assert (ages["model_days"], ages["between_days"]) == (32.0, 31.0)
    assert ages["data_days"] == pytest.approx(now_days() - AS_OF_DAYS, abs=0.01)
    assert result["embeddings"]["distance_p"] > 0.01
    assert {row["kind"] for row in result["flow"]} == {"kept", "added", "dropped"}
    assert all(segment["drift"]["n_group"] >= 20 for segment in result["segments"])
    assert "All within bounds" in done.stderr


def test_each_limit_that_is_passed_is_told_and_the_exit_code_is_three(old, tmp_path) -> None:
    moved = {user: 1 if segment < 4 else 5 for user, segment in users().items()}
    new = write_folder(tmp_path / "new", moved, vectors=cloud(1, shift=9.0), model_digest="e")
    done = segmenter("drift", old, new, "--json")
    result = json.loads(done.stdout)
    assert done.exit_code == 3
    assert not result["passed"]
    found = {(reason["check"], reason["of"]) for reason in result["reasons"]}
    assert found >= {
        *(("kept_share", "everybody"), ("embedding", "everybody"), ("embedding", "segment 1")),
        *(("segment_size", str(number)) for number in (1, 2, 3, 4, 5)),
    }
    assert any("Two models" in note for note in result["notes"])
    loose = ("--min-kept", 0, "--max-size-change", 99, "--max-distance", 99)
    assert "segment 5 went from 0.0%" in segmenter("drift", old, new, *loose).stdout


def test_a_person_reads_every_segment_and_the_store_tells_of_inputs(old, world) -> None:
    done = segmenter("drift", old, old, "--store", world.store.path)
    assert done.exit_code == 0, done.output
    for word in ("Then", "Volatile", "hour of day", "category", "PSI", "All within bounds"):
        assert word in done.stdout


def test_an_old_model_is_told_when_asked() -> None:
    (reason,) = Limits(max_age_days=10.0).age("model", 11.0)
    assert (reason.check, reason.value) == ("model_age", 11.0)
    assert not list(Limits(max_age_days=10.0).age("data", 9.0))
    assert not list(Limits().age("data", 1e6))


def test_what_cannot_be_compared_is_refused(old, tmp_path) -> None:
    assert isinstance(segmenter("drift", old, tmp_path).exception, SourceError)
    alone = segmenter("drift", old, old, "--old-store", tmp_path)
    assert isinstance(alone.exception, ConfigError)
    assert isinstance(segmenter("drift", old, old, "--max-psi", -1).exception, ConfigError)


def test_models_of_other_widths_are_compared_but_for_their_embeddings(old, tmp_path) -> None:
    new = write_folder(tmp_path / "new", users(), vectors=cloud(0)[:, :3])
    result = json.loads(segmenter("drift", old, new, "--json").stdout)
    assert result["embeddings"] is None
    assert any("4 and 3 numbers" in note for note in result["notes"])
    assert result["kept_share"] == 1.0
