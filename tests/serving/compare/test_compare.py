"""``segmenter compare``: what two segments differ in is what the log says."""

import json

import numpy as np
import polars as pl
import pytest

from segmenter.errors import ConfigError
from tests.serving.health.folders import write_folder
from tests.serving.test_cli import segmenter


@pytest.fixture(scope="module")
def scores(world, tmp_path_factory):
    """The planted personas as segments: 1 to 4, with embeddings of the model."""
    store = world.store
    users = {user: 1 + int(user[5:]) % 4 for user in store.user_ids().to_list()}
    vectors = world.model.embed(store, np.arange(store.n_users), as_of=store.newest)
    folder = write_folder(
        tmp_path_factory.mktemp("compared") / "scores", users, vectors=vectors, as_of="2026-01-01"
    )
    for path in (folder / "assignments").glob("*.parquet"):
        table = pl.read_parquet(path)
        table.with_columns(strength=pl.lit(0.75, dtype=pl.Float32)).write_parquet(path)
    return folder


def compared(scores, world, *options):
    done = segmenter("compare", 1, 2, "--scores", scores, "--store", world.store.path, *options)
    assert done.exit_code == 0, done.output
    return done


def test_shares_and_medians_are_those_of_the_log(scores, world) -> None:
    result = json.loads(compared(scores, world, "--json").stdout)
    first, second = result["sides"]
    assert (first["n_users"], second["n_users"], first["mean_strength"]) == (30, 30, 0.75)
    persona = world.log.with_columns(kind=1 + pl.col("user").str.slice(5).cast(pl.Int64) % 4)
    for row in result["values"]:
        did = persona.filter(pl.col(row["field"]) == row["value"])
        counts = dict(did.group_by("kind").agg(pl.col("user").n_unique()).rows())
        told = row["difference"]
        assert told["here"] == pytest.approx(counts.get(1, 0) / 30)
        assert told["there"] == pytest.approx(counts.get(2, 0) / 30)
        assert row["elsewhere"] == pytest.approx((counts.get(3, 0) + counts.get(4, 0)) / 60)
        assert told["low"] <= told["difference"] <= told["high"]
    categories = {row["value"] for row in result["values"] if row["difference"]["low"] > 0}
    assert {"category 0", "category 1", "category 2"} & categories
    events = persona.group_by("kind", "user").len().group_by("kind").agg(pl.col("len").median())
    (habit,) = (row for row in result["habits"] if row["field"] == "events")
    assert habit["difference"]["here"] == dict(events.rows())[1]


def test_typical_users_have_no_identity(scores, world) -> None:
    done = compared(scores, world, "--json")
    result = json.loads(done.stdout)
    assert [len(side) for side in result["exemplars"]] == [3, 3]
    assert "user-" not in done.stdout + done.stderr
    steps = [step for side in result["exemplars"] for one in side for step in one["steps"]]
    assert {step["text"].split(":")[0].split()[0] for step in steps} == {"day"}
    types = set(world.log["event"].unique())
    labels = {label.split()[0] for step in steps for label, _ in step["things"]}
    assert labels <= types | {"category", "(other)"}


def test_lists_and_what_surrounds_an_event_are_compared_when_asked(
    scores, world, tmp_path
) -> None:
    listed = tmp_path / "seen.csv"
    users = [user for user in world.store.user_ids() if int(user[5:]) % 4 == 0][:15]
    pl.DataFrame({"user_id": [*users, "nobody"]}).write_csv(listed)
    done = compared(scores, world, "--list", listed, "--around", "purchase", "--json")
    result = json.loads(done.stdout)
    (row,) = result["lists"]
    assert (row["difference"]["here"], row["difference"]["there"]) == (0.5, 0.0)
    assert row["difference"]["low"] > 0.25
    assert result["around"]["event"] == "purchase"
    assert min(result["around"]["n_users"]) > 0
    person = compared(scores, world, "--list", listed).stdout
    for word in ("Two segments", "seen.csv", "What comes next", "Typical users of 1", "day 0:"):
        assert word in person


def test_what_cannot_be_compared_is_refused(scores, world) -> None:
    def problem(*words):
        done = segmenter("compare", *words, "--scores", scores, "--store", world.store.path)
        return done.exception

    for words in ((1, 1), (1, 9), (1, 2, "--around", "dance")):
        assert isinstance(problem(*words), ConfigError)
