"""The event store: every user's events as memory-mapped columns, opened in milliseconds.

What lives here: the layout of the folder and reading from it. It is written by
`segmenter.events.build`. A store is a folder:

* ``manifest.json``: format version, counts, fields, digests, summaries, where it came from;
* ``users.arrow``: user ids in store order; ``offsets.bin``: int64 [n_users + 1];
* ``times.bin``: int64 microseconds since the epoch, UTC; ``consent.bin``: int8;
* ``codes/<name>.bin``: int32, 0 for missing; ``numbers/<name>.bin``: float64, NaN for missing;
* ``vocabulary/<name>.parquet``: value and count, the value of code ``c`` in row ``c - 1``;
* ``rejected/*.parquet``: rows of the log that could not be used, with the reason.

Numbers are little-endian. Users stand in the order of a stable hash of their id; the events of a
user in the order of (time, seq, place in the log).
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl

from segmenter.clock import parse_time
from segmenter.errors import StoreError
from segmenter.events.cleaning import CONSENT
from segmenter.files import digest_of_file

FORMAT = "segmenter event store"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
OFFSETS = "offsets.bin"
TIMES = "times.bin"
CONSENT_CODES = "consent.bin"
USERS = "users.arrow"


def codes_file(name: str) -> str:
    """Path in a store of the codes of a categorical field."""
    return f"codes/{quote(name, safe=' ')}.bin"


def numbers_file(name: str) -> str:
    """Path in a store of the values of a numeric field."""
    return f"numbers/{quote(name, safe=' ')}.bin"


def vocabulary_file(name: str) -> str:
    """Path in a store of the vocabulary of a categorical field."""
    return f"vocabulary/{quote(name, safe=' ')}.parquet"


class EventStore:
    """Events of many users, sorted by user and time, read without loading them.

    Use `open`; the constructor does not check the folder.

    Parameters
    ----------
    path
        Folder of the store.
    manifest
        Its manifest.

    Attributes
    ----------
    path, manifest
        As given.
    digest
        Identity of the content: equal for equal events, whatever files they came from.
    n_users, n_events
        Counts.
    categorical
        Fields with codes and a vocabulary: ``event`` always.
    numeric
        Fields with numbers.
    oldest, newest
        Times of the first and the last event, in microseconds since the epoch; the newest is the
        default as-of time.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.digest: str = manifest["digest"]
        self.n_users: int = manifest["n_users"]
        self.n_events: int = manifest["n_events"]
        self.categorical: tuple[str, ...] = tuple(manifest["categorical"])
        self.numeric: tuple[str, ...] = tuple(manifest["numeric"])
        self.oldest: int = parse_time(manifest["oldest"], option="oldest")
        self.newest: int = parse_time(manifest["newest"], option="newest")

    @classmethod
    def open(cls, path: Path) -> "EventStore":
        """Open a store after checking its manifest and the size of every file.

        Parameters
        ----------
        path
            Folder of the store.

        Returns
        -------
        EventStore
            The store; no column has been read yet.

        Raises
        ------
        StoreError
            If the folder is no store, incomplete, damaged, or of a newer format.
        """
        manifest = read_manifest(path)
        try:
            sizes = {name: said["bytes"] for name, said in manifest["files"].items()}
            store = cls(path, manifest)
        except (KeyError, TypeError, AttributeError) as error:
            raise StoreError(_incomplete_message(path, error)) from error
        for name, size in sizes.items():
            file = path / name
            if not file.is_file():
                message = f"event store {path} lacks {name}; run segmenter ingest again"
                raise StoreError(message)
            if file.stat().st_size != size:
                message = (
                    f"event store {path} is damaged: {name} has {file.stat().st_size} bytes, "
                    f"not {size}; run segmenter ingest again"
                )
                raise StoreError(message)
        return store

    @cached_property
    def offsets(self) -> np.ndarray:
        """int64 [n_users + 1], memory-mapped: events of user u are ``offsets[u]:offsets[u+1]``."""
        return self._mapped(OFFSETS, "<i8")

    @cached_property
    def times(self) -> np.ndarray:
        """int64 [n_events], memory-mapped: microseconds since the epoch, UTC."""
        return self._mapped(TIMES, "<i8")

    def codes(self, name: str) -> np.ndarray:
        """Codes of a categorical field, or of ``consent``.

        Parameters
        ----------
        name
            A field of `categorical`, or ``"consent"`` where the log had it.

        Returns
        -------
        numpy.ndarray
            int32 (consent: int8) of shape ``(n_events,)``, memory-mapped. 0 is missing; code
            ``c`` stands for ``vocabulary(name)[c - 1]``. Codes follow descending frequency, ties
            by text; those of ``session`` and ``order`` instead number the distinct values of each
            user in store order, so equal codes mean one user's same session.
        """
        self._check(name, (*self.categorical, *(["consent"] if self.has_consent else [])))
        if name == "consent":
            return self._mapped(CONSENT_CODES, "i1")
        return self._mapped(codes_file(name), "<i4")

    def numbers(self, name: str) -> np.ndarray:
        """Values of a numeric field: float64 [n_events], memory-mapped; NaN is missing."""
        self._check(name, self.numeric)
        return self._mapped(numbers_file(name), "<f8")

    @property
    def has_consent(self) -> bool:
        """Whether the log had a consent column."""
        return bool(self.manifest["has_consent"])

    def vocabulary(self, name: str) -> list[str]:
        """Values of a categorical field; code ``c`` stands for entry ``c - 1``."""
        if name == "consent":
            return list(CONSENT)
        return self._vocabulary(name)["value"].to_list()

    def vocabulary_counts(self, name: str) -> np.ndarray:
        """Events per value, int64, in the order of `vocabulary`."""
        return self._vocabulary(name)["count"].to_numpy()

    def user_ids(self) -> pl.Series:
        """Ids of the users as they were written in the log, in store order."""
        return pl.read_ipc(self.path / USERS)["user"]

    def verify(self) -> None:
        """Read every file and compare its digest with the manifest.

        Raises
        ------
        StoreError
            If a file was changed after the store was written.
        """
        for name, said in self.manifest["files"].items():
            if digest_of_file(self.path / name) != said["sha256"]:
                message = f"event store {self.path} is damaged: {name} was changed"
                raise StoreError(message)

    def _vocabulary(self, name: str) -> pl.DataFrame:
        self._check(name, self.categorical)
        return pl.read_parquet(self.path / vocabulary_file(name))

    def _mapped(self, file: str, dtype: str) -> np.ndarray:
        return np.memmap(self.path / file, dtype=dtype, mode="r")

    def _check(self, name: str, known: tuple[str, ...]) -> None:
        if name not in known:
            message = f"event store {self.path} has no field {name}; it has {', '.join(known)}"
            raise StoreError(message)


def _incomplete_message(path: Path, detail: object) -> str:
    return (
        f"event store {path} is damaged: its {MANIFEST} is incomplete ({detail}); "
        "run segmenter ingest again"
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a store.

    Raises
    ------
    StoreError
        If the folder is no store, or one of a newer format.
    """
    if not path.exists():
        message = (
            f"there is no event store at {path}; make one: segmenter ingest FILE --store {path}"
        )
        raise StoreError(message)
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{path} is no event store: it has no {MANIFEST}"
        raise StoreError(message) from error
    except (OSError, ValueError) as error:
        message = f"event store {path} is damaged: cannot read {MANIFEST}: {error}"
        raise StoreError(message) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        message = f"{path} is no event store: its {MANIFEST} is of something else"
        raise StoreError(message)
    version = manifest.get("format_version")
    if not isinstance(version, int):
        raise StoreError(_incomplete_message(path, "no format_version"))
    if version > FORMAT_VERSION:
        message = (
            f"event store {path} has format {version}; this version reads "
            f"formats up to {FORMAT_VERSION}; update segmenter or run segmenter ingest again"
        )
        raise StoreError(message)
    return manifest
