"""Every store keeps what it is given, forgets what it must, and lets one writer in at a time."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from segmenter.errors import ConfigError, StateUnreachableError
from serving.state.choice import open_store
from serving.state.sqlite_store import SWEEP_WRITES, SqliteStore
from serving.state.stores import MemoryStore, Retention, StateStore, key_of

KEYS = [key_of(name) for name in "abc"]
REDIS = shutil.which("redis-server")


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Redis server of the tests' own."""
    pytest.importorskip("redis", reason="the library for Redis is not installed")
    if REDIS is None:
        pytest.skip("there is no redis-server on this machine")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir"]
    with subprocess.Popen(  # noqa: S603 - found above
        [REDIS, *words, str(tmp_path_factory.mktemp("redis"))], stdout=subprocess.DEVNULL
    ) as process:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
                break
            time.sleep(0.05)
        yield port
        process.terminate()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    """An empty store of each kind."""
    where = {"memory": "memory", "sqlite": f"sqlite:{tmp_path / 'state.db'}"}.get(request.param)
    if where is None:
        where = f"redis://127.0.0.1:{request.getfixturevalue('redis_port')}/0"
    made = open_store(where, Retention())
    yield made
    made.close()


def read(store: StateStore, key: bytes) -> bytes | None:
    found: list[bytes | None] = []
    store.update(key, found.append)
    return found[-1]


def write(store: StateStore, key: bytes, content: bytes) -> None:
    store.update(key, lambda _: content)


steps = st.lists(st.tuples(st.sampled_from(KEYS), st.none() | st.binary(max_size=20)), max_size=12)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(steps)
def test_a_store_says_what_a_dictionary_says(
    store: StateStore, steps: list[tuple[bytes, bytes | None]]
) -> None:
    for key in KEYS:
        store.forget(key)
    known: dict[bytes, bytes] = {}
    for key, content in steps:
        if content is None:
            assert store.forget(key) == (known.pop(key, None) is not None)
        else:
            write(store, key, content)
            known[key] = content
        assert [read(store, one) for one in KEYS] == [known.get(one) for one in KEYS]


def test_a_change_that_fails_changes_nothing(store: StateStore) -> None:
    write(store, KEYS[0], b"before")

    def failing(_: bytes | None) -> bytes:
        raise ValueError

    with pytest.raises(ValueError):
        store.update(KEYS[0], failing)
    assert read(store, KEYS[0]) == b"before"


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_no_change_of_two_processes_is_lost(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Two connections, as two processes have them."""
    where = f"sqlite:{tmp_path / 'state.db'}"
    if kind == "redis":
        where = f"redis://127.0.0.1:{request.getfixturevalue('redis_port')}/1"

    def add() -> None:
        own = open_store(where, Retention())
        for _ in range(100):
            own.update(KEYS[0], lambda content: (content or b"") + b".")
        own.close()

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(open_store(where, Retention()), KEYS[0]) == b"." * 200


def test_who_was_not_written_for_long_is_forgotten(tmp_path: Path) -> None:
    now = [1000.0]
    retention = Retention(max_age_s=60)
    for store in (
        MemoryStore(retention, clock=lambda: now[0]),
        SqliteStore(tmp_path / "state.db", retention, clock=lambda: now[0]),
    ):
        write(store, KEYS[0], b"old")
        now[0] += 50
        write(store, KEYS[1], b"young")
        assert read(store, KEYS[0]) == b"old"
        now[0] += 20
        assert read(store, KEYS[0]) is None
        assert read(store, KEYS[1]) == b"young"


def test_beyond_the_bound_the_oldest_are_forgotten(tmp_path: Path) -> None:
    retention = Retention(max_users=5)
    memory, file = MemoryStore(retention), SqliteStore(tmp_path / "state.db", retention)
    keys = [key_of(str(number)) for number in range(SWEEP_WRITES)]
    for key in keys:
        write(memory, key, b".")
        write(file, key, b".")
    for store in (memory, file):
        assert [read(store, key) is None for key in keys[-7:]] == [True] * 2 + [False] * 5
        assert read(store, keys[0]) is None


def test_what_is_forgotten_is_no_longer_in_the_file(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'state.db'}", Retention())
    secret = b"visited the clinic at noon"
    write(store, KEYS[0], secret)
    write(store, KEYS[0], secret + b" and again")
    files = list(tmp_path.iterdir())
    assert any(secret in file.read_bytes() for file in files)
    assert store.forget(KEYS[0])
    assert not any(secret in file.read_bytes() for file in tmp_path.iterdir())


def test_a_file_that_is_held_for_long_is_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.state.sqlite_store.BUSY_S", 0.05)
    first, second = (SqliteStore(tmp_path / "state.db", Retention()) for _ in range(2))
    with pytest.raises(StateUnreachableError, match="try again"):
        first.update(KEYS[0], lambda _: write(second, KEYS[0], b""))


@pytest.mark.parametrize(
    "where", ["", "files", "sqlite:", "sqlite:/nowhere/at/all", "redis://127.0.0.1:1/0"]
)
def test_what_names_no_store_is_refused(where: str) -> None:
    with pytest.raises(ConfigError, match="--state"):
        open_store(where, Retention())
