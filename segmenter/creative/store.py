"""The folder of a creative space: assets, vectors and thumbnails, and how they are opened.

``space.json`` (format, encoder, source), ``assets.parquet`` (a row per asset), ``encoded.parquet``
(a row per different content: vector, pooled features, thumbnail, or the reason why there is none),
``readability.json``. While an index is made, finished parts of the second lie in ``parts``.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.creative.manifest import FLAG, OWN, YES
from segmenter.errors import CreativeError
from segmenter.files import read_json
from segmenter.space.latent_space import LatentSpace

FORMAT = 1
SPACE, ASSETS, ENCODED, READABILITY, PARTS = (
    "space.json",
    "assets.parquet",
    "encoded.parquet",
    "readability.json",
    "parts",
)
PICTURE, TEXT = "picture", "text"


@dataclass(frozen=True)
class CreativeSpace:
    """A library in the space of one encoder.

    Attributes
    ----------
    folder
        Where it is kept.
    about
        What ``space.json`` says.
    assets
        A row per usable asset, pictures first.
    vectors
        float32 [n, d], of unit length.
    pooled
        float32 [n_pictures, p].
    readability
        Per column: what the encoder sees of it; see `segmenter.space.readability`.
    """

    folder: Path
    about: dict[str, Any]
    assets: pl.DataFrame
    vectors: np.ndarray
    pooled: np.ndarray
    readability: dict[str, dict[str, Any]]

    @property
    def encoder(self) -> dict[str, str]:
        """Identity of the encoder."""
        return self.about["encoder"]

    @property
    def n_pictures(self) -> int:
        """Pictures, which come before the texts."""
        return len(self.pooled)

    @cached_property
    def pictures(self) -> LatentSpace:
        """The pictures with what is known of them."""
        return self._only(slice(0, self.n_pictures))

    @cached_property
    def texts(self) -> LatentSpace:
        """The texts with what is known of them."""
        return self._only(slice(self.n_pictures, None))

    def _only(self, rows: slice) -> LatentSpace:
        table = self.assets[rows]
        known = table.select(name for name in table.columns if name not in OWN)
        return LatentSpace(table["id"], self.vectors[rows], known)

    @property
    def on_brand(self) -> np.ndarray:
        """Flagged pictures, bool [n_pictures].

        Raises
        ------
        CreativeError
            If the manifest had no flags, or none of them is yes.
        """
        flags = self.assets[: self.n_pictures]
        chosen = (flags[FLAG] == YES).to_numpy() if FLAG in flags.columns else np.zeros(0, bool)
        if not chosen.any():
            message = "no asset is flagged on brand; give a manifest with on_brand=yes for some"
            raise CreativeError(message)
        return chosen

    def thumbnails(self, ids: list[str]) -> dict[str, bytes]:
        """JPEG of each picture by id."""
        rows = self.assets.filter(pl.col("id").is_in(ids) & (pl.col("modality") == PICTURE))
        small = pl.read_parquet(self.folder / ENCODED, columns=["hash", "thumbnail"], glob=False)
        found = rows.select("id", "hash").join(small, on="hash")
        return dict(found.select("id", "thumbnail").iter_rows())


def open_creative_space(folder: Path) -> CreativeSpace:
    """Open a space that `segmenter creative index` made.

    Raises
    ------
    CreativeError
        If the folder holds no complete space of a known format.
    """
    about = space_about(folder)
    if about is None or not (folder / ASSETS).exists():
        message = f"{folder} holds no creative space; make it by segmenter creative index"
        raise CreativeError(message)
    assets = pl.read_parquet(folder / ASSETS, glob=False)
    wanted = ["hash", "vector", "pooled"]
    encoded = pl.read_parquet(folder / ENCODED, columns=wanted, glob=False)
    joined = assets.select("hash").join(encoded, on="hash", how="left", maintain_order="left")
    n_pictures = int((assets["modality"] == PICTURE).sum())
    return CreativeSpace(
        folder,
        about,
        assets,
        matrix(joined["vector"]),
        matrix(joined["pooled"][:n_pictures]),
        read_json(folder / READABILITY),
    )


def space_about(folder: Path) -> dict[str, Any] | None:
    """What ``space.json`` says, None where there is none.

    Raises
    ------
    CreativeError
        If it is of another format.
    """
    path = folder / SPACE
    if not path.exists():
        return None
    about: dict[str, Any] = read_json(path)
    if about.get("format") != FORMAT:
        message = f"{folder} is a creative space of format {about.get('format')}, not {FORMAT}"
        raise CreativeError(message)
    return about


def matrix(column: pl.Series) -> np.ndarray:
    """A column of lists of one length as float32 [n, d]."""
    if not len(column):
        return np.zeros((0, 0), dtype=np.float32)
    flat = column.explode().to_numpy()
    return flat.reshape(len(column), -1).astype(np.float32)
