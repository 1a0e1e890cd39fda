"""Payloads posted to a strict and unreliable receiver: everybody arrives, and once."""

import datetime as dt
import logging
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from segmenter.errors import ConfigError, DeliveryError, LedgerError
from serving.exports import gates
from serving.exports.deliver import job as module
from serving.exports.deliver.client import Client
from serving.exports.deliver.job import Sending, Sent, deliver
from serving.exports.deliver.pace import Pace, Patience, asked_wait_s
from serving.exports.destinations import DESTINATIONS, criteo
from serving.exports.export import ExportReport, export
from serving.exports.json_layout import JsonLayout
from serving.exports.ledger.ledger import open_ledger
from tests.serving.exports.stand_in import StandIn, random_troubles, running
from tests.serving.exports.world import User, World

PLATFORMS = ("criteo", "x", "reddit", "meta", "google-data-manager", "google-ads-api")
SETTINGS = {
    **dict.fromkeys(("audience_segment_id", "audience_id", "account_id", "user_list_id"), "17"),
    "customer_id": "5",
}
TOKEN = "planted-secret"  # noqa: S105 - planted


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Twenty people, three in a request of Criteo."""
    monkeypatch.setattr(gates, "HARD_FLOOR", 1)
    monkeypatch.setattr(criteo, "MAX_IDENTIFIERS", 3)
    kinds = (criteo._bodies(kind) for kind in criteo.TYPES)
    small = replace(DESTINATIONS["criteo"], layout=JsonLayout(*kinds))
    monkeypatch.setitem(DESTINATIONS, "criteo", small)
    return World(tmp_path / "world", {f"u{n}": User(f"u{n}@x.example") for n in range(20)})


def written(world: World, *names: str, **more) -> ExportReport:
    with open_ledger(world.folder / "ledger.db", salt=b"2" * 16) as ledger:
        job = world.job(ledger, *names, settings=_settings(names), **more)
        return export(job, world.folder / "out")


def _settings(names: tuple[str, ...]) -> dict[str, str]:
    known = {setting.name for name in names for setting in DESTINATIONS[name].settings}
    return {name: text for name, text in SETTINGS.items() if name in known}


def send(world: World, report: ExportReport, stand_in: StandIn, **more) -> tuple[list[Sent], list]:
    waits: list[float] = []
    sending = Sending(
        stand_in.base,
        pick=random.Random(3),  # noqa: S311 - jitter
        sleep=waits.append,
        environment={"SEGMENTER_TOKEN": TOKEN},
        **more,
    )
    with open_ledger(world.folder / "ledger.db") as ledger:
        return [deliver(ledger, number, sending) for number in report.deliveries], waits


def state(world: World) -> str:
    with open_ledger(world.folder / "ledger.db") as ledger:
        return ledger.deliveries()[-1].state


@pytest.mark.parametrize("name", PLATFORMS)
def test_everybody_arrives_once_within_the_limits_of_the_platform(world, name, monkeypatch):
    monkeypatch.setattr(criteo, "MAX_IDENTIFIERS", 50_000)
    monkeypatch.setitem(DESTINATIONS, "criteo", criteo.DESTINATION)
    world.users = {f"u{n}": User(f"u{n}@x.example") for n in range(5_100)}
    report = written(world, name)
    with running(*random_troubles(5, 40)) as stand_in:
        ((sent,), _) = send(world, report, stand_in)
    assert len(stand_in.counts) == 5_100
    assert set(stand_in.counts.values()) == {1}
    assert sent.n_requests == sum(one.n_requests for one in report.files.values())
    assert state(world) == "delivered"
    assert all("{" not in path and path.split()[1].startswith("/base/") for path in stand_in.paths)


@pytest.mark.parametrize("seed", range(8))
def test_a_bad_day_loses_and_doubles_nobody(world, seed):
    report = written(world, "criteo")
    with running(*random_troubles(seed, 30)) as stand_in:
        send(world, report, stand_in)
    assert len(stand_in.counts) == 20
    assert set(stand_in.counts.values()) == {1}


@pytest.mark.parametrize("n_before", range(7))
def test_a_killed_job_goes_on_where_it_was(world, n_before, monkeypatch):
    report = written(world, "criteo")
    acknowledge, left = module.acknowledge, iter(range(n_before))

    def killed(*words: object, **more: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        acknowledge(*words, **more)

    with running() as stand_in:
        monkeypatch.setattr(module, "acknowledge", killed)
        with pytest.raises(KeyboardInterrupt):
            send(world, report, stand_in)
        monkeypatch.setattr(module, "acknowledge", acknowledge)
        ((sent,), _) = send(world, report, stand_in)
        assert (sent.n_known, sent.n_requests) == (n_before, 7 - n_before)
        assert len(stand_in.paths) == 7 + 1  # the one whose acknowledgement was lost
        assert set(stand_in.counts.values()) == {1}
        ((again,), _) = send(world, report, stand_in)
        assert again.n_requests == 0


def test_a_batch_that_is_refused_fails_the_delivery_and_keeps_what_has_arrived(world):
    report = written(world, "criteo")
    with running("", "", "400") as stand_in:
        with pytest.raises(DeliveryError, match="file 1, request 3 was not taken: the answer was"):
            send(world, report, stand_in)
        assert state(world) == "failed"
        again = written(world, "criteo")  # the same files: the same delivery goes on
        assert again.deliveries == report.deliveries
        ((sent,), _) = send(world, again, stand_in)
    assert (sent.n_known, sent.n_requests) == (2, 5)
    assert set(stand_in.counts.values()) == {1}
    assert state(world) == "delivered"


def test_a_receiver_that_stays_busy_is_left_alone_after_some_attempts(world):
    report = written(world, "criteo")
    patience = Patience(attempts=4, first_s=1, longest_s=60)
    with running(*["429"] * 3, "503") as stand_in, pytest.raises(DeliveryError, match="was 503"):
        send(world, report, stand_in, patience=patience)
    assert len(stand_in.paths) == 4


def test_a_receiver_that_is_too_slow_is_asked_again_and_counts_once(world):
    report = written(world, "criteo")
    with running("", "slow") as stand_in:
        send(world, report, stand_in, patience=Patience(timeout_s=0.1))
    assert len(stand_in.paths) == 8
    assert set(stand_in.counts.values()) == {1}


def test_retry_after_is_waited_for(world):
    report = written(world, "criteo")
    with running("429") as stand_in:
        _, waits = send(world, report, stand_in)
    assert 7.0 in waits


def test_a_partial_failure_is_counted_and_not_sent_again(world):
    report = written(world, "criteo")
    with running("invalid entries") as stand_in:
        ((sent,), _) = send(world, report, stand_in)
    assert sent.n_refused == 3
    assert len(stand_in.paths) == 7


def test_a_secret_stands_in_the_header_alone_and_the_log_names_nobody(world, caplog):
    caplog.set_level(logging.DEBUG)
    report = written(world, "criteo")
    with running("500") as stand_in:
        send(world, report, stand_in)
    assert {one["Authorization"] for one in stand_in.headers} == {f"Bearer {TOKEN}"}
    assert len({one["Idempotency-Key"] for one in stand_in.headers}) == 7
    assert "status 500 in attempt 1" in caplog.text
    ledger = (world.folder / "ledger.db").read_bytes()
    for secret in [TOKEN, *stand_in.people, "x.example"]:
        assert secret not in caplog.text
    assert TOKEN.encode() not in ledger


@pytest.mark.parametrize(
    "case",
    [
        ("uid2", {}, "sealed bodies"),
        ("spotify", {}, "whole files"),
        ("criteo", {"settings": {}}, "without --set audience_segment_id"),
    ],
)
def test_what_cannot_be_posted_is_refused_before_anything_is(world, case):
    name, more, said = case
    with open_ledger(world.folder / "ledger.db") as ledger:
        report = export(world.job(ledger, name, **more), world.folder / "out")
    with running() as stand_in, pytest.raises(ConfigError, match=said):
        send(world, report, stand_in)
    assert stand_in.paths == []


def test_a_file_that_was_changed_is_not_sent(world):
    report = written(world, "criteo")
    (name,) = report.files
    (world.folder / "out" / name).write_text("{}\n")
    with running() as stand_in, pytest.raises(LedgerError, match="export again"):
        send(world, report, stand_in)
    assert stand_in.paths == []


@pytest.mark.parametrize(
    "base",
    [
        *(
            "http://example.com",
            "https://token@example.com",
            "https://:token@example.com",
            "ftp://x",
        ),
        *("https://x.y/?key=1", "https://x.y/#token", "https://x.y:token/", "https://[::1"),
        *("https://x.y/ä", "https://x.y/a b"),
    ],
)
def test_an_address_is_https_and_holds_no_secret(base):
    with pytest.raises(ConfigError, match="https://HOST/PATH") as raised:
        Client(base, 1.0)
    assert "token" not in str(raised.value)


@pytest.mark.parametrize("secret", ["planted\nsecret", "planted\rsecret", "plänted"])
def test_a_secret_that_is_no_header_is_refused_without_being_told(world, secret):
    report = written(world, "criteo")
    with (
        running() as stand_in,
        open_ledger(world.folder / "ledger.db") as ledger,
    ):
        sending = Sending(stand_in.base, environment={"SEGMENTER_TOKEN_CRITEO": secret})
        with pytest.raises(ConfigError, match="SEGMENTER_TOKEN_CRITEO") as raised:
            deliver(ledger, report.deliveries[0], sending)
    assert secret not in str(raised.value)
    assert stand_in.paths == []


def test_a_line_break_after_a_secret_is_no_part_of_it(world):
    report = written(world, "criteo")
    with running() as stand_in, open_ledger(world.folder / "ledger.db") as ledger:
        sending = Sending(stand_in.base, environment={"SEGMENTER_TOKEN": f"{TOKEN}\n"})
        deliver(ledger, report.deliveries[0], sending)
    assert state(world) == "delivered"


@given(st.integers(1, 40), st.one_of(st.none(), st.floats(0, 1e6)), st.integers())
def test_a_wait_is_bounded_and_no_shorter_than_asked(attempt, asked, seed):
    patience = Patience()
    wait = patience.wait_s(attempt, asked, random.Random(seed))  # noqa: S311 - jitter
    assert 0 <= wait <= patience.longest_s
    assert asked is None or wait >= min(asked, patience.longest_s)


@given(st.floats(1, 10_000), st.lists(st.floats(0, 3), min_size=1, max_size=20))
def test_requests_never_pass_faster_than_the_rate(per_minute, works):
    now, starts = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(per_minute, sleep=sleep, clock=lambda: now[0])
    for work in works:
        pace.wait()
        starts.append(now[0])
        now[0] += work
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert all(gap >= 60 / per_minute - 1e-6 for gap in gaps)


def test_retry_after_is_a_number_or_a_date():
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert asked_wait_s("12", now) == 12
    assert asked_wait_s("Thu, 01 Jan 2026 00:01:00 GMT", now) == 60
    assert asked_wait_s("Thu, 01 Jan 2020 00:01:00 GMT", now) == 0
    assert asked_wait_s("soon", now) is None
    assert asked_wait_s("\N{SUPERSCRIPT TWO}", now) is None
    assert asked_wait_s(None, now) is None
