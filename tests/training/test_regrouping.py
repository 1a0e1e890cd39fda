"""Merging and splitting by command: shown first, then a version of its own that refits keep."""

import json
import sys

import numpy as np
import pytest

from segmenter.__main__ import main
from segmenter.audience_model import AudienceModel
from segmenter.events.batches import users_until
from segmenter.events.store import EventStore
from segmenter.registry import resolve
from tests.training.conftest import Personas, TrainedJob, no_bar
from training.plan import TrainRequest, plan_training
from training.report.data import ReportData
from training.train import train
from training.warm_start import load_warm_start


def type_(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, dict, str]:
    """Type a command: exit code, JSON object, and what was said to people on one line."""
    monkeypatch.setattr(sys, "argv", ["segmenter", "segments", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code or 0, json.loads(said.out), " ".join(said.err.split())


def members(model: AudienceModel, store: EventStore) -> np.ndarray:
    users = users_until(store, model.trained_as_of)
    return model.assign(model.embed(store, users, as_of=model.trained_as_of)).segment_id


def test_a_merge_is_shown_before_it_is_done(
    trained: TrainedJob,
    newer: EventStore,
    capsys: pytest.CaptureFixture[str],
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = ("--model", "personas@champion", "--mlruns", trained.home.path, "--author", "ann")
    one, other = (row["id"] for row in trained.outcome.data.segments[:2])
    code, shown, said = type_(capsys, monkeypatch, "merge", one, other, *place)
    assert (code, shown["done"]) == (0, False)
    assert "Validity: cannot be judged: it needs the events; pass --store" in said
    assert "Nothing was changed" in said
    assert shown["effect"]["apart"] > 0
    assert shown["effect"]["explained_after"] < shown["effect"]["explained_before"]
    code, refused, _ = type_(capsys, monkeypatch, "merge", one, other, *place, "--yes")
    assert code == 1
    assert "pass --store" in refused["error"]["message"]
    strange = ("--store", newer.path)
    code, refused, _ = type_(capsys, monkeypatch, "merge", one, other, *place, *strange)
    assert "must be the store that the model was trained on" in refused["error"]["message"]
    assert resolve(trained.home, "personas@champion").version == 1


def test_a_merge_is_a_version_of_its_own_that_a_refit_keeps(
    own_job: TrainedJob,
    personas: Personas,
    newer: EventStore,
    *,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, store = own_job.home, personas.store
    place = ("--model", "personas@champion", "--mlruns", home.path)
    before = AudienceModel.load(resolve(home, "personas/1").folder)
    one, other = (item.id for item in before.segments[:2])
    words = (one, other, *place, "--store", store.path, "--author", "ann", "--yes")
    code, done, _ = type_(capsys, monkeypatch, "merge", *words)
    assert code == 0, done
    assert (done["model"], done["from"]) == ("personas/2", "personas/1")
    assert sorted(done["aliases"]) == ["challenger", "champion"]
    after = AudienceModel.load(resolve(home, "personas@champion").folder)
    (new,) = done["new"]
    assert new == before.lineage.next_id
    old_label, label = members(before, store), members(after, store)
    inside = np.isin(old_label, [one, other])
    np.testing.assert_array_equal(label == new, inside)
    np.testing.assert_array_equal(label[~inside], old_label[~inside])
    assert done["effect"]["after"] == {str(new): int(inside.sum())}
    item = next(item for item in after.segments if item.id == new)
    assert item.n_users == inside.sum()
    assert item.facts
    histories = {history.id: history for history in after.lineage.histories}
    assert histories[one].retired
    assert histories[one].steps[-1].author == histories[new].steps[0].author == "ann"
    after.hierarchy.check(after.assigner.ids.tolist(), after.assigner.prototypes.shape[1])
    report = ReportData.from_json(
        json.loads((resolve(home, "personas/2").folder / "report.json").read_text())
    )
    assert set(report.user_map.segment_id) == set(label.tolist())
    assert report.coverage.smallest == min(one.n_users for one in after.segments)
    assert report.validity is not None

    start = load_warm_start(home.path, "personas/2")
    request = TrainRequest(newer.path, own_job.request.config, home.path, start=start)
    refit = AudienceModel.load(train(plan_training(request), no_bar).bundle)
    assert new in {item.id for item in refit.segments}
    assert not {one, other} & {item.id for item in refit.segments}
    assert (refit.assigner.segment_ids == new).sum() == 2
    assert refit.lineage.locks.together == {new}


def test_a_split_gives_new_ids_with_a_history(
    own_job: TrainedJob,
    personas: Personas,
    capsys: pytest.CaptureFixture[str],
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, store = own_job.home, personas.store
    place = ("--model", "personas@champion", "--mlruns", home.path)
    before = AudienceModel.load(resolve(home, "personas/1").folder)
    parents = list(before.hierarchy.segment_of.values())
    whole = [item.id for item in before.segments if parents.count(item.id) == 1]
    for number in whole[:1]:
        code, refused, _ = type_(capsys, monkeypatch, "split", number, *place)
        assert code == 1
        assert "it is in one piece" in refused["error"]["message"]
    number = max(set(parents), key=parents.count)
    assert parents.count(number) > 1, "the job must have a segment with parts"
    words = (number, *place, "--store", store.path, "--author", "bob", "--yes")
    code, done, said = type_(capsys, monkeypatch, "split", *words)
    assert code == 0, done
    assert done["new"] == [before.lineage.next_id, before.lineage.next_id + 1]
    assert ("Validity on an earlier slice" in said) or ("cannot be judged" in said)
    after = AudienceModel.load(resolve(home, "personas@champion").folder)
    assert {item.id for item in after.segments} == {item.id for item in before.segments} - {
        number
    } | set(done["new"])
    label = members(after, store)
    assert {item.id: item.n_users for item in after.segments} == dict(
        zip(*np.unique(label, return_counts=True), strict=True)
    )
    untouched = {item.id: item for item in before.segments if item.id != number}
    for item in after.segments:
        if item.id in untouched:
            assert (item.name, item.facts) == (
                untouched[item.id].name,
                untouched[item.id].facts,
            )
    (pair,) = after.lineage.locks.apart
    assert pair == frozenset(done["new"])
    assert len({item.name for item in after.segments}) == len(after.segments)
