"""``segmenter creative``: every command, for people and for scripts."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

pytest.importorskip("transformers", reason="needs pip install '.[creative]'")

from segmenter.errors import ConfigError, CreativeError, EncoderError, UnreadableError
from serving import creative_commands


def segmenter(*words: str | Path) -> Result:
    """The command as typed, with this group alone."""
    app = typer.Typer()
    creative_commands.register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["creative", *map(str, words)], env={"COLUMNS": "160"})


def result_of(*words: str | Path) -> dict:
    """The one JSON object of a command that must succeed."""
    done = segmenter(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(space, tmp_path_factory) -> Path:
    """A copy of the space that commands may change."""
    return Path(shutil.copytree(space.folder, tmp_path_factory.mktemp("own") / "space"))


def test_index_tells_what_it_read_and_again_takes_nothing(space, tmp_path, checkpoint) -> None:
    library = space.folder.parent / "library"
    words = ("index", library / "asia", "--space", tmp_path / "s", "--model", checkpoint)
    first = result_of(*words)
    assert first["n_pictures"] == first["n_new"] == len(list((library / "asia").iterdir()))
    assert first["set_aside"] == []
    done = segmenter(*words)
    assert "0 of them new" in done.stdout


def test_search_prints_two_lists_and_a_sheet(folder, tmp_path) -> None:
    sheet = tmp_path / "hits.png"
    found = result_of("search", "calm indoor scene", "--space", folder, "--k", 4, "--sheet", sheet)
    assert [len(found[kind]["ids"]) for kind in ("pictures", "texts")] == [4, 4]
    assert sheet.read_bytes()[:4] == b"\x89PNG"
    first = found["pictures"]["ids"][0]
    alike = result_of("search", "--picture", first, "--space", folder, "--where", "region=asia")
    assert all(one.startswith("asia/") for one in alike["pictures"]["ids"])
    file = folder.parent / "picture.png"
    shutil.copy(next((Path(folder).parent).glob("*.png"), sheet), file)
    assert result_of("search", "--picture", file, "--space", folder)["pictures"]["ids"]
    assert isinstance(segmenter("search", "--space", folder).exception, ConfigError)
    gone = segmenter("search", "--picture", "nowhere.png", "--space", folder)
    assert isinstance(gone.exception, CreativeError)


def test_spectrum_prints_its_control_and_refuses_the_unseen(folder, tmp_path) -> None:
    words = ("spectrum", "--space", folder, "--from", "calm", "--to", "energetic")
    found = result_of(*words, "--n", 5, "--sheet", tmp_path / "s.png")
    assert len(found["ids"]) == len(found["control_ids"]) == 5
    done = segmenter(*words)
    assert "random" in done.stdout
    unseen = segmenter("spectrum", "--space", folder, "--from", "clean", "--to", "busy")
    assert isinstance(unseen.exception, UnreadableError)


def test_drift_and_refresh_tell_reasons_and_write_a_brief(folder, tmp_path) -> None:
    found = result_of("drift", "--space", folder)
    assert [one["name"] for one in found["measured"]["groups"]] == ["asia", "europe", "america"]
    assert found["on_brand_auc"] > 0.85
    done = segmenter("drift", "--space", folder)
    assert "toward the brand is more fully branded" in done.stdout
    years = result_of("drift", "--space", folder, "--by", "year")
    assert len(years["measured"]["groups"]) == 3
    paths = "--sheet", tmp_path / "boards.png", "--brief", tmp_path / "brief.txt"
    boards = result_of("refresh", "--space", folder, "--region", "asia", *paths)
    assert len(boards["boards"]) == 4
    assert (tmp_path / "brief.txt").read_text("utf-8").strip() == boards["brief"]
    assert "own look kept" in segmenter("refresh", "--space", folder, "--region", "asia").stdout


def test_a_bias_is_found_corrected_and_stays_corrected(folder, tmp_path) -> None:
    asked = ("--query", "presenter anna", "--compare", "presenter ben", "--group", "presenter")
    audit = result_of("audit", "--space", folder, *asked)
    assert audit["biased"]
    assert result_of("correct", "--space", folder, *asked)["how"] == "rerank"
    found = result_of("search", "presenter anna", "--space", folder, "--k", 20)
    assert found["reranked_by"] == "presenter"
    table = pl.read_parquet(folder / "assets.parquet", glob=False)
    shown = table.filter(pl.col("id").is_in(found["pictures"]["ids"]))["presenter"]
    assert 8 <= (shown == "round head").sum() <= 12
    out = tmp_path / "erased.parquet"
    erased = result_of(
        "correct", "--space", folder, "--group", "presenter", "--how", "erase", "--out", out
    )
    assert erased["after"]["figure"] < erased["before"]["figure"]
    assert pl.read_parquet(out).height == 900
    no_query = segmenter("correct", "--space", folder, "--group", "presenter")
    assert isinstance(no_query.exception, ConfigError)


def test_a_space_is_asked_by_its_own_encoder_alone(folder, tmp_path, checkpoint) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    about = json.loads((other / "space.json").read_text("utf-8"))
    about["encoder"]["weights"] = "of others"
    (other / "space.json").write_text(json.dumps(about), encoding="utf-8")
    done = segmenter("search", "calm", "--space", other, "--model", checkpoint)
    assert isinstance(done.exception, EncoderError)
    assert isinstance(segmenter("drift", "--space", tmp_path).exception, CreativeError)


def test_a_report_is_one_page_that_asks_for_nothing(folder, tmp_path) -> None:
    out = tmp_path / "page.html"
    title = "A <study> & more"
    found = result_of("report", "--space", folder, "--out", out, "--title", title)
    assert found["regions"] == ["asia", "europe", "america"]
    page = out.read_text("utf-8")
    assert "A &lt;study&gt; &amp; more" in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.findall(r'(?:href|src)="(?!data:)', page)
    assert page.count("<img") == 18 + 3 * 4 * 4
    assert "Brief for asia" in page


def test_fit_tells_the_best_assets_of_a_segment(folder, space, tmp_path) -> None:
    ids = space.assets["id"][:4].to_list()
    users = [f"u{place}" for place in range(200)]
    names = ["calm" if place % 2 else "loud" for place in range(200)]
    (tmp_path / "scores" / "assignments").mkdir(parents=True)
    pl.DataFrame({"user_id": users, "segment_name": names}).write_parquet(
        tmp_path / "scores" / "assignments" / "part-00000.parquet"
    )
    taken = [(user, ids[place % 2]) for place, user in enumerate(users)]
    taken += [(user, ids[2]) for user in users] + [("stranger", ids[3])]
    table = pl.DataFrame(taken, schema=["user_id", "asset_id"], orient="row")
    table.write_csv(tmp_path / "engagement.csv")
    words = ("--engagement", tmp_path / "engagement.csv", "--scores", tmp_path / "scores")
    out = tmp_path / "pairs.parquet"
    found = result_of("fit", "--space", folder, *words, "--out", out)
    assert [one["asset_id"] for one in found["segments"]["loud"]] == [ids[0]]
    assert [one["asset_id"] for one in found["segments"]["calm"]] == [ids[1]]
    assert found["n_without_segment"] == 1
    assert pl.read_parquet(out).height == 6
    assert "Assets that fit a segment" in segmenter("fit", "--space", folder, *words).stdout


def test_tune_probes_or_writes_a_checkpoint_of_its_own(folder, space, tmp_path) -> None:
    assert result_of("tune", "--space", folder)["auc"] > 0.85
    words = ("tune", "--space", folder, "--how", "vision")
    assert isinstance(segmenter(*words).exception, ConfigError)
    out = tmp_path / "tuned"
    found = result_of(*words, "--library", space.folder.parent / "library", "--out", out)
    assert found["n_learned"] == 450
    library = space.folder.parent / "library" / "asia"
    other = result_of("index", library, "--space", tmp_path / "other", "--model", out)
    assert other["encoder"]["weights"] != space.encoder["weights"]
