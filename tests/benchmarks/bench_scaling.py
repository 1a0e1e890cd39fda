"""How time and memory of each step of a job grow with the number of users.

Run from the root of the repository, by ``python -m tests.benchmarks scaling`` or from another
number of users::

    python -m tests.benchmarks.bench_scaling --users 2000

Logs of one, four and sixteen times as many planted users go through every step, each in a process
of its own, on one thread; what one step leaves is read by the next. The stages of training make
one pass each. The exponent is the slope of the logarithms: 1 is time in proportion to users. The
choice of the level is made on at most 4,000 users, and looks at no more.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.events.store import EventStore
from tests.benchmarks.logs import write_personas
from tests.benchmarks.measure import Cost, cost_of
from tests.benchmarks.tables import deliver

N_USERS, N_DAYS = 300, 30
TIMES = (1, 4, 16)
PLACES = """
folder = Path(sys.argv[1])
logs, store, network = folder / "log", folder / "log.store", folder / "network"
"""
SETUP = """
import numpy as np
from tests.benchmarks import work
from training.config import TrainConfig
work.one_thread()
config = TrainConfig(encoder="hybrid", forecast_epochs=1, taste_epochs=1)
"""
INGEST_SETUP = "from segmenter.events.ingest import ingest"
FIT = "told = work.timed_fit(store, config, network, last={!r})"
EMBED_SETUP = (
    SETUP
    + """
network = work.fitted(store, config, network)
"""
)
SEGMENTS_SETUP = (
    EMBED_SETUP
    + """
import umap.umap_
embeddings = np.load(folder / "embeddings.npy")
"""
)
SEGMENTS = """
work.find_segments(store, network, embeddings=embeddings, config=config).save(folder / "model")
"""
SCORE_SETUP = """
import torch
from segmenter.bundle import read_bundle
from segmenter.registry import ResolvedModel
from serving.batch import score
torch.set_num_threads(1)
model = folder / "model"
resolved = ResolvedModel("benchmark", None, (), model, None, read_bundle(model).digest)
"""
STEPS = (
    ("ingest", INGEST_SETUP, "ingest(sorted(logs.iterdir()), store)"),
    ("prepare", SETUP, FIT.format("prepare")),
    ("forecast stage", SETUP, FIT.format("forecast")),
    ("taste stage", SETUP, FIT.format("taste")),
    ("embed", EMBED_SETUP, "np.save(folder / 'embeddings', work.embed_some(store, network))"),
    ("find segments", SEGMENTS_SETUP, SEGMENTS),
    ("score", SCORE_SETUP, "score(store, folder / 'scores', resolved)"),
)
"""Name, what runs before, and what is measured."""


def costs_of(folder: Path, n_users: int) -> dict[str, Cost]:
    """Send one log through all steps."""
    write_personas(folder / "log", n_users, n_days=N_DAYS)
    return {name: cost_of(work, str(folder), setup=PLACES + setup) for name, setup, work in STEPS}


def exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of the logarithm of some values over that of the sizes, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0])


def rows_of(sizes: list[int], costs: list[dict[str, Cost]]) -> list[dict[str, Any]]:
    """One row per step and size; the exponents stand in the row of the greatest size."""
    rows = []
    for name, _, _ in STEPS:
        several = [one[name] for one in costs]
        cpu_s = [cost.told.get("cpu_s", cost.cpu_s) for cost in several]
        wall_s = [cost.told.get("wall_s", cost.wall_s) for cost in several]
        peaks = [cost.peak_mb for cost in several]
        exponents = (exponent(sizes, cpu_s), exponent(sizes, peaks))
        for place, size in enumerate(sizes):
            of_cpu, of_peak = exponents if size == sizes[-1] else ("", "")
            rows.append(
                {
                    "step": name,
                    "users": size,
                    "CPU s": round(cpu_s[place], 2),
                    "wall s": round(wall_s[place], 2),
                    "peak MiB": round(peaks[place]),
                    "exponent of CPU": of_cpu and round(of_cpu, 2),
                    "of peak": of_peak and round(of_peak, 2),
                }
            )
    return rows


def run(n_users: int = N_USERS) -> dict[str, Any]:
    """Measure each step at one, four and sixteen times as many users.

    Parameters
    ----------
    n_users
        Users of the smallest log.
    """
    sizes, costs, n_events = [n_users * times for times in TIMES], [], []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="bench_scaling_") as made:
            costs.append(costs_of(Path(made), size))
            n_events.append(EventStore.open(Path(made) / "log.store").n_events)
    return {
        "rows": rows_of(sizes, costs),
        "events": ", ".join(f"{count:,}" for count in n_events),
    }


def main() -> None:
    """Measure from the number of users that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=N_USERS, help="of the smallest log")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    deliver("scaling", run(arguments.users), arguments.json)


if __name__ == "__main__":
    main()
