"""What a merge or a split would change: sizes, how far the parts are apart, what is predicted.

Everything is measured before anything is done, on the users of the fit as far as they are at
hand.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.audience_model import AudienceModel, embed_users
from segmenter.autoencoder.config import DAY_US
from segmenter.bundle import read_manifest
from segmenter.errors import BundleError, ConfigError
from segmenter.events.batches import users_until
from segmenter.events.store import EventStore
from segmenter.segments.anchored import separation
from segmenter.segments.regrouping import Regrouping
from training.inner_slice import inner_slice, sampled_rows
from training.plan import BUNDLE

EMBEDDINGS = "embeddings.npy"
"""In a job's folder: those of the training users."""
WEIGHTS = "weights.safetensors"
ONE_CLOUD = 2.6
"""Halves of a normal cloud are so many standard deviations apart; see `anchored.APART`."""


@dataclass(frozen=True)
class Crowd:
    """The users of the fit, as far as they are at hand.

    Attributes
    ----------
    store, users
        Their events: rows of the store, int64 [n]; None without a store.
    embeddings
        float32 [n, D]; None where neither the run's folder nor the store is at hand.
    """

    store: EventStore | None
    users: np.ndarray | None
    embeddings: np.ndarray | None


@dataclass(frozen=True)
class Validity:
    """What segments predict on an earlier slice of time, before and after.

    Attributes
    ----------
    before, after
        Mean over everything asked: 0 for the same guess for everybody, 1 for a perfect one.
    error
        Standard error of the difference, paired over users.
    """

    before: float
    after: float
    error: float


