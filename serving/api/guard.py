"""What stands before the application: who may ask, how much, how long; and what is logged of it.

Nothing of a request's content is ever logged, and no path but that of a known route.
"""

import asyncio
import json
import logging
import secrets
import time
import traceback
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.creative_schemas import PATHS as CREATIVE_PATHS
from serving.api.generate_schemas import PATHS as GENERATE_PATHS
from serving.api.keys import KeyRing
from serving.api.metrics import Metrics
from serving.api.problems import Problem
from serving.api.settings import Limits
from serving.api.space_schemas import PATHS as SPACE_PATHS

LOG = logging.getLogger("segmenter.online")
ONE_SEGMENT, ONE_ASSET = "/v1/segments/", "/v1/creative/assets/"
SCOPES = {
    "/v1/assign": "assign",
    "/v1/assign:batch": "assign",
    "/v1/embed": "embed",
    "/v1/users:append": "keep",
    "/v1/users:forget": "keep",
    "/v1/space": "space",
    **{f"/v1/space/{name}": "space" for name in SPACE_PATHS},
    **dict.fromkeys(GENERATE_PATHS, "generate"),
    "/v1/creative": "creative",
    **{f"/v1/creative/{name}": "creative" for name in CREATIVE_PATHS},
    f"{ONE_ASSET}ID": "creative",
    "/v1/segments": "read",
    "/v1/model": "read",
    "/openapi.json": "read",
    "/metrics": "metrics",
}
"""Route to the scope that a key must have."""
OPEN = ("/healthz", "/readyz")
"""Routes that need no key: they tell of the server and not of its data."""
MANY_USERS = "/v1/assign:batch"


@dataclass
class Exchange:
    """One request and what became of it.

    Attributes
    ----------
    route
        A known route, or ``other``.
    request_id
        Random; also in the answer.
    began
        Clock reading at its start.
    key
        Name of the key; empty without one.
    status
        Of the answer; 0 before it begins.
    n_bytes, is_read
        Bytes of the body so far, and whether that is all.
    """

    route: str
    request_id: str
    began: float
    key: str = ""
    status: int = 0
    n_bytes: int = field(default=0)
    is_read: bool = field(default=False)


class Guard:
    """The outermost layer of the server.

    Parameters
    ----------
    app
        The application.
    keys
        Who may ask; None lets everybody.
    limits
        Of them, `body_bytes`, `line_bytes` and `timeout_s`.
    metrics
        Counts the requests.
    """

    def __init__(
        self, app: ASGIApp, *, keys: KeyRing | None, limits: Limits, metrics: Metrics
    ) -> None:
        self.app, self.keys, self.limits, self.metrics = app, keys, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(route_of(scope["path"]), secrets.token_hex(8), time.perf_counter())
        scope["request_id"] = exchange.request_id
        sender = self._sender(exchange, send)
        try:
            self._admit(exchange, scope)
            async with asyncio.timeout(self.limits.timeout_s):
                await self.app(scope, self._counter(exchange, receive), sender)
        except Problem as problem:
            await _refuse(problem, exchange, sender)
        except TimeoutError:
            await _refuse(self._too_slow(exchange), exchange, sender)
        except Exception as error:  # noqa: BLE001 - the last resort: logged, never shown
            _log_failure(error, exchange)
            await _refuse(FAILURE, exchange, sender)
        finally:
            self._record(exchange, scope["method"])

    def _admit(self, exchange: Exchange, scope: Scope) -> None:
        """Refuse who may not ask."""
        if self.keys is None or exchange.route in OPEN:
            return
        headers = [value for name, value in scope["headers"] if name == b"authorization"]
        header = headers[0].decode("latin-1") if headers else None
        wanted = SCOPES.get(exchange.route, "read")
        exchange.key = self.keys.admit(header, wanted).name

    def _counter(self, exchange: Exchange, receive: Receive) -> Receive:
        """Counts the body as it arrives."""
        many = exchange.route == MANY_USERS
        limit = self.limits.body_bytes if many else self.limits.line_bytes

        async def counted() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and not exchange.is_read:
                raise Problem(
                    HTTPStatus.BAD_REQUEST, "the connection closed before the body's end"
                )
            if message["type"] == "http.request":
                exchange.n_bytes += len(message.get("body", b""))
                exchange.is_read = not message.get("more_body", False)
                if exchange.n_bytes > limit:
                    text = f"a body must be at most {limit} bytes"
                    raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
            return message

        return counted

    def _sender(self, exchange: Exchange, send: Send) -> Send:
        """Notes the status and adds the request's id."""

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                more = [(b"x-request-id", exchange.request_id.encode())]
                if exchange.status >= HTTPStatus.BAD_REQUEST and not exchange.is_read:
                    more.append((b"connection", b"close"))  # the rest is not waited for
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        return noted

    def _too_slow(self, exchange: Exchange) -> Problem:
        if exchange.is_read:
            text = f"no answer within {self.limits.timeout_s:g} seconds; try again later"
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=1)
        text = f"the body must arrive within {self.limits.timeout_s:g} seconds"
        return Problem(HTTPStatus.REQUEST_TIMEOUT, text)

    def _record(self, exchange: Exchange, method: str) -> None:
        """Count and log the request."""
        seconds = time.perf_counter() - exchange.began
        self.metrics.requests.labels(exchange.route, exchange.status).inc()
        self.metrics.seconds.labels(exchange.route).observe(seconds)
        if LOG.isEnabledFor(logging.INFO):
            line = {
                "request_id": exchange.request_id,
                "method": method if method in ("GET", "POST") else "other",
                "route": exchange.route,
                "status": exchange.status,
                "ms": round(seconds * 1000, 1),
                "key": exchange.key,
            }
            LOG.info(json.dumps(line))


FAILURE = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of the server; it was logged")


def route_of(path: str) -> str:
    """The known route of a path; what else was typed may be anything and is not repeated."""
    if path in SCOPES or path in OPEN:
        return path
    return next((f"{one}ID" for one in (ONE_SEGMENT, ONE_ASSET) if path.startswith(one)), "other")


async def _refuse(problem: Problem, exchange: Exchange, send: Send) -> None:
    """Send a problem, unless an answer has begun."""
    if exchange.status:
        return
    headers = [(name.encode(), value.encode()) for name, value in problem.headers().items()]
    body = problem.body(exchange.request_id)
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log_failure(error: Exception, exchange: Exchange) -> None:
    """Log where an error came from, without its message, which may hold a user's values."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames]
    line = {
        "request_id": exchange.request_id,
        "route": exchange.route,
        "error": type(error).__name__,
        "at": places,
    }
    LOG.error(json.dumps(line))
