"""The output folder: ours is replaced as a whole, nobody else's is ever touched."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segmenter.errors import OutputError
from segmenter.files import write_json
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import ResolvedModel, resolve
from serving.batch import ScoreReport, score
from serving.shards import ShardFolder
from tests.models import World

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from serving.batch import score

HEAVY = {"pytorch_lightning", "umap", "hdbscan", "numba", "matplotlib", "mlflow", "pandas"}
store, bundle, out, target = sys.argv[1:]

def die(event, args):
    if event == "os.rename" and str(args[1]) == target:
        assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
score(Path(store), Path(out), resolve(MlflowHome(Path("none")), bundle), shard_users=50)
"""
# Where a run is killed, and how many of the three shards the next run reuses.
KILLS = {
    ".partial/assignments/part-00001.parquet": 1,
    "embeddings": 3,
    "manifest.json": 3,
}
Run = Callable[..., ScoreReport]


@pytest.fixture(scope="module")
def run(world: World) -> Run:
    """Scores the shared store in three shards, with the shared bundle unless told otherwise."""
    bundle = resolve(MlflowHome(Path("none")), str(world.bundle))

    def scored(out: Path, model: ResolvedModel = bundle) -> ScoreReport:
        return score(world.store.path, out, model, shard_users=50)

    return scored


@pytest.fixture(scope="module")
def kill(world: World) -> Callable[[Path, str], None]:
    """Scores as `run` does, killed before it renames something to `target`."""

    def killed(out: Path, target: str) -> None:
        words = [str(world.store.path), str(world.bundle), str(out), str(out / target)]
        command = [sys.executable, "-c", KILLED, *words]
        done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - the script above
        assert done.returncode == -signal.SIGKILL

    return killed


@pytest.fixture(scope="module")
def whole(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output that nothing disturbed."""
    return run(tmp_path_factory.mktemp("whole") / "out").out


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the lock; of the manifest everything but when it was made."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".score.lock":
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    if "manifest.json" in found:
        manifest = json.loads(found["manifest.json"])
        del manifest["created"]
        found["manifest.json"] = json.dumps(manifest).encode()
    return found


@pytest.mark.parametrize("target", KILLS)
def test_a_rerun_after_a_kill_ends_like_a_run_that_nothing_disturbed(target, request, tmp_path):
    run, kill, whole = (request.getfixturevalue(name) for name in ("run", "kill", "whole"))
    out = tmp_path / "out"
    run(out, resolve(request.getfixturevalue("shared_home"), "shoppers/2"))
    before = contents(out)
    kill(out, target)
    if target.startswith(".partial"):
        assert before.items() <= contents(out).items(), "the output of the other model is harmed"
    else:
        assert not (out / "manifest.json").exists()
    assert run(out).n_reused == KILLS[target]
    assert contents(out) == contents(whole)


def fill_partial(out: Path, whole: Path, *, identity: str) -> ShardFolder:
    """Leave two finished shards of a whole output in the partial folder of another."""
    shards = json.loads((whole / "manifest.json").read_text())["shards"]
    with ShardFolder(out, identity=identity) as folder:
        for number in (0, 1):
            for kind in ("assignments", "embeddings"):
                folder.path(kind, number).parent.mkdir(parents=True, exist_ok=True)
                source = whole / kind / f"part-{number:05d}.parquet"
                shutil.copyfile(source, folder.path(kind, number))
            write_json(folder._record(number), shards[number])
    return folder


def test_partial_shards_of_other_inputs_are_never_used(run, whole, tmp_path):
    fill_partial(tmp_path / "out", whole, identity="other")
    assert run(tmp_path / "out").n_reused == 0
    assert contents(tmp_path / "out") == contents(whole)


def test_a_partial_shard_that_was_damaged_is_made_again(run, whole, tmp_path):
    identity = json.loads((whole / "manifest.json").read_text())["identity"]
    folder = fill_partial(tmp_path / "out", whole, identity=identity)
    folder.path("embeddings", 1).write_bytes(b"damaged")
    assert run(tmp_path / "out").n_reused == 1
    assert contents(tmp_path / "out") == contents(whole)


def put(path: Path, text: str = "precious") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "file",
    [
        "assignments/mine.parquet",
        "embeddings/part-00000.parquet",
        "embeddings/deep/mine.txt",
        "assignments",
        "manifest.json",
    ],
)
def test_files_of_others_where_the_output_goes_are_refused(run, tmp_path, file):
    put(tmp_path / file)
    with pytest.raises(OutputError, match=r"which no scoring run has finished; move it away"):
        run(tmp_path)
    assert contents_raw(tmp_path) == {file: b"precious"}


def contents_raw(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".score.lock"
    }


def test_a_file_of_others_beside_our_shards_is_refused(run, whole, tmp_path):
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    put(out / "assignments" / "mine.parquet")
    with pytest.raises(OutputError, match=r"holds assignments/mine\.parquet"):
        run(out)
    assert (out / "assignments" / "mine.parquet").read_text() == "precious"


def test_neither_the_store_nor_a_bundle_is_overwritten_by_scores(run, world, tmp_path):
    for folder in (world.store.path, world.bundle):
        copy = Path(shutil.copytree(folder, tmp_path / folder.name))
        before = contents_raw(copy)
        with pytest.raises(OutputError, match=r"holds manifest\.json"):
            run(copy)
        assert contents_raw(copy) == before


def test_a_link_in_the_place_of_a_folder_is_refused(run, tmp_path):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "embeddings").symlink_to(tmp_path / "big disk")
    with pytest.raises(OutputError, match="holds embeddings"):
        run(tmp_path / "out")


def test_other_files_in_the_folder_are_left_alone(run, whole, tmp_path):
    put(tmp_path / "notes.txt")
    put(tmp_path / "deep" / "file")
    run(tmp_path)
    others = {"notes.txt": b"precious", "deep/file": b"precious"}
    assert contents(tmp_path) == contents(whole) | others


def test_a_file_in_the_place_of_the_folder_is_refused(run, tmp_path):
    put(tmp_path / "out")
    with pytest.raises(OutputError, match=r"cannot write to .*choose another --out"):
        run(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "precious"


def test_two_runs_never_write_one_folder_at_once(run, whole, tmp_path):
    out = tmp_path / "out"
    another = ShardFolder(out, identity="another run")
    with another, pytest.raises(OutputError, match="another `segmenter score` is writing"):
        run(out)
    run(out)
    assert contents(out) == contents(whole)


def test_a_full_disk_is_said_and_what_is_done_is_kept(run, whole, tmp_path):
    out = tmp_path / "out"
    limit = (whole / "embeddings" / "part-00000.parquet").stat().st_size - 1
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OutputError, match="make room and type the same command again"):
            run(out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (out / "manifest.json").exists()
    run(out)
    assert contents(out) == contents(whole)
