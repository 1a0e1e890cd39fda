"""Batch scoring: everybody in an event store gets an embedding and a segment, as Parquet shards.

Shards are built one after another in ``OUT/.partial``, each under a record with its digests, and
put in place together at the end: until then what stood in ``OUT`` before stays whole. A rerun goes
on where a killed one stopped, and does nothing when the same store, model and as-of time have been
scored already.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.assignment_table import assignment_table
from segmenter.audience_model import AudienceModel
from segmenter.clock import iso, now
from segmenter.errors import ConfigError, OutputError
from segmenter.events.store import USERS, EventStore
from segmenter.files import atomic_file, digest_of_file, digest_of_json
from segmenter.level_columns import LEVEL_COLUMNS
from segmenter.registry import ResolvedModel
from segmenter.segments.coverage import GROUPS
from segmenter.segments.hierarchy import LEVELS, MACRO, MICRO, SEGMENT
from segmenter.segments.segment import Segment
from segmenter.terminal import ProgressCallback
from serving.shards import ASSIGNMENTS, EMBEDDINGS, ShardFolder, ShardRecord

FORMAT_VERSION = 2
SHARD_USERS = 20_000


@dataclass(frozen=True)
class SegmentCount:
    """One segment in a scored population.

    Attributes
    ----------
    id, name
        Of the segment.
    n_users
        Users in it.
    share
        Of the users that have a segment.
    mean_strength
        How sure the assignments are, in [0, 1].
    sensitive
        Whether the segment touches a sensitive topic, so that an export refuses it.
    sensitive_evidence
        Where it does; empty otherwise.
    parent
        What holds it one level above, by id; None where nothing does.
    coverage
        Users in each of `segmenter.segments.coverage.GROUPS`; empty by a model that does not tell.
    """

    id: int
    name: str
    n_users: int
    share: float
    mean_strength: float
    sensitive: bool = False
    sensitive_evidence: str = ""
    parent: int | None = None
    coverage: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreReport:
    """What a scoring run left behind.

    Attributes
    ----------
    out
        Folder of the output.
    n_users
        Users in the assignments.
    n_without_events
        Of these, users without an event at or before the as-of time: listed without a segment,
        and absent from the embeddings.
    n_shards, n_reused
        Shards in all, and those that an earlier run had finished.
    as_of
        ISO 8601 text.
    model
        What ``model_version`` holds.
    segments
        Counts per segment, greatest first; segments without users are listed with zero.
    """

    out: Path
    n_users: int
    n_without_events: int
    n_shards: int
    n_reused: int
    as_of: str
    model: str
    segments: tuple[SegmentCount, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts."""
        return asdict(self) | {"out": str(self.out)}


@dataclass(frozen=True)
class _Job:
    """One scoring run: what is read, with what, as of when, and where it goes."""

    store: EventStore
    model: AudienceModel
    label: str
    as_of: int
    folder: ShardFolder
    progress: ProgressCallback | None

    def user_ids(self, start: int, n_users: int) -> pl.Series:
        """Ids of consecutive users, read from the store without the others."""
        ids = pl.scan_ipc(self.store.path / USERS).slice(start, n_users).collect()
        return ids.to_series().alias("user_id")

    def tell(self, n_done: int) -> None:
        """Report progress in users."""
        if self.progress is not None:
            self.progress(n_done, self.store.n_users)