@dataclass(frozen=True)
class Effect:
    """What a merge or a split would change.

    Attributes
    ----------
    before, after
        Id to users, of the segments that end and of those that begin.
    came, went
        Users who would come from other segments, and go to them.
    apart
        Distance between the two parts along the line between them, in standard deviations of a
        part; None where users are not at hand.
    explained_before, explained_after
        Share of the spread of all users that lies between segments.
    validity
        None where it cannot be judged.
    reason
        Why something cannot be judged; empty else.
    """

    before: Mapping[int, int]
    after: Mapping[int, int]
    came: int = 0
    went: int = 0
    apart: float | None = None
    explained_before: float | None = None
    explained_after: float | None = None
    validity: Validity | None = None
    reason: str = ""

    def lines(self) -> list[str]:
        """For the terminal, a line each."""
        old, new = (
            ", ".join(f"{number} ({users:,} users)" for number, users in side.items())
            for side in (self.before, self.after)
        )
        lines = [f"Sizes: {old} become {new}"]
        if self.came or self.went:
            lines[0] += f"; {self.came:,} come from other segments, {self.went:,} go to them"
        if self.apart is not None:
            lines.append(
                f"Separation: the parts are {self.apart:.1f} standard deviations apart (halves of "
                f"one cloud: {ONE_CLOUD}); segments explain {self.explained_before:.1%} of the "
                f"spread of all users, then {self.explained_after:.1%}"
            )
        if self.validity is not None:
            found = self.validity
            lines.append(
                f"Validity on an earlier slice: {found.before:.3f}, then {found.after:.3f} "
                f"({found.after - found.before:+.3f}, standard error {found.error:.3f})"
            )
        if self.reason:
            lines.append(f"Validity: cannot be judged: {self.reason}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts."""
        return asdict(self)


def gather_crowd(model: AudienceModel, bundle: Path, *, jobs: Path, store: Path | None) -> Crowd:
    """Find the users of a model's fit: in its store, and in the folder of its run.

    Parameters
    ----------
    model, bundle
        The model and its folder.
    jobs
        Folder of the jobs of an MLflow home.
    store
        Event store that the model was trained on; None where it is not at hand.

    Raises
    ------
    StoreError
        If `store` is no event store.
    ConfigError
        If it is another one than the model was trained on.
    """
    kept = _kept_embeddings(bundle, jobs)
    if store is None:
        return Crowd(None, None, kept)
    opened = EventStore.open(store)
    expected = model.training["store_digest"]
    if opened.digest != expected:
        message = (
            f"--store must be the store that the model was trained on, with digest "
            f"{expected[:12]}; found {opened.digest[:12]} in {store}"
        )
        raise ConfigError(message)
    users = users_until(opened, model.trained_as_of)
    if kept is None or len(kept) != len(users):
        kept = model.embed(opened, users, as_of=model.trained_as_of)
    return Crowd(opened, users, kept)


def measure_effect(model: AudienceModel, planned: Regrouping, crowd: Crowd) -> Effect:
    """Compare the segments before and after, on the users at hand.

    Parameters
    ----------
    model
        As it is.
    planned
        What would be merged or split.
    crowd
        The users of the fit.
    """
    sizes = {item.id: item.n_users for item in model.segments}
    before = {number: sizes[number] for number in planned.old}
    if crowd.embeddings is None:
        reason = "neither the run's folder nor the store is at hand; pass --store"
        return Effect(before, planned.users, reason=reason)
    space = model.projection(crowd.embeddings)
    old, new = (one.assign(space).segment_id for one in (model.assigner, planned.assigner))
    was, will = np.isin(old, planned.old), np.isin(new, planned.new)
    parts = old if len(planned.old) > 1 else new
    ids = planned.old if len(planned.old) > 1 else planned.new
    middles = np.stack([space[parts == number].mean(axis=0) for number in ids])
    inside = np.isin(parts, ids)
    apart, _ = separation(space[inside].astype(np.float64), middles.astype(np.float64))
    validity, reason = _validity(model, planned, crowd)
    return Effect(
        {number: int((old == number).sum()) for number in planned.old},
        {number: int((new == number).sum()) for number in planned.new},
        came=int((will & ~was).sum()),
        went=int((was & ~will).sum()),
        apart=apart,
        explained_before=_explained(space, old),
        explained_after=_explained(space, new),
        validity=validity,
        reason=reason,
    )


def _kept_embeddings(bundle: Path, jobs: Path) -> np.ndarray | None:
    """Embeddings in the folder of the job whose network the model has."""
    own = _weights_digest(bundle)
    for folder in sorted(jobs.glob("*")):
        path = folder / EMBEDDINGS
        if path.exists() and own == _weights_digest(folder / BUNDLE):
            found: np.ndarray = np.load(path)
            return found
    return None


def _weights_digest(bundle: Path) -> str | None:
    """Digest of a bundle's network: renaming, merging and splitting keep it."""
    try:
        return str(read_manifest(bundle)["files"][WEIGHTS]["sha256"])
    except (BundleError, KeyError):
        return None


def _explained(space: np.ndarray, label: np.ndarray) -> float:
    """Share of the squared distances from the middle that lies between groups."""
    points = space.astype(np.float64)
    total = np.square(points - points.mean(axis=0)).sum()
    within = sum(
        np.square(points[label == one] - points[label == one].mean(axis=0)).sum()
        for one in np.unique(label)
    )
    return float(1 - within / max(total, 1e-12))


def _validity(
    model: AudienceModel, planned: Regrouping, crowd: Crowd
) -> tuple[Validity | None, str]:
    """What both segmentations predict of the last window of the training period."""
    if crowd.store is None:
        return None, "it needs the events; pass --store"
    seed = int(model.training.get("config", {}).get("seed", 0))
    end = model.trained_as_of
    cut = end - round(model.network.config.window_days * DAY_US)
    users = users_until(crowd.store, cut)
    users = users[sampled_rows(len(users), seed=seed)]
    if not len(users):
        return None, "nobody has events before the last window of the training period"
    embeddings = embed_users(model.network, crowd.store, users, as_of=cut)
    earlier = inner_slice(crowd.store, users, embeddings, cut=cut, end=end, seed=seed)
    if earlier is None:
        return None, "nothing in the last window of the training period can be predicted"
    space = model.projection(embeddings)
    before, after = (
        earlier.validity(one.assign(space).segment_id, seed=seed)
        for one in (model.assigner, planned.assigner)
    )
    error = float((after - before)[1:].std(ddof=1))
    return Validity(float(before[0]), float(after[0]), error), ""
