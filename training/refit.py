"""What a refit did to the space and what the data did in between, in figures.

The embeddings are compared as they are, without any alignment: what reads an embedding (segments,
neighbours, a centroid that was saved) reads it without one, too.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from segmenter.audience_model import AudienceModel, embed_users
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.events.batches import history_ends, users_until
from segmenter.events.store import EventStore
from segmenter.events.vocabulary import MISSING, OTHER, Vocabulary, known_counts
from segmenter.files import read_json, write_json
from training.refit_report import EmbeddingDrift, FieldDrift, Refit, SegmentFlow
from training.warm_start import WarmStart

FIT_TIME = "fit-time.json"
"""In a job's folder: how long the fit of the network took."""
MAX_USERS = 5_000
"""Users on whom drift is measured; medians and R2 of more say the same."""


def embedding_drift(
    parent: AudienceModel, network: SequenceAutoencoder, store: EventStore, *, seed: int
) -> EmbeddingDrift | None:
    """Embed the parent's users with both networks as of the parent's time, and compare.

    Parameters
    ----------
    parent
        The earlier model.
    network
        The refitted network.
    store
        The newer store.
    seed
        Of the sample, where users are many.

    Returns
    -------
    EmbeddingDrift or None
        None where no user of the store has an event until the parent's as-of time.
    """
    as_of = parent.trained_as_of
    users = users_until(store, as_of)
    if len(users) == 0:
        return None
    if len(users) > MAX_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))
    before = parent.embed(store, users, as_of=as_of)
    after = embed_users(network, store, users, as_of=as_of)
    n_forecast = network.config.forecast_dimensions
    stayed = parent.assign(before).segment_id == parent.assign(after).segment_id
    displacement, r2 = moved(before, after)
    return EmbeddingDrift(
        len(users),
        displacement,
        r2,
        moved(before[:, :n_forecast], after[:, :n_forecast])[1],
        moved(before[:, n_forecast:], after[:, n_forecast:])[1],
        float(stayed.mean()),
    )


def moved(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Median relative displacement, and R2, of `after` against `before`, float32 [n, D] each.

    Where `before` does not vary, the displacement is absolute and R2 is 1 or 0.
    """
    error = np.square(after.astype(np.float64) - before).sum(axis=1)
    spread = np.square(before - before.mean(axis=0, dtype=np.float64)).sum(axis=1).mean()
    if spread == 0:
        return float(np.median(np.sqrt(error))), float(not error.any())
    return float(np.median(np.sqrt(error / spread))), float(1 - error.mean() / spread)


def field_drifts(
    known: Vocabulary, grown: Vocabulary, store: EventStore, *, since: int, as_of: int
) -> dict[str, FieldDrift]:
    """Compare the values of the events until `since` with those after it, until `as_of`.

    Parameters
    ----------
    known, grown
        Vocabularies of parent and refit.
    store
        The newer store.
    since, as_of
        As-of times of parent and refit, microseconds.
    """
    until, whole = known_counts(grown, store, as_of=since), known_counts(grown, store, as_of=as_of)
    drifts = {}
    for name in grown.categorical:
        before, after = until[name], whole[name] - until[name]
        n_known = known.size(name) if name in known.values else MISSING + 1
        n_after = max(int(after.sum()), 1)
        distance = np.abs(before / max(int(before.sum()), 1) - after / n_after).sum() / 2
        learned = after[max(n_known, OTHER + 1) :].sum()
        drifts[name] = FieldDrift(
            new_values=grown.size(name) - max(n_known, OTHER + 1),
            distance=float(distance) if before.any() and after.any() else 0.0,
            unknown_before=float((after[OTHER] + learned) / n_after),
            unknown_after=float(after[OTHER] / n_after),
        )
    return drifts


def compare_with_parent(
    start: WarmStart,
    network: SequenceAutoencoder,
    store: EventStore,
    *,
    as_of: int,
    folder: Path,
    segments: SegmentFlow,
    seed: int,
) -> Refit:
    """Measure a refit against the model that it started from.

    Parameters
    ----------
    start
        The earlier model.
    network
        The refitted network.
    store, as_of
        The newer store and the end of the refit's training period, microseconds.
    folder
        The job's folder, with the time of the fit.
    segments
        Where the users are today.
    seed
        Of the sample of users, where they are many.
    """
    since, spent = start.model.trained_as_of, read_time(folder / FIT_TIME)
    everybody = np.arange(store.n_users)
    new = history_ends(store, everybody, as_of) - history_ends(store, everybody, since)
    known, grown = start.model.network.vocabulary, network.vocabulary
    return Refit(
        parent=start.to_json(),
        wall_s=spent["wall_s"],
        cpu_s=spent["cpu_s"],
        new_events=int(new.sum()),
        fields=field_drifts(known, grown, store, since=since, as_of=as_of),
        embedding=embedding_drift(start.model, network, store, seed=seed),
        segments=segments,
    )


@contextmanager
def counted_time(path: Path) -> Iterator[None]:
    """Add the seconds of the block, by the wall and of the processor, to a file.

    A job that was interrupted goes on counting when it is resumed; what a kill cut off is lost.
    """
    spent = read_time(path)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        wall_s = spent["wall_s"] + time.perf_counter() - wall
        cpu_s = spent["cpu_s"] + time.process_time() - cpu
        write_json(path, {"wall_s": wall_s, "cpu_s": cpu_s})


def read_time(path: Path) -> dict[str, float]:
    """Seconds ``wall_s`` and ``cpu_s`` that `counted_time` wrote; zeros before."""
    if not path.exists():
        return {"wall_s": 0.0, "cpu_s": 0.0}
    return {name: float(value) for name, value in read_json(path).items()}
