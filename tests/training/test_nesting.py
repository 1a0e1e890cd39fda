"""Levels of a trained model: they nest, stand in the bundle, and go on in a refit."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segmenter.__main__ import main
from segmenter.audience_model import AudienceModel
from segmenter.bundle import read_bundle, write_bundle
from segmenter.events.batches import users_until
from segmenter.events.store import EventStore
from tests.training.conftest import Personas, TrainedJob, no_bar
from training.nesting import kept_words, next_lineage
from training.plan import TrainRequest, plan_training
from training.train import train
from training.warm_start import load_warm_start

HELD = ("core", "voted", "second", "outsiders")
"""What a segment tells of its users; other levels tell of the first two."""


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object):
    """Type a command; its JSON object and what was said to people."""
    monkeypatch.setattr(sys, "argv", ["segmenter", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    return json.loads(said.out), said.err


def placed(model: AudienceModel, store: EventStore) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Macro, published and micro segment of everybody at the model's time."""
    users = users_until(store, model.trained_as_of)
    embeddings = model.embed(store, users, as_of=model.trained_as_of)
    segment = model.assign(embeddings).segment_id
    macro, micro = model.levels(embeddings, segment)
    return macro, segment, micro


def test_levels_nest_and_count_everybody(trained: TrainedJob, personas: Personas) -> None:
    model = AudienceModel.load(trained.outcome.bundle)
    levels = model.hierarchy
    macro, segment, micro = placed(model, personas.store)
    for ids, described in ((macro, levels.macros), (micro, levels.micros)):
        counted = dict(zip(*np.unique(ids, return_counts=True), strict=True))
        assert {item.id: item.n_users for item in described} == counted
        assert sum(item.share for item in described) == pytest.approx(1)
        assert all(0 <= item.n_core <= item.n_users for item in described)
        assert all(item.facts and item.name for item in described)
    for number in np.unique(micro):
        assert len(np.unique(segment[micro == number])) == 1
    for number in np.unique(segment):
        assert len(np.unique(macro[segment == number])) == 1
    assert len({item.name for item in levels.macros}) == len(levels.macros)
    assert trained.outcome.data.hierarchy == json.loads(json.dumps(levels.to_json()))


def test_the_command_tells_every_level(
    trained: TrainedJob, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {}
    for level in ("macro", "segment", "micro"):
        words = ("segments", "--level", level, "--mlruns", trained.home.path)
        told[level], said = run(capsys, monkeypatch, *words)
        rows = told[level]["segments"]
        noun = "segment" if level == "segment" else f"{level} segment"
        assert f"{len(rows)} {noun}" in said
        for row in rows:
            assert row["level"] == level
            groups = HELD if level == "segment" else HELD[:2]
            assert row["size"] == sum(row[name] for name in groups) == row["n_users"]
            assert {"name", "facts", "rule", "stability", "outsiders", "status"} <= set(row)
    for below, above in (("micro", "segment"), ("segment", "macro")):
        parents = {row["parent"] for row in told[below]["segments"]}
        assert parents == {row["id"] for row in told[above]["segments"]}
    assert "macro segment" in told["macro"]["reason"]


def test_an_older_bundle_without_levels_loads_and_says_so(
    trained: TrainedJob,
    personas: Personas,
    tmp_path: Path,
    *,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = read_bundle(trained.outcome.bundle)
    documents = {name: value for name, value in content.documents.items() if name != "hierarchy"}
    documents["report"] = {
        name: value for name, value in documents["report"].items() if name != "hierarchy"
    }
    arrays = {name: value for name, value in content.arrays.items() if name != "hierarchy"}
    write_bundle(tmp_path / "old", documents=documents, arrays=arrays)
    model = AudienceModel.load(tmp_path / "old")
    assert model.hierarchy is None
    embeddings = model.embed(personas.store, np.arange(3), as_of=model.trained_as_of)
    assert model.levels(embeddings, model.assign(embeddings).segment_id) is None
    rows, _ = run(capsys, monkeypatch, "segments", "--model", tmp_path / "old")
    assert {row["parent"] for row in rows["segments"]} == {None}
    words = ["segmenter", "segments", "--level", "micro", "--model", str(tmp_path / "old")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "made before there were levels" in " ".join(capsys.readouterr().err.split())


def test_a_refit_keeps_the_ids_of_every_level(own_job: TrainedJob, newer: EventStore) -> None:
    start = load_warm_start(own_job.home.path, "personas/1")
    before = start.model.hierarchy
    request = TrainRequest(newer.path, own_job.request.config, own_job.home.path, start=start)
    after = AudienceModel.load(train(plan_training(request), no_bar).bundle).hierarchy
    kept = set(before.macro_of) & set(after.macro_of)
    assert kept
    assert {number: after.macro_of[number] for number in kept} == {
        number: before.macro_of[number] for number in kept
    }
    lasting = set(before.segment_of) & set(after.segment_of)
    assert len(lasting) >= 0.5 * len(before.segment_of)
    for number in lasting:
        if before.segment_of[number] in kept:
            assert after.segment_of[number] == before.segment_of[number]
    for lineage, earlier, level in (
        (after.macro_lineage, before.macro_lineage, after.macros),
        (after.micro_lineage, before.micro_lineage, after.micros),
    ):
        going = {history.id for history in lineage.histories if not history.retired}
        assert going == {item.id for item in level}
        assert {item.id for item in earlier.histories} <= {item.id for item in lineage.histories}
        assert all(item.id < lineage.next_id for item in lineage.histories)


def test_ids_of_levels_are_never_given_again(trained: TrainedJob) -> None:
    levels = AudienceModel.load(trained.outcome.bundle).hierarchy
    first, *others = levels.micros
    lineage = next_lineage(levels.micro_lineage, others, at="2026-01-01")
    gone = next(history for history in lineage.histories if history.id == first.id)
    assert (gone.retired, gone.steps[-1].event) == (True, "gone")
    assert lineage.next_id == levels.micro_lineage.next_id
    again = next_lineage(lineage, [*others, replace(first, id=lineage.next_id)], at="2026-02-01")
    assert again.next_id == lineage.next_id + 1
    renamed = tuple(replace(item, name="x", n_users=7) for item in levels.micros)
    words = kept_words(renamed, levels.micros, touched={first.id})
    assert [item.name for item in words] == ["x", *(item.name for item in others)]
    assert {item.n_users for item in words} == {7}
