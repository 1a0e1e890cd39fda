"""Batch scoring, the online service and MLflow's pyfunc: one user, one answer."""

import numpy as np
import polars as pl
import pytest

from segmenter.autoencoder.config import DAY_US
from segmenter.flavor import PyfuncModel
from segmenter.level_columns import LEVEL_COLUMNS
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from serving.batch import score
from tests.models import World, frame_of, lists_of
from tests.serving.api.running import Client, json_lines, requests_of

TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=[0, 12], ids=["newest event", "earlier"])
def as_of(request: pytest.FixtureRequest, world: World) -> int:
    return world.store.newest - request.param * DAY_US


@pytest.fixture(scope="module")
def scored(
    world: World,
    shared_home: MlflowHome,
    *,
    as_of: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> pl.DataFrame:
    """Everybody, as batch scoring writes it."""
    out = tmp_path_factory.mktemp("scored")
    score(world.store.path, out, resolve(shared_home, "shoppers/1"), as_of=as_of)
    tables = [pl.read_parquet(out / kind) for kind in ("assignments", "embeddings")]
    return tables[0].join(tables[1], on="user_id", how="left", maintain_order="left")


def test_batch_online_and_pyfunc_give_every_user_the_same_answer(
    client: Client, world: World, *, scored: pl.DataFrame, as_of: int
) -> None:
    users = scored["user_id"].to_list()
    requests = requests_of(world.log, users, as_of=as_of)
    lines = client.post("/v1/assign:batch", json_lines(requests)).lines
    frame = frame_of(lists_of(world.log, users), users).assign(as_of=as_of)
    pyfunc = PyfuncModel(world.model).predict(frame)
    for row, found, line in zip(
        scored.rows(named=True), pyfunc.to_dict("records"), lines, strict=True
    ):
        if row["segment_id"] is None:
            assert line["error"]["status"] == 422
            assert found["segment_id"] is None
            continue
        for name in ("user_id", "segment_id", "segment_name", "second_segment_id", *LEVEL_COLUMNS):
            assert line[name] == row[name] == found[name]
        assert line["strength"] == pytest.approx(row["strength"], abs=TOLERANCE)
        assert found["strength"] == pytest.approx(row["strength"], abs=TOLERANCE)
    assert scored["segment_id"].n_unique() > 1
    assert scored["macro_id"].n_unique() < scored["segment_id"].n_unique()
    assert scored["micro_id"].n_unique() > scored["segment_id"].n_unique()


def test_one_request_per_user_gives_the_answers_of_a_batch(
    client: Client, world: World, *, scored: pl.DataFrame, as_of: int
) -> None:
    drawn = scored.drop_nulls("segment_id").sample(30, seed=1)
    requests = requests_of(world.log, drawn["user_id"].to_list(), as_of=as_of)
    for row, request in zip(drawn.rows(named=True), requests, strict=True):
        assigned = client.post("/v1/assign", request).plain
        assert assigned["segment_id"] == row["segment_id"]
        assert assigned["strength"] == pytest.approx(row["strength"], abs=TOLERANCE)
        embedded = client.post("/v1/embed", request).plain
        np.testing.assert_allclose(embedded["embedding"], row["embedding"], rtol=0, atol=1e-5)
