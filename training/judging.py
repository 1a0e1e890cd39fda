"""Holding a model against what users did after it was fitted, beside an untrained twin of it."""

from dataclasses import dataclass

import numpy as np

from segmenter.audience_model import AudienceModel, embed_users
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.clock import iso
from segmenter.errors import FitError
from segmenter.events.batches import users_until
from segmenter.events.store import EventStore
from segmenter.terminal import ProgressCallback
from segmenter.validity.validate import ValiditySettings, validate
from segmenter.validity.validity_report import ValidityReport
from training.prepare import untrained
from training.user_tables import UserTables


@dataclass(frozen=True)
class Placement:
    """Where a model placed users at a time, from what they had done until then.

    Attributes
    ----------
    users
        int64 [n] rows of the store.
    labels
        int [n], their segments.
    embeddings
        float32 [n, D].
    as_of
        Microseconds; nothing later was read.
    """

    users: np.ndarray
    labels: np.ndarray
    embeddings: np.ndarray
    as_of: int


def judge(
    store: EventStore,
    placed: Placement,
    network: SequenceAutoencoder,
    *,
    tables: UserTables,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> ValidityReport:
    """Judge segments and embeddings by what users did after a time.

    Parameters
    ----------
    store
        The events.
    placed
        Users, segments and embeddings.
    network
        Made the embeddings; an untrained twin of it stands beside.
    tables
        What is known of users beside their events.
    seed
        Of everything random.
    progress
        Told of (steps done, steps in all).

    Raises
    ------
    ConfigError
        If a table cannot be read.
    ColumnError
        If a table cannot be used.
    """
    twin = untrained(network, seed=seed)
    return validate(
        store,
        users=placed.users,
        labels=placed.labels,
        cut=placed.as_of + 1,
        embeddings=placed.embeddings,
        random_embeddings=embed_users(twin, store, placed.users, as_of=placed.as_of),
        settings=ValiditySettings(seed=seed),
        progress=progress,
        **tables.read(),
    )


def judge_model(
    store: EventStore,
    model: AudienceModel,
    *,
    cut: int,
    tables: UserTables,
    progress: ProgressCallback | None = None,
) -> ValidityReport:
    """Place users as of a cut with a finished model, and judge it by what came after.

    Parameters
    ----------
    store
        The events.
    model
        Fitted on events before the cut alone.
    cut
        Microseconds.
    tables, progress
        As in `judge`.

    Raises
    ------
    FitError
        If the model has seen events at or after the cut, or no user has an event before it.
    """
    if model.trained_as_of >= cut:
        message = (
            f"the model was trained on events until {iso(model.trained_as_of)}, so it has seen "
            f"what comes after {iso(cut)}; pass a later --cut, or a model trained before it"
        )
        raise FitError(message)
    as_of = cut - 1
    users = users_until(store, as_of)
    if len(users) == 0:
        message = f"no event of {store.path} lies before {iso(cut)}; pass a later --cut"
        raise FitError(message)
    embeddings = model.embed(store, users, as_of=as_of)
    placed = Placement(users, model.assign(embeddings).segment_id, embeddings, as_of)
    return judge(store, placed, model.network, tables=tables, progress=progress)
