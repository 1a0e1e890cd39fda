"""Every level leaves: macro and micro segments as audiences, and what forbids a segment."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from segmenter.errors import ConfigError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from segmenter.segments.hierarchy import LEVELS
from segmenter.segments.segment import Flag
from serving.batch import score
from serving.exports import gates
from serving.exports.audiences import Rules
from serving.exports.destinations import destination_of
from serving.exports.export import Export, export
from serving.exports.scores import Scores, chosen_segments, neighbors, open_scores
from tests.models import World
from tests.serving.exports.scored import crowd, write_scores


@pytest.fixture(scope="module")
def folder(
    world: World, shared_home: MlflowHome, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("levels")
    score(world.store.path, out, resolve(shared_home, "shoppers/1"), shard_users=50)
    return out


def members(scores: Scores, number: int) -> set[str]:
    return set(pl.concat(list(scores.members([number])))["user_id"])


def test_members_of_a_level_are_those_of_the_level_below(folder: Path) -> None:
    opened = {level: open_scores(folder, level=level) for level in LEVELS}
    for below, above in (("micro", "segment"), ("segment", "macro")):
        held: dict[int, set[str]] = {}
        for one in opened[below].segments.values():
            assert one.n_users == len(members(opened[below], one.id))
            held.setdefault(one.parent, set()).update(members(opened[below], one.id))
        assert held == {number: members(opened[above], number) for number in held}
        assert set(held) == set(opened[above].segments)
        assert opened[below].above == opened[above].segments


def test_a_small_audience_is_told_of_the_level_above(folder: Path) -> None:
    small = gates.Verdict("refused", "too few")
    for level, above in (("micro", "segment"), ("segment", "macro")):
        scores = open_scores(folder, level=level)
        one = next(iter(scores.segments.values()))
        near = neighbors(scores, [one.id])[one.id]
        told = gates.remedies(one, scores, near, verdict=small)
        assert any(f"--level {above} --segments {one.parent}" in remedy for remedy in told)
    top = open_scores(folder, level="macro")
    near = neighbors(top, list(top.segments))
    assert all(set(others) <= set(top.segments) for others in near.values())
    told = gates.remedies(next(iter(top.segments.values())), top, {}, verdict=small)
    assert not any("level above" in remedy for remedy in told)


def test_a_macro_segment_is_written_as_one_audience(tmp_path: Path) -> None:
    assignments, people = crowd(900)
    people = people.with_columns(consent=pl.lit("yes"), age=pl.lit("30"))
    macro = pl.col("segment_id").replace_strict({1: 4, 2: 4, 3: 5}, default=None)
    folder = write_scores(tmp_path / "scores", assignments.with_columns(macro_id=macro))
    manifest = json.loads((folder / "manifest.json").read_text())
    held = assignments.filter(pl.col("segment_id").is_in([1, 2]))
    levels = {"macro": [{"id": 4, "name": "Both", "n_users": len(held)}]}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"levels": levels}))
    people.write_parquet(tmp_path / "people.parquet")
    scores = open_scores(folder, level="macro")
    rules = Rules(min_strength=0, minimum_age=18, moment=scores.moment)
    asked = tuple(chosen_segments(scores, "4"))
    to = (destination_of("generic-csv"),)
    report = export(
        Export(scores, tmp_path / "people.parquet", asked, to, rules), tmp_path / "out"
    )
    (waterfall,) = report.waterfalls
    assert waterfall.counts["members"] == len(held)
    assert waterfall.title == "generic-csv: macro segment 4, Both"
    written = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert written["inputs"]["level"] == "macro"
    assert all(name.startswith("generic-csv/macro-4/") for name in written["files"])
    assert len(report.files) == 1


def test_what_forbids_a_segment_forbids_its_parts_and_not_what_holds_it(
    world: World, shared_home: MlflowHome, tmp_path: Path
) -> None:
    first, *others = world.model.segments
    flag = Flag("health", "vitamins", "name", "Active: vitamins")
    flagged = replace(world.model, segments=(replace(first, flags=(flag,)), *others))
    flagged.save(tmp_path / "bundle")
    score(world.store.path, tmp_path / "out", resolve(shared_home, str(tmp_path / "bundle")))
    micros = open_scores(tmp_path / "out", level="micro").segments
    for one in micros.values():
        assert (one.evidence is not None) == (one.parent == first.id)
    macros = open_scores(tmp_path / "out", level="macro").segments
    assert all(one.evidence is None for one in macros.values())
    table = tmp_path / "flags.csv"
    table.write_text("segment_id,evidence,level\n1,politics,macro\n")
    marked = open_scores(tmp_path / "out", table, level="macro").segments
    assert {number for number, one in marked.items() if one.evidence} == {1}


def test_scores_of_a_model_without_levels_are_segments_alone(tmp_path: Path) -> None:
    folder = write_scores(tmp_path / "scores", crowd(60)[0])
    assert open_scores(folder).above == {}
    for level in ("macro", "micro"):
        with pytest.raises(ConfigError, match=f"has no {level} segments"):
            open_scores(folder, level=level)
    with pytest.raises(ConfigError, match="must be macro, segment or micro"):
        open_scores(folder, level="all")
