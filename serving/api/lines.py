"""A batch of users as JSON lines: read as they arrive, computed some at a time."""

import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

from serving.api.problems import Problem
from serving.api.schemas import UserEvents
from serving.api.scorer import Answer, Scorer
from serving.api.settings import Limits
from serving.api.worker import Worker

CHUNK_USERS, CHUNK_EVENTS = 32, 4096
"""Computed at once: enough to share the cost of a call, few enough to let others in between."""


class LineBatch:
    """Assigns the users of one request.

    Parameters
    ----------
    scorer
        The model; the same for all lines, whatever happens meanwhile.
    worker
        Computes.
    limits
        Of them, `line_bytes` and `users_per_request`.
    """

    def __init__(self, scorer: Scorer, worker: Worker, limits: Limits) -> None:
        self.scorer, self.worker, self.limits = scorer, worker, limits
        self.answers: list[Answer] = []
        self._open: list[tuple[int, UserEvents]] = []
        self._n_events = 0

    async def read(
        self, chunks: AsyncIterator[bytes], clock: Callable[[], dt.datetime]
    ) -> list[Answer]:
        """An answer or a problem per line that is not blank, in order.

        Raises
        ------
        Problem
            413 when a line or their number is beyond the limits.
        """
        async for line in lines_of(chunks, self.limits.line_bytes):
            await self._take(line, clock())
        await self._compute(clock())
        return self.answers

    async def _take(self, line: bytes, now: dt.datetime) -> None:
        if len(self.answers) >= self.limits.users_per_request:
            message = f"a batch must hold at most {self.limits.users_per_request} users"
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        try:
            user = self.scorer.reader.read(line, now)
        except Problem as problem:
            self.answers.append(problem)
            return
        self._open.append((len(self.answers), user))
        self.answers.append({})
        self._n_events += len(user["events"])
        if len(self._open) >= CHUNK_USERS or self._n_events >= CHUNK_EVENTS:
            await self._compute(now)

    async def _compute(self, now: dt.datetime) -> None:
        """Answer the users that wait."""
        waiting, self._open, self._n_events = self._open, [], 0
        users = [user for _, user in waiting]
        if users:
            found = await self.worker.run(lambda: self.scorer.assign(users, now))
            for (place, _), answer in zip(waiting, found, strict=True):
                self.answers[place] = answer


async def lines_of(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """Lines that are not blank, of a body that arrives in pieces.

    Raises
    ------
    Problem
        413 when a line is longer than `limit` bytes.
    """
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *whole, rest = rest.split(b"\n")
            for line in whole:
                if line.strip():
                    yield checked_size(bytes(line), limit)
        checked_size(rest, limit)
    if rest.strip():
        yield bytes(rest)


def checked_size(body: Any, limit: int) -> Any:  # noqa: ANN401 - bytes of any kind
    """The body itself.

    Raises
    ------
    Problem
        413 when it is longer than `limit` bytes.
    """
    if len(body) > limit:
        message = f"the events of a user must be at most {limit} bytes"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    return body


def answer_line(number: int, answer: Answer, request_id: str) -> bytes:
    """One line of the answer; a problem says which line of the request it is of, from 1."""
    if isinstance(answer, Problem):
        answer = {"line": number, "error": answer.to_json(request_id)}
    return json.dumps(answer).encode() + b"\n"
