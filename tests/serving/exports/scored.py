"""Scores and identities without a model: the same files as a scoring run writes."""

import datetime as dt
import json
import random
from pathlib import Path

import polars as pl

from serving.shards import ASSIGNMENTS, FORMAT, MANIFEST

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
AREAS = ("415", "212", "206", "312")


def write_scores(folder: Path, assignments: pl.DataFrame, *, model: str = "shoppers/1") -> Path:
    """A folder of scores with one shard."""
    names = {number: f"segment {number}" for number in (1, 2, 3)}
    (folder / ASSIGNMENTS).mkdir(parents=True)
    segment = pl.col("segment_id")
    assignments.with_columns(
        segment.cast(pl.Int32),
        pl.col("second_segment_id").cast(pl.Int32),
        pl.col("strength").cast(pl.Float32),
        segment_name=segment.replace_strict(names, default=None, return_dtype=pl.String),
        as_of=pl.lit(AS_OF),
        model_version=pl.lit(model),
    ).write_parquet(folder / ASSIGNMENTS / "part-00000.parquet")
    counts = dict(assignments.drop_nulls("segment_id").group_by("segment_id").len().rows())
    manifest = {
        "format": FORMAT,
        "identity": "test",
        "as_of": AS_OF.isoformat().replace("+00:00", "Z"),
        "model_version": model,
        "users": len(assignments),
        "segments": [
            {"id": number, "name": name, "n_users": counts.get(number, 0)}
            for number, name in names.items()
        ],
        "shards": [],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def crowd(n_users: int, *, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Assignments and identities of users, some of whom must not or cannot be exported."""
    pick = random.Random(seed)  # noqa: S311 - people of a test
    members, people = [], []
    for number in range(n_users):
        user = f"user-{number:05d}"
        members.append(
            {
                "user_id": user,
                "segment_id": pick.choice([1, 1, 1, 2, None]),
                "strength": pick.choice([0.2, 0.5, 0.9]),
                "second_segment_id": pick.choice([2, 3, None]),
            }
        )
        if pick.random() < 0.9:
            people.append({"user_id": user, **_person(pick, number)})
    pick.shuffle(people)
    schema = {"user_id": pl.String, "email": pl.String, "phone": pl.String, "country": pl.String}
    return (
        pl.DataFrame(members, infer_schema_length=None),
        pl.DataFrame(people, schema_overrides=schema, infer_schema_length=None),
    )


def _person(pick: random.Random, number: int) -> dict[str, str | None]:
    local = pick.choice([f"Person.{number}", f"person{pick.randrange(40)}+{number}"])
    domain = pick.choice(["gmail.com", "Example.com"])
    phone = f"({pick.choice(AREAS)}) {pick.randrange(220, 990)}-{pick.randrange(10_000):04d}"
    return {
        "email": pick.choice([f"{local}@{domain}"] * 6 + [f"{local}at{domain}", None]),
        "phone": pick.choice([phone, phone, "12", None]),
        "country": pick.choice(["US", "DE", None]),
        "consent": pick.choice(["yes"] * 6 + ["no", None]),
        "age": pick.choice(["30", "50", "17", None]),
    }
