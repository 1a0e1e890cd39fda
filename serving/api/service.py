"""What the routes share, and how events become answers between reading and sending."""

import datetime as dt
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from serving.api.holder import ModelHolder
from serving.api.lines import LineBatch, answer_line
from serving.api.metrics import Metrics
from serving.api.problems import Problem
from serving.api.scorer import Score
from serving.api.settings import Limits
from serving.api.worker import Worker


class PlainRoute(APIRoute):
    """A route that is given the request as it came.

    What its body must look like is checked by our own readers, so that the usual machinery, which
    would look for parameters to fill in, has nothing to do.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `fastapi.routing.APIRoute`."""
        return self.endpoint


JSON, JSON_LINES = "application/json", "application/x-ndjson"


@dataclass(frozen=True)
class Service:
    """What the routes share.

    Attributes
    ----------
    holder
        The model in use.
    worker
        Computes.
    metrics
        Counts.
    limits
        Bounds.
    """

    holder: ModelHolder
    worker: Worker
    metrics: Metrics
    limits: Limits

    async def answer(self, request: Request, score: Score) -> Response:
        """Read one user's events and compute what is asked of them."""
        body, scorer = await request.body(), self.holder.current
        moment = now()
        user = scorer.reader.read(body, moment)
        with self.worker.admitted():
            (answer,) = await self.worker.run(lambda: score(scorer, [user], moment))
        self.metrics.count_answers([answer])
        if isinstance(answer, Problem):
            raise answer
        return Response(json.dumps(answer), media_type=JSON)

    async def answer_lines(self, request: Request) -> Response:
        """Read many users' events, a line each, and answer in lines."""
        batch = LineBatch(self.holder.current, self.worker, self.limits)
        with self.worker.admitted():
            answers = await batch.read(request.stream(), now)
        self.metrics.count_answers(answers)
        request_id = request_id_of(request)
        lines = [answer_line(n, answer, request_id) for n, answer in enumerate(answers, start=1)]
        return Response(b"".join(lines), media_type=JSON_LINES)


def now() -> dt.datetime:
    """The server's clock."""
    return dt.datetime.now(dt.UTC)


def request_id_of(request: Request) -> str:
    """The id under which the request is logged."""
    return str(request.scope.get("request_id", ""))
