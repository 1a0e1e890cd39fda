"""Folders of scores without a model: embeddings and segments of anybody's choice."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from segmenter.files import write_json
from serving.shards import ASSIGNMENTS, EMBEDDINGS, FORMAT, MANIFEST


def write_folder(
    path: Path,
    segments: Mapping[str, int | None],
    *,
    vectors: np.ndarray | None = None,
    shard_users: int = 1_000_000,
    **manifest: object,
) -> Path:
    """A finished scoring run of users in segments; without vectors everybody is at one of two."""
    users = list(segments)
    if vectors is None:
        vectors = np.tile(np.eye(2), (len(users), 1))[: len(users)]
    stamp = {"as_of": "2026-01-01T00:00:00Z", "model_version": "shoppers/1", "model_digest": "d"}
    ids = sorted({number for number in segments.values() if number})
    write_json(
        path / MANIFEST,
        {
            "format": FORMAT,
            "users": len(users),
            "segments": [{"id": number, "name": f"segment {number}"} for number in ids],
            **stamp,
            **manifest,
        },
    )
    kind = pl.Array(pl.Float32, vectors.shape[1])
    table = pl.DataFrame(
        {
            "user_id": pl.Series(users, dtype=pl.String),
            "segment_id": pl.Series(list(segments.values()), dtype=pl.Int32),
            "embedding": pl.Series(vectors.astype(np.float32), dtype=kind),
        }
    )
    for number, start in enumerate(range(0, max(len(users), 1), shard_users)):
        shard = table[start : start + shard_users]
        for name, part in (
            (ASSIGNMENTS, shard.select("user_id", "segment_id")),
            (EMBEDDINGS, shard.drop_nulls("segment_id").select("user_id", "embedding")),
        ):
            (path / name).mkdir(exist_ok=True)
            part.write_parquet(path / name / f"part-{number:05d}.parquet")
    return path