def score(
    store: Path,
    out: Path,
    model: ResolvedModel,
    *,
    as_of: int | None = None,
    shard_users: int = SHARD_USERS,
    progress: ProgressCallback | None = None,
) -> ScoreReport:
    """Embed and assign every user of a store.

    Writes ``assignments/part-*.parquet`` (user_id, segment_id, segment_name, strength in [0, 1],
    second_segment_id, coverage, as_of, model_version, and macro_id, macro_name, micro_id,
    micro_name, which are null where the model has no levels), ``embeddings/part-*.parquet``
    (user_id, embedding) and, last, ``manifest.json`` with counts and digests: without it the
    output is not complete.

    Parameters
    ----------
    store
        Folder of an event store.
    out
        Folder to write; other files in it are left alone.
    model
        From `segmenter.registry.resolve`.
    as_of
        Microseconds; only events at or before it count. None takes the store's newest event.
    shard_users
        Users per shard; memory grows with it and with nothing else.
    progress
        Told of (users done, users in all).

    Returns
    -------
    ScoreReport
        Counts, and how many shards were reused.

    Raises
    ------
    StoreError
        If `store` is no event store.
    BundleError
        If the model's bundle is damaged.
    ConfigError
        If no user has an event at or before `as_of`.
    OutputError
        If `out` holds files of another origin where scores would be written, is being written by
        another run, or cannot be written.
    """
    opened = EventStore.open(store)
    moment = opened.newest if as_of is None else as_of
    if moment < opened.oldest:
        message = (
            f"no event of {store} lies at or before {iso(moment)}: the first is of "
            f"{iso(opened.oldest)}; pass a later --as-of"
        )
        raise ConfigError(message)
    inputs = {
        "store_digest": opened.digest,
        "model_digest": model.digest,
        "model_version": model.label,
        "as_of": iso(moment),
        "shard_users": shard_users,
    }
    with ShardFolder(out, identity=digest_of_json({"format": FORMAT_VERSION} | inputs)) as folder:
        if folder.manifest is not None:
            if progress is not None:
                progress(opened.n_users, opened.n_users)
            return _report(out, folder.manifest, n_reused=len(folder.manifest["shards"]))
        loaded = AudienceModel.load(model.folder)
        job = _Job(opened, loaded, model.label, moment, folder, progress)
        records, n_reused = _finish_shards(job, shard_users)
        manifest = inputs | {"model_as_of": iso(loaded.trained_as_of)}
        manifest |= _totals(loaded, records)
        folder.publish(manifest | {"format_version": FORMAT_VERSION, "created": now()})
        return _report(out, manifest, n_reused=n_reused)


def _finish_shards(job: _Job, shard_users: int) -> tuple[list[ShardRecord], int]:
    """Write the shards that no earlier run finished; returns all records and how many were."""
    opened, n_reused, records = job.store, 0, []
    n_users = opened.n_users
    for number, start in enumerate(range(0, n_users, shard_users)):
        users = np.arange(start, min(start + shard_users, n_users))
        record = job.folder.finished_shard(number)
        if record is None:
            # Opened anew, so that the pages mapped for one shard are let go before the next.
            fresh = EventStore(opened.path, opened.manifest)
            record = _write_shard(replace(job, store=fresh), number, users)
        else:
            n_reused += 1
        job.folder.keep(record)
        records.append(record)
        job.tell(start + len(users))
    return records, n_reused


def _write_shard(job: _Job, number: int, users: np.ndarray) -> ShardRecord:
    """Embed and assign some users and write both files of their shard."""
    first_events = np.asarray(job.store.times[np.asarray(job.store.offsets)[users]])
    active = first_events <= job.as_of
    start = int(users[0])
    embeddings = job.model.embed(
        job.store, users[active], as_of=job.as_of, progress=lambda done, _: job.tell(start + done)
    )
    user_ids = job.user_ids(start, len(users))
    assigned = assignment_table(job.model, user_ids, embeddings, active=active)
    vectors = pl.Series("embedding", embeddings, dtype=pl.Array(pl.Float32, embeddings.shape[1]))
    stamps = {
        "as_of": pl.lit(job.as_of).cast(pl.Datetime("us", "UTC")),
        "model_version": pl.lit(job.label),
    }
    levels = {name: pl.col(name) for name in LEVEL_COLUMNS}
    tables = {
        ASSIGNMENTS: assigned.select(pl.exclude(LEVEL_COLUMNS), **stamps, **levels),
        EMBEDDINGS: pl.DataFrame([user_ids.filter(pl.Series(active)), vectors]),
    }
    digests = {kind: _save(table, job.folder.path(kind, number)) for kind, table in tables.items()}
    return ShardRecord(
        number=number,
        n_users=len(users),
        n_without_events=int((~active).sum()),
        digests=digests,
        segments=_counts(assigned, "segment_id"),
        levels={level: _counts(assigned, f"{level}_id") for level in (MACRO, MICRO)},
        coverage=_coverage(assigned),
    )


