"""Pictures from files: upright, in plain colours, of bounded size, or set aside with a reason."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
THUMBNAIL_SIDE = 160
HASH_SIDE = 16
MARGIN = 4
"""Grey levels that a place must be brighter than its neighbour by: less is compression."""
SIXTEEN_BITS = 256
"""What a value of 16 bits is divided by to fit into 8."""


@dataclass(frozen=True)
class Picture:
    """One readable picture.

    Attributes
    ----------
    image
        Upright, RGB, over white where it was transparent.
    width, height
        In pixels, as shown.
    notes
        What was done to it: ``rotated``, ``CMYK``, ``animated: first of 12 frames`` and so on.
    """

    image: Image.Image
    width: int
    height: int
    notes: tuple[str, ...]


class SetAsideError(Exception):
    """A file is no usable asset; the message is the reason. It never leaves the indexing."""


def open_picture(path: Path) -> Picture:
    """Read a picture.

    Parameters
    ----------
    path
        Of a file in a format that Pillow reads.

    Raises
    ------
    SetAsideError
        If the file is empty, no picture, cut short, or larger than Pillow takes for safe.
    """
    if path.stat().st_size == 0:
        message = "empty file"
        raise SetAsideError(message)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)  # odd metadata says nothing of the pixels
        try:
            with Image.open(path) as opened:
                return _upright(opened)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            message = f"more than {Image.MAX_IMAGE_PIXELS:,} pixels: a decompression bomb?"
            raise SetAsideError(message) from None
        except UnidentifiedImageError:
            message = "not a picture that can be read"
            raise SetAsideError(message) from None
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
            message = f"damaged or cut short: {str(error)[:120]}"
            raise SetAsideError(message) from error


def _upright(opened: Image.Image) -> Picture:
    notes = []
    n_frames = getattr(opened, "n_frames", 1)
    if n_frames > 1:
        opened.seek(0)
        notes.append(f"animated: first of {n_frames} frames")
    if opened.getexif().get(0x0112, 1) != 1:
        notes.append("rotated")
    if opened.mode not in {"RGB", "L", "P"}:
        notes.append(opened.mode)
    image = _plain(ImageOps.exif_transpose(opened))
    image.load()
    return Picture(image, image.width, image.height, tuple(notes))


def _plain(image: Image.Image) -> Image.Image:
    """The picture in RGB, over white where it is transparent."""
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        values = np.asarray(image, dtype=np.float64)
        scaled = values / SIXTEEN_BITS if values.max(initial=0) > 255 else values
        image = Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(white, seen).convert("RGB")
    return image.convert("RGB")


def thumbnail(image: Image.Image, *, side: int = THUMBNAIL_SIDE) -> bytes:
    """A small JPEG of a picture, at most so many pixels on its longer side."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    small.save(written, "JPEG", quality=85)
    return written.getvalue()


def picture_hash(image: Image.Image) -> bytes:
    """What a picture looks like in 256 bits: near pictures differ in few of them.

    References
    ----------
    Krawetz, "Kind of like that", 2013 (the difference hash), on 16 by 16 places.
    """
    size = (HASH_SIDE + 1, HASH_SIDE)
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1] + MARGIN).tobytes()


def differing_bits(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Bits in which hashes uint64 [4] and uint64 [n, 4] differ, int64 [n]."""
    return np.bitwise_count(one ^ others).sum(axis=1, dtype=np.int64)
