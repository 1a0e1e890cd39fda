"""Scored assignments as an export reads them: members of segments, as of when, by which model."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from segmenter.errors import ConfigError, SourceError
from segmenter.segments.hierarchy import LEVELS, MACRO, MICRO, SEGMENT, check_level
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
    parent
        Id of what holds it one level above; None where nothing does.
    """

    id: int
    name: str
    n_users: int
    evidence: str | None = None
    parent: int | None = None


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
        Of the level that is exported, by id.
    level
        ``macro``, ``segment`` or ``micro``.
    above
        Segments of the level above it, by id; empty where there is none.
    """

    folder: Path
    as_of: int
    model_version: str
    identity: str
    n_users: int
    segments: dict[int, ScoredSegment]
    level: str = SEGMENT
    above: dict[int, ScoredSegment] = field(default_factory=dict)

    @property
    def moment(self) -> dt.datetime:
        """As-of time in UTC."""
        return dt.datetime.fromtimestamp(self.as_of, dt.UTC)

    def members(self, segment_ids: list[int]) -> Iterator[pl.DataFrame]:
        """Members of some segments: user_id, segment_id, strength; some shards at a time."""
        own = pl.col(f"{self.level}_id")
        columns = ("user_id", own.alias("segment_id"), pl.col("strength").cast(pl.Float32))
        waiting: list[pl.DataFrame] = []
        for path in sorted((self.folder / ASSIGNMENTS).glob("*.parquet")):
            shard = pl.scan_parquet(path).filter(own.is_in(segment_ids))
            waiting.append(shard.select(columns).collect())
            if sum(len(one) for one in waiting) >= BATCH_ROWS:
                yield pl.concat(waiting)
                waiting = []
        if waiting:
            yield pl.concat(waiting)


def neighbors(scores: Scores, segment_ids: list[int]) -> dict[int, dict[int, int]]:
    """For each segment, how many of its members have which other one as their second.

    Of a micro segment nothing is said: the second choice of its members is a segment.
    """
    if scores.level == MICRO:
        return {number: {} for number in segment_ids}
    own, second = pl.col(f"{scores.level}_id"), pl.col("second_segment_id")
    if scores.level == MACRO:
        table = pl.scan_parquet(scores.folder / ASSIGNMENTS / "*.parquet")
        macros = table.select("segment_id", "macro_id").unique().drop_nulls().collect()
        second = second.replace_strict(dict(macros.rows()), default=None)
    table = pl.scan_parquet(scores.folder / ASSIGNMENTS / "*.parquet")
    chosen = table.filter(own.is_in(segment_ids)).select(own.alias("own"), second.alias("second"))
    counts = chosen.group_by("own", "second").len().drop_nulls().collect()
    found: dict[int, dict[int, int]] = {number: {} for number in segment_ids}
    for segment, second, n_members in counts.rows():
        found[segment][second] = n_members
    return found


def open_scores(folder: Path, flags: Path | None = None, *, level: str = SEGMENT) -> Scores:
    """Open the folder of a finished scoring run.

    Parameters
    ----------
    folder
        What ``segmenter score`` wrote.
    flags
        Table with a column segment_id, and sensitive or evidence: segments that must not be
        exported; a column level says which kind of segment is meant. None for no such table.
    level
        ``macro``, ``segment`` or ``micro``. What forbids a segment forbids its micro segments.

    Raises
    ------
    ConfigError
        If the scores have no such level.
    SourceError
        If the folder holds no finished scores, or `flags` cannot be read.
    """
    manifest = _manifest(folder)
    as_of = dt.datetime.fromisoformat(manifest["as_of"])
    marked = {} if flags is None else _flagged(flags)
    levels = {name: _level(manifest, name, marked) for name in LEVELS}
    if not levels[check_level(level)]:
        message = (
            f"{folder} has no {level} segments: its model has no levels; refit the model with "
            "`segmenter refit` and score again"
        )
        raise ConfigError(message)
    upper = {MICRO: SEGMENT, SEGMENT: MACRO}.get(level, "")
    segments, above = levels[level], levels.get(upper, {})
    if level == MICRO:
        segments = {
            number: replace(one, evidence=one.evidence or above[one.parent or 0].evidence)
            for number, one in segments.items()
        }
    return Scores(
        folder=folder,
        as_of=int(as_of.timestamp()),
        model_version=manifest["model_version"],
        identity=manifest["identity"],
        n_users=manifest["users"],
        segments=segments,
        level=level,
        above=above,
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


def _level(
    manifest: dict[str, Any], level: str, marked: dict[tuple[str, int], str]
) -> dict[int, ScoredSegment]:
    """Segments of a level by id, those marked that the scores or a table mark as sensitive."""
    rows = manifest["segments"] if level == SEGMENT else manifest.get("levels", {}).get(level, [])
    found = {}
    for row in rows:
        own = str(row.get("sensitive_evidence") or "marked as sensitive in the scores")
        evidence = marked.get((level, row["id"]), own if row.get("sensitive") else None)
        found[row["id"]] = ScoredSegment(
            row["id"], row["name"], row["n_users"], evidence, row.get("parent")
        )
    return found


def _flagged(path: Path) -> dict[tuple[str, int], str]:
    """Segments that a table marks as sensitive, by level and id."""
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
            number = (str(row.get("level") or SEGMENT), int(row["segment_id"]))
            found[number] = str(row.get("evidence") or f"marked in {path.name}")
    return found
