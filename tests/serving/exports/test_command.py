"""``segmenter export``: what a person reads, what a script gets, and that nobody is named."""

import datetime as dt
import json
import logging
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from segmenter.errors import ConfigError, ExportRefusedError, SourceError
from segmenter.registry import resolve
from segmenter.segments.segment import Flag
from serving import cli
from serving.batch import score
from serving.exports import command_options, gates
from serving.exports.destinations import DESTINATIONS
from serving.exports.scores import open_scores
from tests.serving.exports.scored import AS_OF, crowd, write_scores

PLANTED = {
    "email": "Planted.Person+here@Gmail.com",
    "phone": "+1 (415) 555-2671",
    "first_name": "Plantina",
    "last_name": "Plantagenet",
    "street": "77 Planted Plaza",
    "city": "Plantington",
}


def segmenter(*words: str | Path) -> Result:
    """The command as typed, with this room's commands alone."""
    app = typer.Typer()
    cli.register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def words(tmp_path):
    """A command line that works, with a person whose identifiers would be noticed."""
    members, people = crowd(1_400, seed=5)
    marked = people.with_columns(
        pl.lit(None, dtype=pl.String).alias(name) for name in PLANTED
    ).head(0)
    planted = {"user_id": "planted", "country": "US", "consent": "yes", "age": "40"} | PLANTED
    bad = {"user_id": "bad", "email": "planted-but-bad", "consent": "yes", "phone": "00planted"}
    rows = pl.concat(
        [people, marked.select(*PLANTED), pl.DataFrame([planted, bad])], how="diagonal_relaxed"
    )
    more = pl.DataFrame(
        {"user_id": ["planted", "bad"], "segment_id": [1, 1], "strength": [0.9, 0.9]}
    )
    write_scores(tmp_path / "scores", pl.concat([members, more], how="diagonal_relaxed"))
    rows.write_csv(tmp_path / "people.csv")
    return [
        *("export", "--scores", tmp_path / "scores", "--identities", tmp_path / "people.csv"),
        *("--segments", "1", "--default-country", "US", "--allow-stale", "--any-model"),
        *("--mlruns", tmp_path / "no home", "--out", tmp_path / "out put"),
    ]


def test_the_help_names_every_destination():
    assert set(command_options.NAMES) == set(DESTINATIONS)
    done = segmenter("export", "--help")
    assert done.exit_code == 0


