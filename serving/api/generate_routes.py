"""The routes of generation: journeys from any point, and the coming window of a user.

The population is that of the model in use when the server was started and of the store that was
given; it does not follow the model. Refusals repeat what was asked, such as a place that is none:
they go to who asked and into no log.
"""

import json

from fastapi import APIRouter, Request, Response

from serving.api import generate_answers
from serving.api.generate_answers import Source
from serving.api.generate_schemas import ForecastRequest, GenerateRequest
from serving.api.routes import asked_of
from serving.api.service import JSON, JSON_LINES
from serving.api.worker import Worker, computed

GENERATE_EXAMPLE = {"n": 5, "seed": 1}
FORECAST_EXAMPLE = {"user": "u-1"}


def generate_routes(source: Source, worker: Worker) -> APIRouter:
    """The routes of a server that generates.

    Parameters
    ----------
    source
        What is drawn from.
    worker
        A thread of their own, so that no page waits for journeys.
    """
    router = APIRouter(prefix="/v1", tags=["generation"])

    @router.post("/generate", **asked_of(GenerateRequest, GENERATE_EXAMPLE))
    async def generate(request: Request) -> Response:
        """Draw journeys of everybody, of segments, of a group, from a place or along a path.

        With `Accept: application/x-ndjson` the answer is a line per journey, else one object. A
        group of fewer than 50 users is refused with 422. Journeys that follow one place or a
        path do not stand for users (`describes_users`) and should not be passed on.
        """
        asked = GenerateRequest.read(await request.body())
        told, lines = await computed(worker, lambda: generate_answers.generate(source, asked))
        if JSON_LINES in request.headers.get("accept", ""):
            return Response(b"".join(line + b"\n" for line in lines), media_type=JSON_LINES)
        head = json.dumps(told).encode().removesuffix(b"}")
        body = head + b', "journeys": [' + b", ".join(lines) + b"]}"
        return Response(body, media_type=JSON)

    @router.post("/forecast", **asked_of(ForecastRequest, FORECAST_EXAMPLE))
    async def forecast(request: Request) -> Response:
        """Tell what a user of the store will do in the coming window, with intervals."""
        asked = ForecastRequest.read(await request.body())
        answer = await computed(worker, lambda: generate_answers.forecast(source, asked))
        return Response(json.dumps(answer), media_type=JSON)

    return router
