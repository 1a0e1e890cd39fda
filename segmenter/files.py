"""Writing so that a reader never sees half a file: a temporary sibling first, then one rename.

What lives here: atomic files and folders, digests, canonical JSON. What is written is not known
here.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place when the block ends well.

    Left-overs of killed writers of the same file are cleared first.

    Parameters
    ----------
    path
        Where the finished file shall stand; its folder is made when missing.

    Yields
    ------
    Path
        The temporary path to write to. It is removed when the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in _leftovers(path):
        leftover.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; put it in place when the block ends well.

    An older folder of that name is replaced in two renames, so a reader finds the old one, none
    for an instant, or the new one, never a mixture. Left-overs of killed writers of the same
    folder are cleared first; where the kill fell between the two renames the old folder comes
    back.

    Parameters
    ----------
    path
        Where the finished folder shall stand; of a link, what it points to is replaced.

    Yields
    ------
    Path
        The empty temporary folder to fill. It is removed when the block raises.

    Raises
    ------
    NotADirectoryError
        If something other than a folder stands at `path`.
    """
    path = path.resolve()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file stands where a folder shall be", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in _leftovers(path):
        if leftover.name.startswith(f".{path.name}.old.") and not path.exists():
            leftover.replace(path)
        else:
            shutil.rmtree(leftover, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            old = path.with_name(f".{path.name}.old.{os.getpid()}.tmp")
            path.replace(old)
            temporary.replace(path)
            shutil.rmtree(old)
        else:
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _leftovers(path: Path) -> list[Path]:
    """Temporary siblings that a killed writer of `path` left behind."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(?:old\.)?(?P<pid>[0-9]+)\.tmp")
    siblings = [(sibling, pattern.fullmatch(sibling.name)) for sibling in path.parent.iterdir()]
    return [sibling for sibling, found in siblings if found and not _is_running(int(found["pid"]))]


def _is_running(pid: int) -> bool:
    """Whether another process of that number lives on this machine.

    Our own number on a left-over is that of a killed writer: in a container every run may bear
    the same one.
    """
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - anything that JSON can say
    """Write `value` to `path` as canonical, indented JSON, atomically.

    Raises
    ------
    ValueError
        If `value` holds NaN or an infinity, which JSON cannot say.
    """
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - anything that JSON can say
    """The value in a JSON file, such as one that `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes as lower-case hexadecimal text."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digest_of_json(value: Any) -> str:  # noqa: ANN401 - anything that JSON can say
    """SHA-256 of the canonical JSON form of `value` (sorted keys, no white space)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
