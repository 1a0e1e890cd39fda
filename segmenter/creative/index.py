"""A folder of pictures and texts to a creative space, resumable, only new content on a rerun."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.creative.encoder import Encoder
from segmenter.creative.images import (
    SUFFIXES,
    Picture,
    SetAsideError,
    open_picture,
    picture_hash,
    thumbnail,
)
from segmenter.creative.manifest import EMPTY, FILE, ID, Manifest
from segmenter.creative.near_duplicates import near_duplicates
from segmenter.creative.store import (
    ASSETS,
    ENCODED,
    FORMAT,
    PARTS,
    PICTURE,
    READABILITY,
    SPACE,
    TEXT,
    matrix,
    space_about,
)
from segmenter.creative.tags import readable_tags
from segmenter.errors import CreativeError
from segmenter.files import atomic_file, digest_of_file, write_json

CHUNK = 64
"""Assets per part: what a kill costs at most."""
TEXT_SUFFIXES = frozenset({".txt", ".md"})
MAX_TEXT_BYTES = 100_000
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "hash": pl.String,
    "modality": pl.String,
    "vector": pl.List(pl.Float32),
    "pooled": pl.List(pl.Float32),
    "thumbnail": pl.Binary,
    "picture_hash": pl.Binary,
    "width": pl.Int64,
    "height": pl.Int64,
    "notes": pl.String,
    "text": pl.String,
    "reason": pl.String,
}
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Indexed:
    """What an index run did.

    Attributes
    ----------
    n_pictures, n_texts
        Usable assets in the space.
    n_new
        Contents that this run encoded; the others were there already.
    set_aside
        Columns ``file`` and ``reason``.
    n_near_duplicates
        Pictures that are nearly the same as an earlier one.
    readability
        Per column, as `segmenter.creative.tags.readable_tags`.
    """

    n_pictures: int
    n_texts: int
    n_new: int
    set_aside: pl.DataFrame
    n_near_duplicates: int
    readability: dict[str, dict[str, Any]]


def index_library(
    library: Path,
    space: Path,
    encoder: Encoder,
    *,
    manifest: Manifest = EMPTY,
    progress: Progress | None = None,
) -> Indexed:
    """Bring a folder into a space.

    Parameters
    ----------
    library
        Folder of pictures and of texts (``.txt``, ``.md``), at any depth.
    space
        Folder of the space; made, gone on with, or brought up to date.
    encoder
        The encoder.
    manifest
        What is known of the assets.
    progress
        Told of encoded contents, done and in all.

    Raises
    ------
    CreativeError
        If the folder is missing, the space was made by another encoder, or nothing is usable.
    """
    if not library.is_dir():
        message = f"a library is a folder; {library} is none"
        raise CreativeError(message)
    _require_same_encoder(space, encoder)
    listed = _listed(library, manifest)
    known = _known(space)
    new = listed.filter(pl.col("hash").is_not_null()).unique("hash", maintain_order=True)
    new = new.filter(~pl.col("hash").is_in(known["hash"].implode()))
    for start in range(0, len(new), CHUNK):
        part = _encoded(new[start : start + CHUNK], library, encoder)
        _write(part, space / PARTS / f"{part['hash'][0]}.parquet")
        if progress is not None:
            progress(min(start + CHUNK, len(new)), len(new))
    return _assembled(space, listed, manifest, encoder=encoder, n_new=len(new))


def _require_same_encoder(space: Path, encoder: Encoder) -> None:
    about = space_about(space)
    if about is None:
        write_json(space / SPACE, {"format": FORMAT, "encoder": encoder.identity})
        return
    for what in ("family", "weights", "preprocessing"):
        if about["encoder"][what] != encoder.identity[what]:
            message = (
                f"the space {space} was made by {about['encoder']['name']}, whose {what} differ "
                f"from those of {encoder.identity['name']}: index into another folder"
            )
            raise CreativeError(message)


def _listed(library: Path, manifest: Manifest) -> pl.DataFrame:
    """Every file and every text of the manifest: file, modality, text, hash, reason."""
    rows: list[dict[str, str | None]] = []
    for path in sorted(library.rglob("*")):
        name = path.relative_to(library).as_posix()
        if path.is_dir() or any(part.startswith(".") for part in Path(name).parts):
            continue
        suffix = path.suffix.lower()
        kind = PICTURE if suffix in SUFFIXES else TEXT if suffix in TEXT_SUFFIXES else None
        reason = None if kind else f"neither a picture nor a text by its name ({suffix or 'none'})"
        rows.append({FILE: name, "modality": kind, "reason": reason} | _digest(path, kind))
    there = {row[FILE] for row in rows}
    for row in manifest.table.iter_rows(named=True):
        if row[FILE] is None:
            digest = hashlib.sha256(row["text"].encode()).hexdigest()
            rows.append({ID: row[ID], "modality": TEXT, "text": row["text"], "hash": digest})
        elif row[FILE] not in there:
            rows.append({FILE: row[FILE], "reason": "in the manifest, but not in the folder"})
    names = (ID, FILE, "modality", "text", "hash", "reason")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))


def _digest(path: Path, kind: str | None) -> dict[str, str | None]:
    """What a file's content is called, or why it has none."""
    try:
        return {"hash": digest_of_file(path) if kind else None}
    except OSError as error:
        return {"hash": None, "reason": f"cannot be read: {error.strerror}"}


def _known(space: Path) -> pl.DataFrame:
    """Contents that are encoded already, by finished runs and by killed ones."""
    files = [space / ENCODED, *sorted((space / PARTS).glob("*.parquet"))]
    tables = [pl.read_parquet(path, glob=False) for path in files if path.exists()]
    empty = pl.DataFrame(schema=SCHEMA)
    return pl.concat([empty, *tables]).unique("hash", keep="first", maintain_order=True)


