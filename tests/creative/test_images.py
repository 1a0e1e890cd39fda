"""Pictures as they come: upright and plain, or set aside with the reason."""

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

pytest.importorskip("PIL", reason="needs pip install '.[creative]'")

from PIL import Image

from segmenter.creative.images import (
    SetAsideError,
    differing_bits,
    open_picture,
    picture_hash,
    thumbnail,
)
from segmenter.creative.near_duplicates import near_duplicates
from tests.creative.ads import draw_ads, draw_pictures


def scene(seed: int = 0) -> Image.Image:
    """A picture whose upper left corner is red."""
    pixels = draw_pictures(draw_ads(1, seed=seed), seed=seed)[0].repeat(4, 0).repeat(4, 1)
    pixels[:30, :40] = (255, 0, 0)
    return Image.fromarray(pixels[:, :150])


def hashes_of(pictures: list[Image.Image]) -> np.ndarray:
    return np.frombuffer(b"".join(map(picture_hash, pictures)), np.uint64).reshape(-1, 4)


def is_red(image: Image.Image) -> bool:
    red, green, blue = np.asarray(image)[3, 3].tolist()
    return red > 180 and green < 90 and blue < 90


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P", "LA", "L", "1", "I;16"])
def test_every_mode_becomes_plain(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("one.tif" if mode in {"CMYK", "I;16"} else "one.png")
    if mode == "I;16":
        ramp = np.linspace(0, 65_535, 100 * 80).reshape(80, 100).astype(np.uint16)
        Image.fromarray(ramp).save(path)
    else:
        scene().convert(mode).save(path)
    found = open_picture(path)
    assert found.image.mode == "RGB"
    assert np.ptp(np.asarray(found.image)) > 100
    assert is_red(found.image) == (mode in {"RGB", "RGBA", "CMYK", "P"})


def test_a_picture_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = scene().transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "one.jpg", exif=exif, quality=95)
    found = open_picture(tmp_path / "one.jpg")
    assert (found.width, found.height) == scene().size
    assert found.notes == ("rotated",)
    assert is_red(found.image)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "one.png")
    assert np.asarray(open_picture(tmp_path / "one.png").image).min() == 255


def test_of_an_animation_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    frames[0].save(tmp_path / "one.gif", save_all=True, append_images=frames[1:])
    found = open_picture(tmp_path / "one.gif")
    assert found.notes == ("animated: first of 3 frames",)
    assert is_red(found.image)


def bomb() -> bytes:
    """A PNG of a hundred bytes that claims 900 million pixels."""
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def test_what_cannot_be_used_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    written = io.BytesIO()
    scene().save(written, "JPEG")
    files = {
        "empty": (b"", "empty file"),
        "words": (b"this is no picture at all", "not a picture"),
        "short": (written.getvalue()[: len(written.getvalue()) // 2], "damaged or cut short"),
        "bomb": (bomb(), "decompression bomb"),
    }
    for name, (content, reason) in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SetAsideError, match=reason):
            open_picture(path)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"]))
def test_no_bytes_whatever_do_more_than_be_set_aside(tmp_path_factory, content, head) -> None:
    path = tmp_path_factory.mktemp("noise") / "one.png"
    path.write_bytes(head + content)
    with contextlib.suppress(SetAsideError):
        assert open_picture(path).image.mode == "RGB"


def test_other_sizes_and_compressions_are_near_duplicates_and_others_are_not() -> None:
    first, second = scene(0), scene(1)
    squeezed = Image.open(io.BytesIO(thumbnail(first, side=90)))
    pictures = [first, second, squeezed, first.resize((300, 310)), second]
    vectors = np.eye(2, dtype=np.float32)[[0, 1, 0, 0, 1]]
    found = near_duplicates(hashes_of(pictures), vectors)
    assert found.tolist() == [0, 1, 0, 0, 1]
    assert near_duplicates(hashes_of(pictures), np.eye(5)).tolist() == [0, 1, 2, 3, 4]


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_differing_bits_are_counted(one, other) -> None:
    expected = (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
    rows = [np.frombuffer(value, np.uint64) for value in (one, other)]
    assert differing_bits(rows[0], np.stack([rows[1], rows[0]])).tolist() == [expected, 0]


def test_a_thumbnail_keeps_its_shape() -> None:
    small = Image.open(io.BytesIO(thumbnail(scene(), side=50)))
    assert max(small.size) == 50
    assert small.width / small.height == pytest.approx(scene().width / scene().height, rel=0.05)
