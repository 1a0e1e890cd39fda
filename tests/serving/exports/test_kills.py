"""Exports that are really killed, at 20 random points: the next run finds everything whole."""

import hashlib
import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest

from serving.exports import gates
from serving.exports.export import ExportReport, export
from serving.exports.ledger.ledger import open_ledger
from tests.serving.exports.world import Platform, User, World

N_KILLS = 20
NAMES = ("criteo", "spotify")


def run(world: World) -> ExportReport:
    with open_ledger(world.folder / "ledger.db", salt=b"3" * 16) as ledger:
        return export(world.job(ledger, *NAMES, delta=True), world.folder / "out")


def run_and_say(world: World, started: Path) -> None:
    """What the process that is killed does."""
    gates.HARD_FLOOR = 1
    started.touch()
    run(world)


def upload(world: World, report: ExportReport, platforms: dict[str, Platform]) -> None:
    for name in report.files:
        platforms[name.split("/")[0]].take(world.folder / "out" / name)
    with open_ledger(world.folder / "ledger.db") as ledger:
        for number in report.deliveries:
            ledger.delivered(number)


@pytest.fixture(scope="module")
def processes():
    """Processes that begin with everything imported and no thread started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def test_twenty_killed_exports_lose_and_double_nobody(tmp_path, processes, monkeypatch):
    monkeypatch.setattr(gates, "HARD_FLOOR", 1)
    pick = random.Random(11)  # noqa: S311 - moments
    world = World(tmp_path, {f"u{n}": User(f"u{n}@x.example") for n in range(12)})
    platforms = {name: Platform() for name in NAMES}
    began = time.monotonic()
    upload(world, run(world), platforms)
    longest_s = 1.2 * (time.monotonic() - began)
    n_killed = 0
    for number in range(N_KILLS):
        for user in pick.sample(list(world.users.values())[1:], 3):
            user.consents = not user.consents
        started = tmp_path / f"started-{number}"
        child = processes.Process(target=run_and_say, args=(world, started))
        child.start()
        world.n_written += 1  # its own scores
        while not started.exists() and child.is_alive():
            time.sleep(0.001)
        time.sleep(pick.uniform(0, longest_s))
        child.kill()
        child.join()
        n_killed += child.exitcode == -signal.SIGKILL
        report = run(world)
        upload(world, report, platforms)
        wanted = {user.email for user in world.users.values() if user.consents}
        expected = {hashlib.sha256(email.encode()).hexdigest() for email in wanted}
        assert platforms["criteo"].people == platforms["spotify"].people == expected
    assert n_killed
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []
    with open_ledger(world.folder / "ledger.db") as ledger:
        assert {one.state for one in ledger.deliveries()} <= {"delivered", "superseded"}
