"""What is done about a bias that was found, tested on assets that had no part in finding it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segmenter.creative.bias import SearchAudit, audit_searches
from segmenter.creative.store import CreativeSpace
from segmenter.errors import CreativeError
from segmenter.files import read_json, write_json
from segmenter.space.erasure import fit_eraser
from segmenter.space.readability import Readability, measure_readability

CORRECTIONS = "corrections.json"


@dataclass(frozen=True)
class Rerank:
    """Re-ranking of searches to the library's shares.

    Attributes
    ----------
    found
        The audit on one half of the pictures.
    tested
        The same on the other half.
    """

    found: SearchAudit
    tested: SearchAudit


@dataclass(frozen=True)
class ErasedTag:
    """A tag taken out of the vectors.

    Attributes
    ----------
    before, after
        How well it is read on pictures that the erasure was not learned from.
    vectors
        float64 [n_pictures, d], all pictures without it.
    """

    before: Readability
    after: Readability
    vectors: np.ndarray


def rerank(
    space: CreativeSpace,
    queries: np.ndarray,
    *,
    tag: str,
    compared: np.ndarray | None = None,
    seed: int = 0,
) -> Rerank:
    """Find a bias on one half of a library, mend it by re-ranking and test that on the other.

    Parameters
    ----------
    space, queries, tag, compared
        As `audit_searches`.
    seed
        Of the halves.

    Raises
    ------
    CreativeError
        If no bias is found: only what a diagnosis found is corrected.
    """
    halves = _halves(space, seed=seed)
    found, tested = (
        audit_searches(space, queries, tag=tag, compared=compared, rows=half) for half in halves
    )
    if not found.biased:
        lowest = min(group.before.p for group in found.groups)
        message = (
            f"no bias by {tag!r} was found in these searches (p = {lowest:.3f}); a correction "
            "where there is none would bring one: leave it"
        )
        raise CreativeError(message)
    return Rerank(found, tested)


def erase(space: CreativeSpace, *, tag: str, seed: int = 0) -> ErasedTag:
    """Take a tag out of the vectors of pictures, learned on one half and tested on the other.

    Parameters
    ----------
    space
        The library.
    tag
        Column; pictures of which it is not known are a value of their own.
    seed
        Of the halves.
    """
    learned, tested = _halves(space, seed=seed)
    pictures = space.pictures
    attribute = pictures.attribute(tag)
    eraser = fit_eraser(pictures.vectors[learned], attribute.targets[learned])
    only = pictures.only(np.isin(np.arange(len(pictures.ids)), tested))
    return ErasedTag(
        before=measure_readability(only.vectors, only.attribute(tag), seed=seed),
        after=measure_readability(eraser(only.vectors), only.attribute(tag), seed=seed),
        vectors=eraser(pictures.vectors),
    )


def _halves(space: CreativeSpace, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of the pictures, by row."""
    order = np.random.default_rng(seed).permutation(space.n_pictures)
    return np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])


def keep_correction(space: Path, tag: str) -> None:
    """Have every search in this space re-ranked to the library's shares of a tag."""
    write_json(space / CORRECTIONS, {"rerank": tag})


def kept_correction(space: Path) -> str | None:
    """The tag that searches are re-ranked by, or None."""
    path = space / CORRECTIONS
    return str(read_json(path)["rerank"]) if path.exists() else None
