"""Deletion: removal payloads, an empty ledger but for salted hashes, and a receipt without ids."""

import hashlib
import json
import shutil

import polars as pl
import pytest

from segmenter.errors import LedgerError, OutputError, SourceError
from serving.exports import gates
from serving.exports.export import export
from serving.exports.forget import forget
from serving.exports.ledger import schema
from serving.exports.ledger.ledger import Ledger, open_ledger
from serving.exports.ledger.membership import parts_of
from tests.serving.exports.world import User, World

NAMES = ("criteo", "spotify", "webhook")


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(gates, "HARD_FLOOR", 1)
    return World(tmp_path / "world", {f"user-{n}": User(f"u{n}@x.example") for n in range(8)})


@pytest.fixture
def ledger(world):
    """A ledger after an export to three destinations that has arrived."""
    with open_ledger(world.folder / "ledger.db", salt=b"6" * 16) as ledger:
        report = export(world.job(ledger, *NAMES), world.folder / "out")
        for number in report.deliveries:
            ledger.delivered(number)
        yield ledger


def run(world: World, ledger: Ledger, *entries: str, name: str = "receipt") -> dict:
    listed = world.folder / "list.txt"
    listed.write_text("\n".join(entries))
    place = world.folder / f"{name}.json"
    plain = forget(ledger, listed, receipt=place, out=world.folder / f"{name}-off")
    assert json.loads(place.read_text()) == plain
    return plain


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sent(world: World, ledger: Ledger, **more) -> set[str]:
    """Users who are sent to the webhook."""
    report = export(world.job(ledger, "webhook", **more), world.folder / "again")
    texts = [(world.folder / "again" / name).read_text() for name in report.files]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    return {member["user_id"] for line in lines for member in line["members"]}


@pytest.mark.parametrize(
    "entry", ["user-3", "u3@x.example", " U3@X.example ", sha256("u3@x.example")]
)
def test_a_person_is_taken_off_every_list_and_never_sent_again(world, ledger, entry):
    plain = run(world, ledger, entry)
    lists = {one["destination"]: one for one in plain["lists"]}
    assert {name: one["people"] for name, one in lists.items()} == dict.fromkeys(NAMES, 1)
    assert "replaces the list" in lists["spotify"]["how"]
    off = world.folder / "receipt-off"
    payloads = {path.relative_to(off).as_posix(): path for path in off.rglob("*.jsonl")}
    known = {name: digest for one in lists.values() for name, digest in one["files"].items()}
    assert {name: sha256(path.read_text()) for name, path in payloads.items()} == known
    texts = "".join(path.read_text() for path in payloads.values())
    assert texts.count(sha256("u3@x.example")) == 2
    assert '"operation":"remove"' in texts
    assert '"action":"remove"' in texts
    assert "user-3" not in sent(world, ledger)
    assert sent(world, ledger) == {f"user-{n}" for n in range(8)} - {"user-3"}
    world.users["another id"] = User("u3@x.example")
    report = export(world.job(ledger, "criteo"), world.folder / "again")
    texts = "".join((world.folder / "again" / name).read_text() for name in report.files)
    assert sha256("u3@x.example") not in texts
    assert sha256("u4@x.example") in texts


def test_a_list_that_can_only_be_replaced_is_replaced_by_the_next_delta(world, ledger):
    run(world, ledger, "user-3")
    report = export(world.job(ledger, "spotify", delta=True), world.folder / "again")
    (name,) = report.files
    lines = (world.folder / "again" / name).read_text().split()
    assert len(lines) == 7
    assert sha256("u3@x.example") not in lines


def test_the_receipt_and_the_ledger_name_nobody(world, ledger):
    run(world, ledger, "user-3", "u5@x.example", "never-seen", "+1 415 555 2671")
    receipt = (world.folder / "receipt.json").read_bytes()
    raw = (world.folder / "ledger.db").read_bytes()
    for text in ("user-3", "u5@", "never-seen", "4155552671"):
        assert text.encode() not in receipt
        assert text.encode() not in raw
    for person in ("u3@x.example", "u5@x.example"):
        assert sha256(person).encode() not in receipt
        for one in ledger.deliveries():
            for rows in parts_of(ledger.db, one.target):
                texts = rows.select(pl.col(pl.String)).unpivot()["value"].to_list()
                assert sha256(person) not in texts


