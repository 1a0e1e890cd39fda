"""Embeddings and metadata from files: what `segmenter score` wrote, or vectors from anywhere."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from segmenter.errors import ColumnError, ConfigError, SourceError
from segmenter.files import digest_of_file, digest_of_json
from segmenter.space.latent_space import LatentSpace
from serving.shards import ASSIGNMENTS, EMBEDDINGS, MANIFEST

USER, VECTOR = "user_id", "embedding"
KNOWN_OF_ASSIGNMENTS = ("segment_id", "segment_name", "strength")


@dataclass(frozen=True)
class OpenedSpace:
    """A space that was read from files.

    Attributes
    ----------
    space
        Ids, vectors and metadata.
    identity
        Of the space: the digest of the model that made it, else of the file of embeddings.
    notes
        What a reader should know: whose metadata is missing, what has no embedding.
    """

    space: LatentSpace
    identity: str
    notes: tuple[str, ...]


def open_space(
    *, embeddings: Path | None, scores: Path | None, metadata: Path | None
) -> OpenedSpace:
    """Read a space.

    Parameters
    ----------
    embeddings
        Parquet file, or a folder of them: ``user_id`` (or ``user``) and either a list column
        ``embedding`` or one numeric column per dimension.
    scores
        Folder that `segmenter score` wrote; its segments become metadata.
    metadata
        Parquet or CSV file: ``user_id`` and anything known of users.

    Raises
    ------
    ConfigError
        If neither or both of `embeddings` and `scores` are given.
    SourceError
        If a file cannot be read, or the scores are not complete.
    ColumnError
        If a column is missing, or the vectors are no numbers of one length.
    SpaceError
        If a user comes twice.
    """
    if (embeddings is None) == (scores is None):
        message = "a space is read either from --embeddings FILE or from --scores FOLDER; give one"
        raise ConfigError(message)
    if embeddings is not None:
        table, known, identity = read_users(embeddings), None, _digest(embeddings)
    else:
        assert scores is not None
        table, known, identity = _scored(scores)
    ids, vectors = table[USER], _vectors(table)
    beside = pl.DataFrame({USER: ids})
    notes: list[str] = []
    if known is not None:
        beside = beside.join(known, on=USER, how="left", maintain_order="left")
    if metadata is not None:
        more = _unique(read_users(metadata), metadata)
        _require_new(more, beside, metadata)
        beside = beside.join(more, on=USER, how="left", maintain_order="left")
        notes += _missing(ids, more[USER])
    return OpenedSpace(LatentSpace(ids, vectors, beside.drop(USER)), identity, tuple(notes))


def read_users(path: Path) -> pl.DataFrame:
    """A file, or the Parquet files of a folder, with ``user_id`` as text.

    Raises
    ------
    SourceError
        If it cannot be read.
    ColumnError
        If it has no column ``user_id`` or ``user``.
    """
    try:
        if path.suffix == ".csv":
            # Ids are text: 0012 is another user than 12.
            kinds = dict.fromkeys((USER, "user"), pl.String)
            table = pl.read_csv(path, infer_schema_length=None, schema_overrides=kinds)
        else:
            table = pl.read_parquet(_files(path), glob=False)  # a name may hold brackets
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"{path} cannot be read as a table of users: {error}"
        raise SourceError(message) from error
    user = next((name for name in (USER, "user") if name in table.columns), None)
    if user is None:
        message = f"{path} must have a column {USER}; found {', '.join(table.columns)}"
        raise ColumnError(message)
    return table.rename({user: USER}).with_columns(pl.col(USER).cast(pl.String))


def _unique(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    if table[USER].n_unique() < len(table):
        twice = table[USER].filter(table[USER].is_duplicated())[0]
        message = f"{path} must have one row per user; found {twice!r} more than once"
        raise ColumnError(message)
    return table


def _require_new(more: pl.DataFrame, beside: pl.DataFrame, path: Path) -> None:
    both = sorted((set(more.columns) & set(beside.columns)) - {USER})
    if both:
        message = f"{path} must not repeat columns of the scores; found {', '.join(both)}: rename"
        raise ColumnError(message)


def _vectors(table: pl.DataFrame) -> np.ndarray:
    """The vectors float32 [n, d] of a table, checked."""
    vectors = _numbers(table)
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        user = table[USER][int(broken.argmax())]
        message = (
            f"embeddings must be finite numbers; {int(broken.sum()):,} users have others, such as "
            f"{user!r}: leave them out"
        )
        raise ColumnError(message)
    return vectors


def _numbers(table: pl.DataFrame) -> np.ndarray:
    """The vectors float32 [n, d] of a table as they are."""
    if VECTOR in table.columns:
        column = table[VECTOR]
        if isinstance(column.dtype, pl.List):
            width = column.list.len().max() or 0
            if column.null_count() or column.list.len().min() != width:
                message = f"all vectors of {VECTOR} must have one length; some have another"
                raise ColumnError(message)
            column = column.list.to_array(int(str(width)))
        if not isinstance(column.dtype, pl.Array) or not column.dtype.inner.is_numeric():
            message = f"{VECTOR} must be a list of numbers; found {column.dtype}"
            raise ColumnError(message)
        return column.cast(pl.Array(pl.Float32, column.dtype.shape)).to_numpy()
    numbers = [name for name in table.columns if table[name].dtype.is_numeric()]
    if not numbers:
        message = (
            f"embeddings must be a list column {VECTOR} or one numeric column per dimension; "
            f"found {', '.join(table.columns)}"
        )
        raise ColumnError(message)
    return table.select(pl.col(numbers).cast(pl.Float32)).to_numpy()


def _scored(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Embeddings, segments and the model's digest of a scoring run."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        identity = str(manifest["model_digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{folder} holds no finished scores: it has no {MANIFEST}; run segmenter score"
        raise SourceError(message) from error
    known = read_users(folder / ASSIGNMENTS).select(USER, *KNOWN_OF_ASSIGNMENTS)
    # An id is a name, not an amount.
    return read_users(folder / EMBEDDINGS), known.cast({"segment_id": pl.String}), identity


def _digest(path: Path) -> str:
    """Identity of embeddings from anywhere."""
    return digest_of_json([digest_of_file(file) for file in _files(path)])


def _files(path: Path) -> list[Path]:
    """A file, or the Parquet files of a folder in order."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def _missing(ids: pl.Series, known: pl.Series) -> list[str]:
    """Sentences on those who are in one table alone."""
    notes = []
    without = len(ids) - int(ids.is_in(known.implode()).sum())
    if without:
        notes.append(f"Of {without:,} of {len(ids):,} users the metadata says nothing.")
    elsewhere = len(known) - int(known.is_in(ids.implode()).sum())
    if elsewhere:
        notes.append(f"{elsewhere:,} users of the metadata have no embedding and are left out.")
    return notes
