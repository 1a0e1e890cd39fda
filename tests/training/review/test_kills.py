"""A killed process leaves no half decision, and no line of the log is lost."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from segmenter.mlflow_home import MlflowHome, relocate
from segmenter.registry import resolve
from tests.training.review.desks import Fuse, decide_and_die, fused, log_file, write_review
from training.review.decision_log import DONE, Decision
from training.review.desk import open_desk

N_KILLS = 20


@pytest.fixture(scope="module")
def decided(shared_home, tmp_path_factory) -> tuple[MlflowHome, Decision]:
    """A home with a reviewed challenger, and the decision that shall make it champion."""
    place = tmp_path_factory.mktemp("to decide") / "mlruns"
    home = MlflowHome(Path(shutil.copytree(shared_home.path, place)))
    relocate(home)
    write_review(home, "shoppers/2")
    decision = Decision(
        "approve",
        "shoppers",
        2,
        resolve(home, "shoppers/2").digest,
        "Ada",
        "better",
        aliases={"champion": 2, "previous": 1},
        tags={"2": {"review.status": "approved", "review.by": "Ada"}},
    )
    return home, decision


def copied(home: MlflowHome, place: Path) -> MlflowHome:
    copy = MlflowHome(Path(shutil.copytree(home.path, place)))
    relocate(copy)
    return copy


def test_twenty_random_kills_leave_a_whole_decision_or_none(decided, tmp_path):
    template, decision = decided
    undisturbed, fuse = copied(template, tmp_path / "undisturbed"), Fuse(0)
    with open_desk(undisturbed, "shoppers") as desk:
        fused(desk, undisturbed, fuse).decide(decision)
    n_steps = len(fuse.ticks)
    assert n_steps > N_KILLS
    outcomes = set()
    drawn = np.random.default_rng(5).choice(n_steps, N_KILLS, replace=False)
    for at in (1 + drawn).tolist():
        home = copied(template, tmp_path / str(at))
        before = log_file(home).read_bytes()
        assert not decide_and_die(home, decision, at)
        outcomes.add(happened := assert_whole_or_none(home, decision))
        assert log_file(home).read_bytes().startswith(before)
        assert happened == ("after append" in fuse.ticks[:at])
    assert outcomes == {True, False}


def assert_whole_or_none(home: MlflowHome, decision: Decision) -> bool:
    """What the next command finds: everything of the decision, or nothing of it."""
    with open_desk(home, "shoppers") as desk:
        done = [
            entry for entry in desk.log.read() if entry.kind == DONE and entry.decision == decision
        ]
        aliases = desk.aliases("shoppers")
        tags = desk.client.get_model_version("shoppers", "2").tags
    assert len(done) <= 1
    champion, previous = (2, 1) if done else (1, None)
    assert (aliases["champion"], aliases.get("previous")) == (champion, previous)
    assert ("review.status" in tags) == bool(done)
    return bool(done)


def test_a_decision_about_a_version_that_was_deleted_meanwhile_is_void(decided, tmp_path):
    template, decision = decided
    home = copied(template, tmp_path / "home")
    assert not decide_and_die(home, decision, 4)
    home.client().delete_model_version("shoppers", "2")
    with open_desk(home, "shoppers") as desk:
        assert desk.log.read()[-1].kind == "void"
        assert "was deleted" in desk.log.read()[-1].decision.reason
        assert desk.aliases("shoppers")["champion"] == 1
