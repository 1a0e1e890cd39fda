"""A model ready to answer: the same path as batch scoring, from checked requests to answers."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import numpy as np

from segmenter.assignment_table import level_columns
from segmenter.audience_model import AudienceModel
from segmenter.clock import EPOCH, iso
from segmenter.errors import BundleError
from segmenter.registry import ResolvedModel
from segmenter.segments.assignment import NO_SEGMENT
from serving.api.golden import GoldenVectors
from serving.api.problems import Problem
from serving.api.schemas import RequestReader, UserEvents
from serving.api.settings import Limits
from serving.api.times import MICROSECOND

Answer = dict[str, Any] | Problem
Score = Callable[["Scorer", Sequence[UserEvents], dt.datetime], list[Answer]]
"""Computes the answers of some users, one each."""


@dataclass(frozen=True)
class Scorer:
    """A loaded and checked model with what its requests look like.

    Attributes
    ----------
    model
        The fitted model.
    resolved
        Where it came from.
    reader
        Reads requests.
    golden
        What the model must always say.
    names
        Segment id to name.
    """

    model: AudienceModel
    resolved: ResolvedModel
    reader: RequestReader
    golden: GoldenVectors
    names: dict[int, str]

    @classmethod
    def load(cls, resolved: ResolvedModel, limits: Limits) -> Self:
        """Load a model and check it.

        Raises
        ------
        BundleError
            If the bundle is damaged, is not the one that was resolved, or fails its golden
            vectors.
        """
        model = AudienceModel.load(resolved.folder)
        _check_digest(model, resolved)
        names = {segment.id: segment.name for segment in model.segments}
        reader = RequestReader(model.network.vocabulary, limits)
        return cls(model, resolved, reader, GoldenVectors.of(model), names)

    @property
    def label(self) -> str:
        """What answers are stamped with."""
        return self.resolved.label

    def assign(self, users: Sequence[UserEvents], now: dt.datetime) -> list[Answer]:
        """The segment of each user, or why there is none."""
        answers, embeddings, rows = self._embedded(users, now)
        found = self.model.assign(embeddings)
        levels = level_columns(self.model, embeddings, found.segment_id)
        for place, row in enumerate(rows):
            first, second = int(found.segment_id[place]), int(found.second_segment_id[place])
            answer = answers[row]
            assert isinstance(answer, dict)
            answers[row] = {
                "user_id": answer["user_id"],
                "segment_id": first,
                "segment_name": self.names[first],
                "strength": float(found.strength[place]),
                "second_segment_id": None if second == NO_SEGMENT else second,
                "second_segment_name": self.names.get(second),
                "novelty": float(found.novelty[place]),
                "as_of": answer["as_of"],
                "model_version": self.label,
                **{name: values[place] for name, values in levels.items()},
            }
        return answers

    def embed(self, users: Sequence[UserEvents], now: dt.datetime) -> list[Answer]:
        """The embedding of each user, or why there is none."""
        answers, embeddings, rows = self._embedded(users, now)
        for place, row in enumerate(rows):
            answer = answers[row]
            assert isinstance(answer, dict)
            answers[row] = {
                "user_id": answer["user_id"],
                "embedding": embeddings[place].tolist(),
                "as_of": answer["as_of"],
                "model_version": self.label,
            }
        return answers

    def _embedded(
        self, users: Sequence[UserEvents], now: dt.datetime
    ) -> tuple[list[Answer], np.ndarray, list[int]]:
        """Answers with user and time alone; embeddings float32 [a, d]; the rows they are of."""
        present = (now - EPOCH) // MICROSECOND
        as_of = [_as_of(user, present) for user in users]
        moments = zip(users, as_of, strict=True)
        active = [row for row, (user, end) in enumerate(moments) if _began(user, end)]
        embeddings = np.empty((0, self.model.embedding_dim), dtype=np.float32)
        if active:
            columns = self._columns([users[row] for row in active])
            batch = self.model.batch_of(columns, as_of=[as_of[row] for row in active])
            embeddings = self.model.embed_batch(batch)
        finite = np.isfinite(embeddings.sum(axis=1, dtype=np.float64))
        computed = [row for row, good in zip(active, finite, strict=True) if good]
        answers: list[Answer] = [NO_EVENT] * len(users)
        for row in active:
            answers[row] = NO_NUMBER
        for row in computed:
            answers[row] = {"user_id": users[row]["user_id"], "as_of": iso(as_of[row])}
        return answers, embeddings[finite], computed

    def _columns(self, users: Sequence[UserEvents]) -> dict[str, list[list[Any] | None]]:
        """Parallel lists per user of every field that the model reads."""
        names = ("time", *self.reader.fields)
        return {
            name: [[event.get(name) for event in user["events"]] for user in users]
            for name in names
        }


NO_EVENT = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "events: none lies at or before as_of",
    errors=[("events", "none lies at or before as_of")],
)
NO_NUMBER = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "events: their numbers are too large to compute with",
    errors=[("events", "their numbers are too large to compute with")],
)


def _as_of(user: UserEvents, present: int) -> int:
    """The time that the answer holds for: now, unless the request says otherwise."""
    given = user.get("as_of")
    if given is not None:
        return given
    # A sender's clock may be ahead of ours, within the limit that was checked.
    return max(present, *(event["time"] for event in user["events"]))


def _began(user: UserEvents, as_of: int) -> bool:
    return any(event["time"] <= as_of for event in user["events"])


def _check_digest(model: AudienceModel, resolved: ResolvedModel) -> None:
    if model.digest != resolved.digest:
        message = (
            f"{resolved.folder} changed while it was loaded: its digest is {model.digest[:12]}, "
            f"asked for was {resolved.digest[:12]}; try again"
        )
        raise BundleError(message)