def _encoded(rows: pl.DataFrame, library: Path, encoder: Encoder) -> pl.DataFrame:
    """One part: contents with their vectors, or the reason why they have none."""
    found: list[dict[str, Any]] = []
    pictures: list[tuple[dict[str, Any], Picture]] = []
    texts: list[dict[str, Any]] = []
    for row in rows.iter_rows(named=True):
        plain = {"hash": row["hash"], "modality": row["modality"]}
        try:
            if row["modality"] == PICTURE:
                pictures.append((plain, open_picture(library / row[FILE])))
            else:
                texts.append(plain | {"text": row["text"] or _text(library / row[FILE])})
        except SetAsideError as reason:
            found.append(plain | {"reason": str(reason)})
    found += _pictures(pictures, encoder) if pictures else []
    if texts:
        vectors = encoder.texts([text["text"] for text in texts])
        found += [
            text | {"vector": one.tolist()} for text, one in zip(texts, vectors, strict=True)
        ]
    return pl.DataFrame(found, schema=SCHEMA)


def _pictures(
    pictures: list[tuple[dict[str, Any], Picture]], encoder: Encoder
) -> Iterator[dict[str, Any]]:
    encoded = encoder.pictures([picture.image for _, picture in pictures])
    for place, (plain, picture) in enumerate(pictures):
        yield plain | {
            "vector": encoded.vectors[place].tolist(),
            "pooled": encoded.pooled[place].tolist(),
            "thumbnail": thumbnail(picture.image),
            "picture_hash": picture_hash(picture.image),
            "width": picture.width,
            "height": picture.height,
            "notes": "; ".join(picture.notes) or None,
        }


def _text(path: Path) -> str:
    """The text of a file."""
    if path.stat().st_size > MAX_TEXT_BYTES:
        message = f"a text of more than {MAX_TEXT_BYTES:,} bytes"
        raise SetAsideError(message)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        message = "not a text in UTF-8"
        raise SetAsideError(message) from error
    if not text:
        message = "empty file"
        raise SetAsideError(message)
    return text


def _write(table: pl.DataFrame, path: Path) -> None:
    with atomic_file(path) as temporary:
        table.write_parquet(temporary)


def _assembled(
    space: Path, listed: pl.DataFrame, manifest: Manifest, *, encoder: Encoder, n_new: int
) -> Indexed:
    """Join files, contents and the manifest, and write the space."""
    encoded = _known(space).filter(pl.col("hash").is_in(listed["hash"].implode()))
    beside = encoded.drop("vector", "pooled", "thumbnail", "modality")
    joined = (
        listed.drop("text")
        .join(beside.rename({"reason": "why"}), on="hash", how="left", maintain_order="left")
        .with_columns(pl.coalesce("reason", "why").alias("reason"))
    )
    set_aside = joined.filter(pl.col("reason").is_not_null()).select(FILE, "reason")
    usable = joined.filter(pl.col("reason").is_null()).drop("reason", "why").sort("modality")
    if not len(usable):
        message = f"nothing in the library is usable; {len(set_aside)} files are set aside"
        raise CreativeError(message)
    assets = _with_manifest(usable, manifest)
    assets, readability = _described(assets, encoded)
    _write(encoded, space / ENCODED)
    write_json(space / READABILITY, readability)
    _write(assets, space / ASSETS)
    _write(set_aside, space / "set_aside.parquet")
    write_json(space / SPACE, {"format": FORMAT, "encoder": encoder.identity})
    shutil.rmtree(space / PARTS, ignore_errors=True)
    n_pictures = int((assets["modality"] == PICTURE).sum())
    return Indexed(
        n_pictures=n_pictures,
        n_texts=len(assets) - n_pictures,
        n_new=n_new,
        set_aside=set_aside,
        n_near_duplicates=int(assets["near_duplicate_of"].is_not_null().sum()),
        readability=readability,
    )


def _with_manifest(usable: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """What the manifest knows beside each asset; the id is the file where it gives none."""
    known = manifest.table.drop("text")
    from_files = (
        usable.filter(pl.col(FILE).is_not_null())
        .drop(ID)
        .join(known.filter(pl.col(FILE).is_not_null()), on=FILE, how="left", maintain_order="left")
    )
    from_rows = usable.filter(pl.col(FILE).is_null()).join(
        known.drop(FILE), on=ID, how="left", maintain_order="left"
    )
    assets = pl.concat([from_files, from_rows], how="diagonal").sort(
        "modality", maintain_order=True
    )
    return assets.with_columns(pl.coalesce(ID, FILE).alias(ID))


def _described(
    assets: pl.DataFrame, encoded: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, dict[str, Any]]]:
    """Assets with their near duplicates, and what the encoder sees of each column."""
    pictures = assets.filter(pl.col("modality") == PICTURE)
    columns = encoded.select("hash", "vector")
    joined = pictures.select("hash").join(columns, on="hash", how="left", maintain_order="left")
    vectors = matrix(joined["vector"])
    same: list[str | None] = [None] * len(assets)
    if len(pictures):
        hashes = np.frombuffer(b"".join(pictures["picture_hash"].to_list()), np.uint64)
        first = near_duplicates(hashes.reshape(len(pictures), -1), vectors)
        ids = pictures["id"].to_list()
        for row, other in enumerate(first.tolist()):
            same[row] = ids[other] if other != row else None
    described = assets.with_columns(pl.Series("near_duplicate_of", same, pl.String))
    return described.drop("picture_hash"), readable_tags(pictures, vectors)
