"""A folder of scores as a comparison over time reads it: by parts, never all at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.clock import parse_time
from segmenter.errors import SourceError
from segmenter.files import read_json
from serving.shards import ASSIGNMENTS, EMBEDDINGS, FORMAT, MANIFEST

PART_USERS = 500_000
"""Users of either side who are in memory at once where sides are joined."""
OLD, NEW = 0, 1
"""Places of the sides; a user counts for the embeddings of one of them only."""


@dataclass(frozen=True)
class Scored:
    """A population as `segmenter score` left it.

    Attributes
    ----------
    path
        The folder.
    manifest
        Its manifest.
    """

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "Scored":
        """Open a finished scoring run.

        Raises
        ------
        SourceError
            If the folder holds no finished scores.
        """
        try:
            manifest = read_json(path / MANIFEST)
            finished = manifest["format"] == FORMAT and {"as_of", "users"} <= set(manifest)
        except (OSError, ValueError, KeyError, TypeError):
            finished = False
        if not finished:
            message = f"{path} holds no finished scores: run segmenter score --out {path}"
            raise SourceError(message)
        return cls(path, manifest)

    @property
    def as_of(self) -> int:
        """Time that the scores are of, in microseconds."""
        return parse_time(self.manifest["as_of"], option="as_of")

    @property
    def model(self) -> str:
        """The model that made them, such as ``shoppers/3``."""
        return str(self.manifest["model_version"])

    @property
    def model_as_of(self) -> int | None:
        """Newest event that the model learned from, microseconds; None of earlier versions."""
        told = self.manifest.get("model_as_of")
        return None if told is None else parse_time(told, option="model_as_of")

    @property
    def names(self) -> dict[int, str]:
        """Segment id to name."""
        return {int(one["id"]): str(one["name"]) for one in self.manifest["segments"]}

    def part(self, number: int, n_parts: int, *, columns: tuple[str, ...]) -> pl.DataFrame:
        """Users with a segment whose id falls into one of `n_parts` parts.

        Parameters
        ----------
        number
            Of the part, from 0; the same user falls into the same part of every folder.
        n_parts
            Parts in all.
        columns
            Of the assignments, beside ``user_id``.
        """
        rows = pl.scan_parquet(self._files(ASSIGNMENTS), glob=False)
        belongs = pl.col("user_id").hash(seed=0) % n_parts == number
        known = rows.filter(belongs & pl.col("segment_id").is_not_null())
        return known.select("user_id", *columns).collect(engine="streaming")

    def sampled(self, side: int, n_users: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings and segments of users drawn by lot, shard by shard.

        Parameters
        ----------
        side
            `OLD` or `NEW`: whoever may be drawn for one side is never drawn for the other.
        n_users
            About as many are drawn; all of the side's where there are fewer.
        seed
            Of the lot.

        Returns
        -------
        tuple of numpy.ndarray
            float32 [m, D], and int32 [m].
        """
        vectors, segments = [], []
        share = min(1.0, 2 * n_users / max(self.manifest["users"], 1))
        for number, (embedded, assigned) in enumerate(self._shards()):
            ids = pl.read_parquet(embedded, columns=["user_id"], glob=False)["user_id"]
            lot = np.random.default_rng((seed, side, number)).random(len(ids))
            mine = (ids.hash(seed=1) % 2 == side).to_numpy() & (lot < share)
            chosen = pl.DataFrame({"user_id": ids.filter(pl.Series(mine))})
            table = pl.read_parquet(embedded, columns=["embedding"], glob=False)
            known = pl.read_parquet(assigned, columns=["user_id", "segment_id"], glob=False)
            vectors.append(table["embedding"].filter(pl.Series(mine)).to_numpy())
            placed = chosen.join(known, on="user_id", how="left", maintain_order="left")
            segments.append(placed["segment_id"].to_numpy().astype(np.int32))
        return np.concatenate(vectors), np.concatenate(segments)

    def assignments(self) -> pl.DataFrame:
        """Everybody with a segment: ``user_id``, ``segment_id`` and ``strength``."""
        rows = pl.scan_parquet(self._files(ASSIGNMENTS), glob=False)
        known = rows.filter(pl.col("segment_id").is_not_null())
        return known.select("user_id", "segment_id", "strength").collect(engine="streaming")

    def vectors_of(self, ids: pl.Series) -> pl.DataFrame:
        """Embeddings of some users, read shard by shard: ``user_id`` and ``embedding``."""
        found = []
        for path in self._files(EMBEDDINGS):
            table = pl.read_parquet(path, columns=["user_id", "embedding"], glob=False)
            found.append(table.filter(pl.col("user_id").is_in(ids.implode())))
        return pl.concat(found)

    def _shards(self) -> Iterator[tuple[Path, Path]]:
        """Both files of each shard."""
        yield from zip(self._files(EMBEDDINGS), self._files(ASSIGNMENTS), strict=True)

    def _files(self, kind: str) -> list[Path]:
        found = sorted((self.path / kind).glob("part-*.parquet"))
        if not found:
            message = f"{self.path} is incomplete: it has no {kind}; run segmenter score again"
            raise SourceError(message)
        return found
