"""The segments of a refit by command: ids, names and history go on, and every user is told of."""

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from segmenter.__main__ import main
from segmenter.audience_model import AudienceModel
from segmenter.errors import ConfigError
from segmenter.events.store import EventStore
from segmenter.mlflow_home import MlflowHome, relocate
from segmenter.registry import resolve
from segmenter.segments.lineage import Lineage, rename
from segmenter.segments.matching import Flow
from tests.training.conftest import TINY, TrainedJob
from training.continuation import BY_BEHAVIOR, BY_REFIT, MOVED, place_by_parent
from training.plan import TrainRequest, plan_training
from training.refit_report import SegmentFlow
from training.warm_start import load_warm_start

NAME = "Weekend stock-up"


@dataclass(frozen=True)
class Refitted:
    """A refit by command, with the parent that a person had named a segment of."""

    parent: AudienceModel
    model: AudienceModel
    answer: dict
    said: str
    store: EventStore


@pytest.fixture(scope="module")
def refitted(
    trained: TrainedJob, newer: EventStore, tmp_path_factory: pytest.TempPathFactory
) -> Refitted:
    folder = tmp_path_factory.mktemp("refit")
    home = MlflowHome(shutil.copytree(trained.home.path, folder / "mlruns"))
    relocate(home)
    original = AudienceModel.load(resolve(home, "personas/1").folder)
    segments = rename(original.segments, 2, NAME)
    lineage = original.lineage.after_renaming(segments[1], at="2025-02-02", author="ann")
    parent = replace(original, segments=segments, lineage=lineage).save(folder / "parent")
    with pytest.MonkeyPatch.context() as patch, (folder / "said").open("w+") as said:
        words = ("--store", newer.path, "--from", folder / "parent", "--mlruns", home.path)
        patch.setattr(sys, "argv", ["segmenter", "refit", *map(str, words), "--json"])
        patch.setattr(sys, "stderr", said)
        with (folder / "answer").open("w+") as answered:
            patch.setattr(sys, "stdout", answered)
            with pytest.raises(SystemExit) as ended:
                main()
    assert not ended.value.code
    answer = json.loads((folder / "answer").read_text())
    model = AudienceModel.load(Path(answer["bundle"]))
    told = " ".join((folder / "said").read_text().split())
    return Refitted(parent, model, answer, told, newer)


def test_ids_names_and_coordinates_go_on(refitted: Refitted) -> None:
    parent, model = refitted.parent, refitted.model
    ids = set(parent.assigner.segment_ids.tolist())
    np.testing.assert_array_equal(model.projection.matrix, parent.projection.matrix)
    assert ids & set(model.assigner.segment_ids.tolist())
    named = {segment.id: segment for segment in model.segments}
    assert (named[2].name, named[2].locked) == (NAME, True)
    assert len({segment.name for segment in model.segments}) == len(model.segments)
    assert refitted.answer["kept_share"] >= 0.85
    assert {segment["id"] for segment in refitted.answer["segments"]} == set(named)


def test_the_flow_is_what_both_models_say_of_everybody(refitted: Refitted) -> None:
    store, parent, model = refitted.store, refitted.parent, refitted.model
    everybody, as_of = np.arange(store.n_users), store.newest
    today = parent.assign(parent.embed(store, as_of=as_of)).segment_id
    new = model.assign(model.embed(store, as_of=as_of)).segment_id
    flow = [Flow(**row) for row in refitted.answer["flow"]]
    for row in flow:
        if row.old_id is not None and row.new_id is not None and row.kind != "merged":
            assert row.users == ((today == row.old_id) & (new == row.new_id)).sum()
    assert sum(row.users for row in flow if row.kind not in {"gone", "merged"}) == len(everybody)
    users, _ = place_by_parent(parent, store, everybody, as_of=as_of)
    known = users.then != 0
    np.testing.assert_array_equal(users.today, today)
    then = parent.assign(parent.embed(store, everybody[known], as_of=parent.trained_as_of))
    np.testing.assert_array_equal(users.then[known], then.segment_id)
    assert refitted.answer["kept_share"] == pytest.approx((today == new)[known].mean())

    moved = pl.read_parquet(Path(refitted.answer["bundle"]).parent / MOVED)
    went = known & (users.then != new)
    assert moved["user_id"].to_list() == store.user_ids().filter(pl.Series(went)).to_list()
    assert moved["old_segment_id"].to_list() == users.then[went].tolist()
    assert moved["new_segment_id"].to_list() == new[went].tolist()
    by = np.where(users.then != today, BY_BEHAVIOR, BY_REFIT)[went]
    assert moved["moved_by"].to_list() == by.tolist()


def test_the_lineage_is_kept_with_the_model(refitted: Refitted) -> None:
    lineage = refitted.model.lineage
    assert lineage.next_id > max(history.id for history in lineage.histories)
    (history,) = (item for item in lineage.histories if item.id == 2)
    events = [step.event for step in history.steps]
    assert events[:2] == ["first", "renamed"]
    assert history.steps[1].author == "ann"
    assert history.steps[2].name == NAME
    assert history.steps[2].at == refitted.answer["as_of"]
    sizes = {segment.id: segment.n_users for segment in refitted.model.segments}
    for item in lineage.histories:
        assert item.retired == (item.id not in sizes)
        assert item.steps[-1].n_users == sizes.get(item.id, 0)


def test_people_are_told_who_stayed(refitted: Refitted) -> None:
    told = refitted.answer["refit"]["segments"]
    again = SegmentFlow.from_json(told)
    assert again.n_known + again.n_new == refitted.store.n_users
    assert "keep their segment (both models" in refitted.said
    assert "Where 240 users went" in refitted.said
    assert f"{again.kept_share:.1%} of" in refitted.said


def test_a_bundle_without_a_lineage_begins_one(trained: TrainedJob, tmp_path: Path) -> None:
    model = AudienceModel.load(trained.outcome.bundle)
    assert model.lineage == Lineage.begin(model.segments, at=trained.outcome.data.as_of)
    assert replace(model, lineage=Lineage(1, ())).save(tmp_path / "b").digest
    assert AudienceModel.load(tmp_path / "b").lineage == model.lineage


def test_another_number_of_segments_is_refused(own_job: TrainedJob, newer: EventStore) -> None:
    start = load_warm_start(own_job.home.path, "personas/1")
    config = replace(TINY, n_segments=9)
    request = TrainRequest(newer.path, config, own_job.home.path, start=start)
    with pytest.raises(ConfigError, match=r"keeps the 4 segments of personas/1.* --segments 9"):
        plan_training(request)
