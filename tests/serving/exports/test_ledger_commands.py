"""The story as typed: size, export, delta, deletion, lift; and that nobody is named."""

import json
import logging
from pathlib import Path

import polars as pl
import pytest

from segmenter.errors import ConfigError, DeliveryError, LedgerError
from serving.exports.command_options import NAMES
from serving.exports.deliver.pace import Patience
from serving.exports.ledger.ledger import open_ledger
from serving.exports.ledger.membership import parts_of
from tests.serving.exports.scored import crowd, write_scores
from tests.serving.exports.stand_in import running
from tests.serving.exports.test_command import PLANTED, segmenter


@pytest.fixture
def place(tmp_path):
    """Scores and identities of 2,400 users, one of whom would be noticed."""
    members, people = crowd(2_400, seed=4)
    planted = {"user_id": "user-planted", "country": "US", "consent": "yes", "age": "40"} | PLANTED
    rows = pl.concat([people, pl.DataFrame([planted])], how="diagonal_relaxed")
    more = pl.DataFrame({"user_id": ["user-planted"], "segment_id": [1], "strength": [0.9]})
    write_scores(tmp_path / "scores", pl.concat([members, more], how="diagonal_relaxed"))
    rows.with_columns(value=pl.int_range(pl.len()).cast(pl.String)).write_parquet(
        tmp_path / "people.parquet"
    )
    return tmp_path


def words(place: Path) -> list[str | Path]:
    people = place / "people.parquet"
    return ["--scores", place / "scores", "--identities", people, "--segments", "1"]


def export(place: Path, *more: str | Path):
    lenient = ("--allow-stale", "--any-model", "--mlruns", place / "none", "--out", place / "out")
    done = segmenter("export", *words(place), *lenient, *more, "--json")
    return json.loads(done.stdout) if done.exit_code == 0 else done


