"""An export against one written person by person, and what it must never do."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import phonenumbers
import polars as pl
import pytest

from segmenter.errors import ColumnError, ConfigError, OutputError, SourceError
from serving.exports import audiences, export as module
from serving.exports.audiences import Rules
from serving.exports.destinations import DESTINATIONS
from serving.exports.export import Export, export
from serving.exports.phones import read_phone
from serving.exports.scores import chosen_segments, open_scores
from serving.exports.suppression import read_suppression
from tests.serving.exports.scored import AS_OF, crowd, write_scores

N_USERS = 1_500


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Scores and identities of 1,500 users; to be read only."""
    folder = tmp_path_factory.mktemp("scored")
    members, people = crowd(N_USERS)
    write_scores(folder / "scores", members)
    people.write_parquet(folder / "people.parquet")
    people.write_csv(folder / "people.csv")
    (folder / "suppress.csv").write_text(
        "email,phone\n"
        + "\n".join(people["email"].drop_nulls().to_list()[:60:2])
        + "\nuser-00007\n"
    )
    return folder


def job(place: Path, *names: str, segments: str | None = "1", flags=None, **changes) -> Export:
    scores = open_scores(place / "scores", flags)
    rules = Rules(min_strength=0.4, minimum_age=18, moment=AS_OF, default_country="US")
    options = {
        "scores": scores,
        "identities": place / "people.parquet",
        "segments": tuple(chosen_segments(scores, segments)),
        "destinations": tuple(DESTINATIONS[name] for name in names or ("generic-csv",)),
        "rules": rules,
    }
    return Export(**options | changes)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def google(email: str) -> str:
    local, domain = email.lower().split("@")
    if domain == "gmail.com":
        local = local.split("+")[0].replace(".", "")
    return f"{local}@{domain}"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def one_by_one(place: Path) -> tuple[dict[str, int], set[tuple[str | None, str | None]]]:
    """Counts and pairs of digests of the people for Google, as a person would find them."""
    members = pl.read_parquet(place / "scores" / "assignments").filter(pl.col("segment_id") == 1)
    known = {row["user_id"]: row for row in pl.read_parquet(place / "people.parquet").to_dicts()}
    counts, found = Counter(), {}
    for member in sorted(members.to_dicts(), key=lambda row: (-row["strength"], row["user_id"])):
        row = known.get(member["user_id"], {})
        counts["members"] += 1
        if member["strength"] < 0.4:
            continue
        counts["strong"] += 1
        if row.get("consent") != "yes":
            continue
        counts["consented"] += 1
        if row["age"] is not None and int(row["age"]) < 18:
            continue
        counts["adult"] += 1
        counts["not_suppressed"] += 1
        email, phone = row["email"], row["phone"]
        if email is None and phone is None:
            continue
        counts["with_identifier"] += 1
        digits, _, reason = read_phone(phone, row["country"] or "US") if phone else (None,) * 3
        mail = sha256(google(email)) if email and "@" in email else None
        number = sha256(f"+{digits}") if digits and reason is None else None
        if mail is None and number is None:
            continue
        counts["valid"] += 1
        found.setdefault(mail or number, (mail, number))
    counts["people"] = counts["not_held"] = len(found)
    return dict(counts), set(found.values())


def identifiers(path: Path) -> list[tuple[str | None, str | None]]:
    """Pairs of digests in the payloads of Google."""
    found = []
    for line in path.read_text().splitlines():
        for member in json.loads(line)["audienceMembers"]:
            ids = {}
            for one in member["userData"]["userIdentifiers"]:
                ids |= one
            found.append((ids.get("emailAddress"), ids.get("phoneNumber")))
    return found


@pytest.mark.parametrize("part_rows", [250_000, 300])
def test_an_export_is_what_a_person_would_write_one_by_one(place, tmp_path, part_rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audiences, "PART_ROWS", part_rows)
        report = export(job(place, "google-data-manager"), tmp_path / "out")
    counts, people = one_by_one(place)
    (waterfall,) = report.waterfalls
    assert waterfall.counts == counts
    (name,) = [name for name in report.files if "contacts" in name]
    found = identifiers(tmp_path / "out" / name)
    assert len(found) == len(people)
    assert set(found) == people


