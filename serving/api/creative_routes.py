"""The routes of a creative space: search, spectrum, drift, refresh and audit of a library.

The space is the one that the server was started with; it has nothing to do with the model in use.
Refusals repeat what was asked, such as a column that nobody knows: they go to who asked and into
no log.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from serving.api import creative_answers
from serving.api.creative_answers import Library
from serving.api.creative_schemas import (
    AuditRequest,
    DriftRequest,
    RefreshRequest,
    SearchRequest,
    SpectrumRequest,
)
from serving.api.problems import Problem
from serving.api.routes import answers, asked_of
from serving.api.service import JSON
from serving.api.space_schemas import Asked
from serving.api.worker import Worker, computed

A = TypeVar("A", bound=Asked)
JPEG = "image/jpeg"
EXAMPLES: dict[str, dict[str, Any]] = {
    "search": {"query": "calm indoor scene", "k": 5},
    "spectrum": {"start": "calm", "end": "energetic", "n": 7},
    "drift": {"by": "region"},
    "refresh": {"region": "asia"},
    "audit": {"group": "presenter", "queries": ["presenter anna"], "compare": ["presenter ben"]},
}
"""What can be asked of a library whose manifest has these columns."""


class CreativeAnswer(BaseModel):
    """The creative space that the server has."""

    encoder: str
    n_pictures: int
    n_texts: int
    columns: list[str]
    readable: list[str]


def creative_routes(library: Library, worker: Worker) -> APIRouter:
    """The routes of a server that has a creative space.

    Parameters
    ----------
    library
        The space.
    worker
        A thread of their own, so that no page waits for a study.
    """
    router = APIRouter(prefix="/v1", tags=["creative"])

    async def told(
        request: Request, form: type[A], compute: Callable[[Library, A], dict[str, Any]]
    ) -> Response:
        asked = form.read(await request.body())
        answer = await computed(worker, lambda: compute(library, asked))
        return Response(json.dumps(answer), media_type=JSON)

    @router.post("/creative/search", **asked_of(SearchRequest, EXAMPLES["search"]))
    async def search(request: Request) -> Response:
        """Find pictures and texts by words, by a picture of the library, or by both."""
        return await told(request, SearchRequest, creative_answers.search)

    @router.post("/creative/spectrum", **asked_of(SpectrumRequest, EXAMPLES["spectrum"]))
    async def spectrum(request: Request) -> Response:
        """Lay real pictures from one pole to the other, all else alike, beside random ones."""
        return await told(request, SpectrumRequest, creative_answers.spectrum)

    @router.post("/creative/drift", **asked_of(DriftRequest, EXAMPLES["drift"]))
    async def drift(request: Request) -> Response:
        """Measure how far each region is from the assets flagged on brand, with the reasons."""
        return await told(request, DriftRequest, creative_answers.drift)

    @router.post("/creative/refresh", **asked_of(RefreshRequest, EXAMPLES["refresh"]))
    async def refresh(request: Request) -> Response:
        """Show where a region could go: real assets toward the brand that keep its own look."""
        return await told(request, RefreshRequest, creative_answers.refresh)

    @router.post("/creative/audit", **asked_of(AuditRequest, EXAMPLES["audit"]))
    async def audit(request: Request) -> Response:
        """Test whether searches favour a group by more than chance."""
        return await told(request, AuditRequest, creative_answers.audit)

    _add_pictures(router, library, worker)
    return router


def _add_pictures(router: APIRouter, library: Library, worker: Worker) -> None:
    """The routes that tell of the library and show its pictures."""

    @router.get("/creative", responses=answers(CreativeAnswer))
    async def creative() -> dict[str, Any]:
        """What the library holds and which columns its encoder can see."""
        return library.about

    @router.get(
        "/creative/assets/{asset_id:path}",
        responses={**answers(dict, HTTPStatus.NOT_FOUND), 200: {"content": {JPEG: {}}}},
        response_class=Response,
    )
    async def asset(asset_id: str) -> Response:
        """Show the kept thumbnail of a picture; no file but the space's own is read."""
        found = await computed(worker, lambda: creative_answers.thumbnail(library, asset_id))
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such picture; ask for an id")
        return Response(found, media_type=JPEG, headers={"x-content-type-options": "nosniff"})