def as_json(*typed: str | Path):
    done = segmenter(*typed, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def texts_of(ledger: Path) -> bytes:
    """Everything in a ledger as text, the packed rows included."""
    with open_ledger(ledger) as book:
        tables = [row[0] for row in book.db.execute("SELECT name FROM sqlite_master")]
        plain = [
            repr(row)
            for name in tables
            if "deliveries_" not in name and "autoindex" not in name
            for row in book.db.execute(f"SELECT * FROM {name}")  # noqa: S608 - its own tables
        ]
        lists = [row[0] for row in book.db.execute("SELECT id FROM targets")]
        rows = [frame.write_json() for one in lists for frame in parts_of(book.db, one)]
        arms = book.arms()
    return "\n".join([*plain, *rows, arms.write_json()]).encode()


def test_the_story_from_size_to_receipt(place):
    to = ("--to", "meta", "--to", "criteo", "--to", "webhook")
    ledger = place / "ledger.db"
    sized = as_json("size", *words(place), *to)["audiences"]
    exported = export(place, *to, "--holdout", "0.2")
    for before, after in zip(sized, exported["audiences"], strict=True):
        assert before["counts"]["people"] == after["counts"]["people"]
        assert after["counts"]["not_held"] < 0.9 * after["counts"]["people"]
    assert exported["deliveries"] == [1, 2, 3]
    arrived = as_json("deliveries", "--ledger", ledger, "--delivered", "1,2,3")["deliveries"]
    assert {one["state"] for one in arrived} == {"delivered"}

    people = pl.read_parquet(place / "people.parquet")
    refuse = pl.col("user_id") < "user-00300"
    consent = pl.when(refuse).then(pl.lit("no")).otherwise("consent")
    people.with_columns(consent=consent).write_parquet(place / "people.parquet")
    changed = export(place, *to, "--delta")
    changes = [one["change"] for one in changed["audiences"]]
    assert all(one["removed"] > 20 and one["added"] == 0 for one in changes)
    failed = as_json("deliveries", "--ledger", ledger, "--failed", "4", "--delivered", "5,6")
    assert [one["state"] for one in failed["deliveries"]][3:] == ["failed", *["delivered"] * 2]

    gone = [f"user-{number:05d}" for number in range(300, 360)]
    (place / "delete.txt").write_text("\n".join([*gone, PLANTED["email"]]))
    receipt = as_json(
        "forget", place / "delete.txt", "--receipt", place / "r.json", "--ledger", ledger
    )
    assert [one["void_delivery"] for one in receipt["lists"]] == [4, None, None]
    last = export(place, *to, "--delta")
    assert [one["verdict"] for one in last["audiences"]][1:] == ["unchanged"] * 2

    users = people["user_id"].to_list()
    pl.DataFrame({"user_id": users, "sales": [1.0] * len(users)}).write_csv(place / "sales.csv")
    lifts = as_json("lift", "--ledger", ledger, "--outcomes", place / "sales.csv")["lifts"]
    assert [one["segment"] for one in lifts] == ["all", 1]
    assert lifts[0]["effect"] == 0


def test_what_people_read(place, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    done = segmenter("size", *words(place), "--to", "generic-csv", "--sample", "1")
    assert "members were looked at" in done.stdout
    export(place, "--to", "generic-csv", "--holdout", "0.2")
    ledger = ("--ledger", place / "ledger.db")
    assert "generic-csv" in segmenter("deliveries", *ledger).stdout
    # More than the control group, which is drawn by a new salt each time, can hold all of.
    (place / "delete.txt").write_text("\n".join(f"user-{n:05d}" for n in range(300, 360)))
    for said, number in (("do not upload delivery 1", 1), ("Nobody of the list", 2)):
        receipt = place / f"r{number}.json"
        told = segmenter("forget", place / "delete.txt", "--receipt", receipt, *ledger)
        assert said in told.stdout
    pl.DataFrame({"user_id": ["user-00001"], "sales": [1.0]}).write_parquet(place / "s.parquet")
    assert "detectable" in segmenter("lift", "--outcomes", place / "s.parquet", *ledger).stdout


def test_an_export_is_delivered_and_resumed_by_the_command(place, monkeypatch):
    monkeypatch.setattr(Patience, "wait_s", lambda *_: 0.0)
    monkeypatch.setenv("SEGMENTER_TOKEN_WEBHOOK", "secret")
    with running("", *["503"] * 6) as stand_in:
        to = ("--to", "reddit", "--set", "audience_id=5", "--minimum-people", "100")
        done = export(place, *to, "--deliver", f"reddit={stand_in.base}")
        assert done.exit_code == 1  # fewer than a thousand people: nothing to deliver
        to = ("--to", "criteo", "--to", "generic-csv", "--set", "audience_segment_id=5")
        done = export(place, *to, "--deliver", f"criteo={stand_in.base}", "--segments", "1,2")
        assert isinstance(done.exception, DeliveryError)
        ledger = ("--ledger", place / "ledger.db")
        done = as_json("deliveries", *ledger, "--deliver", f"criteo={stand_in.base}")
    states = {(one["destination"], one["state"]) for one in done["deliveries"]}
    assert states == {("criteo", "delivered"), ("generic-csv", "written")}
    assert [one["n_requests"] for one in done["sent"]] == [1]
    assert set(stand_in.counts.values()) == {1}


def test_nobody_is_named_in_ledger_receipt_manifest_or_log(place, caplog):
    caplog.set_level(logging.DEBUG)
    export(place, *(word for name in NAMES for word in ("--to", name)), "--holdout", "0.01")
    (place / "delete.txt").write_text("\n".join(["user-planted", *PLANTED.values()]))
    raw = {"before": (place / "ledger.db").read_bytes(), "rows": texts_of(place / "ledger.db")}
    assert len(raw["rows"]) > 100_000
    done = segmenter(
        "forget",
        place / "delete.txt",
        "--receipt",
        place / "receipt.json",
        "--ledger",
        place / "ledger.db",
    )
    assert done.exit_code == 0, done.output
    raw |= {path.name: path.read_bytes() for path in place.glob("*.db*")}
    raw |= {name: (place / name).read_bytes() for name in ("receipt.json", "out/manifest.json")}
    raw |= {"log": caplog.text.encode(), "terminal": done.output.encode()}
    for secret in (*PLANTED.values(), "planted.person", "4155552671"):
        for name, content in raw.items():
            assert secret.lower().encode() not in content.lower(), (name, secret)
    assert (place / "ledger.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "case",
    [
        (LedgerError, ["deliveries", "--ledger", "nowhere.db"], "there is no ledger"),
        (LedgerError, ["lift", "--ledger", "nowhere.db", "--outcomes", "x"], "there is no ledger"),
        (ConfigError, ["export", "--holdout", "2", "--to", "meta"], "between 0 and 1"),
    ],
)
def test_what_cannot_be_done_is_said(place, case):
    kind, typed, said = case
    done = export(place, *typed[1:]) if typed[0] == "export" else segmenter(*typed)
    assert isinstance(done.exception, kind)
    assert said in str(done.exception)
