"""Colours of the segments under normal sight and under colour blindness."""

import numpy as np
from hypothesis import given, strategies as st

from training.report.palette import PALETTE, colour_slots, contrast, ink_on

PAPERS = (("#faf9f7", "#ffffff"), ("#121417", "#191c20"))
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ]
)
PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
"""Machado, Oliveira, Fernandes 2009, severity 1, over linear sRGB."""


def oklab(colours: list[str], sight: np.ndarray) -> np.ndarray:
    """Perceived coordinates of colours, as Ottosson defines them, under a kind of sight."""
    srgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4) @ sight.T
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(np.maximum(linear, 0) @ to_cones.T) @ to_lab.T


def closest(colours: list[str], sight: np.ndarray) -> float:
    lab = oklab(colours, sight)
    far = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    return float(far[~np.eye(len(lab), dtype=bool)].min())


def test_colours_differ_to_every_eye() -> None:
    for scheme in (0, 1):
        colours = [pair[scheme] for pair in PALETTE]
        assert closest(colours, np.eye(3)) > 0.03
        for sight in (np.eye(3), DEUTERANOPIA, PROTANOPIA):
            assert closest(colours[:8], sight) > 0.05


def test_colours_stand_out_from_the_page_and_numbers_from_the_colours() -> None:
    for scheme, papers in enumerate(PAPERS):
        for pair in PALETTE:
            assert all(contrast(pair[scheme], paper) >= 3 for paper in papers)
            assert contrast(ink_on(pair[scheme]), pair[scheme]) >= 4.5


def test_contrast_is_the_one_of_the_guidelines() -> None:
    assert round(contrast("#000000", "#ffffff"), 6) == 21
    assert contrast("#777777", "#777777") == 1
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48  # the known grey that just fails


@given(st.lists(st.integers(1, 500), unique=True, max_size=60))
def test_no_two_segments_share_a_colour_while_there_is_another(ids: list[int]) -> None:
    slots = colour_slots(ids)
    assert list(slots) == ids
    counts = np.bincount(list(slots.values()), minlength=len(PALETTE))
    assert counts.max(initial=0) - counts.min(initial=60) <= 1 or len(ids) < len(PALETTE)
    if len(ids) <= len(PALETTE):
        assert len(set(slots.values())) == len(ids)
    if ids and ids[0] <= len(PALETTE):
        assert slots[ids[0]] == ids[0] - 1