def test_a_script_gets_one_json_object_and_people_the_waterfall(words, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    done = segmenter(*words, "--to", "meta", "--to", "google-ads-csv", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert [one["destination"] for one in result["audiences"]] == ["meta", "google-ads-csv"]
    assert result["out"] == str(tmp_path / "out put")
    assert result["placeholders"] == {"meta": ["audience_id"]}
    assert len(result["marks"]) == 2
    assert result["audiences"][0]["matched"]["assumption"]
    read = " ".join(done.stderr.split())
    assert "may be found (assumed 40% to 70%)" in read
    assert "no consent known" in read
    for name in result["files"]:
        assert (tmp_path / "out put" / name).exists()


def test_a_person_reads_where_the_files_are_and_a_dry_run_writes_none(words, tmp_path):
    done = segmenter(*words, "--to", "generic-csv")
    assert str(tmp_path / "out put" / "waterfall.html") in done.stdout
    dry = segmenter(*words[:-1], tmp_path / "elsewhere", "--to", "generic-csv", "--dry-run")
    assert dry.exit_code == 0
    assert "Nothing was written" in dry.stdout
    assert not (tmp_path / "elsewhere").exists()


def test_nobody_is_named_outside_of_the_destination_files(words, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    names = [word for name in command_options.NAMES for word in ("--to", name)]
    done = segmenter(*words, *names)
    assert done.exit_code == 0, done.output
    listed = json.loads((tmp_path / "out put" / "manifest.json").read_text())["files"]
    assert any("liveramp" in name for name in listed)
    texts = {"terminal": done.output, "log": caplog.text}
    for path in sorted((tmp_path / "out put").rglob("*")):
        if path.is_file():
            texts[path.relative_to(tmp_path / "out put").as_posix()] = path.read_text()
    allowed = ("liveramp/", "linkedin/", "linkedin-csv/")  # names and addresses are plain there
    for name, text in texts.items():
        for kind, secret in PLANTED.items():
            is_plain = kind not in ("email", "phone") and name.startswith(allowed)
            assert is_plain or secret.lower() not in text.lower(), (name, kind)
        for part in ("planted.person", "plantedperson", "4155552671", "planted-but-bad"):
            assert part not in text.lower(), (name, part)
    assert any("Plantagenet" in text for text in texts.values())  # the planted person did leave


def test_errors_name_nobody(words, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text('user_id,email\nu,"planted.person@x.com\n' + "a,b,c,planted.person\n" * 3)
    done = segmenter(*words, "--to", "meta")
    assert done.exit_code == 1
    assert "planted" not in f"{done.exception}{done.output}".replace(str(tmp_path), "").lower()


@pytest.mark.parametrize(
    "case",
    [
        (ConfigError, ["--to", "myspace"], "there are google-data-manager"),
        (ConfigError, ["--to", "meta", "--segments", "9"], "has 1, 2, 3"),
        (ConfigError, ["--to", "meta", "--set", "audience"], "NAME=VALUE"),
        (ConfigError, ["--to", "meta", "--tcf-vendor", "meta=x"], "number of a vendor"),
        (ConfigError, ["--to", "meta", "--minimum-people", "20"], "floor of k-anonymity"),
        (ConfigError, ["--to", "meta", "--default-country", "Atlantis"], "by their codes"),
        (ConfigError, ["--to", "meta", "--min-strength", "2"], "in 0 to 1"),
        (SourceError, ["--to", "meta", "--suppress", "nowhere.csv"], "--suppress nowhere.csv"),
        (SourceError, ["--to", "meta", "--scores", "nowhere"], "`segmenter score` finished"),
        (ExportRefusedError, ["--to", "the-trade-desk"], "no audience was written"),
    ],
)
def test_what_cannot_be_done_is_a_deliberate_error(words, case, tmp_path):
    kind, more, said = case
    done = segmenter(*words, *more)
    assert isinstance(done.exception, kind)
    assert said in str(done.exception)
    assert not list((tmp_path / "out put").glob("*/*/*"))


def test_old_scores_are_refused_unless_told_otherwise(words):
    strict = [word for word in words if word != "--allow-stale"]
    done = segmenter(*strict, "--to", "meta")
    assert isinstance(done.exception, ExportRefusedError)
    assert "pass --allow-stale" in str(done.exception)
    assert segmenter(*strict, "--to", "meta", "--max-age-days", "999999").exit_code == 0


def test_only_the_champion_is_exported_unless_told_otherwise(shared_home, tmp_path):
    members, _ = crowd(10)
    for model, said in (
        ("shoppers/1", None),
        ("shoppers/2", "the champion is shoppers/1"),
        ("others/1", "the champion of others is not known"),
        ("f" * 64, "made by a folder"),
    ):
        folder = write_scores(tmp_path / model.replace("/", "-"), members, model=model)
        reason = gates.model_reason(open_scores(folder), shared_home)
        assert reason is None if said is None else said in reason


def test_the_age_of_scores_is_told_in_days(tmp_path):
    scores = open_scores(write_scores(tmp_path / "scores", crowd(10)[0]))
    week_later = AS_OF + dt.timedelta(days=7)
    assert gates.stale_reason(scores, week_later, 7) is None
    assert "7 days ago" in gates.stale_reason(scores, week_later, 6)


def test_what_a_scoring_run_wrote_can_be_exported(world, shared_home, tmp_path):
    run = score(world.store.path, tmp_path / "scores", resolve(shared_home, "shoppers/1"))
    opened = open_scores(tmp_path / "scores")
    table = pl.read_parquet(tmp_path / "scores" / "assignments")
    ids = sorted(opened.segments)
    members = pl.concat(opened.members(ids))
    assert members.equals(table.select(members.columns).filter(pl.col("segment_id").is_in(ids)))
    assert opened.n_users == run.n_users
    people = table.select("user_id", pl.format("{}@example.com", "user_id").alias("email"))
    people.with_columns(consent=pl.lit("yes")).write_parquet(tmp_path / "people.parquet")
    done = segmenter(
        *("export", "--scores", tmp_path / "scores", "--identities", tmp_path / "people.parquet"),
        *("--to", "generic-csv", "--out", tmp_path / "out", "--mlruns", shared_home.path),
        *("--max-age-days", "99999", "--dry-run", "--json"),
    )
    assert isinstance(done.exception, ExportRefusedError)  # 120 users are too few anywhere
    audiences = json.loads(done.stdout)["audiences"]
    assert sum(one["counts"]["people"] for one in audiences) == len(members)
    assert all("k-anonymity" in one["why"] for one in audiences)


def test_a_segment_that_a_model_flags_is_refused_with_the_evidence(world, shared_home, tmp_path):
    flag = Flag("health", "vitamins", "name", "Active: vitamins")
    first, *others = world.model.segments
    flagged = replace(world.model, segments=(replace(first, flags=(flag,)), *others))
    bundle = tmp_path / "bundle"
    flagged.save(bundle)
    score(world.store.path, tmp_path / "scores", resolve(shared_home, str(bundle)))
    opened = open_scores(tmp_path / "scores")
    assert opened.segments[first.id].evidence == "health: Active: vitamins"
    assert all(opened.segments[segment.id].evidence is None for segment in others)


def test_columns_by_other_names_are_read_and_unread_consent_is_pointed_out(words, tmp_path):
    path = tmp_path / "people.csv"
    names = {"user_id": "User ID", "email": "E-Mail", "phone": "Mobile", "consent": "Consent"}
    table = pl.read_csv(path, infer_schema=False)
    plain = json.loads(segmenter(*words, "--to", "meta", "--json").stdout)
    table.rename(names).with_columns(tv_opt_out=pl.lit("yes")).write_csv(path)
    done = segmenter(*words, "--to", "meta", "--json")
    renamed = json.loads(done.stdout)
    assert renamed["audiences"] == plain["audiences"]
    assert (plain["ignored_columns"], renamed["ignored_columns"]) == ([], ["tv_opt_out"])
    assert "may say who must not leave: tv_opt_out" in done.stderr


def test_a_table_without_a_header_names_nobody(words, tmp_path):
    (tmp_path / "people.csv").write_text("u1,planted@example.com\nu2,other@example.com\n")
    done = segmenter(*words, "--to", "meta")
    assert "of its 2 columns none is known" in str(done.exception)
    assert "planted" not in str(done.exception)


def test_a_merge_is_proposed_with_other_segments_that_may_leave(tmp_path):
    folder = write_scores(tmp_path / "scores", crowd(60)[0])
    flags = tmp_path / "flags.csv"
    flags.write_text("segment_id,evidence\n2,health\n")
    verdict = gates.Verdict("refused", "too few")
    near = {1: 30, 2: 20, 3: 10, 99: 5}
    free, flagged = open_scores(folder), open_scores(folder, flags)
    told = gates.remedies(free.segments[1], free, near, verdict=verdict)
    assert [remedy for remedy in told if "merge" in remedy] == [told[0]]
    assert "merge it with segment 2" in told[0]
    told = gates.remedies(flagged.segments[1], flagged, near, verdict=verdict)
    assert not any("merge" in remedy for remedy in told)
