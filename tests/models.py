"""A small, real model without training: planted users, fitted buffers, random weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.cluster import KMeans

from segmenter.audience_model import AudienceModel, embed_users
from segmenter.clock import iso
from segmenter.events.ingest import ingest
from segmenter.events.samples import planted_personas
from segmenter.events.store import EventStore
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.coverage import fit_coverage
from segmenter.segments.density import Leaves
from segmenter.segments.hierarchy import Hierarchy
from segmenter.segments.lineage import Lineage
from segmenter.segments.profiles import describe_segments
from segmenter.segments.projection import fit_projection
from segmenter.segments.segment import Segment
from training.config import TrainConfig
from training.nesting import fit_levels
from training.prepare import prepare
from training.segmentation import Segmentation, user_facts
from training.selection import Choice

N_USERS = 120
N_SEGMENTS = 5
N_CORES = 12
OUTSIDER_SHARE = 0.05
SMALL = {
    "forecast_events": 32,
    "sequence_events": 32,
    "forecast_dimensions": 8,
    "taste_dimensions": 8,
    "event_dimensions": 16,
    "recurrent_dimensions": 16,
    "decoder_dimensions": 16,
    "profile_dimensions": 8,
}


@dataclass(frozen=True)
class World:
    """A log, its store, and a model of it with its bundle.

    Attributes
    ----------
    log
        Raw events, with a session per user and day.
    store
        The store made from it.
    model
        As saved: with its digest.
    bundle
        The model's folder.
    """

    log: pl.DataFrame
    store: EventStore
    model: AudienceModel
    bundle: Path


def with_sessions(log: pl.DataFrame) -> pl.DataFrame:
    """Add a session column: one session per user and day."""
    day = pl.col("time").dt.date().cast(pl.String)
    return log.with_columns(session=pl.col("user") + " on " + day)


def make_store(log: pl.DataFrame, folder: Path) -> EventStore:
    """Ingest a log given as a table; its times are UTC."""
    folder.mkdir(parents=True, exist_ok=True)
    log.write_parquet(folder / "log.parquet")
    ingest([folder / "log.parquet"], folder / "store")
    return EventStore.open(folder / "store")


def make_model(
    store: EventStore, *, seed: int = 0, sizes: Mapping[str, int] = SMALL
) -> AudienceModel:
    """A model of a store's users as training would make it, but for the gradient steps."""
    config, as_of = TrainConfig(seed=seed, model=dict(sizes)), store.newest
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        prepared = prepare(store, config, as_of=as_of)
    network, users = prepared.model.eval(), np.arange(store.n_users)
    embeddings = embed_users(network, store, users, as_of=as_of)
    projection = fit_projection(
        embeddings,
        n_forecast=network.config.forecast_dimensions,
        taste_weight=0.3,
        taste_components=4,
    )
    space = projection(embeddings)
    means = KMeans(N_SEGMENTS, n_init=1, random_state=seed).fit(space)
    assigner = PrototypeAssigner.fit(means.cluster_centers_, space)
    assignment = assigner.assign(space)
    segment_id = assignment.segment_id
    half_core = np.arange(len(users)) % 2 == 0
    rule = fit_coverage(
        assignment, assigner, rows=users, in_core=half_core, outsider_share=OUTSIDER_SHARE
    )
    facts = user_facts(prepared.reader, users, as_of=as_of)
    segments = describe_segments(
        segment_id,
        facts.presence,
        facts.tokens,
        levels=facts.levels,
        core=np.bincount(segment_id),
    )
    training = {"as_of": iso(as_of), "as_of_us": as_of, "store_digest": store.digest}
    training["coverage"] = rule.to_json()
    model = AudienceModel(network, projection, assigner, segments, training)
    cores = KMeans(N_CORES, n_init=1, random_state=seed).fit_predict(space)
    leaves = Leaves(np.arange(len(users)), cores, np.zeros(N_CORES))
    choice, assigned = Choice((), projection, leaves), assigner.assign(space)
    found = Segmentation(choice, assigner, segments, leaves, space, assigned, 1.0, facts)
    levels = fit_levels(found, space, at=iso(as_of), seed=seed)
    nested = _with_halves(levels, segments, space=space, segment_id=assigned.segment_id)
    return replace(model, hierarchy=nested)


def _with_halves(
    levels: Hierarchy, segments: tuple[Segment, ...], *, space: np.ndarray, segment_id: np.ndarray
) -> Hierarchy:
    """Two micro segments in each segment: of so few users a fit would keep one."""
    micros, prototypes, segment_of = [], [], {}
    for item in segments:
        inside = np.flatnonzero(segment_id == item.id)
        halves = np.array_split(inside[np.argsort(space[inside, 0], kind="stable")], 2)
        for half in halves:
            number = len(micros) + 1
            micros.append(replace(item, id=number, name=f"part {number}", n_users=len(half)))
            prototypes.append(space[half].mean(axis=0))
            segment_of[number] = item.id
    return replace(
        levels,
        micros=tuple(micros),
        segment_of=segment_of,
        prototypes=np.stack(prototypes).astype(np.float64),
        micro_lineage=Lineage.begin(micros, at=levels.macro_lineage.histories[0].steps[0].at),
    )


def make_world(folder: Path) -> World:
    """The log, store, model and bundle that tests share; nobody may change them."""
    log = with_sessions(planted_personas(N_USERS, seed=3, n_days=30).events)
    store = make_store(log, folder)
    model = make_model(store).save(folder / "bundle")
    return World(log, store, model, folder / "bundle")


def lists_of(log: pl.DataFrame, users: list[str]) -> dict[str, list[list[Any]]]:
    """Parallel lists per user, as a caller from outside would send them, in the log's order."""
    columns: dict[str, list[list[Any]]] = {name: [] for name in log.columns if name != "user"}
    plain = log.with_columns(pl.col("time").dt.epoch("us"))
    for user in users:
        own = plain.filter(pl.col("user") == user)
        for name, lists in columns.items():
            lists.append(own[name].to_list())
    return columns


def frame_of(columns: Mapping[str, list[list[Any]]], users: list[str]) -> Any:
    """The lists as the table that MLflow wants, a pandas.DataFrame."""
    import pandas as pd  # noqa: PLC0415 - only the tests of the flavor need it

    return pd.DataFrame({"user_id": users, **columns})
