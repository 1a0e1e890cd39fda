"""What a user's segment is worth after 1, 2, 3, 5 and 10 events.

Run from the root of the repository, by ``python -m tests.benchmarks first_session``, which trains
a model of each real log, or with models at hand::

    python -m tests.benchmarks.bench_first_session --model BUNDLE --store STORE

Each user is placed from the first events alone, at the moment of the last of them, by the code
that serves. Beside the share who are in the segment of their whole history stand the same of the
macro segment, the share of a guess at the largest segment, and the mean strength: a first-session
answer should be weak, and say so.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.audience_model import BATCH_USERS, AudienceModel, embed_batch
from segmenter.events.batches import SequenceReader, history_ends, users_until
from segmenter.events.store import EventStore
from segmenter.terminal import ProgressCallback
from tests.benchmarks.real_logs import real_logs
from tests.benchmarks.tables import deliver
from training.config import TrainConfig
from training.plan import TrainRequest, plan_training
from training.train import train

N_EVENTS = (1, 2, 3, 5, 10)
MAX_USERS = 5_000
WEAK = 0.5


@contextmanager
def _silent(_: str) -> Iterator[ProgressCallback]:
    yield lambda _done, _total: None


def first_embeddings(
    model: AudienceModel, store: EventStore, users: np.ndarray, *, n_events: int
) -> np.ndarray:
    """Embeddings of users from their first events, as of the last of these, float32 [n, D]."""
    reader = SequenceReader(store, model.network.vocabulary)
    starts = np.asarray(store.offsets)[users]
    ends = starts + n_events
    parts = []
    for begin in range(0, len(users), BATCH_USERS):
        some = slice(begin, begin + BATCH_USERS)
        as_of = np.asarray(store.times)[ends[some] - 1].astype(np.int64)
        parts.append(embed_batch(model.network, reader.between(starts[some], ends[some], as_of)))
    return np.concatenate(parts)


def rows_of(name: str, model: AudienceModel, store: EventStore) -> list[dict[str, Any]]:
    """Agreement and strength after each number of events, over the users with the most of them."""
    as_of = model.trained_as_of
    users = users_until(store, as_of)
    n_known = history_ends(store, users, as_of) - np.asarray(store.offsets)[users]
    users = users[n_known > max(N_EVENTS)]
    if len(users) > MAX_USERS:
        chosen = np.random.default_rng(0).choice(len(users), MAX_USERS, replace=False)
        users = users[np.sort(chosen)]
    whole = model.embed(store, users, as_of=as_of)
    final = model.assign(whole).segment_id
    above = model.levels(whole, final)
    guess = float(np.bincount(final).max() / len(final))
    rows = []
    for n_events in N_EVENTS:
        embeddings = first_embeddings(model, store, users, n_events=n_events)
        found = model.assign(embeddings)
        same, weak = found.segment_id == final, found.strength < WEAK
        row = {
            "log": name,
            "events": n_events,
            "users": len(users),
            "same segment": float(same.mean()),
            "largest segment": guess,
            "mean strength": float(found.strength.mean()),
            "weak": float(weak.mean()),
            "same, of the strong": float(same[~weak].mean()) if (~weak).any() else float("nan"),
        }
        levels = model.levels(embeddings, found.segment_id)
        if above is not None and levels is not None:
            row["same macro"] = float((levels[0] == above[0]).mean())
        rows.append(row)
    return rows


def run(
    models: Sequence[tuple[Path, Path]] = (), *, scratch: Path | None = None
) -> dict[str, Any]:
    """Measure models at hand, or one of each real log.

    Parameters
    ----------
    models
        Bundle and store of each.
    scratch
        Folder where logs and models are kept; None makes one and removes it.
    """
    rows: list[dict[str, Any]] = []
    for bundle, place in models:
        rows += rows_of(place.stem, AudienceModel.load(bundle), EventStore.open(place))
    if not models:
        with tempfile.TemporaryDirectory(prefix="bench_first_session_") as made:
            folder = scratch or Path(made)
            for log in real_logs(folder):
                request = TrainRequest(
                    log.store.path, TrainConfig(), folder / "mlruns", until=log.until
                )
                bundle = train(plan_training(request), _silent).bundle
                rows += rows_of(log.name, AudienceModel.load(bundle), log.store)
    return {"rows": rows, "weak": f"a strength below {WEAK}"}


def main() -> None:
    """Measure the models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, action="append", default=[], help="bundle folder")
    parser.add_argument("--store", type=Path, action="append", default=[], help="its event store")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    pairs = tuple(zip(arguments.model, arguments.store, strict=True))
    deliver("first_session", run(pairs), arguments.json)


if __name__ == "__main__":
    main()
