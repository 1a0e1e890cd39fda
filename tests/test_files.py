"""Writing so that a reader never sees half a file, whatever happens to the writer."""

import hashlib
import json
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from segmenter.files import atomic_file, atomic_folder, digest_of_file, digest_of_json, write_json

ROOT = Path(__file__).resolve().parents[1]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates are no text.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab ü"), inner, max_size=4)
    ),
    max_leaves=20,
)
KILLED = """
import os, signal, sys
from pathlib import Path
from segmenter.files import atomic_file, atomic_folder

def die_at(number):
    seen = [0]
    def hook(event, _):
        seen[0] += event == "os.rename"
        if event == "os.rename" and seen[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

path, number = Path(sys.argv[2]), int(sys.argv[3])
die_at(number)
if sys.argv[1] == "file":
    with atomic_file(path) as temporary:
        temporary.write_text("half of the n")
else:
    with atomic_folder(path) as temporary:
        (temporary / "part").write_text("new")
"""


def killed_at(rename: int, kind: str, path: Path) -> None:
    """Let a real writer of `path` die just before its n-th rename."""
    command = [sys.executable, "-c", KILLED, kind, str(path), str(rename)]
    done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - the script above
    assert done.returncode == -signal.SIGKILL


def fail_in(writing: AbstractContextManager[Path]) -> None:
    """Enter a writing block, write something and raise."""
    with writing as temporary:
        (temporary / "half" if temporary.is_dir() else temporary).write_text("half of the n")
        raise ZeroDivisionError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@settings(max_examples=50)
@given(json_values)
def test_json_comes_back_as_it_was_written(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert json.loads(path.read_text(encoding="utf-8")) == value
    assert names(path.parent) == ["value.json"]


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc"), json_values), st.randoms())
def test_the_digest_of_json_does_not_depend_on_the_order_of_keys(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert digest_of_json(dict(items)) == digest_of_json(value)


@given(json_values, json_values)
def test_different_json_has_different_digests(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest_of_json(one) == digest_of_json(other)) == same


@given(st.binary(max_size=500))
def test_the_digest_of_a_file_is_the_sha256_of_its_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("digest") / "file"
    path.write_bytes(content)
    assert digest_of_file(path) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("value", [float("nan"), {"deep": [float("inf")]}])
def test_numbers_that_json_cannot_say_are_refused_and_leave_the_old_file(tmp_path, value):
    write_json(tmp_path / "value.json", 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "value.json", value)
    assert (tmp_path / "value.json").read_text() == "1\n"
    assert names(tmp_path) == ["value.json"]


def test_a_file_is_replaced_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    with atomic_file(path) as temporary:
        temporary.write_text("old")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError):
        fail_in(atomic_file(path))
    assert path.read_text() == "old"
    assert names(path.parent) == ["file"]


def test_a_folder_is_replaced_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "store"
    with atomic_folder(path) as temporary:
        (temporary / "old").touch()
    with pytest.raises(ZeroDivisionError):
        fail_in(atomic_folder(path))
    assert names(path) == ["old"]
    with atomic_folder(path) as temporary:
        (temporary / "new").touch()
    assert names(path) == ["new"]
    assert names(tmp_path) == ["store"]


def test_what_a_killed_writer_of_a_file_left_is_cleared_by_the_next(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    killed_at(1, "file", path)
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("rename", [1, 2])
def test_the_old_folder_comes_back_after_a_kill_at_either_rename(tmp_path, rename):
    path = tmp_path / "store"
    path.mkdir()
    (path / "part").write_text("old")
    killed_at(rename, "folder", path)
    assert path.exists() == (rename == 1)
    with pytest.raises(ZeroDivisionError):
        fail_in(atomic_folder(path))
    assert (path / "part").read_text() == "old"
    assert names(tmp_path) == ["store"]


def test_the_temporary_folder_of_a_writer_that_lives_is_left_alone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = tmp_path / f".store.{other.pid}.tmp"
        theirs.mkdir()
        with atomic_folder(tmp_path / "store"):
            assert theirs.exists()
        other.kill()
    with atomic_folder(tmp_path / "store"):
        assert not theirs.exists()


def test_hidden_neighbours_that_are_no_left_overs_stay(tmp_path):
    kept = [
        ".store.backup.tmp",
        ".store.x.999999999.tmp",
        ".store.old.tmp",
        ".other.999999999.tmp",
    ]
    for name in kept:
        (tmp_path / name).mkdir()
    with atomic_folder(tmp_path / "store"):
        pass
    assert names(tmp_path) == sorted([*kept, "store"])


def test_a_name_that_looks_like_a_pattern_is_only_a_name(tmp_path):
    (tmp_path / ".aa.999999999.tmp").mkdir()
    with atomic_folder(tmp_path / "[a]a"), atomic_file(tmp_path / "a*") as temporary:
        temporary.touch()
    assert names(tmp_path) == [".aa.999999999.tmp", "[a]a", "a*"]


def test_a_folder_behind_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with atomic_folder(tmp_path / "link") as temporary:
        (temporary / "new").touch()
    assert names(tmp_path / "real") == ["new"]
    assert (tmp_path / "link").is_symlink()


def test_a_file_in_the_place_of_a_folder_is_never_replaced(tmp_path):
    (tmp_path / "store").write_text("precious")
    with (
        pytest.raises(NotADirectoryError, match="a file stands"),
        atomic_folder(tmp_path / "store"),
    ):
        pytest.fail("the block must not be entered")
    assert (tmp_path / "store").read_text() == "precious"
