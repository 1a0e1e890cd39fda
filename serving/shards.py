"""The folder of a scoring run: shards that survive a kill, an output that is whole or absent.

What lives here: which shards are done, and how finished ones come into place. What a shard holds
is not known here.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from segmenter.errors import OutputError
from segmenter.files import atomic_file, digest_of_file, write_json

ASSIGNMENTS, EMBEDDINGS = "assignments", "embeddings"
MANIFEST = "manifest.json"
FORMAT = "segmenter scores"
PARTIAL = ".partial"
KINDS = (ASSIGNMENTS, EMBEDDINGS)


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard.

    Attributes
    ----------
    number
        Place in the order of users, from 0.
    n_users, n_without_events
        Rows of the assignments, and those of them without a segment.
    digests
        SHA-256 of the shard's file of each kind.
    segments
        Segment id, as text, to [users, sum of strengths].
    levels
        Macro and micro, each by id in the same form; empty of a model without levels.
    coverage
        Segment id, as text, to its users in each group of coverage; empty where none is told.
    """

    number: int
    n_users: int
    n_without_events: int
    digests: dict[str, str]
    segments: dict[str, tuple[int, float]]
    levels: dict[str, dict[str, tuple[int, float]]] = field(default_factory=dict)
    coverage: dict[str, dict[str, int]] = field(default_factory=dict)


class ShardFolder:
    """An output folder held for one scoring run.

    Parameters
    ----------
    out
        The folder.
    identity
        Digest of everything that decides the content; shards of another identity are never used.

    Attributes
    ----------
    manifest
        Inside the block: the manifest of a whole output of this identity whose every file matches
        its digest, or None when there is work to do.

    Raises
    ------
    OutputError
        On entering: if another run holds the folder, or files of another origin stand where the
        output would be written.
    """

    def __init__(self, out: Path, *, identity: str) -> None:
        self.out, self.identity = out, identity
        self.partial = out / PARTIAL
        self.manifest: dict[str, Any] | None = None
        self._lock = FileLock(out / ".score.lock", timeout=0)

    def __enter__(self) -> Self:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            message = f"another `segmenter score` is writing {self.out}; choose another --out"
            raise OutputError(message) from error
        except OSError as error:
            message = f"cannot write to {self.out}: {error.strerror}; choose another --out"
            raise OutputError(message) from error
        try:
            self._put_in_place()
            self._refuse_foreign()
            self.manifest = self._finished_manifest()
            self._start_partial()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def path(self, kind: str, number: int) -> Path:
        """Where a file of a shard is written before everything comes into place."""
        return self.partial / _shard_file(kind, number)

    def finished_shard(self, number: int) -> ShardRecord | None:
        """Record of a shard that an earlier run finished, if its files match."""
        record = _read_json(self._record(number))
        if record is not None and _matches(self.partial, record):
            return ShardRecord(**record)
        shards = self._published_shards()
        if number >= len(shards) or not _matches(self.out, shards[number]):
            return None
        for kind in KINDS:
            with atomic_file(self.path(kind, number)) as temporary:
                shutil.copyfile(self.out / _shard_file(kind, number), temporary)
        return ShardRecord(**shards[number])

    def keep(self, record: ShardRecord) -> None:
        """Remember that a shard's files are written."""
        write_json(self._record(record.number), asdict(record))

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Bring all shards into place, the manifest last.

        Raises
        ------
        OutputError
            If meanwhile files of another origin came where the output is written.
        """
        self._refuse_foreign()
        marks = {"format": FORMAT, "identity": self.identity}
        write_json(self.partial / MANIFEST, {**manifest, **marks})
        self._put_in_place()

    def _finished_manifest(self) -> dict[str, Any] | None:
        shards = self._published_shards()
        if not shards or not all(_matches(self.out, shard) for shard in shards):
            return None
        return _read_manifest(self.out)

    def _published_shards(self) -> list[dict[str, Any]]:
        """Records of the published output, if it is of this identity."""
        manifest = _read_manifest(self.out)
        if manifest is None or manifest["identity"] != self.identity:
            return []
        return manifest["shards"]

    def _record(self, number: int) -> Path:
        return self.partial / "records" / f"part-{number:05d}.json"

    def _put_in_place(self) -> None:
        """Replace the old output by a finished one; after a kill, the next run goes on here."""
        ready = self.partial / MANIFEST
        if not ready.exists():
            return
        (self.out / MANIFEST).unlink(missing_ok=True)
        for kind in KINDS:
            if (self.partial / kind).exists():
                if (self.out / kind).exists():
                    shutil.rmtree(self.out / kind)
                (self.partial / kind).replace(self.out / kind)
        ready.replace(self.out / MANIFEST)
        shutil.rmtree(self.partial)

    def _refuse_foreign(self) -> None:
        """Never replace files that no scoring run has written."""
        manifest, foreign = _read_manifest(self.out), _standing(self.out)
        if manifest is not None:
            written = {
                _shard_file(kind, one["number"]) for one in manifest["shards"] for kind in KINDS
            }
            foreign -= written | {MANIFEST}
        if foreign:
            message = (
                f"{self.out} holds {', '.join(sorted(foreign)[:3])}, which no scoring run has "
                "finished; move it away or choose another --out"
            )
            raise OutputError(message)

    def _start_partial(self) -> None:
        """Keep the partial shards of this identity and no others, and none when all is done."""
        mark, own = self.partial / "identity.json", {"identity": self.identity}
        found = _read_json(mark)
        if self.manifest is None and found != own:
            shutil.rmtree(self.partial, ignore_errors=True)
            write_json(mark, own)
        elif self.manifest is not None and found in (own, None):
            shutil.rmtree(self.partial, ignore_errors=True)


def _standing(out: Path) -> set[str]:
    """What stands where the output is written, hidden files aside."""
    places = [out / MANIFEST]
    for folder in (out / kind for kind in KINDS):
        is_plain = folder.is_dir() and not folder.is_symlink()
        places += folder.glob("[!.]*") if is_plain else [folder]
    return {
        place.relative_to(out).as_posix()
        for place in places
        if place.exists() or place.is_symlink()
    }


def _shard_file(kind: str, number: int) -> str:
    return f"{kind}/part-{number:05d}.parquet"


def _matches(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether both files of a shard are there and unchanged."""
    return all(
        (path := folder / _shard_file(kind, record["number"])).is_file()
        and digest_of_file(path) == digest
        for kind, digest in record["digests"].items()
    )


def _read_manifest(out: Path) -> dict[str, Any] | None:
    """The manifest of a finished scoring run, or None when there is none to trust."""
    manifest = _read_json(out / MANIFEST)
    return manifest if manifest is not None and manifest.get("format") == FORMAT else None


def _read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None when there is none to trust."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
