"""A spectrum of a library's real pictures between two poles, given as texts or as assets."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from PIL import Image, ImageDraw

from segmenter.creative.encoder import Encoder
from segmenter.creative.manifest import FLAG
from segmenter.creative.store import CreativeSpace
from segmenter.creative.tags import require_readable, tag_of
from segmenter.errors import CreativeError
from segmenter.space.spectrum import Spectrum, anchored_spectrum, random_spectrum

ASSET = "asset:"
CELL, EDGE = 160, 8


@dataclass(frozen=True)
class PictureSpectrum:
    """Real pictures from one pole to the other, and random ones beside them.

    Attributes
    ----------
    poles
        As they were asked for.
    ids, control_ids
        Of the pictures.
    steps, control
        The figures of both.
    tag
        The tag that the poles are values of, whose readability was required; or None: then
        nobody has checked that the encoder sees what the poles say.
    changes
        Other readable tags to the share of steps at which they change; beside it the control's.
    """

    poles: tuple[str, str]
    ids: tuple[str, ...]
    control_ids: tuple[str, ...]
    steps: Spectrum
    control: Spectrum
    tag: str | None
    changes: Mapping[str, tuple[float, float]]


def find_spectrum(
    space: CreativeSpace,
    encoder: Encoder | None,
    poles: tuple[str, str],
    *,
    anchor: str | None = None,
    n_steps: int = 11,
    seed: int = 0,
) -> PictureSpectrum:
    """Lay real pictures between two poles.

    Parameters
    ----------
    space
        The library.
    encoder
        Its encoder; needed where a pole is a text.
    poles
        Texts, or ``asset:ID``, several joined by commas: their mean.
    anchor
        Picture that all others shall be like; None takes the one that most are like.
    n_steps
        Pictures.
    seed
        Of the control.

    Raises
    ------
    UnreadableError
        If the poles are values of a tag that the encoder does not see.
    CreativeError
        If a text pole comes without encoder, or one pole is an asset and the other a text.
    SpaceError
        If an asset is not known, or the poles are one.
    """
    tags = {tag_of(space.readability, pole) for pole in poles} - {None}
    for tag in sorted(str(one) for one in tags):
        require_readable(space.readability, tag)
    axis = _axis(space, encoder, poles)
    vectors = space.vectors[: space.n_pictures]
    row = None if anchor is None else int(space.pictures.rows([anchor])[0])
    steps = anchored_spectrum(vectors, axis, anchor=row, n_steps=n_steps)
    control = random_spectrum(vectors, axis, n_steps=n_steps, seed=seed)
    others = [
        name
        for name, reading in space.readability.items()
        if reading["readable"] and name not in tags | {FLAG}
    ]
    table = space.pictures.metadata
    return PictureSpectrum(
        poles=poles,
        ids=tuple(space.pictures.ids.gather(steps.rows)),
        control_ids=tuple(space.pictures.ids.gather(control.rows)),
        steps=steps,
        control=control,
        tag=next(iter(sorted(str(one) for one in tags)), None),
        changes={
            name: (_changes(table[name], steps.rows), _changes(table[name], control.rows))
            for name in others
        },
    )


def _axis(space: CreativeSpace, encoder: Encoder | None, poles: tuple[str, str]) -> np.ndarray:
    """From the first pole to the second, float64 [d]."""
    are_assets = [pole.startswith(ASSET) for pole in poles]
    if all(are_assets):
        ends = [
            space.vectors[space.pictures.rows(pole.removeprefix(ASSET).split(","))]
            for pole in poles
        ]
        return np.asarray(ends[1].mean(axis=0) - ends[0].mean(axis=0), np.float64)
    if any(are_assets):
        message = "poles must be two texts or two assets: a text lies apart from any picture"
        raise CreativeError(message)
    if encoder is None:
        message = "a pole in words needs the encoder of the space; give --model"
        raise CreativeError(message)
    low, high = encoder.texts(list(poles)).astype(np.float64)
    return high - low


def _changes(column: pl.Series, rows: np.ndarray) -> float:
    """Share of steps at which a value changes."""
    values = column.cast(pl.String).gather(rows).to_list()
    return float(np.mean([one != other for one, other in pairwise(values)]))


def contact_sheet(
    thumbnails: Mapping[str, bytes], rows: Sequence[tuple[str, Sequence[str]]]
) -> bytes:
    """A PNG with a row of pictures under each heading.

    Parameters
    ----------
    thumbnails
        JPEG by id.
    rows
        Headings and ids.
    """
    n_columns = max(len(ids) for _, ids in rows)
    line = CELL + 3 * EDGE + 12
    sheet = Image.new("RGB", (EDGE + n_columns * (CELL + EDGE), EDGE + len(rows) * line), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (heading, ids) in enumerate(rows):
        top = EDGE + number * line
        draw.text((EDGE, top), heading, fill="black", font_size=14)
        for place, one in enumerate(ids):
            with Image.open(io.BytesIO(thumbnails[one])) as small:
                scale = CELL / max(small.size)
                size = (round(small.width * scale), round(small.height * scale))
                corner = (EDGE + place * (CELL + EDGE), top + 20)
                sheet.paste(small.resize(size), corner)
    written = io.BytesIO()
    sheet.save(written, "PNG")
    return written.getvalue()
