"""The routes of kept histories: append events, get the new segment; forget a user.

A user's id stands in the body and never in a path, which proxies write into their logs.
"""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segmenter.clock import EPOCH, iso
from segmenter.errors import StateError, StateUnreachableError
from serving.api.problems import Problem, problem_of
from serving.api.routes import REFUSALS, answers
from serving.api.schemas import MAX_USER_ID, AppendedEvents, KeptAnswer
from serving.api.scorer import NO_NUMBER, Scorer
from serving.api.service import JSON, PlainRoute, Service, now
from serving.api.times import MICROSECOND
from serving.state.history import KeptHistory
from serving.state.stores import StateStore, key_of

UNKNOWN = Problem(HTTPStatus.NOT_FOUND, "nothing is kept of this user; append events first")


class ForgetRequest(BaseModel):
    """Who is to be forgotten."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user_id: Annotated[str, Field(min_length=1, max_length=MAX_USER_ID)]


class ForgetAnswer(BaseModel):
    """Whether anything was kept."""

    forgotten: bool


FORGET_BODY = {
    "required": True,
    "content": {
        JSON: {"schema": ForgetRequest.model_json_schema(), "example": {"user_id": "u-1"}}
    },
}


def kept_routes(service: Service, store: StateStore) -> APIRouter:
    """The routes of a server that keeps histories.

    Parameters
    ----------
    service
        What all routes share.
    store
        Where the histories are kept.
    """
    router = APIRouter(prefix="/v1", tags=["kept users"], route_class=PlainRoute)
    kept = (*REFUSALS, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)

    @router.post("/users:append", responses=answers(KeptAnswer, *kept))
    async def append(request: Request) -> Response:
        """Add events to what is kept of a user, and give the new segment.

        The answer is that of `/v1/assign` for the whole history. Events may come in any order
        while they are not older than the newest ones that are kept as they came (at least as
        many as the model's sequence branches read); older ones are refused with 409. Events that
        equal kept ones in every field that the model reads are repeats, of a request sent twice,
        and change nothing. `replace: true` forgets what was kept and begins with these events;
        no events at all ask for the segment now. After a change of the model that reads other
        fields or values, a long history is refused with 409 until it is replaced.
        """
        body, scorer, moment = await request.body(), service.holder.current, now()
        user = scorer.reader.read_appended(body, moment)
        with service.worker.admitted():
            answer = await service.worker.run(lambda: appended(scorer, store, user, now=moment))
        service.metrics.count_answers([answer])
        return Response(json.dumps(answer), media_type=JSON)

    @router.post(
        "/users:forget",
        responses=answers(ForgetAnswer, *REFUSALS),
        openapi_extra={"requestBody": FORGET_BODY},
    )
    async def forget(request: Request) -> Response:
        """Delete all that is kept of a user."""
        try:
            user_id = ForgetRequest.model_validate_json(await request.body()).user_id
        except ValidationError as error:
            raise problem_of(error) from None  # what pydantic keeps holds the values
        with service.worker.admitted():
            done = await service.worker.run(lambda: forgotten(store, user_id))
        return Response(json.dumps({"forgotten": done}), media_type=JSON)

    return router


def appended(
    scorer: Scorer, store: StateStore, user: AppendedEvents, *, now: dt.datetime
) -> dict[str, Any]:
    """Grow what is kept of a user and answer; where there is no answer, nothing is changed.

    Raises
    ------
    Problem
        404 where nothing is kept and nothing sent, 409 where the history cannot be gone on with,
        422 for a time before the newest event, 503 where the store is out of reach.
    """
    answer: dict[str, Any] = {}

    def change(content: bytes | None) -> bytes | None:
        known = None if content is None or user.get("replace") else KeptHistory.from_bytes(content)
        if known is None and not user["events"]:
            raise UNKNOWN
        kept, n_repeated = scorer.keeper.grown(known, user["events"])
        as_of = _as_of(user, kept.newest["time"][-1], now)
        embedding = scorer.keeper.embedding(kept, as_of=as_of)
        if not np.isfinite(embedding).all():
            raise NO_NUMBER
        (told,) = scorer.segments_of(embedding[None])
        answer.update({"user_id": user["user_id"]} | told | {"as_of": iso(as_of)})
        answer.update({"model_version": scorer.label})
        answer.update({"n_events": kept.n_events, "n_repeated": n_repeated})
        return kept.to_bytes() if len(user["events"]) > n_repeated else None

    with _problems():
        store.update(key_of(user["user_id"]), change)
    return answer


def forgotten(store: StateStore, user_id: str) -> bool:
    """Delete what is kept of a user; False where there was nothing."""
    with _problems():
        return store.forget(key_of(user_id))


@contextmanager
def _problems() -> Iterator[None]:
    """Say as a problem that a history cannot be gone on with, or is out of reach."""
    try:
        yield
    except StateUnreachableError as error:
        text = "what is kept of users is out of reach; try again"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=1) from error
    except StateError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error


def _as_of(user: AppendedEvents, newest: int, now: dt.datetime) -> int:
    """The time that the answer holds for: now, unless the request says otherwise."""
    given = user.get("as_of")
    if given is None:
        return max(newest, (now - EPOCH) // MICROSECOND)
    if given < newest:
        text = "must not lie before the newest event that is kept"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"as_of: {text}", errors=[("as_of", text)])
    return given
