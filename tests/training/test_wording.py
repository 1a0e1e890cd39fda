"""Titles and written names by command: a new version that differs in words alone."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from segmenter.__main__ import main
from segmenter.audience_model import AudienceModel
from segmenter.errors import ConfigError
from segmenter.registry import resolve
from tests.training.conftest import TrainedJob
from training.wording import load_writer, read_titles


def test_a_command_gives_titles_and_names(
    own_job: TrainedJob,
    tmp_path: Path,
    *,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = AudienceModel.load(resolve(own_job.home, "personas/1").folder)
    shares = [fact for item in before.segments for fact in item.facts if fact.kind == "share"]
    (tmp_path / "titles.csv").write_text(f"value,title\n{shares[0].value},The title\n")
    code = "def write(facts):\n    return f'Group of {facts[\"share\"]:.4f}'\n"
    (tmp_path / "house_names.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    words = ["segments", "word", "--titles", "titles.csv", "--writer", "house_names:write"]
    words += ["--author", "ann", "--mlruns", str(own_job.home.path), "--json"]
    monkeypatch.setattr(sys, "argv", ["segmenter", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    told = json.loads(said.out)
    assert (told["model"], told["from"]) == ("personas/2", "personas/1")
    after = AudienceModel.load(resolve(own_job.home, "personas@champion").folder)
    names = {item.id: item.name for item in after.segments}
    for item in before.segments:
        expected = f"Group of {item.share:.4f}"
        assert names[item.id] == expected or str(item.id) in told["kept"]
    assert "The title" in {fact.value for item in after.segments for fact in item.facts}
    np.testing.assert_array_equal(after.assigner.prototypes, before.assigner.prototypes)
    renamed = {history.id for history in after.lineage.histories if len(history.steps) > 1}
    assert renamed == {int(number) for number in told["renamed"]}
    assert after.hierarchy.macro_of == before.hierarchy.macro_of


def test_what_cannot_be_worded_is_refused(tmp_path: Path) -> None:
    for spec in ("json", "json:nothing", "no_such_module:write", ":x"):
        with pytest.raises(ConfigError, match="must be MODULE:FUNCTION"):
            load_writer(spec)
    with pytest.raises(ConfigError, match="must name a function"):
        load_writer("math:pi")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_titles(tmp_path / "none.csv", ["item"])
    (tmp_path / "bad.csv").write_text("code,title\n1,x\n")
    with pytest.raises(ConfigError, match="must have the columns value and title"):
        read_titles(tmp_path / "bad.csv", ["item"])
    (tmp_path / "good.csv").write_text("field,value,title\nitem,1,x\n,2,y\n")
    found = read_titles(tmp_path / "good.csv", ["item", "category"])
    assert found == {("item", "1"): "x", ("item", "2"): "y", ("category", "2"): "y"}
