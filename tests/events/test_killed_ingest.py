"""A killed ingest leaves nothing that opens, and the next one ends right."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from segmenter.errors import StoreError
from segmenter.events.ingest import ingest
from segmenter.events.samples import planted_personas
from segmenter.events.store import EventStore
from tests.events.reference import files_of

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import os, signal, sys
from pathlib import Path
from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions

def die(done, total):
    if done >= float(sys.argv[3]) * total:
        os.kill(os.getpid(), signal.SIGKILL)

ingest([Path(sys.argv[1])], Path(sys.argv[2]), progress=die,
       options=IngestOptions(group_rows=3000))
"""


class Point(NamedTuple):
    """A share of the work at which the process is killed, and what it leaves behind."""

    share: float
    left: set[str]
    missing: set[str]


POINTS = {
    "while reading": Point(0.1, {"spill"}, {"times.bin", "vocabulary"}),
    "while sorting": Point(0.8, {"spill", "times.bin"}, {"vocabulary"}),
    "before the last rename": Point(1.0, {"times.bin", "vocabulary"}, {"spill", "manifest.json"}),
}


def kill_ingest(sources: Path, store: Path, share: float) -> None:
    command = [sys.executable, "-c", SCRIPT, str(sources), str(store), str(share)]
    killed = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - the script above
    assert killed.returncode == -signal.SIGKILL


class Log(NamedTuple):
    """A folder of files, and the bytes of the store that an undisturbed ingest makes of it."""

    folder: Path
    store: dict[str, bytes]


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Log:
    folder = tmp_path_factory.mktemp("log")
    events = planted_personas(80, seed=5).events
    for part in range(4):
        events[part::4].write_parquet(folder / f"{part}.parquet")
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    ingest([folder], store)
    return Log(folder, files_of(store))


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_rerun_after_a_kill_ends_right(log, tmp_path, point):
    store = tmp_path / "store"
    kill_ingest(log.folder, store, point.share)
    with pytest.raises(StoreError, match="no event store"):
        EventStore.open(store)
    (unfinished,) = tmp_path.iterdir()
    names = {path.name for path in unfinished.iterdir()}
    assert point.left <= names
    assert not point.missing & names
    with pytest.raises(StoreError, match="is no event store"):
        EventStore.open(unfinished)
    ingest([log.folder], store)
    assert list(tmp_path.iterdir()) == [store]
    assert files_of(store) == log.store


def test_a_kill_while_replacing_leaves_the_old_store(log, tmp_path):
    store = tmp_path / "store"
    old = ingest([log.folder / "0.parquet"], store)
    kill_ingest(log.folder, store, 1.0)
    EventStore.open(store).verify()
    assert EventStore.open(store).digest == old.manifest["digest"]
    ingest([log.folder], store)
    assert list(tmp_path.iterdir()) == [store]
    assert files_of(store) == log.store
