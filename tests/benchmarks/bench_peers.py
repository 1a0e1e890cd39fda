"""Training and embedding beside pytorch-lifestream, on the same events, in turns.

That library needs an environment of its own, whose interpreter is named by the environment
variable `PEER` or on the command line; without it only our rows are measured::

    python -m tests.benchmarks.bench_peers --python /path/to/venv/bin/python

Both train with a recurrent layer of 256 and one thread; both embed as their users would: we with
the default network, it with the model of its tutorial. Ours trains with the losses and the profile
that belong to it. Events are those that the recurrent layer reads. We embed everybody, since our
batches are sorted by length; it does not sort, and embeds a sample of the same users.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.events.store import EventStore
from tests.benchmarks.bench_embedding import (
    EMBEDDING as OUR_EMBEDDING,
    EMBEDDING_SETUP as OUR_EMBEDDING_SETUP,
)
from tests.benchmarks.bench_training import SETUP as OUR_TRAINING_SETUP, WORK as OUR_TRAINING
from tests.benchmarks.logs import stores
from tests.benchmarks.measure import Cost, cost_of
from tests.benchmarks.peer_lifestream import NUMBERS
from tests.benchmarks.tables import deliver

PEER = "SEGMENTER_BENCHMARK_LIFESTREAM"
N_USERS, N_DAYS = 1_000, 120
EMBEDDED_USERS = 600
OUR_HISTORIES, PEER_BATCHES = 1_000, 8
REPEATS = 3
IMPORTS = "from ptls.frames.coles import CoLESModule"
TRAINING, EMBEDDING = "train, width 256", "embed"
OURS, THEIRS = "segmenter", "pytorch-lifestream"
WIDTH = 256
NOT_NAMED = f"no interpreter named: give --python, or set {PEER}"

PEER_SETUP = """
import numpy as np
from tests.benchmarks import peer_lifestream as peer
peer.one_thread()
records = peer.records_of(Path(sys.argv[1]))
model = peer.coles(records)
"""
PEER_TRAINING_SETUP = PEER_SETUP + "peer.train(model, records, max_batches=1)"
PEER_TRAINING = "told = peer.train(model, records, max_batches=int(sys.argv[2]))"
PEER_EMBEDDING_SETUP = (
    PEER_SETUP
    + """
chosen = [records[user] for user in np.load(sys.argv[2])]
peer.embed(model, chosen[:10])
"""
)
PEER_EMBEDDING = "told = {'users': peer.embed(model, chosen)}"


def export(store: EventStore, arrays: Path, users: Path) -> None:
    """Write all events, and whom the peer embeds, as plain arrays for another environment."""
    columns = {name: np.asarray(store.codes(name)) for name in store.categorical}
    columns |= {NUMBERS + name: np.asarray(store.numbers(name)) for name in store.numeric}
    offsets, times = np.asarray(store.offsets), np.asarray(store.times)
    np.savez(arrays, offsets=offsets, times=times, **columns)
    n_embedded = min(EMBEDDED_USERS, store.n_users)
    chosen = np.random.default_rng(0).choice(store.n_users, n_embedded, replace=False)
    np.save(users, chosen)


def refusal(python: str | None) -> str | None:
    """Why the peer can not be measured, or None when it can."""
    if python is None:
        return NOT_NAMED
    command = [python, "-W", "ignore", "-c", IMPORTS]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - named by hand
    except OSError as error:
        return f"{python} cannot be run: {error.strerror}"
    return tried.stderr.strip().splitlines()[-1] if tried.returncode else None


def measured(
    store: Path, folder: Path, python: str | None, *, repeats: int
) -> dict[tuple[str, str], list[Cost]]:
    """Costs by (work, library), in turns; the peer's only where it has an interpreter."""
    ours, arrays, users = str(store), str(folder / "log.npz"), str(folder / "users.npy")
    jobs = {
        (TRAINING, OURS): (
            (OUR_TRAINING, ours, "forecast", str(WIDTH), str(OUR_HISTORIES)),
            {"setup": OUR_TRAINING_SETUP},
        ),
        (EMBEDDING, OURS): ((OUR_EMBEDDING, ours), {"setup": OUR_EMBEDDING_SETUP}),
    }
    if python is not None:
        export(EventStore.open(store), Path(arrays), Path(users))
        jobs[TRAINING, THEIRS] = (
            (PEER_TRAINING, arrays, str(PEER_BATCHES)),
            {"setup": PEER_TRAINING_SETUP, "python": python},
        )
        jobs[EMBEDDING, THEIRS] = (
            (PEER_EMBEDDING, arrays, users),
            {"setup": PEER_EMBEDDING_SETUP, "python": python},
        )
    costs: dict[tuple[str, str], list[Cost]] = {job: [] for job in jobs}
    for _ in range(repeats):
        for job, (work, options) in jobs.items():
            costs[job].append(cost_of(*work, **options))
    return costs


def row(work: str, library: str, several: list[Cost]) -> dict[str, Any]:
    """The median of several runs, by what was done in a CPU second."""
    unit = "events" if work == TRAINING else "users"
    spent = [cost.told.get("cpu_s", cost.cpu_s) for cost in several]
    rates = [cost.told[unit] / cpu_s for cost, cpu_s in zip(several, spent, strict=True)]
    return {
        "work": work,
        "library": library,
        "done": f"{several[0].told[unit]:,} {unit}",
        "CPU s": round(statistics.median(spent), 2),
        "per CPU s": round(statistics.median(rates), 1),
        "least": round(min(rates), 1),
        "most": round(max(rates), 1),
        "padding": f"{several[0].told['padding']:.0%}" if "padding" in several[0].told else "-",
        "peak MiB": round(max(cost.peak_mb for cost in several)),
    }


def run(
    python: str | None = None,
    store: Path | None = None,
    n_users: int = N_USERS,
    *,
    repeats: int = REPEATS,
) -> dict[str, Any]:
    """Measure both libraries on one log: a given store, OULAD where it is there, or synthetic.

    Parameters
    ----------
    python
        Interpreter of the peer's environment; None looks at the environment variable `PEER`.
    store
        An event store; None takes the one of the environment, OULAD or a synthetic one.
    n_users
        Users of the synthetic log.
    repeats
        Runs of each.
    """
    python = python or os.environ.get(PEER)
    why_not = refusal(python)
    with tempfile.TemporaryDirectory(prefix="bench_peers_") as made:
        log, path = list(stores(Path(made), n_users, n_days=N_DAYS, given=store).items())[-1]
        costs = measured(path, Path(made), None if why_not else python, repeats=repeats)
    rows = [row(work, library, several) for (work, library), several in sorted(costs.items())]
    result: dict[str, Any] = {"rows": rows, "log": log, "runs": f"{repeats}, in turns; medians"}
    if why_not:
        return result | {THEIRS: f"skipped: {why_not}"}
    rate = {(one["work"], one["library"]): one["per CPU s"] for one in rows}
    ratios = {work: rate[work, OURS] / rate[work, THEIRS] for work in (TRAINING, EMBEDDING)}
    return result | {f"{work}, ours against theirs": round(r, 1) for work, r in ratios.items()}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", help="interpreter of an environment with pytorch-lifestream")
    parser.add_argument("--store", type=Path, help="event store to work on")
    parser.add_argument("--users", type=int, default=N_USERS, help="of the synthetic log")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each, in turns")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    result = run(arguments.python, arguments.store, arguments.users, repeats=arguments.repeats)
    deliver("peers", result, arguments.json)


if __name__ == "__main__":
    main()
