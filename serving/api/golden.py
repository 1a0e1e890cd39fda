"""Golden histories: what a model said of them when it was loaded, it must say for ever.

They are drawn from the model's own vocabulary with a fixed seed, so every model has some.
"""

import random
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.config import DAY_US
from segmenter.errors import BundleError

LENGTHS = (1, 3, 20, 200)
SPAN_DAYS = 90
TOLERANCE = 1e-4


@dataclass(frozen=True)
class GoldenVectors:
    """Histories of a few users and the answers of a model.

    Attributes
    ----------
    columns
        Parallel lists per user, as `AudienceModel.batch_of` takes them.
    as_of
        Per user, microseconds.
    embeddings
        float32 [n, d], of each user alone.
    segment_id
        int32 [n].
    """

    columns: dict[str, list[list[Any]]]
    as_of: list[int]
    embeddings: np.ndarray
    segment_id: np.ndarray

    @classmethod
    def of(cls, model: AudienceModel) -> Self:
        """Draw histories and ask the model about each of them alone.

        Raises
        ------
        BundleError
            If an answer is no number, or differs when all users are asked about at once.
        """
        columns = draw_histories(model)
        as_of = [model.trained_as_of] * len(LENGTHS)
        rows = [_embed(model, _only(columns, user), as_of[:1]) for user in range(len(LENGTHS))]
        embeddings = np.concatenate(rows)
        if not np.isfinite(embeddings).all():
            message = (
                "the model gives no finite embedding of histories in its own vocabulary; "
                "train it again"
            )
            raise BundleError(message)
        golden = cls(columns, as_of, embeddings, model.assign(embeddings).segment_id)
        golden.check(model)
        return golden

    def check(self, model: AudienceModel) -> None:
        """Ask about all users again.

        Raises
        ------
        BundleError
            If an embedding or a segment is another one.
        """
        embeddings = _embed(model, self.columns, self.as_of)
        error = float(np.abs(embeddings - self.embeddings).max())
        if not error <= TOLERANCE:
            message = (
                f"the model no longer gives its golden vectors: they differ by {error:.3g}, "
                f"more than {TOLERANCE}; restart the server"
            )
            raise BundleError(message)
        if (model.assign(self.embeddings).segment_id != self.segment_id).any():
            message = (
                "the model no longer gives the segments of its golden vectors; restart the server"
            )
            raise BundleError(message)


def draw_histories(model: AudienceModel) -> dict[str, list[list[Any]]]:
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
            [draw.choice((None, draw.uniform(0, 100))) for _ in range(n)] for n in LENGTHS
        ]
    if vocabulary.grouping:
        columns[vocabulary.grouping] = [[str(place // 4) for place in range(n)] for n in LENGTHS]
    return columns


def _only(columns: dict[str, list[list[Any]]], user: int) -> dict[str, list[list[Any]]]:
    return {name: [lists[user]] for name, lists in columns.items()}


def _embed(
    model: AudienceModel, columns: dict[str, list[list[Any]]], as_of: list[int]
) -> np.ndarray:
    return model.embed_batch(model.batch_of(columns, as_of=as_of))
