"""A killed ingest leaves nothing that opens, and the next one ends right."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segmenter.errors import StoreError
from segmenter.events.ingest import ingest
from segmenter.events.samples import planted_personas
from segmenter.events.store import EventStore

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
POINTS = {"while reading": 0.1, "while sorting": 0.8, "before the last rename": 1.0}


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    log = planted_personas(80, seed=5).events
    for part in range(4):
        log[part::4].write_parquet(folder / f"{part}.parquet")
    return folder


@pytest.mark.parametrize("share", POINTS.values(), ids=POINTS)
def test_a_rerun_after_a_kill_ends_right(sources, tmp_path, share):
    store = tmp_path / "store"
    command = [sys.executable, "-c", SCRIPT, str(sources), str(store), str(share)]
    killed = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - the script above
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(StoreError, match="no event store"):
        EventStore.open(store)
    assert len(list(tmp_path.iterdir())) == 1
    ingest([sources], store)
    EventStore.open(store).verify()
    assert list(tmp_path.iterdir()) == [store]
    clean = ingest([sources], tmp_path / "clean")
    assert EventStore.open(store).digest == clean.manifest["digest"]


def test_a_kill_while_replacing_leaves_the_old_store(sources, tmp_path):
    store = tmp_path / "store"
    old = ingest([sources / "0.parquet"], store)
    command = [sys.executable, "-c", SCRIPT, str(sources), str(store), "1.0"]
    killed = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - the script above
    assert killed.returncode == -signal.SIGKILL
    assert EventStore.open(store).digest == old.manifest["digest"]
    assert ingest([sources], store).n_events > old.n_events
    assert list(tmp_path.iterdir()) == [store]
