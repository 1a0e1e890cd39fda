"""The routes of the space: look-alikes, directions, paths, drift and search over embeddings.

The space is the one that the server was started with; it does not follow the model in use. Unlike
other refusals, those of the space repeat what was asked, such as a condition that nobody meets:
they go to who asked and into no log.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from segmenter.errors import ConfigError
from serving.api import space_answers
from serving.api.problems import Problem
from serving.api.routes import answers, asked_of
from serving.api.service import JSON, Service, now
from serving.api.space_schemas import (
    Asked,
    DirectionRequest,
    DriftRequest,
    LookalikesRequest,
    PathRequest,
    SearchRequest,
)
from serving.api.worker import Worker, computed
from serving.shards import MANIFEST
from serving.space_tables import OpenedSpace, open_space

A = TypeVar("A", bound=Asked)
EXAMPLES: dict[str, dict[str, Any]] = {
    "search": {"near": "segment_id=1", "k": 5},
    "lookalikes": {"seed_group": "segment_id=1", "n_users": 5},
    "direction": {"target": "segment_id=1", "reference": "segment_id=2", "k": 3},
    "path": {"start": "segment_id=1", "end": "segment_id=2", "steps": 4},
    "drift": {"group": "segment_id=1", "target": "segment_id=2"},
}
"""What can be asked of scores, whose segments are metadata."""


class SpaceAnswer(BaseModel):
    """The space that the server has."""

    identity: str
    n_users: int
    dimensions: int
    columns: list[str]
    of_model_in_use: bool


def read_space(path: Path, metadata: Path | None) -> OpenedSpace:
    """A folder that `segmenter score` wrote, or embeddings from anywhere; see `open_space`."""
    if not path.exists():
        message = f"--space must name scores or embeddings; there is no {path}"
        raise ConfigError(message)
    if (path / MANIFEST).is_file():
        return open_space(embeddings=None, scores=path, metadata=metadata)
    return open_space(embeddings=path, scores=None, metadata=metadata)


class SpaceDesk:
    """Takes what is asked to the space, in a thread of its own.

    Parameters
    ----------
    service
        What all routes share.
    opened
        The space.
    """

    def __init__(self, service: Service, opened: OpenedSpace) -> None:
        self.service, self.opened = service, opened
        # Of its own, so that no page waits for a ranking.
        self.worker = Worker(service.limits.space_waiting)

    async def search(self, request: Request) -> Response:
        """Answer a search, perhaps for events, which the model in use must understand alike."""
        asked = SearchRequest.read(await request.body())
        point = None if asked.events is None else await self._point(asked.events)
        return await self._told(lambda: space_answers.search(self.opened.space, asked, point))

    async def answer(
        self, request: Request, form: type[A], compute: Callable[[Any, A], dict[str, Any]]
    ) -> Response:
        """Answer anything else."""
        asked = form.read(await request.body())
        return await self._told(lambda: compute(self.opened.space, asked))

    async def _told(self, job: Callable[[], dict[str, Any]]) -> Response:
        return Response(json.dumps(await computed(self.worker, job)), media_type=JSON)

    async def _point(self, events: list[Any]) -> np.ndarray:
        """Embedding float32 [d] of described behaviour."""
        scorer, moment = self.service.holder.current, now()
        if scorer.resolved.digest != self.opened.identity:
            message = "events can be searched for while the model that made the space is in use"
            raise Problem(HTTPStatus.CONFLICT, message)
        body = json.dumps({"user_id": "described", "events": events}).encode()
        user = scorer.reader.read(body, moment)
        with self.service.worker.admitted():
            (answer,) = await self.service.worker.run(lambda: scorer.embed([user], moment))
        if isinstance(answer, Problem):
            raise answer
        return np.asarray(answer["embedding"], dtype=np.float32)


def space_routes(desk: SpaceDesk) -> APIRouter:
    """The routes of a server that has a space."""
    router = APIRouter(prefix="/v1", tags=["space"])
    opened = desk.opened

    @router.get("/space", responses=answers(SpaceAnswer))
    async def space() -> dict[str, Any]:
        """What the space is and what is known of its users."""
        in_use = desk.service.holder.current.resolved.digest
        return {
            "identity": opened.identity,
            "n_users": len(opened.space.ids),
            "dimensions": opened.space.vectors.shape[1],
            "columns": opened.space.metadata.columns,
            "of_model_in_use": opened.identity == in_use,
        }

    @router.post("/space/search", **asked_of(SearchRequest, EXAMPLES["search"]))
    async def search(request: Request) -> Response:
        """Find the users nearest to a place, to A - B + C, or to described behaviour."""
        return await desk.search(request)

    @router.post("/space/lookalikes", **asked_of(LookalikesRequest, EXAMPLES["lookalikes"]))
    async def lookalikes(request: Request) -> Response:
        """Rank everybody by likeness to seeds, with the lift to expect at each reach.

        Seeds that nothing sets apart are refused with 422 and the reason.
        """
        return await desk.answer(request, LookalikesRequest, space_answers.lookalikes)

    @router.post("/space/direction", **asked_of(DirectionRequest, EXAMPLES["direction"]))
    async def direction(request: Request) -> Response:
        """Find what leads from one group to another, and apply it to a place."""
        return await desk.answer(request, DirectionRequest, space_answers.direction)

    @router.post("/space/path", **asked_of(PathRequest, EXAMPLES["path"]))
    async def path(request: Request) -> Response:
        """Walk between two places in even steps of what is seen around."""
        return await desk.answer(request, PathRequest, space_answers.path)

    @router.post("/space/drift", **asked_of(DriftRequest, EXAMPLES["drift"]))
    async def drift(request: Request) -> Response:
        """Measure how far a group is from another one."""
        return await desk.answer(request, DriftRequest, space_answers.drift)

    return router