def test_a_delivery_that_names_the_person_must_not_arrive_any_more(world, ledger):
    world.users["new"] = User("new@x.example")
    waiting = export(world.job(ledger, "criteo", delta=True), world.folder / "out")
    plain = run(world, ledger, "new")
    assert [one["void_delivery"] for one in plain["lists"]] == list(waiting.deliveries)
    with pytest.raises(LedgerError, match="overtaken"):
        ledger.delivered(waiting.deliveries[0])
    removal = ledger.deliveries()[-1]
    assert (removal.kind, removal.state, removal.n_removed) == ("forget", "written", 1)
    ledger.delivered(removal.id)
    assert "new" not in sent(world, ledger)


def test_a_receipt_is_never_written_over(world, ledger):
    run(world, ledger, "user-3")
    with pytest.raises(OutputError, match="never written over"):
        run(world, ledger, "user-3")
    with pytest.raises(OutputError, match="never written over"):
        run(world, ledger, "user-4")
    assert run(world, ledger, "user-3", name="other")["lists"] == []


def test_a_killed_deletion_is_done_again_whole(world, ledger, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "insert", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(world, ledger, "user-3")
    assert sent(world, ledger) >= {"user-3"}
    assert len(run(world, ledger, "user-3")["lists"]) == 3
    assert "user-3" not in sent(world, ledger)


def test_wherever_a_deletion_is_killed_its_payloads_can_be_sent(world, ledger):
    copies = []

    def copy(statement: str) -> None:
        """The file as a kill would leave it."""
        if statement.startswith("BEGIN"):
            copies.append(world.folder / f"killed-{len(copies)}.db")
            shutil.copy(ledger.path, copies[-1])

    ledger.db.set_trace_callback(copy)
    run(world, ledger, "user-3")
    ledger.db.set_trace_callback(None)
    copy("BEGIN")
    states = []
    for path in copies:
        with open_ledger(path) as killed:
            states.append({one.state for one in killed.deliveries() if one.kind == "forget"})
    assert states[0] == set()
    assert states[-1] == {"written"}
    assert {frozenset(one) for one in states} == {frozenset(), frozenset({"written"})}


def test_a_ledger_that_could_not_be_made_whole_is_made_the_next_time(tmp_path, monkeypatch):
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "TABLES", f"{schema.TABLES}CREATE nonsense;")
        with pytest.raises(LedgerError, match="nonsense"), open_ledger(path):
            pass
    with open_ledger(path) as ledger:
        assert ledger.deliveries() == []


def test_the_arm_of_a_forgotten_user_is_forgotten(world):
    with open_ledger(world.folder / "ledger.db", salt=b"6" * 16) as ledger:
        export(world.job(ledger, "webhook", share=0.5), world.folder / "out")
        assert len(ledger.arms()) == 8
        run(world, ledger, "user-3")
        assert len(ledger.arms()) == 7


def test_plain_identifiers_are_taken_off_where_a_table_knows_them(world):
    device = "2b6f0cc9-04d1-49c1-b2f1-1e1c5d1f3a77"
    table = {"user_id": [f"user-{n}" for n in range(8)], "consent": ["yes"] * 8}
    people = pl.DataFrame(table | {"aaid": [device, *[None] * 7], "email": ["a@x.example"] * 8})
    with open_ledger(world.folder / "ledger.db") as ledger:
        job = world.job(ledger, "criteo")
        people.write_parquet(job.identities)
        ledger.delivered(export(job, world.folder / "out").deliveries[0])
        listed = world.folder / "list.txt"
        listed.write_text("user-0")
        plain = forget(
            ledger,
            listed,
            receipt=world.folder / "receipt.json",
            out=world.folder / "off",
            identities=job.identities,
        )
    assert [one["without_payload"] for one in plain["lists"]] == [0]
    texts = [path.read_text() for path in (world.folder / "off").rglob("*_madid.jsonl")]
    assert device in "".join(texts)
    assert device not in (world.folder / "receipt.json").read_text()


def test_a_list_that_cannot_be_read_is_an_error(world, ledger):
    with pytest.raises(SourceError, match="cannot read the deletion list"):
        forget(
            ledger,
            world.folder / "nowhere.txt",
            receipt=world.folder / "r.json",
            out=world.folder / "off",
        )
