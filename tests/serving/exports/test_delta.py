"""What a list gains and loses: entrants, leavers, failures, refusals, and the same again."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from segmenter.errors import ConfigError, LedgerError
from serving.exports import audiences, gates
from serving.exports.destination import ADD, REMOVE, REPLACE
from serving.exports.destinations import DESTINATIONS
from serving.exports.export import ExportReport, export
from serving.exports.ledger.ledger import open_ledger
from serving.exports.plans import plan_of
from tests.serving.exports.world import User, World


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(gates, "HARD_FLOOR", 1)
    return World(tmp_path / "world", {f"u{n}": User(f"u{n}@x.example") for n in range(6)})


def run(world: World, *names: str, out: str = "out", **more) -> ExportReport:
    with open_ledger(world.folder / "ledger.db", salt=b"1" * 16) as ledger:
        return export(world.job(ledger, *names, **more), world.folder / out)


def mark(world: World, report: ExportReport, *, arrived: bool = True) -> None:
    with open_ledger(world.folder / "ledger.db") as ledger:
        for number in report.deliveries:
            (ledger.delivered if arrived else ledger.failed)(number)


def states(world: World) -> list[str]:
    with open_ledger(world.folder / "ledger.db") as ledger:
        return [one.state for one in ledger.deliveries()]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def requests(world: World, report: ExportReport, name: str = "criteo") -> dict[str, list[str]]:
    """Users who are added and removed, by the digests of their addresses."""
    known = {digest(f"u{n}@x.example"): f"u{n}" for n in range(20)}
    known |= {digest(one.email): one.email for one in world.users.values()} | known
    found: dict[str, list[str]] = {}
    for path in (path for path in report.files if path.startswith(name)):
        for line in (world.folder / "out" / path).read_text().splitlines():
            body = json.loads(line)["data"]["attributes"]
            found.setdefault(body["operation"], []).extend(
                known[one] for one in body["identifiers"]
            )
    return {action: sorted(some) for action, some in found.items()}


def test_a_delta_holds_entrants_and_leavers_since_the_last_delivery_that_arrived(world):
    mark(world, run(world, "criteo"))
    world.users["u0"].consents = False
    world.users["u1"].segment = 2
    world.users["u9"] = User("u9@x.example")
    report = run(world, "criteo", delta=True)
    assert requests(world, report) == {"add": ["u9"], "remove": ["u0", "u1"]}
    assert [name.split("_")[3] for name in report.files] == ["remove", "add"]
    (waterfall,) = report.waterfalls
    assert (waterfall.change.added, waterfall.change.removed) == (1, 2)
    mark(world, report)
    again = run(world, "criteo", delta=True)
    assert again.waterfalls[0].verdict == "unchanged"
    assert (again.files, again.deliveries) == ({}, ())
    assert states(world) == ["delivered", "delivered"]


@pytest.mark.parametrize("delta", [False, True])
def test_the_same_export_twice_is_the_same_bytes_and_no_new_line(world, delta):
    mark(world, run(world, "criteo", "spotify", "meta"))
    world.users["u0"].consents = False
    world.users["u9"] = User("u9@x.example")
    names = ("criteo", "spotify", "meta")
    first = run(world, *names, delta=delta)
    before, known = contents(world.folder / "out"), states(world)
    second = run(world, *names, delta=delta)
    assert first.deliveries == second.deliveries
    del before[str(world.folder / "out" / "manifest.json")]  # the digest of another file of people
    after = contents(world.folder / "out")
    assert {name: after[name] for name in before} == before
    assert states(world) == known


def test_a_failed_delivery_is_sent_again_with_what_may_have_arrived(world):
    mark(world, run(world, "criteo"))
    world.users["u9"] = User("u9@x.example")
    mark(world, run(world, "criteo", delta=True), arrived=False)
    assert states(world) == ["delivered", "failed"]
    again = run(world, "criteo", delta=True)
    assert requests(world, again) == {"add": ["u9"]}
    assert states(world) == ["delivered", "written"]
    mark(world, again, arrived=False)
    world.users["u9"].consents = False  # may be on the list: has to be taken off
    assert requests(world, run(world, "criteo", delta=True)) == {"remove": ["u9"]}
    assert states(world) == ["delivered", "superseded", "written"]


def test_only_the_newest_delivery_can_arrive(world):
    first = run(world, "criteo")
    world.users["u0"].consents = False
    second = run(world, "criteo", delta=True)
    with open_ledger(world.folder / "ledger.db") as ledger:
        with pytest.raises(LedgerError, match="overtaken by a later export"):
            ledger.delivered(first.deliveries[0])
        with pytest.raises(LedgerError, match="has no delivery 77"):
            ledger.failed(77)
        ledger.delivered(second.deliveries[0])
        ledger.delivered(second.deliveries[0])
    world.users["u1"].consents = False
    run(world, "criteo", delta=True)
    with (
        open_ledger(world.folder / "ledger.db") as ledger,
        pytest.raises(LedgerError, match="a later one to the same list was written"),
    ):
        ledger.failed(second.deliveries[0])


def test_what_had_arrived_and_failed_when_sent_again_is_sent_again(world):
    first = run(world, "criteo")
    mark(world, first)
    assert run(world, "criteo").deliveries == first.deliveries
    mark(world, first, arrived=False)
    report = run(world, "criteo", delta=True)
    assert requests(world, report) == {"add": sorted(world.users)}
    mark(world, report)
    assert run(world, "criteo", delta=True).waterfalls[0].verdict == "unchanged"


def test_a_new_address_replaces_the_old_one(world):
    mark(world, run(world, "criteo"))
    world.users["u3"].email = "u13@x.example"
    report = run(world, "criteo", delta=True)
    assert requests(world, report) == {"add": ["u13"], "remove": ["u3"]}


def test_an_identifier_that_somebody_on_the_list_still_has_is_not_taken_off(world):
    table = {"user_id": ["a", "b", "c"], "consent": ["yes"] * 3}
    table |= {"email": ["a@x.example", "b@x.example", "c@x.example"]}
    phones = ["+14155552671", "+14155552671", "+14155552672"]
    world.users = {name: User("") for name in "abc"}
    people = pl.DataFrame(table | {"phone": phones})
    with open_ledger(world.folder / "ledger.db") as ledger:
        job = world.job(ledger, "meta")
        people.write_parquet(job.identities)
        report = export(job, world.folder / "out")
        ledger.delivered(report.deliveries[0])
        job = world.job(ledger, "meta", delta=True)
        refused = pl.col("user_id") == "a"
        people.with_columns(
            consent=pl.when(refused).then(pl.lit("no")).otherwise("consent")
        ).write_parquet(job.identities)
        report = export(job, world.folder / "out")
    (name,) = report.files
    assert "_remove" in name
    (body,) = (world.folder / "out" / name).read_text().splitlines()
    payload = json.loads(body)["payload"]
    (row,) = payload["data"]
    sent = {key: cell for key, cell in zip(payload["schema"], row, strict=True) if cell}
    assert sent == {"EMAIL": digest("a@x.example"), "EXTERN_ID": "a"}


DEVICES = ("2b6f0cc9-04d1-49c1-b2f1-1e1c5d1f3a77", "3b6f0cc9-04d1-49c1-b2f1-1e1c5d1f3a77")


def devices(world: World, tables: list[pl.DataFrame]) -> list[ExportReport]:
    """Deltas to Criteo, which is sent device ids plain; each arrives."""
    world.users = {name: User("") for name in "ab"}
    reports = []
    with open_ledger(world.folder / "ledger.db") as ledger:
        for number, people in enumerate(tables):
            job = world.job(ledger, "criteo", delta=True)
            people.write_parquet(job.identities)
            reports.append(export(job, world.folder / f"out{number}"))
            for delivery in reports[-1].deliveries:
                ledger.delivered(delivery)
    return reports


def test_a_plain_identifier_is_taken_off_while_the_identity_table_knows_it(world):
    people = pl.DataFrame(
        {"user_id": ["a", "b"], "email": ["a@x.example", "b@x.example"], "aaid": DEVICES}
    )
    before = people.with_columns(consent=pl.lit("yes"))
    after = people.with_columns(consent=pl.Series(["no", "yes"]))
    _, report, last = devices(world, [before, after, after])
    assert (report.waterfalls[0].change.removed, report.waterfalls[0].change.stuck) == (1, 0)
    bodies = [(world.folder / "out1" / name).read_text() for name in report.files]
    assert [json.loads(body)["data"]["attributes"]["identifiers"] for body in bodies] == [
        [digest("a@x.example")],
        [DEVICES[0]],
    ]
    assert last.waterfalls[0].verdict == "unchanged"
    assert DEVICES[0].encode() not in (world.folder / "ledger.db").read_bytes()


def test_people_of_whom_nothing_is_known_any_more_are_told_as_stuck(world):
    people = pl.DataFrame({"user_id": ["a", "b"], "consent": ["yes"] * 2, "aaid": DEVICES})
    reports = devices(world, [people, people.head(1), people.head(1)])
    assert [one.waterfalls[0].change.stuck for one in reports] == [0, 1, 1]
    assert [one.waterfalls[0].verdict for one in reports[1:]] == ["unchanged"] * 2
    assert "is not known any more" in reports[1].waterfalls[0].change.told


def test_a_refused_audience_adds_nobody_and_still_takes_leavers_off(world, monkeypatch):
    mark(world, run(world, "criteo"))
    world.users["u0"].consents = False
    world.users["u9"] = User("u9@x.example")
    monkeypatch.setattr(gates, "HARD_FLOOR", 50)
    report = run(world, "criteo", delta=True)
    assert report.waterfalls[0].is_refused
    assert requests(world, report) == {"remove": ["u0"]}
    mark(world, report)
    monkeypatch.setattr(gates, "HARD_FLOOR", 1)
    assert requests(world, run(world, "criteo", delta=True)) == {"add": ["u9"]}


def test_a_refused_list_that_can_only_be_replaced_has_to_be_deleted_by_hand(world, monkeypatch):
    mark(world, run(world, "spotify"))
    monkeypatch.setattr(gates, "HARD_FLOOR", 50)
    assert "delete it there" not in run(world, "spotify", delta=True).waterfalls[0].why
    world.users["u0"].consents = False
    report = run(world, "spotify", delta=True)
    assert report.files == {}
    assert report.waterfalls[0].why.endswith("delete it there")


def test_memberships_that_would_end_are_renewed(world):
    mark(world, run(world, "yahoo"))
    job_days = {20: 0, 40: 6}  # a membership at Yahoo ends after 45 days
    for days, n_people in job_days.items():
        with open_ledger(world.folder / "ledger.db") as ledger:
            job = world.job(ledger, "yahoo", delta=True)
            later = replace(job.scores, as_of=job.scores.as_of + days * 86_400)
            report = export(replace(job, scores=later), world.folder / "out")
        assert report.waterfalls[0].change.added == n_people


def test_parts_of_another_number_hold_the_same_people(world, monkeypatch):
    world.users |= {f"more{n}": User(f"more{n}@x.example") for n in range(60)}
    monkeypatch.setattr(audiences, "PART_ROWS", 7)
    mark(world, run(world, "criteo"))
    for part_rows in (1_000, 11, 7):
        monkeypatch.setattr(audiences, "PART_ROWS", part_rows)
        assert run(world, "criteo", delta=True).waterfalls[0].verdict == "unchanged"
        world.users.popitem()
        mark(world, run(world, "criteo", delta=True))


def test_every_destination_has_a_plan_by_what_it_can_do():
    plans = {
        name: (plan_of(one, None, delta=False), plan_of(one, None, delta=True))
        for name, one in DESTINATIONS.items()
    }
    assert {name for name, (full, _) in plans.items() if full.action == REPLACE} == {
        *("meta", "tiktok", "microsoft", "the-trade-desk", "spotify", "generic-csv")
    }
    assert plans["spotify"][1].action == REPLACE
    assert plans["uid2"][1].keeps
    others = [delta for name, (_, delta) in plans.items() if name not in ("spotify", "uid2")]
    assert all(one.action == ADD and one.takes_off and not one.whole for one in others)
    assert plan_of(DESTINATIONS["meta"], REMOVE, delta=False).keeps


def test_a_delta_takes_no_action_of_a_person(world):
    with pytest.raises(ConfigError, match="--delta needs a ledger"):
        run(world, "criteo", delta=True, action="add")


def test_a_ledger_is_never_made_of_another_file(tmp_path):
    (tmp_path / "ledger.db").write_text("precious")
    with (
        pytest.raises(LedgerError, match="file that this tool writes"),
        open_ledger(tmp_path / "ledger.db"),
    ):
        pass
    assert (tmp_path / "ledger.db").read_text() == "precious"
