"""How many events a second the forecast and the taste stage learn from, and how much is padding.

Run from the root of the repository, by ``python -m tests.benchmarks training`` or with a store of
one's own::

    python -m tests.benchmarks.bench_training --store shop.store --histories 20000

A stage is run as a training job runs it, on a part of the histories: reading, whole profiles,
losses, optimiser steps, validation and checkpoints are in its time, preparing is not. Events are
those that the recurrent layer reads in all passes.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.logs import stores
from tests.benchmarks.measure import cost_of
from tests.benchmarks.tables import deliver

N_USERS, N_DAYS = 2_000, 120
N_HISTORIES = 1_000
VARIANTS = (("forecast", 64), ("forecast", 256), ("taste", 64))
PADDING = "share of the recurrent layer's steps in a pass that carry no event"
SETUP = """
import tempfile
from tests.benchmarks import work
from training.config import TrainConfig
work.one_thread()
store, stage = Path(sys.argv[1]), sys.argv[2]
config = TrainConfig(
    encoder="hybrid",
    max_histories=int(sys.argv[4]),
    model={"recurrent_dimensions": int(sys.argv[3])},
)
folder = tempfile.TemporaryDirectory()
"""
WORK = """
told = work.timed_fit(store, config, Path(folder.name), last=stage)
folder.cleanup()
"""


def row(log: str, store: Path, stage: str, *, width: int, n_histories: int) -> dict[str, Any]:
    """Train one stage in a process of its own."""
    cost = cost_of(WORK, str(store), stage, str(width), str(n_histories), setup=SETUP)
    return {
        "log": log,
        "stage": stage,
        "width": width,
        "events": cost.told["events"],
        "CPU s": round(cost.told["cpu_s"], 2),
        "wall s": round(cost.told["wall_s"], 2),
        "events per CPU s": round(cost.told["events"] / cost.told["cpu_s"]),
        "padding": f"{cost.told['padding']:.1%}",
        "peak MiB": round(cost.peak_mb),
    }


def run(
    store: Path | None = None, n_histories: int = N_HISTORIES, n_users: int = N_USERS
) -> dict[str, Any]:
    """Measure each stage on each log.

    Parameters
    ----------
    store
        An event store; None takes the one of the environment, or a synthetic one and OULAD.
    n_histories
        Histories that are sampled to learn from.
    n_users
        Users of the synthetic log.
    """
    with tempfile.TemporaryDirectory(prefix="bench_training_") as made:
        logs = stores(Path(made), n_users, n_days=N_DAYS, given=store)
        rows = [
            row(log, path, stage, width=width, n_histories=n_histories)
            for log, path in logs.items()
            for stage, width in VARIANTS
        ]
    return {"rows": rows, "width": "of the recurrent layer", "padding": PADDING}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, help="event store to train on")
    parser.add_argument("--histories", type=int, default=N_HISTORIES, help="to learn from")
    parser.add_argument("--users", type=int, default=N_USERS, help="of the synthetic log")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    deliver("training", run(arguments.store, arguments.histories, arguments.users), arguments.json)


if __name__ == "__main__":
    main()
