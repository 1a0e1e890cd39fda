"""What generation answers: the computing behind its routes, shared with `segmenter generate`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from segmenter.audience_model import AudienceModel
from segmenter.errors import ConfigError
from segmenter.events.store import EventStore
from segmenter.generation.forecasts import Backtest, backtest, forecast_user
from segmenter.generation.output import journeys_table, manifest_of, plain
from segmenter.generation.population import Population, read_population, row_of_user
from segmenter.generation.request import Drawn, Request, draw
from serving.api.generate_schemas import ForecastRequest, GenerateRequest

TOLD = ("user", "step", "segment_id", "n_events")
"""Of a journey beside its events; the point stays here, since one of a user is an embedding."""


@dataclass(frozen=True)
class Source:
    """What the routes of generation draw from.

    Attributes
    ----------
    population
        The model and the users behind it.
    """

    population: Population

    @classmethod
    def read(cls, model: AudienceModel, store: Path) -> "Source":
        """Embed the users of a store, with all their events.

        Raises
        ------
        ConfigError
            If there is no such store.
        StoreError
            If it is damaged.
        SegmentTooSmallError
            If it has fewer than 50 users.
        """
        if not store.exists():
            message = f"--generate-store must name an event store; there is no {store}"
            raise ConfigError(message)
        opened = EventStore.open(store)
        return cls(read_population(model, opened, as_of=opened.newest))

    @cached_property
    def backtest(self) -> Backtest:
        """Errors of forecasts one window earlier: measured once, when first asked for."""
        drawn_from = self.population
        return backtest(drawn_from.model, drawn_from.store, as_of=drawn_from.as_of)


def generate(source: Source, asked: GenerateRequest) -> tuple[dict[str, Any], list[bytes]]:
    """Draw what is asked for.

    Returns
    -------
    tuple
        What was drawn from what, as the manifest of `segmenter generate` says it; and a JSON
        object per journey, whose events are such as ``/v1/assign`` takes.
    """
    request = _request(asked)
    drawn = draw(source.population, request)
    told = manifest_of(source.population, request, drawn)
    told["describes_users"] = request.describes_users
    return told, list(_lines(source.population, drawn))


def forecast(source: Source, asked: ForecastRequest) -> dict[str, Any]:
    """The coming window of a user, with intervals from the window before."""
    model, store, as_of = (
        source.population.model,
        source.population.store,
        source.population.as_of,
    )
    row = row_of_user(store, asked.user, as_of=as_of)
    found = forecast_user(model, store, row, as_of=as_of, errors=source.backtest)
    return {"user": asked.user, **plain(found)}


def _request(asked: GenerateRequest) -> Request:
    segments = dict(asked.mixture or {})
    if asked.segment is not None:
        segments[asked.segment] = 1.0
    return Request(
        n=asked.n,
        segments=segments,
        users=tuple(dict.fromkeys(asked.users or ())),
        place=asked.place,
        path=None if asked.path is None else (asked.path[0], asked.path[1]),
        n_steps=asked.steps,
        on_the_data=asked.on_the_data,
        seed=asked.seed,
        temperature=asked.temperature,
    )


def _lines(population: Population, drawn: Drawn) -> Iterator[bytes]:
    """A JSON object per journey; encoded one by one, so that other threads come in between."""
    events = drawn.journeys.table(population.model.network.vocabulary)
    time = pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
    rows = events.drop("user", "seq").with_columns(time).iter_rows(named=True)
    for journey in journeys_table(population, drawn).select(TOLD).iter_rows(named=True):
        own = [
            {name: value for name, value in next(rows).items() if value is not None}
            for _ in range(journey["n_events"])
        ]
        yield json.dumps(journey | {"events": own}).encode()
