"""Indexing: whole, resumed, brought up to date, and what is set aside."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from segmenter.creative import index
from segmenter.creative.encoder import Encoder
from segmenter.creative.index import index_library
from segmenter.creative.manifest import EMPTY, read_manifest
from segmenter.creative.store import CreativeSpace, open_creative_space
from segmenter.creative.tags import is_readable, require_readable, tag_of
from segmenter.errors import CreativeError, UnreadableError
from tests.creative.clients import draw_client
from tests.creative.library import write_library


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Ninety pictures and ten texts in a folder, with their manifest beside it."""
    write_library(
        tmp_path / "library", draw_client((0.4, 0.4, 0.4), n_ads=90, seed=1), seed=1, n_texts=10
    )
    return tmp_path / "library"


def test_what_the_encoder_sees_is_told_from_what_it_does_not(space: CreativeSpace) -> None:
    readable = {name: reading["readable"] for name, reading in space.readability.items()}
    seen, unseen = ("energy", "setting", "palette", "region"), ("shape", "layout", "clutter")
    assert all(readable[name] for name in seen)
    assert not any(readable[name] for name in unseen)
    assert tag_of(space.readability, "Busy") == "clutter"
    assert is_readable(space.readability, "warm colors")
    assert is_readable(space.readability, "busy") is False
    assert is_readable(space.readability, "volcano") is None
    with pytest.raises(UnreadableError, match="does not see 'clutter'"):
        require_readable(space.readability, "clutter")
    with pytest.raises(UnreadableError, match="nothing is known"):
        require_readable(space.readability, "volcano")


def test_a_space_has_what_the_files_and_the_manifest_say(space: CreativeSpace, encoder) -> None:
    assert space.vectors.shape == (960, 64)
    assert space.pooled.shape == (900, 64)
    np.testing.assert_allclose(np.linalg.norm(space.vectors, axis=1), 1, atol=1e-5)
    assert set(space.pictures.metadata["region"]) == {"asia", "europe", "america"}
    assert space.on_brand.sum() == 180
    assert space.texts.ids[0] == "copy-00000.txt"
    text = space.assets.filter(pl.col("id") == "copy-00000.txt")["text"][0]
    np.testing.assert_allclose(space.texts.vectors[0], encoder.texts([text])[0], atol=1e-5)
    (small,) = space.thumbnails([space.assets["id"][0]]).values()
    assert small[:2] == b"\xff\xd8"


def test_a_killed_index_goes_on_and_a_rerun_takes_only_what_is_new(
    library: Path, tmp_path: Path, encoder: Encoder
) -> None:
    asked: list[int] = []

    def killed(done: int, total: int) -> None:
        asked.append(total)
        if done >= index.CHUNK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_library(library, tmp_path / "space", encoder, progress=killed)
    with pytest.raises(CreativeError, match="holds no creative space"):
        open_creative_space(tmp_path / "space")
    assert index_library(library, tmp_path / "space", encoder).n_new == 100 - index.CHUNK
    whole = index_library(library, tmp_path / "at once", encoder)
    assert (whole.n_new, whole.n_pictures, whole.n_texts) == (100, 90, 10)
    one, other = (open_creative_space(tmp_path / name) for name in ("space", "at once"))
    assert one.assets.equals(other.assets)
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-5)
    shutil.copy(library / "asia" / next((library / "asia").iterdir()).name, library / "again.png")
    (library / "copy-00000.txt").unlink()
    (library / "copy-00001.txt").write_text("calm interior", encoding="utf-8")
    later = index_library(library, tmp_path / "space", encoder)
    assert (later.n_new, later.n_pictures, later.n_texts) == (1, 91, 9)
    assert later.n_near_duplicates == 1
    assert not (tmp_path / "space" / "parts").exists()


def test_bad_files_are_set_aside_and_the_manifest_is_checked(
    library: Path, tmp_path: Path, encoder: Encoder
) -> None:
    (library / "broken.png").write_bytes(b"no picture")
    (library / "notes.docx").write_bytes(b"x")
    (library / "blank.txt").write_text("  \n", encoding="utf-8")
    (library / "latin.txt").write_bytes("schön".encode("latin-1"))
    table = pl.DataFrame(
        {
            "file": ["asia/gone.png", None, "broken.png"],
            "text": [None, "a quiet interior", None],
            "on_brand": ["yes", "True", ""],
        }
    )
    table.write_csv(tmp_path / "manifest.csv")
    found = index_library(
        library, tmp_path / "space", encoder, manifest=read_manifest(tmp_path / "manifest.csv")
    )
    reasons = dict(found.set_aside.iter_rows())
    assert set(reasons) == {
        *("broken.png", "notes.docx", "blank.txt", "latin.txt", "asia/gone.png")
    }
    assert "not in the folder" in reasons["asia/gone.png"]
    assert "UTF-8" in reasons["latin.txt"]
    space = open_creative_space(tmp_path / "space")
    row = space.assets.filter(pl.col("id") == "text 2")
    assert row.select("modality", "text", "on_brand").row(0) == ("text", "a quiet interior", "yes")
    with pytest.raises(CreativeError, match="no asset is flagged"):
        _ = space.on_brand


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("region,date\nasia,2020\n", "must have a column file"),
        ("file,on_brand\na.png,maybe\n", "has 'maybe'"),
        ("file\na.png\na.png\n", "must come once"),
        ("file,hash\na.png,1\n", "column hash is kept"),
        ("", "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_meant_is_refused(tmp_path, content, words) -> None:
    (tmp_path / "m.csv").write_text(content, encoding="utf-8")
    with pytest.raises(CreativeError, match=words):
        read_manifest(tmp_path / "m.csv")


def test_nothing_usable_and_another_encoder_are_refused(
    tmp_path: Path, encoder: Encoder, library: Path
) -> None:
    (tmp_path / "void").mkdir()
    with pytest.raises(CreativeError, match="nothing in the library is usable"):
        index_library(tmp_path / "void", tmp_path / "one", encoder, manifest=EMPTY)
    with pytest.raises(CreativeError, match="a library is a folder"):
        index_library(tmp_path / "nowhere", tmp_path / "one", encoder)
    index_library(library, tmp_path / "space", encoder)
    other = Encoder(encoder.model, encoder.processor, encoder.identity | {"weights": "others"})
    with pytest.raises(CreativeError, match="index into another folder"):
        index_library(library, tmp_path / "space", other)
