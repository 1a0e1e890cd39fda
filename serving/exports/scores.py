"""Scored assignments as an export reads them: members of segments, as of when, by which model."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from segmenter.errors import ConfigError, SourceError
from serving.shards import ASSIGNMENTS, FORMAT, MANIFEST

BATCH_ROWS = 250_000


@dataclass(frozen=True)
class ScoredSegment:
    """A segment of scored users.

    Attributes
    ----------
    id, name
        Of the segment.
    n_users
        Its members.
    evidence
        Why it is sensitive and must not be exported; None where it is not.
    """

    id: int
    name: str
    n_users: int
    evidence: str | None = None


@dataclass(frozen=True)
class Scores:
    """The folder that ``segmenter score`` wrote.

    Attributes
    ----------
    folder
        Of the scores.
    as_of
        Of when they are, in seconds since the epoch.
    model_version
        What they were made by.
    identity
        Digest of everything that decided them.
    n_users
        Everybody in them.
    segments
        By id.
    """

    folder: Path
    as_of: int
    model_version: str
    identity: str
    n_users: int
    segments: dict[int, ScoredSegment]

    @property
    def moment(self) -> dt.datetime:
        """As-of time in UTC."""
        return dt.datetime.fromtimestamp(self.as_of, dt.UTC)

    def members(self, segment_ids: list[int]) -> Iterator[pl.DataFrame]:
        """Members of some segments: user_id, segment_id, strength; some shards at a time."""
        columns = ("user_id", "segment_id", pl.col("strength").cast(pl.Float32))
        waiting: list[pl.DataFrame] = []
        for path in sorted((self.folder / ASSIGNMENTS).glob("*.parquet")):
            shard = pl.scan_parquet(path).filter(pl.col("segment_id").is_in(segment_ids))
            waiting.append(shard.select(columns).collect())
            if sum(len(one) for one in waiting) >= BATCH_ROWS:
                yield pl.concat(waiting)
                waiting = []
        if waiting:
            yield pl.concat(waiting)


def neighbors(scores: Scores, segment_ids: list[int]) -> dict[int, dict[int, int]]:
    """For each segment, how many of its members have which other one as their second."""
    table = pl.scan_parquet(scores.folder / ASSIGNMENTS / "*.parquet")
    chosen = table.filter(pl.col("segment_id").is_in(segment_ids))
    counts = chosen.group_by("segment_id", "second_segment_id").len().drop_nulls().collect()
    found: dict[int, dict[int, int]] = {number: {} for number in segment_ids}
    for segment, second, n_members in counts.rows():
        found[segment][second] = n_members
    return found


def open_scores(folder: Path, flags: Path | None = None) -> Scores:
    """Open the folder of a finished scoring run.

    Parameters
    ----------
    folder
        What ``segmenter score`` wrote.
    flags
        Table with a column segment_id, and sensitive or evidence: segments that must not be
        exported; None for no such table.

    Raises
    ------
    SourceError
        If the folder holds no finished scores, or `flags` cannot be read.
    """
    manifest = _manifest(folder)
    as_of = dt.datetime.fromisoformat(manifest["as_of"])
    evidence = _evidence(manifest) | (_flagged(flags) if flags is not None else {})
    segments = {
        one["id"]: ScoredSegment(one["id"], one["name"], one["n_users"], evidence.get(one["id"]))
        for one in manifest["segments"]
    }
    return Scores(
        folder=folder,
        as_of=int(as_of.timestamp()),
        model_version=manifest["model_version"],
        identity=manifest["identity"],
        n_users=manifest["users"],
        segments=segments,
    )


def chosen_segments(scores: Scores, wanted: str | None) -> list[ScoredSegment]:
    """Segments that a person names by their ids; every one where nothing is named.

    Raises
    ------
    ConfigError
        If an id is none of the scores.
    """
    if wanted is None:
        return [scores.segments[number] for number in sorted(scores.segments)]
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    unknown = [part for part in parts if not part.isdigit() or int(part) not in scores.segments]
    if unknown or not parts:
        message = (
            f"--segments must list ids of segments; found {wanted!r}; "
            f"{scores.folder} has {', '.join(map(str, sorted(scores.segments)))}"
        )
        raise ConfigError(message)
    return [scores.segments[number] for number in sorted({int(part) for part in parts})]


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"--scores must be a folder that `segmenter score` finished; found {folder}"
        raise SourceError(message) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        message = (
            f"{folder / MANIFEST} is no manifest of scores; pass what `segmenter score` wrote"
        )
        raise SourceError(message)
    return manifest


def _evidence(manifest: dict[str, Any]) -> dict[int, str]:
    """Segments that the scores themselves mark as sensitive."""
    return {
        one["id"]: str(one.get("sensitive_evidence") or "marked as sensitive in the scores")
        for one in manifest["segments"]
        if one.get("sensitive")
    }


def _flagged(path: Path) -> dict[int, str]:
    """Segments that a table marks as sensitive."""
    try:
        is_parquet = path.suffix == ".parquet"
        table = pl.read_parquet(path) if is_parquet else pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"cannot read --segment-flags {path}; pass a CSV or Parquet table"
        raise SourceError(message) from error
    columns = set(table.columns)
    if "segment_id" not in columns or not columns & {"sensitive", "evidence"}:
        message = (
            f"{path} must have the columns segment_id and sensitive or evidence; "
            f"found {', '.join(table.columns)}"
        )
        raise SourceError(message)
    found = {}
    for row in table.iter_rows(named=True):
        mark = str(row.get("sensitive", True)).lower()
        if mark in ("true", "1", "yes", "y"):
            found[int(row["segment_id"])] = str(row.get("evidence") or f"marked in {path.name}")
    return found
