"""A person names a segment: a new version, the old one untouched, the alias on the new."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from segmenter.__main__ import main
from segmenter.audience_model import AudienceModel
from segmenter.bundle import read_bundle
from segmenter.errors import ConfigError
from segmenter.registry import list_models, resolve
from tests.training.conftest import TrainedJob
from training.naming import rename_segment

NAME = "Weekend stock-up"


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object):
    """Type a command; its JSON object."""
    monkeypatch.setattr(sys, "argv", ["segmenter", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    return json.loads(said.out)


def test_a_name_by_command_is_a_version_with_author_and_moment(
    own_job: TrainedJob, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = own_job.home
    old = resolve(home, "personas@champion")
    digest = old.digest
    words = ("segments", "rename", 2, f" {NAME} ", "--author", "ann", "--mlruns", home.path)
    answer = run(capsys, monkeypatch, *words)
    assert (answer["model"], answer["from"]) == ("personas/2", "personas/1")
    assert (answer["name"], answer["author"]) == (NAME, "ann")
    (model,) = list_models(home)
    assert model.aliases == {"champion": 2, "challenger": 2}

    new = resolve(home, "personas@champion")
    assert resolve(home, "personas/1").digest == digest == read_bundle(old.folder).digest
    before, after = AudienceModel.load(old.folder), AudienceModel.load(new.folder)
    for name, array in before.assigner.arrays().items():
        np.testing.assert_array_equal(after.assigner.arrays()[name], array)
    changed = [
        (one, other)
        for one, other in zip(before.segments, after.segments, strict=True)
        if one != other
    ]
    ((one, other),) = changed
    assert (one.id, other.name, other.locked, answer["old_name"]) == (2, NAME, True, one.name)
    (history,) = (item for item in after.lineage.histories if item.id == 2)
    step = history.steps[-1]
    assert (step.event, step.name, step.author, step.at) == ("renamed", NAME, "ann", answer["at"])

    shown = run(capsys, monkeypatch, "segments", "--mlruns", home.path)
    assert NAME in {segment["name"] for segment in shown["segments"]}
    histories = {history["id"]: history for history in shown["lineage"]["histories"]}
    assert histories[2]["steps"][-1]["author"] == "ann"
    assert not any(history["retired"] for history in histories.values())
    version = home.client().get_model_version("personas", "2")
    assert version.tags["renamed.from"] == "personas/1"
    assert "by ann" in version.tags["renamed"]


def test_naming_an_older_version_leaves_the_aliases_of_others(own_job: TrainedJob) -> None:
    home = own_job.home
    rename_segment(home, "personas/1", 1, name="First", author="ann")
    done = rename_segment(home, "personas/1", 2, name="Second", author="bob")
    assert (done.after.label, done.after.aliases) == ("personas/3", ())
    (model,) = list_models(home)
    assert model.aliases == {"champion": 2, "challenger": 2}


def test_a_sensitive_name_is_flagged_at_once(own_job: TrainedJob) -> None:
    home = own_job.home
    done = rename_segment(home, "personas/1", 1, name="Young families with a baby", author="ann")
    (flag,) = (flag for flag in done.segment.flags if flag.place == "name")
    assert (flag.topic, flag.term) == ("children", "baby")
    kept = AudienceModel.load(resolve(home, done.after.label).folder).segments
    assert done.segment in kept


def test_what_cannot_be_named_is_refused_and_leaves_no_version(
    own_job: TrainedJob, trained: TrainedJob
) -> None:
    home = own_job.home
    wrong = [
        ("personas/1", 99, "x", "ann", "there is no segment 99"),
        ("personas/1", 1, "", "ann", "empty name"),
        ("personas/1", 1, "x", " ", "pass --author"),
        (str(Path(trained.outcome.bundle)), 1, "x", "ann", "only a registered model"),
    ]
    for spec, number, name, author, words in wrong:
        with pytest.raises(ConfigError, match=words):
            rename_segment(home, spec, number, name=name, author=author)
    (model,) = list_models(home)
    assert model.versions == (1,)
