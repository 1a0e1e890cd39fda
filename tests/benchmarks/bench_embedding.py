"""How many users a second are embedded, and whether memory grows with their number.

Run from the root of the repository, by ``python -m tests.benchmarks embedding`` or with other
sizes::

    python -m tests.benchmarks.bench_embedding --users 10000 100000 --scratch /tmp/embedding

Speed is that of `segmenter.audience_model.embed_users` with the default network, long histories.
Memory is that of batch scoring, which is how everybody is embedded: users with six events each, so
that what grows is their number. The network is prepared and not trained: it is as fast.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segmenter.events.store import EventStore
from tests.benchmarks.logs import persona_store, stores
from tests.benchmarks.measure import Cost, cost_of
from tests.benchmarks.tables import deliver
from tests.models import make_model

N_USERS, N_DAYS = 2_000, 120
USERS, FEW_DAYS = (10_000, 100_000, 1_000_000), 4
REPEATS = 3
EMBEDDING_SETUP = """
import numpy as np
from tests.benchmarks import work
from segmenter.events.store import EventStore
from training.config import TrainConfig
from training.prepare import prepare
work.one_thread()
store = EventStore.open(Path(sys.argv[1]))
network = prepare(store, TrainConfig(), as_of=store.newest).model.eval()
work.embed_some(store.path, network, np.arange(10))
"""
EMBEDDING = "told = {'users': len(work.embed_some(store.path, network))}"
SCORING_SETUP = """
import torch
from segmenter.bundle import read_bundle
from segmenter.registry import ResolvedModel
from serving.batch import score
torch.set_num_threads(1)
model = Path(sys.argv[3])
digest = read_bundle(model).digest
resolved = ResolvedModel("benchmark", None, (), model, None, digest)
"""
SCORING = "told = {'users': score(Path(sys.argv[1]), Path(sys.argv[2]), resolved).n_users}"


def _row(work: str, store: Path, log: str, *, costs: Sequence[Cost]) -> dict[str, Any]:
    """The median of several runs."""
    n_users, opened = costs[0].told["users"], EventStore.open(store)
    cpu_s = statistics.median(cost.cpu_s for cost in costs)
    return {
        "work": work,
        "log": log,
        "users": n_users,
        "events": opened.n_events,
        "CPU s": round(cpu_s, 2),
        "wall s": round(statistics.median(cost.wall_s for cost in costs), 2),
        "users per CPU s": round(n_users / cpu_s),
        "peak MiB": round(max(cost.peak_mb for cost in costs)),
    }


def speed_rows(folder: Path, n_users: int, *, given: Path | None) -> list[dict[str, Any]]:
    """Embed everybody of each log, several times."""
    rows = []
    for log, store in stores(folder, n_users, n_days=N_DAYS, given=given).items():
        costs = [cost_of(EMBEDDING, str(store), setup=EMBEDDING_SETUP) for _ in range(REPEATS)]
        rows.append(_row("embed_users", store, log, costs=costs))
    return rows


def memory_rows(folder: Path, users: Sequence[int]) -> list[dict[str, Any]]:
    """Score ever more users with one model, each number in a process of its own."""
    made = {n_users: persona_store(folder, n_users, n_days=FEW_DAYS) for n_users in sorted(users)}
    first, model = next(iter(made.values())), folder / "model"
    make_model(EventStore.open(first), sizes={}).save(model)
    rows = []
    for store in made.values():
        with tempfile.TemporaryDirectory(dir=folder) as out:
            cost = cost_of(SCORING, str(store), f"{out}/scores", str(model), setup=SCORING_SETUP)
        rows.append(_row("batch scoring", store, "synthetic", costs=[cost]))
    return rows


def run(
    users: Sequence[int] = USERS,
    store: Path | None = None,
    *,
    n_users: int = N_USERS,
    scratch: Path | None = None,
) -> dict[str, Any]:
    """Measure the speed on long histories, and the memory of ever more users.

    Parameters
    ----------
    users
        Numbers of users to score.
    store
        An event store for the speed; None takes the one of the environment, or a synthetic one
        and OULAD.
    n_users
        Users of the synthetic log for the speed.
    scratch
        Folder where logs and stores are kept for another time; None makes one and removes it.
    """
    with tempfile.TemporaryDirectory(prefix="bench_embedding_") as made:
        folder = scratch or Path(made)
        speed, memory = (speed_rows(folder, n_users, given=store), memory_rows(folder, users))
    growth = memory[-1]["peak MiB"] / memory[0]["peak MiB"] - 1
    return {
        "rows": speed + memory,
        "peak memory of scoring from the fewest to the most users": f"{growth:+.1%}",
        "embed_users": f"median of {REPEATS}",
    }


def main() -> None:
    """Measure the sizes that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=USERS, help="to score")
    parser.add_argument("--store", type=Path, help="event store whose users are embedded")
    parser.add_argument("--scratch", type=Path, help="folder in which logs and stores are kept")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    result = run(arguments.users, arguments.store, scratch=arguments.scratch)
    deliver("embedding", result, arguments.json)


if __name__ == "__main__":
    main()
