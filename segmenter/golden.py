"""Golden histories: what a model says of them when it is saved, it must say wherever it is loaded.

They are drawn from the model's own vocabulary with a fixed seed, so every model has some and none
of them is anybody's. A bundle keeps them with the answers.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from segmenter.autoencoder.config import DAY_US
from segmenter.errors import BundleError

if TYPE_CHECKING:
    from segmenter.audience_model import AudienceModel

LENGTHS = (1, 3, 20, 200)
SPAN_DAYS = 90
TOLERANCE = 1e-4
"""Of embeddings: processors and thread counts differ in the last digits of a float32."""
STRENGTH_TOLERANCE = 1e-3
N_DECIMALS = 6
"""Kept of an answer; far below the tolerance."""


@dataclass(frozen=True)
class GoldenVectors:
    """Histories of a few users who never lived, and the answers of a model.

    Attributes
    ----------
    columns
        Parallel lists per user, as `AudienceModel.batch_of` takes them.
    as_of
        Per user, microseconds.
    embeddings
        float32 [n, d], of each user alone; NaN where the model gave no number.
    segment_id
        int32 [n].
    strength
        float32 [n], in [0, 1].
    """

    columns: dict[str, list[list[Any]]]
    as_of: list[int]
    embeddings: np.ndarray
    segment_id: np.ndarray
    strength: np.ndarray

    @classmethod
    def of(cls, model: "AudienceModel") -> Self:
        """Draw histories and ask the model about each of them alone."""
        columns = draw_histories(model)
        as_of = [model.trained_as_of] * len(LENGTHS)
        rows = [_embed(model, _only(columns, user), as_of[:1]) for user in range(len(LENGTHS))]
        embeddings = np.concatenate(rows).round(N_DECIMALS)
        found = model.assign(np.nan_to_num(embeddings))
        strength = np.nan_to_num(found.strength).round(N_DECIMALS)
        return cls(columns, as_of, embeddings, found.segment_id, strength)

    def check(self, model: "AudienceModel") -> float:
        """Ask about all users again.

        Returns
        -------
        float
            Largest difference of a coordinate.

        Raises
        ------
        BundleError
            If an embedding, a segment or a strength is another one, or no number.
        """
        if not np.isfinite(self.embeddings).all():
            message = (
                "the model gives no finite embedding of histories in its own vocabulary; "
                "train it again"
            )
            raise BundleError(message)
        embeddings = _embed(model, self.columns, self.as_of)
        error = float(np.abs(embeddings - self.embeddings).max())
        if not error <= TOLERANCE:
            message = (
                f"the model does not give its golden vectors: they differ by {error:.3g}, "
                f"more than {TOLERANCE}; load or fetch it again"
            )
            raise BundleError(message)
        found = model.assign(self.embeddings)
        weaker = np.abs(found.strength - self.strength).max()
        if (found.segment_id != self.segment_id).any() or not weaker <= STRENGTH_TOLERANCE:
            message = (
                "the model does not give the segments of its golden vectors; "
                "load or fetch it again"
            )
            raise BundleError(message)
        return error

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle; what is no number is null."""
        rows = self.embeddings.astype(np.float64).round(N_DECIMALS)
        return {
            "columns": self.columns,
            "as_of": self.as_of,
            "embeddings": [[x if np.isfinite(x) else None for x in row] for row in rows.tolist()],
            "segment_id": self.segment_id.tolist(),
            "strength": self.strength.astype(np.float64).round(N_DECIMALS).tolist(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`.

        Raises
        ------
        BundleError
            If `plain` is nothing of that kind.
        """
        try:
            return cls(
                dict(plain["columns"]),
                list(plain["as_of"]),
                np.array(plain["embeddings"], dtype=np.float32),
                np.array(plain["segment_id"], dtype=np.int32),
                np.array(plain["strength"], dtype=np.float32),
            )
        except (KeyError, TypeError, ValueError) as error:
            message = f"the golden vectors of a bundle cannot be read: {error}; fetch it again"
            raise BundleError(message) from error


def draw_histories(model: "AudienceModel") -> dict[str, list[list[Any]]]:
    """Parallel lists per user: known and unknown values, some missing, in no order of time."""
    draw, vocabulary = random.Random(0), model.network.vocabulary  # noqa: S311 - no secret
    newest = model.trained_as_of

    def text(values: tuple[str, ...]) -> str | None:
        return draw.choice((None, "(unknown)", *values[:50]))

    columns: dict[str, list[list[Any]]] = {
        "time": [[newest - draw.randrange(SPAN_DAYS * DAY_US) for _ in range(n)] for n in LENGTHS]
    }
    for name, values in vocabulary.values.items():
        columns[name] = [[text(values) for _ in range(n)] for n in LENGTHS]
    for name in vocabulary.numeric:
        columns[name] = [
            [draw.choice((None, round(draw.uniform(0, 100), 2))) for _ in range(n)]
            for n in LENGTHS
        ]
    if vocabulary.grouping:
        columns[vocabulary.grouping] = [[str(place // 4) for place in range(n)] for n in LENGTHS]
    return columns


def _only(columns: dict[str, list[list[Any]]], user: int) -> dict[str, list[list[Any]]]:
    return {name: [lists[user]] for name, lists in columns.items()}


def _embed(
    model: "AudienceModel", columns: dict[str, list[list[Any]]], as_of: list[int]
) -> np.ndarray:
    return model.embed_batch(model.batch_of(columns, as_of=as_of))
