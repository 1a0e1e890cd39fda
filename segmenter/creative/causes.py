"""A direction in words, and only in words for what the encoder can see."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segmenter.creative.tags import is_readable
from segmenter.creative.words import Words


@dataclass(frozen=True)
class Cause:
    """One word of a direction.

    Attributes
    ----------
    word
        The word or phrase.
    strength
        Cosine with the direction: above 0 the direction leads toward it, below 0 away from it.
    """

    word: str
    strength: float


@dataclass(frozen=True)
class Naming:
    """What a direction is about.

    Attributes
    ----------
    causes
        The strongest first, of the words that a tag shows to be readable.
    unchecked
        As strong or stronger words of which no tag tells whether the encoder reads them: to look
        at, not to rely on.
    left_out
        As strong or stronger words that the encoder is known not to read.
    """

    causes: tuple[Cause, ...]
    unchecked: tuple[Cause, ...]
    left_out: tuple[str, ...]


def name_direction(
    step: np.ndarray,
    words: Words,
    readability: dict[str, dict[str, Any]],
    *,
    basis: np.ndarray | None = None,
    n: int = 5,
    without: Sequence[str] = (),
) -> Naming:
    """Name a direction between pictures.

    Parameters
    ----------
    step
        float64 [d].
    words
        Words with their vectors. Their mean is taken off: texts as a whole lie apart from
        pictures, and that difference has no meaning.
    readability
        Of the space.
    basis
        float64 [r, d], orthonormal rows of what the words shall have no part in.
    n
        Causes.
    without
        Words that are no answer, such as the names of the groups themselves.

    References
    ----------
    Liang et al., "Mind the gap: understanding the modality gap in multi-modal contrastive
    representation learning", 2022.
    """
    chosen = np.array([word not in without for word in words.words])
    names = [word for word, take in zip(words.words, chosen.tolist(), strict=True) if take]
    centred = (words.vectors - words.vectors.mean(axis=0))[chosen].astype(np.float64)
    if basis is not None and len(basis):
        centred -= (centred @ basis.T) @ basis
    lengths = np.linalg.norm(centred, axis=1) * max(float(np.linalg.norm(step)), 1e-12)
    strengths = centred @ step / np.maximum(lengths, 1e-12)
    causes: list[Cause] = []
    unchecked: list[Cause] = []
    left_out: list[str] = []
    for place in np.argsort(-np.abs(strengths), kind="stable").tolist():
        readable = is_readable(readability, names[place])
        if readable is False:
            left_out.append(names[place])
        elif readable is None:
            unchecked.append(Cause(names[place], float(strengths[place])))
        else:
            causes.append(Cause(names[place], float(strengths[place])))
        if len(causes) == n:
            break
    return Naming(tuple(causes), tuple(unchecked[:n]), tuple(left_out))
