"""Spaces from files: every form gives the same vectors, and what is wrong is named."""

import numpy as np
import polars as pl
import pytest

from segmenter.errors import ColumnError, ConfigError, SourceError, SpaceError
from segmenter.registry import resolve
from serving.batch import score
from serving.space_tables import open_space
from tests.models import N_USERS, World

VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3)
IDS = ["10", "11", "12", "13"]


def opened(embeddings=None, scores=None, metadata=None):
    return open_space(embeddings=embeddings, scores=scores, metadata=metadata)


@pytest.mark.parametrize("form", ["array", "list", "columns", "folder", "integer ids"])
def test_every_form_of_embeddings_gives_the_same_space(tmp_path, form) -> None:
    ids = [int(one) for one in IDS] if form == "integer ids" else IDS
    table = pl.DataFrame({"user_id": ids, "embedding": pl.Series(VECTORS.tolist())})
    if form == "array":
        table = table.with_columns(pl.col("embedding").cast(pl.Array(pl.Float64, 3)))
    if form == "columns":
        table = pl.DataFrame({"user": ids, **{f"x{i}": VECTORS[:, i] for i in range(3)}})
    path = tmp_path / "e.parquet"
    if form == "folder":
        path = tmp_path / "folder"
        path.mkdir()
        table[:2].write_parquet(path / "part-0.parquet")
        table[2:].write_parquet(path / "part-1.parquet")
    else:
        table.write_parquet(path)
    found = opened(path).space
    assert found.ids.to_list() == IDS
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert found.metadata.width == 0


def test_ids_of_digits_keep_their_zeros_in_a_csv(tmp_path) -> None:
    ids = ["007", "07", "7", "70"]
    table = pl.DataFrame({"user_id": ids, "embedding": VECTORS.tolist()})
    table.write_parquet(tmp_path / "e.parquet")
    (tmp_path / "m.csv").write_text("user,age\n07,20\n007,40\n")
    found = opened(tmp_path / "e.parquet", metadata=tmp_path / "m.csv")
    assert found.space.metadata["age"].to_list() == [40, 20, None, None]


def test_metadata_is_joined_and_those_in_one_table_alone_are_counted(tmp_path) -> None:
    pl.DataFrame({"user_id": IDS, "embedding": VECTORS.tolist()}).write_parquet(
        tmp_path / "e.parquet"
    )
    (tmp_path / "m.csv").write_text("user_id,age\n13,40\n10,20\n99,1\n98,1\n")
    found = opened(tmp_path / "e.parquet", metadata=tmp_path / "m.csv")
    assert found.space.metadata["age"].to_list() == [20, None, None, 40]
    assert found.notes == (
        "Of 2 of 4 users the metadata says nothing.",
        "2 users of the metadata have no embedding and are left out.",
    )


def test_scores_bring_their_segments_and_the_identity_of_their_model(
    world: World, tmp_path
) -> None:
    score(world.store.path, tmp_path / "scores", resolve(None, str(world.bundle)))  # type: ignore[arg-type] - a folder needs no home
    found = opened(scores=tmp_path / "scores")
    assert found.identity == world.model.digest
    assert len(found.space.ids) == N_USERS
    embeddings = world.model.embed(world.store, as_of=world.store.newest)
    rows = found.space.rows(world.store.user_ids().to_list())
    np.testing.assert_allclose(found.space.vectors[rows], embeddings, atol=1e-6)
    expected = world.model.assign(embeddings).segment_id.astype(str).tolist()
    assert found.space.metadata["segment_id"].gather(rows).to_list() == expected
    known = pl.DataFrame({"user_id": ["u"], "strength": [1.0]})
    known.write_parquet(tmp_path / "again.parquet")
    with pytest.raises(ColumnError, match="must not repeat columns of the scores; found strength"):
        opened(scores=tmp_path / "scores", metadata=tmp_path / "again.parquet")
    (tmp_path / "scores" / "manifest.json").unlink()
    with pytest.raises(SourceError, match="no finished scores"):
        opened(scores=tmp_path / "scores")


@pytest.mark.parametrize(
    "case",
    [
        ({"user_id": ["a"], "what": ["x"]}, ColumnError, "list column embedding or one numeric"),
        ({"name": ["a"], "x": [1.0]}, ColumnError, "must have a column user_id; found name, x"),
        ({"user_id": ["a", "a"], "x": [1.0, 2.0]}, SpaceError, "found 'a' more than once"),
        ({"user_id": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]}, ColumnError, "one length"),
        ({"user_id": ["a", "b"], "embedding": [[1.0], None]}, ColumnError, "one length"),
        ({"user_id": ["a"], "embedding": [["x"]]}, ColumnError, "must be a list of numbers"),
        (
            {"user_id": ["a", "b"], "x": [1.0, None]},
            ColumnError,
            "1 users have others, such as 'b'",
        ),
        ({"user_id": ["a"], "embedding": ["x"]}, ColumnError, "must be a list of numbers"),
    ],
)
def test_embeddings_that_are_none_are_refused(tmp_path, case) -> None:
    columns, kind, said = case
    pl.DataFrame(columns).write_parquet(tmp_path / "e.parquet")
    with pytest.raises(kind, match=said):
        opened(tmp_path / "e.parquet")


def test_files_that_are_missing_broken_or_too_many_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="give one"):
        opened()
    with pytest.raises(ConfigError, match="give one"):
        opened(tmp_path / "a", tmp_path / "b")
    with pytest.raises(SourceError, match=r"nowhere\.parquet cannot be read"):
        opened(tmp_path / "nowhere.parquet")
    with pytest.raises(SourceError, match="cannot be read"):
        opened(tmp_path)
    (tmp_path / "e.parquet").write_text("no Parquet")
    with pytest.raises(SourceError, match="cannot be read"):
        opened(tmp_path / "e.parquet")
    pl.DataFrame({"user_id": IDS, "x": [1.0] * 4}).write_parquet(tmp_path / "e.parquet")
    (tmp_path / "m.csv").write_text("user_id,age\n10,1\n10,2\n")
    with pytest.raises(ColumnError, match="one row per user; found '10'"):
        opened(tmp_path / "e.parquet", metadata=tmp_path / "m.csv")
