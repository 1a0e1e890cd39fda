"""A model ready to answer: the same path as batch scoring, from checked requests to answers."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Self

import numpy as np

from segmenter.audience_model import AudienceModel
from segmenter.clock import EPOCH, iso
from segmenter.errors import BundleError
from segmenter.golden import TOLERANCE, GoldenVectors
from segmenter.level_columns import level_columns
from segmenter.registry import ResolvedModel
from segmenter.segments.assignment import NO_SEGMENT
from serving.api.problems import Problem
from serving.api.schemas import RequestReader, UserEvents
from serving.api.settings import Limits
from serving.api.times import MICROSECOND
from serving.state.keeper import HistoryKeeper

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
            vectors, whether embedded by the network or by the encoder of one user.
        """
        model = AudienceModel.load(resolved.folder)
        _check_digest(model, resolved)
        names = {segment.id: segment.name for segment in model.segments}
        reader = RequestReader(model.network.vocabulary, limits)
        golden = model.golden or GoldenVectors.of(model)
        golden.check(model)
        check_one_user(model, golden)
        return cls(model, resolved, reader, golden, names)

    @property
    def label(self) -> str:
        """What answers are stamped with."""
        return self.resolved.label

    @cached_property
    def keeper(self) -> HistoryKeeper:
        """Reads and grows kept histories for the model."""
        return HistoryKeeper(self.model, max_recent=self.reader.limits.events_per_user)

    def check(self) -> None:
        """Ask again about the golden vectors.

        Raises
        ------
        BundleError
            If the network or the encoder of one user says something else.
        """
        self.golden.check(self.model)
        check_one_user(self.model, self.golden)

    def assign(self, users: Sequence[UserEvents], now: dt.datetime) -> list[Answer]:
        """The segment of each user, or why there is none."""
        answers, embeddings, rows = self._embedded(users, now)
        found = self.segments_of(embeddings)
        for place, row in enumerate(rows):
            answer = answers[row]
            assert isinstance(answer, dict)
            answers[row] = {"user_id": answer["user_id"]} | found[place] | answer
        return answers

    def segments_of(self, embeddings: np.ndarray) -> list[dict[str, Any]]:
        """What answers say of the segments of embeddings float32 [n, d]."""
        found = self.model.assign(embeddings)
        levels = level_columns(self.model, embeddings, found.segment_id)
        told = []
        for place in range(len(embeddings)):
            first, second = int(found.segment_id[place]), int(found.second_segment_id[place])
            told.append(
                {
                    "segment_id": first,
                    "segment_name": self.names[first],
                    "strength": float(found.strength[place]),
                    "second_segment_id": None if second == NO_SEGMENT else second,
                    "second_segment_name": self.names.get(second),
                    "novelty": float(found.novelty[place]),
                    **{name: values[place] for name, values in levels.items()},
                }
            )
        return told

    def embed(self, users: Sequence[UserEvents], now: dt.datetime) -> list[Answer]:
        """The embedding of each user, or why there is none."""
        answers, embeddings, rows = self._embedded(users, now)
        for place, row in enumerate(rows):
            answer = answers[row]
            assert isinstance(answer, dict)
            answers[row] = {
                "user_id": answer["user_id"],
                "embedding": embeddings[place].tolist(),
                **answer,
            }
        return answers

    def _embedded(
        self, users: Sequence[UserEvents], now: dt.datetime
    ) -> tuple[list[Answer], np.ndarray, list[int]]:
        """Answers with user, time and model; embeddings float32 [a, d]; the rows they are of."""
        present = (now - EPOCH) // MICROSECOND
        as_of = [_as_of(user, present) for user in users]
        moments = zip(users, as_of, strict=True)
        active = [row for row, (user, end) in enumerate(moments) if _began(user, end)]
        embeddings = np.empty((0, self.model.embedding_dim), dtype=np.float32)
        if active:
            embeddings = np.stack([self._embedding(users[row], as_of[row]) for row in active])
        finite = np.isfinite(embeddings.sum(axis=1, dtype=np.float64))
        computed = [row for row, good in zip(active, finite, strict=True) if good]
        answers: list[Answer] = [NO_EVENT] * len(users)
        for row in active:
            answers[row] = NO_NUMBER
        for row in computed:
            answers[row] = {
                "user_id": users[row]["user_id"],
                "as_of": iso(as_of[row]),
                "model_version": self.label,
            }
        return answers, embeddings[finite], computed

    def _embedding(self, user: UserEvents, as_of: int) -> np.ndarray:
        """Embedding float32 [d] of a user with events at or before a time."""
        encoder, given = self.model.one_user, user["events"]
        names = ("time", *self.reader.fields)
        columns = {name: [event.get(name) for event in given] for name in names}
        return encoder.embed(encoder.coder.events(columns, as_of=as_of), as_of=as_of)


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


def check_one_user(model: AudienceModel, golden: GoldenVectors) -> None:
    """Hold the encoder of one user to the golden vectors, which are the network's.

    Raises
    ------
    BundleError
        If an embedding is another one.
    """
    for user, (wanted, as_of) in enumerate(zip(golden.embeddings, golden.as_of, strict=True)):
        columns = {name: lists[user] for name, lists in golden.columns.items()}
        events = model.one_user.coder.events(columns, as_of=as_of)
        error = float(np.abs(model.one_user.embed(events, as_of=as_of) - wanted).max())
        if not error <= TOLERANCE:
            message = (
                "one user must have the embedding that batch scoring gives; a golden vector "
                f"differs by {error:.3g}, more than {TOLERANCE}; train with this release"
            )
            raise BundleError(message)


def _check_digest(model: AudienceModel, resolved: ResolvedModel) -> None:
    if model.digest != resolved.digest:
        message = (
            f"{resolved.folder} changed while it was loaded: its digest is {model.digest[:12]}, "
            f"asked for was {resolved.digest[:12]}; try again"
        )
        raise BundleError(message)
