"""One server: a model, its limits, and a socket."""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import uvicorn
from fastapi import APIRouter, FastAPI

from segmenter.errors import ConfigError
from segmenter.registry import CHAMPION, ResolvedModel, resolve
from segmenter.tracking_server import Registry
from serving.api.app import Lifespan, build_app
from serving.api.champion import Alias, ChampionWatch
from serving.api.guard import Guard
from serving.api.holder import ModelHolder
from serving.api.kept import kept_routes
from serving.api.keys import ApiKey, KeyRing
from serving.api.metrics import Metrics
from serving.api.resolve import resolve_aside
from serving.api.scorer import Scorer
from serving.api.service import Service
from serving.api.settings import Limits
from serving.api.worker import Worker
from serving.state.choice import open_store
from serving.state.stores import Retention

KEEP_ALIVE_S = 30


@dataclass(frozen=True)
class ServerSettings:
    """How a server is run.

    Attributes
    ----------
    home
        Where registered models live: a folder or a tracking server.
    spec
        ``name@alias``, which is followed; or ``name/version`` or a bundle folder, which stay.
        None takes the champion of the only registered model.
    keys
        Who may ask; empty lets everybody.
    limits
        Bounds.
    poll_s
        Seconds between two looks at the alias.
    state
        Where histories are kept, see `serving.state.choice.open_store`; None keeps none.
    retention
        How long, and of how many users.
    space, space_metadata
        Scores or embeddings, and what is known of users, see
        `serving.api.space_routes.read_space`; None has no space.
    generate_store
        Event store of the users behind the model, for journeys and forecasts; None has none.
    creative, creative_model
        Folder of a creative space, and its checkpoint where that has moved; None has no space.
    """

    home: Registry
    spec: str | None
    keys: Sequence[ApiKey] = ()
    limits: Limits = field(default_factory=Limits)
    poll_s: float = 5.0
    state: str | None = None
    retention: Retention = field(default_factory=Retention)
    space: Path | None = None
    space_metadata: Path | None = None
    generate_store: Path | None = None
    creative: Path | None = None
    creative_model: str | None = None


def check_exposure(host: str, *, has_keys: bool, insecure: bool) -> None:
    """Refuse to let everybody ask from everywhere, unless that is what was asked for.

    Raises
    ------
    ConfigError
        If the host is not this machine alone and there are neither keys nor ``--insecure``.
    """
    if has_keys or insecure or _is_loopback(host):
        return
    message = (
        f"{host} can be reached from other machines: pass --keys FILE (see `segmenter api-key`), "
        "or --insecure if something else checks who asks"
    )
    raise ConfigError(message)


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address; port 0 takes a free one.

    Raises
    ------
    ConfigError
        If the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        message = f"cannot listen on {host} port {port}: {error}; pass another --host or --port"
        raise ConfigError(message) from error


def build_server(settings: ServerSettings) -> uvicorn.Server:
    """Load the model and put everything around it.

    Raises
    ------
    RegistryError
        If there is no such model.
    BundleError
        If its bundle is damaged or fails its golden vectors.
    """
    torch.set_num_threads(1)
    resolved, limits = _first_model(settings), settings.limits
    holder = ModelHolder(Scorer.load(resolved, limits))
    worker = Worker(limits.waiting)
    metrics = Metrics(holder, worker)
    alias = _alias_of(settings, resolved)
    watch = None
    if alias is not None:
        watch = ChampionWatch(alias, holder, metrics=metrics, limits=limits)
    service = Service(holder, worker, metrics, limits)
    more, closing = _more_routes(settings, service)
    lifespan = _lifespan(worker, watch, poll_s=settings.poll_s, closing=closing)
    app = build_app(service, lifespan, more=more)
    keys = KeyRing(settings.keys) if settings.keys else None
    guard = Guard(app, keys=keys, limits=limits, metrics=metrics)
    config = uvicorn.Config(
        guard,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        limit_concurrency=limits.connections,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(limits.drain_s),
    )
    return uvicorn.Server(config)


def run(server: uvicorn.Server, sock: socket.socket) -> None:
    """Answer until the process is told to end; then finish what has begun."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("segmenter.online").setLevel(logging.INFO)
    # When it has drained, uvicorn raises the signal again: an ordered end is a good one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # What was loaded stays: else every full collection walks it and holds up a request.
    gc.collect()
    gc.freeze()
    server.run(sockets=[sock])


def _first_model(settings: ServerSettings) -> ResolvedModel:
    """A folder is read here; what MLflow must be asked for, elsewhere."""
    spec = settings.spec
    if spec is not None and Path(spec).expanduser().is_dir():
        return resolve(settings.home, str(Path(spec).expanduser().resolve()))
    return resolve_aside(settings.home, spec)


def _alias_of(settings: ServerSettings, resolved: ResolvedModel) -> Alias | None:
    """What is followed; None where a version or a folder was asked for."""
    if resolved.version is None:
        return None
    if settings.spec is None:
        return Alias(settings.home, resolved.name, CHAMPION)
    name, at, alias = settings.spec.rpartition("@")
    return Alias(settings.home, name, alias) if at and name == resolved.name else None


def _more_routes(
    settings: ServerSettings, service: Service
) -> tuple[list[APIRouter], list[Callable[[], None]]]:
    """The routes that were asked for, and what is to be closed with them.

    Only who asks for them needs what computes them.
    """
    makers = (_kept_routes, _space_routes, _generate_routes, _creative_routes)
    made = [one for make in makers for one in make(settings, service)]
    return [router for router, _ in made], [close for _, close in made]


Made = Iterator[tuple[APIRouter, Callable[[], None]]]


def _kept_routes(settings: ServerSettings, service: Service) -> Made:
    if settings.state is not None:
        store = open_store(settings.state, settings.retention)
        yield kept_routes(service, store), store.close


def _space_routes(settings: ServerSettings, service: Service) -> Made:
    if settings.space is not None:
        from serving.api.space_routes import (  # noqa: PLC0415 - see _more_routes
            SpaceDesk,
            read_space,
            space_routes,
        )

        desk = SpaceDesk(service, read_space(settings.space, settings.space_metadata))
        yield space_routes(desk), desk.worker.close


def _generate_routes(settings: ServerSettings, service: Service) -> Made:
    if settings.generate_store is not None:
        from serving.api.generate_answers import Source  # noqa: PLC0415 - see _more_routes
        from serving.api.generate_routes import generate_routes  # noqa: PLC0415

        source = Source.read(service.holder.current.model, settings.generate_store)
        worker = Worker(service.limits.space_waiting)
        yield generate_routes(source, worker), worker.close


def _creative_routes(settings: ServerSettings, service: Service) -> Made:
    if settings.creative is not None:
        from segmenter.creative.extras import require_extra  # noqa: PLC0415 - see _more_routes

        require_extra()
        from serving.api.creative_answers import Library  # noqa: PLC0415
        from serving.api.creative_routes import creative_routes  # noqa: PLC0415

        library = Library.read(settings.creative, settings.creative_model)
        worker = Worker(service.limits.space_waiting)
        yield creative_routes(library, worker), worker.close


def _lifespan(
    worker: Worker,
    watch: ChampionWatch | None,
    *,
    poll_s: float,
    closing: Sequence[Callable[[], None]],
) -> Lifespan:
    """Follows the alias while the server runs, and ends the worker after the last request."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = None if watch is None else asyncio.create_task(watch.run(poll_s))
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
            worker.close()
            for close in closing:
                close()

    return lifespan


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
