"""Colours of the segments: apart in hue and lightness, also for colour-blind eyes."""

from collections.abc import Iterable

PALETTE = (
    ("#1657af", "#5a97f0"),
    ("#c98000", "#fcb358"),
    ("#7b0320", "#c55960"),
    ("#8a81ec", "#bdbcfe"),
    ("#b74a84", "#f385bc"),
    ("#611571", "#a65fb6"),
    ("#00a577", "#65dfaf"),
    ("#635d04", "#9f9a53"),
    ("#0981b3", "#5ebaec"),
    ("#962a67", "#d86da4"),
    ("#3c298c", "#7970d3"),
    ("#7066ce", "#a6a1ff"),
    ("#827a07", "#b9b258"),
    ("#7f368f", "#be76cf"),
    ("#bb6fcc", "#eca5fc"),
    ("#62a037", "#9ad975"),
    ("#e1656e", "#fdaaac"),
    ("#c14854", "#fe858b"),
    ("#74034b", "#bd578c"),
    ("#9f2738", "#e36d74"),
    ("#d6659f", "#ffa3cf"),
    ("#009ad6", "#7ecffd"),
    ("#048d66", "#60c59d"),
    ("#6d2602", "#b46a4d"),
    ("#9e54af", "#d78ee8"),
    ("#0c686c", "#5ca5a9"),
    ("#02494d", "#548b8e"),
    ("#4b8a19", "#84c35f"),
    ("#de6d3d", "#fdae8f"),
    ("#983803", "#da7952"),
    ("#003b86", "#4c80cd"),
    ("#08a0a7", "#65d9df"),
    ("#3675d1", "#7bb0fe"),
    ("#5291ee", "#a1c6fd"),
    ("#244b01", "#658e4e"),
    ("#0b888d", "#61c0c5"),
    ("#bf511e", "#fb8c60"),
    ("#9d9300", "#d1c959"),
    ("#5547ac", "#8f88ed"),
    ("#036c4d", "#5aa989"),
)
"""On a light and on a dark page: twelve hues in four steps of OKLCH lightness, ordered so that
each colour is as far as it can be from those before it under normal sight and under three
simulated colour blindnesses (Machado, Oliveira, Fernandes 2009, severity 1)."""

LIGHT_INK, DARK_INK = "#ffffff", "#000000"


def colour_slots(segment_ids: Iterable[int]) -> dict[int, int]:
    """Place of each segment in the palette: the same id has the same colour in every report.

    Parameters
    ----------
    segment_ids
        Ids of the segments shown, each once.

    Returns
    -------
    dict
        Id to a place in `PALETTE`, each taken once before one is taken twice.
    """
    slots: dict[int, int] = {}
    free: set[int] = set()
    for segment_id in segment_ids:
        free = free or set(range(len(PALETTE)))
        wished = (segment_id - 1) % len(PALETTE)
        slot = wished if wished in free else min(free, key=lambda place: (place < wished, place))
        free.discard(slot)
        slots[segment_id] = slot
    return slots


def css_colours(scheme: int) -> str:
    """Custom properties ``--s0`` (fill) and ``--t0`` (text on it) and so on.

    Parameters
    ----------
    scheme
        0 for a light page, 1 for a dark one.
    """
    return "".join(
        f"--s{slot}:{pair[scheme]};--t{slot}:{ink_on(pair[scheme])};"
        for slot, pair in enumerate(PALETTE)
    )


def ink_on(colour: str) -> str:
    """Whichever of a light and a dark ink stands out more on a colour."""
    return max((LIGHT_INK, DARK_INK), key=lambda ink: contrast(ink, colour))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours, 1 to 21.

    References
    ----------
    W3C, "Web Content Accessibility Guidelines 2.2", contrast ratio.
    """
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
