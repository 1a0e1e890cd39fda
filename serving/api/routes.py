"""The routes: what is asked, who answers, and in what form."""

import time
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from segmenter.clock import iso
from segmenter.errors import BundleError
from segmenter.segments.segment import Segment
from serving.api.metrics import CONTENT_TYPE
from serving.api.problems import Problem
from serving.api.schemas import (
    EmbeddingAnswer,
    ModelAnswer,
    ProblemAnswer,
    SegmentAnswer,
    SegmentDescription,
    SegmentsAnswer,
)
from serving.api.scorer import Scorer
from serving.api.service import JSON, PlainRoute, Service

READY_FOR_S = 5.0
"""How long one check of the golden vectors counts."""


def answers(model: type, *more: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route can answer, for the OpenAPI document."""
    refused = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, *more)
    problem = {"model": ProblemAnswer, "description": "Problem details"}
    described: dict[int | str, dict[str, Any]] = {HTTPStatus.OK.value: {"model": model}}
    return described | {status.value: problem for status in refused}


REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def asked_of(form: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """What the OpenAPI document says of a route whose body is a form of ours."""
    content = {JSON: {"schema": form.model_json_schema(), "example": example}}
    return {
        "responses": answers(dict, *REFUSALS, HTTPStatus.CONFLICT),
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


def user_routes(service: Service) -> APIRouter:
    """The routes that take events."""
    router = APIRouter(prefix="/v1", tags=["users"], route_class=PlainRoute)

    @router.post("/assign", responses=answers(SegmentAnswer, *REFUSALS))
    async def assign(request: Request) -> Response:
        """Give one user a segment."""
        return await service.answer(request, Scorer.assign)

    @router.post("/embed", responses=answers(EmbeddingAnswer, *REFUSALS))
    async def embed(request: Request) -> Response:
        """Give one user's place in the space of the model."""
        return await service.answer(request, Scorer.embed)

    @router.post("/assign:batch", responses=answers(SegmentAnswer, *REFUSALS))
    async def assign_batch(request: Request) -> Response:
        """Give many users segments: JSON lines in, JSON lines out, in the same order.

        A line that cannot be answered gets `{"line": NUMBER, "error": PROBLEM}`; the others are
        answered all the same.
        """
        return await service.answer_lines(request)

    return router


def model_routes(service: Service) -> APIRouter:
    """The routes that tell of the model in use."""
    router = APIRouter(prefix="/v1", tags=["model"])

    @router.get("/segments", responses=answers(SegmentsAnswer))
    async def segments() -> Response:
        """Every segment with its name, its size and what sets it apart."""
        scorer = service.holder.current
        listed = [_described(segment) for segment in scorer.model.segments]
        return JSONResponse({"model_version": scorer.label, "segments": listed})

    @router.get(
        "/segments/{segment_id}",
        responses=answers(SegmentDescription, HTTPStatus.NOT_FOUND),
    )
    async def segment(segment_id: int) -> Response:
        """One segment."""
        for known in service.holder.current.model.segments:
            if known.id == segment_id:
                return JSONResponse(_described(known))
        raise Problem(HTTPStatus.NOT_FOUND, "the model in use has no segment of this id")

    @router.get("/model", responses=answers(ModelAnswer))
    async def model() -> Response:
        """The model in use and what it reads."""
        holder = service.holder
        before = None if holder.previous is None else holder.previous.label
        return JSONResponse(_model_in_use(holder.current) | {"previous": before})

    return router


def health_routes(service: Service) -> APIRouter:
    """The routes for those who run the server."""
    router = APIRouter(tags=["health"])
    checked_at = -READY_FOR_S

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @router.get("/readyz", responses={HTTPStatus.SERVICE_UNAVAILABLE: {"model": ProblemAnswer}})
    async def readyz() -> dict[str, Any]:
        """The model in use still gives its golden vectors."""
        nonlocal checked_at
        scorer = service.holder.current
        if time.monotonic() - checked_at > READY_FOR_S:
            try:
                await service.worker.run(scorer.check)
            except BundleError as error:
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
            checked_at = time.monotonic()
        return {"status": "ready"} | service.holder.state()

    @router.get("/metrics")
    async def metrics() -> Response:
        """Counts for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return router


def _described(segment: Segment) -> dict[str, Any]:
    facts = [asdict(fact) | {"text": fact.text} for fact in segment.facts]
    return {
        "id": segment.id,
        "name": segment.name,
        "n_users": segment.n_users,
        "share": segment.share,
        "facts": facts,
    }


def _model_in_use(scorer: Scorer) -> dict[str, Any]:
    found = scorer.resolved
    return {
        "model_version": found.label,
        "name": found.name,
        "version": found.version,
        "aliases": list(found.aliases),
        "sha256": found.digest,
        "trained_as_of": iso(scorer.model.trained_as_of),
        "embedding_dimensions": scorer.model.embedding_dim,
        "n_segments": len(scorer.model.segments),
        "fields": {"time": "time"} | scorer.reader.fields,
    }
