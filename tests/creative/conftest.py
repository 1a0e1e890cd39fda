"""A tiny CLIP, trained once per recipe, and libraries that it has been through."""

import hashlib
import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs pip install '.[creative]'")

from segmenter.creative.encoder import Encoder, load_encoder
from segmenter.creative.index import index_library
from segmenter.creative.manifest import read_manifest
from segmenter.creative.store import CreativeSpace, open_creative_space
from segmenter.creative.words import keep_words
from tests.creative import ads, tiny_clip
from tests.creative.clients import Client, draw_client
from tests.creative.library import names_of_values, write_library

RECIPE = tiny_clip.Recipe(n_epochs=10)


def trained(recipe: tiny_clip.Recipe, cache: Path) -> Path:
    """The checkpoint of a recipe: 40 CPU seconds, once per version of what it is made by."""
    sources = "".join(Path(part.__file__).read_text("utf-8") for part in (ads, tiny_clip))
    versions = [importlib.metadata.version(name) for name in ("torch", "transformers")]
    key = hashlib.sha256(f"{recipe}{sources}{versions}".encode()).hexdigest()[:16]
    folder = cache / key
    if not (folder / "done").exists():
        tiny_clip.train(recipe, folder)
        (folder / "done").touch()
    return folder


@pytest.fixture(scope="session")
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny CLIP; kept for another run where pytest keeps anything."""
    cache = getattr(request.config, "cache", None)
    kept = tmp_path_factory.mktemp("tiny_clip") if cache is None else cache.mkdir("tiny_clip")
    return trained(RECIPE, Path(kept))


@pytest.fixture(scope="session")
def encoder(checkpoint: Path) -> Encoder:
    """The tiny CLIP, loaded as any checkpoint."""
    return load_encoder(str(checkpoint))


@pytest.fixture(scope="session")
def client() -> Client:
    """What the library of `space` shows: asia keeps least to the guideline, america most."""
    return draw_client((0.3, 0.45, 0.6), n_ads=900, seed=5)


@pytest.fixture(scope="session")
def space(encoder: Encoder, client: Client, tmp_path_factory) -> CreativeSpace:
    """A library of 900 pictures and 60 texts in its space; to be read only."""
    place = tmp_path_factory.mktemp("creative [one]")
    manifest = write_library(place / "library", client, seed=5, n_texts=60)
    index_library(place / "library", place / "space", encoder, manifest=read_manifest(manifest))
    keep_words(place / "space", encoder, first=names_of_values())
    return open_creative_space(place / "space")


@pytest.fixture(scope="session")
def truth(space: CreativeSpace, client: Client) -> ads.Ads:
    """True attributes of the pictures of `space`, in its order."""
    rows = [int(Path(file).stem) for file in space.assets["file"][: space.n_pictures]]
    return client.ads.take(np.array(rows))
