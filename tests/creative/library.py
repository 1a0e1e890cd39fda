"""A client's library as files, with its manifest: what the commands are tried on."""

from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from tests.creative.ads import NUMBERS, PHRASES, Ads, draw_pictures, write_captions
from tests.creative.clients import Client


def tags_of(ads: Ads) -> dict[str, np.ndarray]:
    """Every attribute in the words of the captions."""
    return {
        name: np.array([PHRASES[name][value][0] for value in ads.values(name).tolist()])
        for name in PHRASES
        if name != "region"
    }


def write_library(folder: Path, client: Client, *, seed: int, n_texts: int = 0) -> Path:
    """Write pictures, texts and ``manifest.csv``; the manifest's path.

    Parameters
    ----------
    folder
        Where they shall stand.
    client
        The library.
    seed
        Of the drawing.
    n_texts
        Captions that are assets of their own.
    """
    ads = client.ads
    for region in set(ads.columns["region"].tolist()):
        (folder / region).mkdir(parents=True, exist_ok=True)
    names = [
        f"{region}/{row:05d}.png" for row, region in enumerate(ads.columns["region"].tolist())
    ]
    for name, pixels in zip(names, draw_pictures(ads, seed=seed), strict=True):
        Image.fromarray(pixels).save(folder / name)
    captions, _ = write_captions(ads, seed=seed)
    for row in range(n_texts):
        (folder / f"copy-{row:05d}.txt").write_text(captions[row], encoding="utf-8")
    generator = np.random.default_rng(seed)
    years = generator.integers(2023, 2026, len(ads))
    table = pl.DataFrame(
        {
            "file": names,
            "region": ads.columns["region"],
            "date": [
                f"{year}-{month:02d}-15"
                for year, month in zip(
                    years.tolist(), generator.integers(1, 13, len(ads)).tolist(), strict=True
                )
            ],
            "on_brand": client.on_brand,
            **tags_of(ads),
        }
    )
    path = folder.parent / "manifest.csv"
    table.write_csv(path)
    return path


def numbers_of(ads: Ads) -> dict[str, np.ndarray]:
    """The true numbers behind the tags."""
    return {name: ads.columns[name] for name in NUMBERS}


def names_of_values() -> tuple[str, ...]:
    """Every phrase of the captions, regions apart."""
    return tuple(
        phrase
        for name, values in PHRASES.items()
        if name != "region"
        for phrases in values.values()
        for phrase in phrases
    )