def _counts(assigned: pl.DataFrame, column: str) -> dict[str, tuple[int, float]]:
    """Users and the sum of their strengths, by an id."""
    counts = (
        assigned.drop_nulls(column)
        .group_by(column)
        .agg(pl.len(), pl.col("strength").cast(pl.Float64).sum())
    )
    return {str(id_): (n, round(total, 6)) for id_, n, total in counts.sort(column).rows()}


def _coverage(assigned: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Segment id, as text, to its users in each group; empty where no group is told."""
    told = assigned.drop_nulls("coverage").group_by("segment_id", "coverage").len()
    found: dict[str, dict[str, int]] = {}
    for id_, group, n_users in told.sort("segment_id", "coverage").rows():
        found.setdefault(str(id_), dict.fromkeys(GROUPS, 0))[group] = n_users
    return found


def _save(table: pl.DataFrame, path: Path) -> str:
    """Write one file of a shard; returns its digest."""
    try:
        with atomic_file(path) as temporary:
            table.write_parquet(temporary)
        return digest_of_file(path)
    except (OSError, pl.exceptions.ComputeError) as error:  # polars has the second for a full disk
        message = (
            f"cannot write {path}: {error}; the shards before it are kept: "
            "make room and type the same command again"
        )
        raise OutputError(message) from error


def _totals(model: AudienceModel, records: list[ShardRecord]) -> dict[str, Any]:
    """What the manifest says of all shards together."""
    n_users = sum(record.n_users for record in records)
    n_without = sum(record.n_without_events for record in records)
    n_active, above = n_users - n_without, model.hierarchy
    levels = {}
    for level in LEVELS if above is not None else (SEGMENT,):
        described = model.segments if above is None else above.at(level, model.segments)
        tallies = [
            one.segments if level == SEGMENT else one.levels.get(level, {}) for one in records
        ]
        counted = [
            replace(
                _count(item, tallies, n_active=n_active),
                parent=None if above is None else above.parent(level, item.id),
            )
            for item in described
        ]
        if level == SEGMENT:
            counted = [replace(one, coverage=_covered(records, one.id)) for one in counted]
        counted.sort(key=lambda segment: (-segment.n_users, segment.id))
        levels[level] = [asdict(one) for one in counted]
    return {
        "users": n_users,
        "users_without_events": n_without,
        "segments": levels.pop(SEGMENT),
        "levels": levels,
        "shards": [asdict(record) for record in records],
    }


def _covered(records: list[ShardRecord], segment_id: int) -> dict[str, int]:
    """Users of a segment in each group of coverage."""
    groups = Counter[str]()
    for record in records:
        groups.update(record.coverage.get(str(segment_id), {}))
    return dict(groups)


def _count(
    segment: Segment, tallies: list[dict[str, tuple[int, float]]], *, n_active: int
) -> SegmentCount:
    """One segment of a level in all shards together."""
    counts = [tally.get(str(segment.id), (0, 0.0)) for tally in tallies]
    n, strength = sum(count[0] for count in counts), sum(count[1] for count in counts)
    return SegmentCount(
        segment.id,
        segment.name,
        n,
        n / max(n_active, 1),
        strength / max(n, 1),
        sensitive=bool(segment.flags),
        sensitive_evidence="; ".join(f"{flag.topic}: {flag.evidence}" for flag in segment.flags),
    )


def _report(out: Path, manifest: dict[str, Any], *, n_reused: int) -> ScoreReport:
    return ScoreReport(
        out=out,
        n_users=manifest["users"],
        n_without_events=manifest["users_without_events"],
        n_shards=len(manifest["shards"]),
        n_reused=n_reused,
        as_of=manifest["as_of"],
        model=manifest["model_version"],
        segments=tuple(SegmentCount(**segment) for segment in manifest["segments"]),
    )
