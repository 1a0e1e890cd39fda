"""The application: routes, errors in one form, and a document of the model's own fields."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from serving.api.problems import Problem, field_name
from serving.api.routes import health_routes, model_routes, user_routes
from serving.api.schemas import example_request
from serving.api.scorer import Scorer
from serving.api.service import JSON, JSON_LINES, Service, request_id_of

TITLE, VERSION = "segmenter", "1"
BODIES = {
    "/v1/assign": ("UserEvents", JSON),
    "/v1/embed": ("UserEvents", JSON),
    "/v1/assign:batch": ("UserEvents", JSON_LINES),
    "/v1/users:append": ("AppendedEvents", JSON),
}
"""Routes whose bodies depend on the fields of the model."""
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_app(
    service: Service, lifespan: Lifespan | None = None, *, more: Sequence[APIRouter] = ()
) -> FastAPI:
    """Assemble the application.

    Parameters
    ----------
    service
        What the routes share.
    lifespan
        What runs beside the requests.
    more
        Routes that only some servers have.
    """
    app = FastAPI(title=TITLE, version=VERSION, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.router.redirect_slashes = False  # a redirect would go where the Host header says
    for make in (user_routes, model_routes, health_routes):
        app.include_router(make(service))
    for router in more:
        app.include_router(router)
    app.add_exception_handler(Problem, _send)
    app.add_exception_handler(HTTPException, _send)
    app.add_exception_handler(RequestValidationError, _send)
    app.add_exception_handler(Exception, _send)
    app.openapi = lambda: document(app, service.holder.current)  # type: ignore[method-assign] # FastAPI's own way
    return app


def document(app: FastAPI, scorer: Scorer) -> dict[str, Any]:
    """The OpenAPI document for the fields that a model reads."""
    described = get_openapi(title=TITLE, version=VERSION, routes=app.routes)
    described["components"]["schemas"] |= scorer.reader.json_schemas()
    described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"key": []}]
    example = example_request(scorer.reader.fields, scorer.model.trained_as_of)
    for path, (schema, media) in BODIES.items():
        if path in described["paths"]:
            content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
            body = {"required": True, "content": {media: content}}
            described["paths"][path]["post"]["requestBody"] = body
    return described


def problem_from(error: Exception) -> Problem:
    """Any error that reaches the application as a problem."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError):
        errors = [(field_name(one["loc"]), one["msg"]) for one in error.errors()]
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(map(": ".join, errors)), errors=errors
        )
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of the server; it was logged")


async def _send(request: Request, error: Exception) -> Response:
    problem = problem_from(error)
    body = problem.body(request_id_of(request))
    return Response(body, status_code=problem.status, headers=problem.headers())
