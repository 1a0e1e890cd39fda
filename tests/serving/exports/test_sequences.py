"""Random histories against a reference model in plain Python: nobody is lost, doubled or kept."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from serving.exports import export as module, gates
from serving.exports.destinations import DESTINATIONS, criteo
from serving.exports.export import ExportReport, export
from serving.exports.forget import forget
from serving.exports.json_layout import JsonLayout
from serving.exports.ledger.ledger import Ledger, open_ledger
from tests.serving.exports.world import Platform, User, World

N_SEQUENCES, N_STEPS = 100, 4


class KilledError(BaseException):
    """Stands for a kill: nothing catches it, nothing after it runs."""


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Audiences of a few people, in requests of three."""
    kinds = (replace(criteo._bodies(kind), max_members=3) for kind in criteo.TYPES)
    small = replace(DESTINATIONS["criteo"], layout=JsonLayout(*kinds))
    monkeypatch.setitem(DESTINATIONS, "criteo", small)
    monkeypatch.setattr(gates, "HARD_FLOOR", 1)


@dataclass
class Reference:
    """What should be so, found one user at a time."""

    world: World
    names: tuple[str, ...]
    gone_users: set[str] = field(default_factory=set)
    gone_emails: set[str] = field(default_factory=set)
    rows: dict[str, dict[tuple[str, str | None], set[str]]] = field(default_factory=dict)

    def audience(self) -> dict[str, set[str]]:
        """Addresses that should be on every list, with their users."""
        found: dict[str, set[str]] = {}
        for name, user in self.world.users.items():
            is_gone = name in self.gone_users or user.email in self.gone_emails
            if user.segment == 1 and user.consents and not is_gone:
                found.setdefault(user.email, set()).add(name)
        return found

    def pairs(self) -> dict[tuple[str, str | None], set[str]]:
        """What the ledger has a row for: address and device, with all users of the address."""
        found = self.audience()
        return {(one, self.world.users[min(users)].device): users for one, users in found.items()}

    def people(self) -> dict[str, str | None]:
        """Digests of addresses, and the device that is sent along: the first of their users'."""
        return {one: device for email, device in self.pairs() for one in digests({email})}

    def identifiers(self, name: str) -> set[str]:
        """Everything that should be on a list."""
        known = self.people()
        return set(known) | (set(known.values()) - {None} if name == "criteo" else set())

    def written(self) -> None:
        """The ledger knows of a delivery to every list."""
        for name in self.names:
            self.rows.setdefault(name, {}).update(self.pairs())

    def delivered(self, name: str) -> None:
        """A list is what it should be."""
        self.rows[name] = self.pairs()

    def forget(self, user: str) -> set[str]:
        """Addresses that go with a user; who shares one of them is the same person."""
        own = self.world.users[user].email
        every = [
            (email, users) for rows in self.rows.values() for (email, _), users in rows.items()
        ]
        known = {email for email, users in every if user in users or email == own}
        self.gone_users |= {user}.union(*(users for email, users in every if email in known))
        self.gone_emails |= known | {own}
        for name, rows in self.rows.items():
            self.rows[name] = {pair: rows[pair] for pair in rows if pair[0] not in known}
        return known


def device(number: int) -> str:
    """A device id, which Criteo is sent plain: two users share each."""
    return f"{number // 4:08x}-04d1-49c1-b2f1-1e1c5d1f3a77"


def digests(emails: set[str]) -> set[str]:
    return {hashlib.sha256(email.encode()).hexdigest() for email in emails}


@contextmanager
def killed(at: str) -> Iterator[None]:
    """A kill before the ledger knows, before the folder has its name, or just after."""

    def kill(*_: object, **__: object) -> None:
        raise KilledError

    place = {"unknown": (module, "_prepare"), "unnamed": (module, "_describe")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*place.get(at, (Ledger, "written")), kill)
        yield