def test_the_same_export_is_the_same_bytes_from_any_order_of_people(place, tmp_path, monkeypatch):
    names = ("google-data-manager", "meta", "generic-csv")
    export(job(place, *names, segments="1,2"), tmp_path / "one")
    table = pl.read_parquet(place / "people.parquet").sample(fraction=1, shuffle=True, seed=3)
    table.write_parquet(tmp_path / "people.parquet")
    monkeypatch.setattr(audiences, "PART_ROWS", 400)
    again = job(place, *names, segments="1,2", identities=tmp_path / "people.parquet")
    export(again, tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    del one["manifest.json"], two["manifest.json"]  # it has the digest of the identity table
    assert one == two
    export(job(place, *names, segments="1,2"), tmp_path / "one")
    assert "meta/segment-1/" in "".join(contents(tmp_path / "one"))


def test_every_destination_writes_what_its_manifest_says(place, tmp_path):
    chosen = [name for name, one in DESTINATIONS.items() if (one.minimum.refuse or 0) <= 100]
    export(job(place, *chosen), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    written = contents(tmp_path / "out")
    assert {name.split("/")[0] for name in manifest["files"]} == set(chosen)
    assert set(written) == {
        *manifest["files"],
        "manifest.json",
        "waterfall.json",
        "waterfall.html",
    }
    for name, record in manifest["files"].items():
        assert hashlib.sha256(written[name]).hexdigest() == record["sha256"]
        assert "20260101T000000Z" in name


def test_a_csv_of_identities_is_the_same_as_parquet(place, tmp_path):
    export(job(place), tmp_path / "one")
    export(job(place, identities=place / "people.csv"), tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert [v for k, v in one.items() if ".csv" in k] == [v for k, v in two.items() if ".csv" in k]


def test_nothing_is_written_for_an_audience_that_is_too_small(place, tmp_path):
    report = export(job(place, "tiktok", "generic-csv", segments="1,2"), tmp_path / "out")
    verdicts = {(one.destination, one.segment_id): one for one in report.waterfalls}
    small = verdicts["tiktok", 1]
    assert (small.verdict, small.minimum) == ("refused", 1_000)
    assert "1,000 are needed (section 5" in small.why
    assert any("merge it with segment 2 (segment 2" in remedy for remedy in small.remedies)
    assert any("look-alikes" in remedy for remedy in small.remedies)
    assert not (tmp_path / "out" / "tiktok" / "segment-1").exists()
    assert verdicts["generic-csv", 1].verdict == "written with a warning"


def test_a_sensitive_segment_is_blocked_with_its_evidence(place, tmp_path):
    flags = tmp_path / "flags.csv"
    flags.write_text("segment_id,sensitive,evidence\n1,yes,92 % of health purchases\n2,no,\n")
    report = export(job(place, segments=None, flags=flags), tmp_path / "out")
    verdicts = {one.segment_id: one for one in report.waterfalls}
    assert verdicts[1].why == "the segment is sensitive: 92 % of health purchases"
    assert verdicts[2].is_written
    assert not any("segment-1/" in name for name in contents(tmp_path / "out"))


def test_a_dry_run_says_the_same_and_writes_nothing(place, tmp_path):
    written = export(job(place), tmp_path / "out")
    dry = export(job(place), None)
    assert replace(dry, out=tmp_path / "out") == written
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_suppressed_people_are_left_out_in_every_writing(place, tmp_path):
    suppression = read_suppression([place / "suppress.csv"], default_country="US")
    base = job(place, "generic-csv")
    rules = replace(base.rules, suppression=suppression)
    before = export(base, None).waterfalls[0].counts
    report = export(replace(base, rules=rules), tmp_path / "out")
    (name,) = report.files
    left = pl.read_csv(tmp_path / "out" / name, infer_schema=False)
    listed = (place / "suppress.csv").read_text().split()
    mailboxes = {google(entry) for entry in listed if "@" in entry}
    people = pl.read_parquet(place / "people.parquet")
    out = {
        row["user_id"]
        for row in people.to_dicts()
        if row["email"] and "@" in row["email"] and google(row["email"]) in mailboxes
    } | {"user-00007"}
    assert not out & set(left["user_id"])
    lost = before["adult"] - report.waterfalls[0].counts["not_suppressed"]
    assert 0 < lost <= len(out)


@pytest.mark.parametrize("form", ["sent", "plain", "upper", "phone"])
def test_hashed_entries_of_a_suppression_list_are_found(place, tmp_path, form):
    person = next(
        row
        for row in pl.read_parquet(place / "people.parquet").to_dicts()
        if row["consent"] == "yes" and "+" in (row["email"] or "") and len(row["phone"] or "") > 5
        if phonenumbers.is_valid_number(phonenumbers.parse(row["phone"], row["country"] or "US"))
    )
    digits = read_phone(person["phone"], person["country"] or "US")[0]
    entry = {
        "sent": sha256(google(person["email"])),
        "plain": sha256(person["email"].lower()),
        "upper": sha256(person["email"].lower()).upper(),
        "phone": sha256(f"+{digits}"),
    }[form]
    (tmp_path / "list.txt").write_text(entry + "\n")
    one = pl.DataFrame([person])
    suppression = read_suppression([tmp_path / "list.txt"], default_country="US")
    crowd_ = audiences.People(one, default_country="US")
    cells = audiences.cells_of(crowd_, DESTINATIONS["google-data-manager"]).frame
    assert suppression.hits(crowd_, cells).to_list() == [True]
    (tmp_path / "list.txt").write_text(sha256("somebody else") + "\n")
    other = read_suppression([tmp_path / "list.txt"])
    assert other.hits(crowd_, cells).to_list() == [False]


def test_what_is_wrong_is_said_and_nothing_is_written(place, tmp_path):
    (tmp_path / "no ids.csv").write_text("name\nJane\n")
    (tmp_path / "broken.parquet").write_text("Jane Doe <jane@example.com>")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    cases = [
        (ColumnError, {"identities": tmp_path / "no ids.csv"}, "must have a header with user_id"),
        (SourceError, {"identities": tmp_path / "broken.parquet"}, "pass a Parquet or CSV"),
        (SourceError, {"identities": tmp_path / "nowhere.csv"}, "pass a Parquet or CSV"),
        (ConfigError, {"settings": {"shoe": "42"}}, "--set shoe"),
        (ConfigError, {"action": "explode"}, "possible: add, remove, replace"),
    ]
    for kind, changes, said in cases:
        with pytest.raises(kind, match=said) as raised:
            export(job(place, **changes), tmp_path / "out")
        assert "jane" not in str(raised.value)
    with pytest.raises(OutputError, match="no export has written"):
        export(job(place), tmp_path / "precious")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "precious" / "file").read_text() == "mine"


def test_spilled_identifiers_are_gone_after_an_error(place, tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        message = "no space left"
        raise OSError(28, message)

    monkeypatch.setattr(module, "write_audience", fail)
    with pytest.raises(OutputError, match="no space left"):
        export(job(place), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
