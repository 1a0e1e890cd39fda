"""Following an alias: a newer model is loaded aside, checked, and exchanged between requests."""

import asyncio
import logging
import time
from dataclasses import dataclass

from segmenter.errors import SegmenterError
from segmenter.registry import ResolvedModel
from segmenter.tracking_server import Registry
from serving.api.holder import ModelHolder
from serving.api.metrics import Metrics
from serving.api.resolve import resolve_aside
from serving.api.scorer import Scorer
from serving.api.settings import Limits

LOG = logging.getLogger("segmenter.online")
RETRY_S = 60.0
"""After how long a refused model is tried again, in case that it was mended."""


@dataclass(frozen=True)
class Alias:
    """A name in the registry that may move from version to version.

    Attributes
    ----------
    home
        The registry.
    name, alias
        The model and the alias.
    """

    home: Registry
    name: str
    alias: str

    def version(self) -> int | None:
        """Version that the alias stands for now, read without MLflow."""
        return self.home.alias_version(self.name, self.alias)

    def resolve(self) -> ResolvedModel:
        """The model and its verified bundle."""
        return resolve_aside(self.home, f"{self.name}@{self.alias}")


class ChampionWatch:
    """Keeps the model in use at what an alias stands for.

    Parameters
    ----------
    alias
        What is followed.
    holder
        The model in use.
    metrics
        Counts exchanges and refusals.
    limits
        For the requests of newer models.
    """

    def __init__(
        self, alias: Alias, holder: ModelHolder, *, metrics: Metrics, limits: Limits
    ) -> None:
        self.alias, self.holder, self.metrics, self.limits = alias, holder, metrics, limits
        self._refused: tuple[int | None, float] | None = None

    async def run(self, every_s: float) -> None:
        """Look again and again, in a thread beside the requests."""
        while True:
            await asyncio.sleep(every_s)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Compare the alias with the model in use, once, and exchange where it has moved.

        Whatever goes wrong leaves the model in use as it is; `ModelHolder.refusal` says what.
        """
        version = None
        try:
            version = self.alias.version()
            if version == self.holder.current.resolved.version:
                self.holder.refusal = self._refused = None
            elif not self._was_refused_lately(version):
                self._exchange()
        except (SegmenterError, OSError, MemoryError) as error:
            self._refuse(version, error)

    def _exchange(self) -> None:
        found = self.alias.resolve()
        before = self.holder.previous
        if before is not None and before.resolved.digest == found.digest:
            before.golden.check(before.model)
            scorer = Scorer(before.model, found, before.reader, before.golden, before.names)
        else:
            scorer = Scorer.load(found, self.limits)
        self.holder.exchange(scorer)
        self._refused = None
        self.metrics.exchanges.inc()
        self.metrics.show_model(self.holder)
        LOG.warning("model %s is in use now", scorer.label)

    def _refuse(self, version: int | None, error: Exception) -> None:
        self.holder.refusal = f"{type(error).__name__}: {error}"
        self._refused = (version, time.monotonic())
        self.metrics.refusals.inc()
        LOG.error("a newer model is not used: %s", self.holder.refusal)

    def _was_refused_lately(self, version: int | None) -> bool:
        if self._refused is None or self._refused[0] != version:
            return False
        return time.monotonic() - self._refused[1] < RETRY_S
