"""Encoders and planted libraries for the creative benchmark; vectors are kept between runs."""

import time
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from segmenter.creative.encoder import Encoder, load_encoder
from tests.creative import tiny_clip
from tests.creative.ads import PHRASES, WEAK, Ads, draw_pictures
from tests.creative.clients import Client, draw_client

SMALL = (0.36, 0.42, 0.48)
EQUAL = (0.42, 0.42, 0.42)
RECIPE = tiny_clip.Recipe()


@dataclass(frozen=True)
class Trained:
    """An encoder of the benchmark.

    Attributes
    ----------
    name
        Of the training.
    encoder
        Loaded through the product's own code.
    cpu_s
        Of the training.
    """

    name: str
    encoder: Encoder
    cpu_s: float


def trained(folder: Path, seed: int, *, biased: bool = False) -> Trained:
    """Train a tiny CLIP, or take it from an earlier run."""
    name = f"training {seed}{' biased' if biased else ''}"
    place = folder / name.replace(" ", "-")
    if not (place / "cpu_s").exists():
        began = time.process_time()
        tiny_clip.train(replace(RECIPE, seed=seed, biased=biased), place)
        (place / "cpu_s").write_text(str(time.process_time() - began), encoding="utf-8")
    cpu_s = float((place / "cpu_s").read_text(encoding="utf-8"))
    return Trained(name, load_encoder(str(place)), cpu_s)


def vectors_of(model: Trained, ads: Ads, *, seed: int) -> np.ndarray:
    """Vectors of drawn pictures, float64 [n, d]."""
    pixels = draw_pictures(ads, seed=seed)
    return model.encoder.pictures([Image.fromarray(one) for one in pixels]).vectors


def features_of(model: Trained, ads: Ads, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same, quicker: the pixels are handed to the model as it was trained on them.

    That the processor gives the same is tested in `tests.creative.test_encoder`.
    """
    pixels = tiny_clip.as_pixels(draw_pictures(ads, seed=seed))
    with torch.inference_mode():
        parts = [model.encoder.model.vision_model(pixel_values=one) for one in pixels.split(200)]
        pooled = torch.cat([part.pooler_output for part in parts])
        found = torch.nn.functional.normalize(model.encoder.model.visual_projection(pooled), dim=1)
    return found.numpy(), pooled.numpy()


@dataclass(frozen=True)
class World:
    """A client's library in the space of one encoder."""

    client: Client
    vectors: np.ndarray
    pooled: np.ndarray

    @property
    def flagged(self) -> np.ndarray:
        """Bool [n]."""
        return self.client.on_brand == "yes"

    @property
    def region(self) -> np.ndarray:
        """Text [n]."""
        return self.client.ads.columns["region"]

    def true_order(self) -> list[str]:
        """Regions, the least adherent first."""
        means = {
            str(name): float(self.client.adherence[self.region == name].mean())
            for name in np.unique(self.region)
        }
        return sorted(means, key=means.__getitem__)

    def controls(self) -> list[np.ndarray]:
        """Readable tags, a column per value."""
        return [
            (self.client.ads.values(name) == value).astype(float)
            for name, values in PHRASES.items()
            if name not in {*WEAK, "region"}
            for value in values
        ]


def world(model: Trained, folder: Path, kind: str, number: int, turn: int = 0) -> World:  # noqa: PLR0917
    """A planted library: ``small`` (turn 0 to 5), ``equal`` or ``taste``."""
    levels = list(permutations(SMALL))[turn] if kind == "small" else EQUAL
    client = draw_client(
        levels, seed=1_000 * number + 10 * turn + len(kind), local_taste=kind == "taste"
    )
    path = folder / f"{model.name.replace(' ', '-')}-{kind}-{number}-{turn}.npz"
    if not path.exists():
        vectors, pooled = features_of(model, client.ads, seed=number)
        np.savez(path, vectors=vectors, pooled=pooled)
    kept = np.load(path)
    return World(client, kept["vectors"], kept["pooled"])
