"""One thread that computes, and a bounded number of requests that wait for it.

A model uses one core; more of them are used by more processes. Health checks and refusals do not
wait, since they are answered by another thread.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

from segmenter.errors import ConfigError, CreativeError, FitError, SpaceError
from serving.api.problems import Problem

T = TypeVar("T")
REFUSALS = (ConfigError, CreativeError, FitError, SpaceError)
"""Errors of a job that are about what was asked."""


class Worker:
    """Runs jobs one after the other.

    Parameters
    ----------
    limit
        Most requests that are admitted at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.n_admitted = limit, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place among the requests in work.

        Raises
        ------
        Problem
            503 when all places are taken.
        """
        if self.n_admitted >= self.limit:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self.limit} requests are waiting already; try again later",
                retry_after_s=1,
            )
        self.n_admitted += 1
        try:
            yield
        finally:
            self.n_admitted -= 1

    async def run(self, job: Callable[[], T]) -> T:
        """The result of a job, after those before it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    def close(self) -> None:
        """End after the job in work."""
        self._thread.shutdown(wait=True, cancel_futures=True)


async def computed(worker: Worker, job: Callable[[], T]) -> T:
    """The result of a job that what was asked may make impossible.

    Raises
    ------
    Problem
        422 with the reason where the job refuses what it was asked; 503 when all places are taken.
    """
    with worker.admitted():
        try:
            return await worker.run(job)
        except REFUSALS as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
