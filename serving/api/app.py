"""The application: routes, errors in one form, and a document of the model's own fields."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from serving.api.problems import Problem, field_name
from serving.api.routes import health_routes, model_routes, user_routes
from serving.api.schemas import example_request
from serving.api.scorer import Scorer
from serving.api.service import JSON, JSON_LINES, Service, request_id_of

TITLE, VERSION = "segmenter", "1"
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_app(service: Service, lifespan: Lifespan | None = None) -> FastAPI:
    """Assemble the application.

    Parameters
    ----------
    service
        What the routes share.
    lifespan
        What runs beside the requests.
    """
    app = FastAPI(title=TITLE, version=VERSION, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.router.redirect_slashes = False  # a redirect would go where the Host header says
    for make in (user_routes, model_routes, health_routes):
        app.include_router(make(service))
    app.add_exception_handler(Problem, _send)
    app.add_exception_handler(HTTPException, _send)
    app.add_exception_handler(RequestValidationError, _send)
    app.add_exception_handler(Exception, _send)
    app.openapi = lambda: document(app, service.holder.current)  # type: ignore[method-assign] # FastAPI's own way
    return app


def document(app: FastAPI, scorer: Scorer) -> dict[str, Any]:
    """The OpenAPI document for the fields that a model reads."""
    described = get_openapi(title=TITLE, version=VERSION, routes=app.routes)
    schema = scorer.reader.json_schema()
    described["components"]["schemas"] |= schema.pop("$defs") | {"UserEvents": schema}
    described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"key": []}]
    example = example_request(scorer.reader.fields, scorer.model.trained_as_of)
    reference = {"$ref": "#/components/schemas/UserEvents"}
    content = {JSON: {"schema": reference, "example": example}}
    lines = {JSON_LINES: {"schema": reference, "example": example}}
    for path in ("/v1/assign", "/v1/embed", "/v1/assign:batch"):
        kind = lines if path.endswith("batch") else content
        described["paths"][path]["post"]["requestBody"] = {"required": True, "content": kind}
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