class History:
    """One random sequence of events; a third of them also with a list that takes no difference."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.pick = random.Random(seed)  # noqa: S311 - a history
        users = {
            f"u{number}": User(f"u{number}@x.example", device(number) if number % 2 else None)
            for number in range(9)
        }
        self.world = World(folder, users)
        self.names = ("criteo",) if seed % 3 else ("criteo", "spotify")
        self.reference = Reference(self.world, self.names)
        self.platforms = {name: Platform() for name in self.names}
        self.out, self.ledger = folder / "out", folder / "ledger.db"
        self.n_emails, self.clean = 0, False
        self.arrived: dict[str, str | None] = {}

    def change(self) -> None:
        """Some users change; the first never does, for nobody is no list."""
        for name in self.pick.sample(list(self.world.users)[1:], 3):
            user = self.world.users[name]
            what = self.pick.randrange(5)
            if what == 0:
                user.segment = self.pick.choice([1, 2, None])
            elif what == 1:
                self.n_emails += 1
                user.email = f"new{self.n_emails}@x.example"
            elif what == 2:
                user.email = self.world.users[self.pick.choice(list(self.world.users)[1:])].email
            else:
                user.consents = not user.consents

    def step(self) -> None:
        """A change, then an export that arrives, is lost in part, or is killed; or a deletion."""
        self.change()
        if self.pick.random() < 0.15:
            self.forget(self.pick.choice(list(self.world.users)[1:]))
            return
        end = self.pick.choice(["arrives", "arrives", "partly", "unknown", "unnamed", "named"])
        delta = self.pick.random() < 0.7
        if end in ("unknown", "unnamed", "named"):
            with killed(end), pytest.raises(KilledError):
                self.export(delta=delta)
            if end != "unknown":
                self.reference.written()
                self.clean = False
            if self.pick.random() < 0.5:
                self.change()
            end = self.pick.choice(["arrives", "partly"])
        report = self.export(delta=delta)
        self.reference.written()
        self.upload(report, delta=delta, whole=end == "arrives")

    def export(self, *, delta: bool) -> ExportReport:
        """Write everything as things stand."""
        with open_ledger(self.ledger, salt=b"0" * 16) as ledger:
            return export(self.world.job(ledger, *self.names, delta=delta), self.out)

    def upload(self, report: ExportReport, *, delta: bool, whole: bool) -> None:
        """The platforms take all requests, or some of them; the ledger may be told so."""
        if delta and self.clean:
            self.nothing_is_sent_twice(report)
        for name in report.files:
            n_lines = None if whole else self.pick.randrange(3)
            if n_lines != 0:
                self.platforms[name.split("/")[0]].take(self.out / name, slice(n_lines))
        self.mark(report, whole=whole)
        self.clean, self.arrived = whole, self.reference.people()
        for name, platform in self.platforms.items():
            assert not whole or platform.people == self.reference.identifiers(name), name

    def mark(self, report: ExportReport, *, whole: bool) -> None:
        """Tell the ledger what has arrived; of a loss it may hear nothing."""
        with open_ledger(self.ledger) as ledger:
            for number in report.deliveries:
                if whole:
                    ledger.delivered(number)
                elif self.pick.random() < 0.5:
                    ledger.failed(number)
        for name in self.names if whole else ():
            self.reference.delivered(name)

    def nothing_is_sent_twice(self, report: ExportReport) -> None:
        """A difference after an arrival holds entrants, leavers and who has changed alone."""
        now, before = self.reference.people(), self.arrived
        sent = {"add": Platform(), "remove": Platform(people=set(before))}
        for name in report.files:
            if "criteo" in name:
                action = "remove" if "_remove_" in name else "add"
                sent[action].take(self.out / name)
        added = sent["add"].people & set(now)
        assert added == {one for one in now if before.get(one, "nobody") != now[one]}
        assert set(before) - sent["remove"].people == set(before) - set(now)

    def forget(self, user: str) -> None:
        """A user asks to be deleted; the removal arrives."""
        if user in self.reference.gone_users or not self.ledger.exists():
            return
        listed = self.world.folder / f"forget-{user}.txt"
        listed.write_text(f"{user}\n{self.world.users[user].email}\n")
        known = digests(self.reference.forget(user))
        receipt = self.world.folder / f"receipt-{user}.json"
        out = self.world.folder / f"off-{user}"
        with open_ledger(self.ledger) as ledger:
            last = self.world.folder / f"{self.world.n_written:03d}" / "people.parquet"
            forget(ledger, listed, receipt=receipt, out=out, identities=last)
        for path in sorted(out.rglob("*.jsonl")):
            self.platforms["criteo"].take(path)
        assert not self.platforms["criteo"].people & known
        assert user not in receipt.read_text()
        self.clean = False


@pytest.fixture
def memory(tmp_path):
    """A folder in memory where there is one: most of a small export is waiting for a disk."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own in it
    with TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("part", range(4))
def test_nobody_is_lost_or_doubled_in_random_histories(memory, part):
    for seed in range(part * N_SEQUENCES // 4, (part + 1) * N_SEQUENCES // 4):
        history = History(memory / str(seed), seed)
        for _ in range(N_STEPS):
            history.step()
        report = history.export(delta=True)
        history.reference.written()
        history.upload(report, delta=True, whole=True)
