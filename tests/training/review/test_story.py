"""The whole story as it is typed: train twice, review, reject, approve, roll back, look back."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmenter.__main__ import main
from segmenter.bundle import read_bundle, write_bundle
from segmenter.registry import resolve
from tests.training.conftest import TINY, TrainedJob, no_bar
from training.plan import plan_training
from training.registration import register
from training.review.verdict import FAIL, NOT_JUDGED, PASS
from training.tracking import Tracker
from training.train import train

HOSTILE = "<script>alert(1)</script> | best"
TABLES = {"golden", "reconstruction", "floors", "validity", "stability", "coverage", "smallest"}
TABLES |= {"agreement", "drift", "input", "audiences", "parity", "budget", "sensitive", "consent"}
Say = Callable[..., dict[str, Any]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Types a command and reads its one JSON object; what is refused is in ``error``."""

    def call(*words: object) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["segmenter", *map(str, words), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        told = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == ("error" in told)
        return told

    return call


def test_from_a_second_training_to_the_history_of_who_decided(
    own_job: TrainedJob, say: Say, tmp_path: Path
) -> None:
    home, place = own_job.home, ("--mlruns", own_job.home.path)
    train(plan_training(replace(own_job.request, config=replace(TINY, seed=1))), no_bar)
    found = say("review", "personas/2", "--out", tmp_path / "out", *place)
    assert found["against"] == "personas/1"
    assert_judged(found)
    assert_found_where_people_look(home, found)
    refused = say("approve", *word("personas/2"), *place)["error"]["message"]
    assert found["failed"]
    assert f"failed {', '.join(found['failed'])}; mend the model" in refused

    say("reject", "personas/2", "--by", "Bo", "--reason", "audiences would turn over", *place)
    refused = say("approve", *word("personas/2"), *despite(found), *place)
    assert "was taken back" in refused["error"]["message"]

    register_named(own_job, tmp_path / "named")
    found = say("review", "personas/3", "--out", tmp_path / "out", *place)
    assert_page(tmp_path / "out")
    assert next(gate for gate in found["gates"] if gate["name"] == "audiences")["verdict"] == PASS
    done = say("approve", *word("personas/3"), *despite(found), *place)
    assert (done["champion"], done["before"]) == (3, 1)
    assert done["details"]["not_judged"] == found["not_judged"]
    back = say("rollback", "personas", "--by", "Bo", "--reason", "reach fell", *place)
    assert (back["champion"], back["before"]) == (1, 3)
    assert_history(back, say, place)


def word(label: str) -> tuple[str, ...]:
    return (label, "--by", "Ada", "--reason", "better on the later quarter")


def despite(found: dict[str, Any]) -> list[str]:
    return [text for name in found["failed"] for text in ("--despite", name)]


def register_named(job: TrainedJob, folder: Path) -> None:
    """A third version: the segments of the first one, one of them under another name."""
    content = read_bundle(resolve(job.home, "personas/1").folder)
    segments = content.documents["segments"]
    named = [segments[0] | {"name": HOSTILE}, *segments[1:]]
    write_bundle(folder, documents=content.documents | {"segments": named}, arrays=content.arrays)
    with Tracker.start(job.home, "personas") as tracker:
        tracker.log_data("events", "digest", source=str(job.request.store))
        register(tracker, folder, "personas")


def assert_judged(found: dict[str, Any]) -> None:
    """Every gate has a verdict and says why; nothing passes for want of evidence."""
    assert {gate["name"] for gate in found["gates"]} == TABLES
    verdicts = {gate["name"]: gate["verdict"] for gate in found["gates"]}
    assert set(verdicts.values()) <= {PASS, FAIL, NOT_JUDGED}
    assert all(gate["reason"] for gate in found["gates"])
    assert (verdicts["golden"], verdicts["parity"]) == (PASS, PASS)
    assert verdicts["consent"] == NOT_JUDGED
    users = np.array(found["migration"]["users"])
    assert users.sum() == found["slice"]["n_users"]
    same = sum(
        users[place, found["migration"]["challenger_segments"].index(number)]
        for place, number in enumerate(found["migration"]["champion_segments"])
    )
    assert found["migration"]["same_id_share"] == pytest.approx(same / users.sum())


def assert_found_where_people_look(home: Any, found: dict[str, Any]) -> None:
    """The page of the version in MLflow shows card, verdicts and figures."""
    client = home.client()
    version = client.get_model_version("personas", "2")
    assert version.description.startswith("# personas/2: review of ")
    assert version.tags["review.verdict"] == found["verdict"]
    assert version.tags["review.bundle"] == found["bundle"] == version.tags["bundle.sha256"]
    metrics = client.get_run(version.run_id).data.metrics
    assert metrics["review/parity verdict"] == 1.0
    logged = {file.path for file in client.list_artifacts(version.run_id, "review")}
    assert logged == {
        f"review/{name}" for name in ("model_card.md", "review.html", "review.json", "maps.svg")
    }


def assert_page(folder: Path) -> None:
    """The page needs nothing from elsewhere, and no name of a segment becomes a part of it."""
    page = (folder / "review.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | best" in page
    assert "<script" not in page
    assert "src=" not in page
    assert page.count("<svg") == 1
    card = (folder / "model_card.md").read_text()
    assert "&lt;script>alert(1)&lt;/script> \\| best" in card
    assert "<script" not in card


def assert_history(back: dict[str, Any], say: Say, place: Any) -> None:
    """Who decided what, and what was champion when."""
    told = say("history", "personas", *place)
    acts = [(entry["action"], entry["version"], entry["by"]) for entry in told["entries"]]
    assert ("reject", 2, "Bo") in acts
    assert acts[-3:] == [("review", 3, acts[-3][2]), ("approve", 3, "Ada"), ("rollback", 1, "Bo")]
    today = say("history", "personas", "--at", back["at"], *place)
    assert (today["champion"], today["decided"]["by"]) == (1, "Bo")
    approval = told["entries"][-2]
    then = say("history", "personas", "--at", approval["at"], *place)
    assert (then["champion"], then["decided"]["reason"]) == (3, "better on the later quarter")
    assert say("history", "personas", "--at", "2020-03-03", *place)["champion"] is None
