"""The frozen slice: the same users at the same moment for both models of a review."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.clock import iso
from segmenter.errors import ConfigError
from segmenter.events.batches import users_until
from segmenter.events.store import EventStore
from segmenter.registry import ResolvedModel

MAX_USERS = 10_000
"""Of more users a sample is looked at."""


@dataclass(frozen=True)
class Slice:
    """Users of a store as they were before a cut.

    Attributes
    ----------
    store
        The events.
    users
        int64 [n] rows of the store.
    cut
        Microseconds: models read what is before it, and are judged by what comes after.
    seed
        Of the sample of users and of everything that is drawn in the review.
    """

    store: EventStore
    users: np.ndarray
    cut: int
    seed: int

    @property
    def as_of(self) -> int:
        """The newest moment that models may read, microseconds."""
        return self.cut - 1

    def identity(self) -> dict[str, Any]:
        """What must be equal for a slice to be the same one."""
        ids = "\n".join(self.store.user_ids().gather(self.users).to_list())
        return {
            "store": self.store.path.name,
            "store_digest": self.store.digest,
            "cut": iso(self.cut),
            "end": iso(max(self.cut, self.store.newest + 1)),
            "n_users": len(self.users),
            "users_digest": hashlib.sha256(ids.encode()).hexdigest(),
            "seed": self.seed,
        }


def freeze(store: EventStore, *, cut: int | None, trained_as_of: int, seed: int = 0) -> Slice:
    """Choose the users and the moment.

    Parameters
    ----------
    store
        The events.
    cut
        Microseconds; None takes the moment after the newest event that a model learned from.
    trained_as_of
        The newest event that either model learned from.
    seed
        Of the sample.

    Raises
    ------
    ConfigError
        If a model has seen what comes after the cut, or nobody has an event before it.
    """
    moment = trained_as_of + 1 if cut is None else cut
    if moment <= trained_as_of:
        message = (
            f"a review must not judge models by what they learned from: one of them read events "
            f"until {iso(trained_as_of)}, and the cut is {iso(moment)}; pass a later --cut"
        )
        raise ConfigError(message)
    users = users_until(store, moment - 1)
    if len(users) == 0:
        message = f"no event of {store.path} lies before {iso(moment)}; pass a later --cut"
        raise ConfigError(message)
    if len(users) > MAX_USERS:
        generator = np.random.default_rng(seed)
        users = np.sort(generator.choice(users, MAX_USERS, replace=False))
    return Slice(store, users, moment, seed)


def recorded_store(client: Any, found: ResolvedModel) -> Path:  # noqa: ANN401 - MlflowClient
    """The event store that a version's run was trained on, where it still stands.

    Raises
    ------
    ConfigError
        If the run tells none, or it is gone.
    """
    run = client.get_run(found.run_id)
    places = [
        Path(json.loads(used.dataset.source).get("uri", ""))
        for used in run.inputs.dataset_inputs
        if used.dataset.source_type == "local"
    ]
    standing = [place for place in places if place.is_dir()]
    if not standing:
        told = ", ".join(map(str, places)) or "none"
        message = (
            f"the event store that {found.label} was trained on is needed to review it; its run "
            f"tells of {told}, which is not here; pass --store"
        )
        raise ConfigError(message)
    return standing[0]
