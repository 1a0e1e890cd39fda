"""From raw files to an event store: the stages in order, and the report of what became of rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segmenter.errors import OutputError, StoreError
from segmenter.events.assembly import assemble
from segmenter.events.cleaning import FUTURE
from segmenter.events.contract import ColumnMapping
from segmenter.events.ingest_options import IngestOptions
from segmenter.events.sources import EventLog, open_log
from segmenter.events.store import FORMAT_VERSION, MANIFEST, EventStore, read_manifest
from segmenter.files import atomic_folder, write_json
from segmenter.terminal import ProgressCallback


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of a log.

    Attributes
    ----------
    store
        Folder of the store.
    reused
        Whether the store was there already, made from the same files with the same options.
    n_read, n_events, n_users, n_after_until
        Rows read, events and users stored, usable rows left out since they are not before
        ``until``.
    rejected
        Rows set aside, by reason.
    rejected_files
        Where they are.
    size_bytes
        Of the store's columns.
    manifest
        The store's manifest.
    """

    store: Path
    reused: bool
    n_read: int
    n_events: int
    n_users: int
    n_after_until: int
    rejected: dict[str, int]
    rejected_files: tuple[Path, ...]
    size_bytes: int
    manifest: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, store: Path, manifest: dict[str, Any], *, reused: bool) -> "IngestReport":
        """The report that a manifest tells."""
        log = manifest["log"]
        return cls(
            store=store,
            reused=reused,
            n_read=log["n_read"],
            n_events=manifest["n_events"],
            n_users=manifest["n_users"],
            n_after_until=log["n_after_until"],
            rejected=dict(log["rejected"]),
            rejected_files=tuple(store / name for name in log["rejected_files"]),
            size_bytes=sum(said["bytes"] for said in manifest["files"].values()),
            manifest=manifest,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain form for ``--json``."""
        plain = {name: getattr(self, name) for name in ("reused", "n_read", "n_events", "n_users")}
        return {
            "store": str(self.store),
            **plain,
            "n_after_until": self.n_after_until,
            "rejected": self.rejected,
            "rejected_files": [str(path) for path in self.rejected_files],
            "size_bytes": self.size_bytes,
            "digest": self.manifest["digest"],
            "oldest": self.manifest["oldest"],
            "newest": self.manifest["newest"],
            "columns": self.manifest["log"]["layout"]["columns"],
            "ignored_columns": self.manifest["log"]["layout"]["ignored"],
        }


def ingest(
    sources: Sequence[Path],
    store: Path,
    *,
    mapping: ColumnMapping | None = None,
    options: IngestOptions | None = None,
    progress: ProgressCallback | None = None,
) -> IngestReport:
    """Build an event store from raw event logs, out of core.

    A store that was made from the same files with the same options is left as it is; any other
    store in that place is replaced when the new one is complete.

    Parameters
    ----------
    sources
        Files and folders of one format.
    store
        Folder of the store.
    mapping
        Which columns carry which fields, where their names do not say it.
    options
        How the log is read.
    progress
        Called with (steps done, steps in all).

    Returns
    -------
    IngestReport
        What became of the rows.

    Raises
    ------
    InputError
        If the log cannot be used; the message names what was found and the option that mends it.
    ConfigError
        If an option is impossible.
    OutputError
        If `store` is a folder of something else, or cannot be written.
    """
    mapping, options = mapping or ColumnMapping(), options or IngestOptions()
    options.check()
    _check_place(store)
    log = open_log(sources, mapping, options=options.reading(), outside=store)
    origin = _origin(log, options)
    previous = _up_to_date(store, origin)
    if previous is not None:
        return IngestReport.of(store, previous, reused=True)
    try:
        with atomic_folder(store) as temporary:
            manifest = assemble(temporary, log, options, progress=progress)
            manifest["log"] |= origin
            write_json(temporary / MANIFEST, manifest)
    except OSError as error:
        message = f"cannot write the event store {store}: {error}"
        raise OutputError(message) from error
    return IngestReport.of(store, manifest, reused=False)


def _check_place(store: Path) -> None:
    """Refuse to replace a folder that is no store."""
    if not store.exists() or (store.is_dir() and not any(store.iterdir())):
        return
    try:
        read_manifest(store)
    except StoreError as error:
        message = f"{store} exists and is no event store that may be replaced: {error}"
        raise OutputError(message) from error


def _origin(log: EventLog, options: IngestOptions) -> dict[str, Any]:
    return {
        "sources": [
            {"file": str(file.path), "bytes": file.size, "sha256": file.digest}
            for file in log.files
        ],
        "layout": log.layout.to_json(),
        "options": options.to_json(),
    }


def _up_to_date(store: Path, origin: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest of a store of the same origin, or None."""
    try:
        manifest = EventStore.open(store).manifest
    except StoreError:
        return None
    same = all(manifest["log"].get(name) == said for name, said in origin.items())
    same = same and manifest["format_version"] == FORMAT_VERSION
    # What lay in the future then may have become usable.
    return manifest if same and FUTURE not in manifest["log"]["rejected"] else None
