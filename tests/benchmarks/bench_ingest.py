"""How fast and in how much memory a log becomes an event store.

Run from the root of the repository, by ``python -m tests.benchmarks ingest`` or with other sizes::

    python -m tests.benchmarks.bench_ingest --millions 5 20 --scratch /tmp/ingest

It makes a synthetic log of 20 million events (a million heavy-tailed users, six columns, in time
order, in files of a million rows) and ingests its first 5 million and all of it; then, where it
is there, the real log OULAD, beside one sort in memory. Every ingest has a process of its own.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.files import atomic_file
from tests.benchmarks.logs import OULAD
from tests.benchmarks.measure import Cost, cost_of
from tests.benchmarks.tables import deliver

MILLIONS = (5, 20)
FILE_EVENTS = 1_000_000
N_USERS, N_ITEMS, N_CATEGORIES = 1_000_000, 50_000, 200
TYPES = ("view", "search", "cart", "purchase", "wish", "return")
SHARES = (0.6, 0.1, 0.15, 0.1, 0.04, 0.01)
START_US, SPAN_US = 1_704_067_200_000_000, 365 * 86_400 * 1_000_000
REPEATS = 5
INGEST_SETUP = "from segmenter.events.ingest import ingest"
INGEST = "ingest([Path(name) for name in sys.argv[2:]], Path(sys.argv[1]))"
SORT_SETUP = "import polars as pl"
SORT = """
log = pl.read_parquet(sys.argv[1]).sort("user_id", "timestamp", "seq")
offsets = log["user_id"].rle_id().unique_counts().cum_sum()
"""


def write_log(folder: Path, n_files: int) -> list[Path]:
    """Write a log in time order, a million events to a file; files that are there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.parquet" for number in range(n_files)]
    for number, path in enumerate(paths):
        if not path.exists():
            with atomic_file(path) as temporary:
                _events(number).write_parquet(temporary)
    return paths


def _events(number: int) -> pl.DataFrame:
    """The million events of one file."""
    size, gap_us = FILE_EVENTS, SPAN_US / (max(MILLIONS) * FILE_EVENTS)
    generator = np.random.default_rng([1, number])
    # The share of the first k of n users is (k / n) ** (1 / 3): one event in a hundred is of one
    # user, and the last user has a third of the mean.
    user = (N_USERS * generator.random(size) ** 3).astype(np.int64)
    item = (N_ITEMS * generator.random(size) ** 3).astype(np.int64)
    kind = generator.choice(len(TYPES), size, p=SHARES)
    times = START_US + (number + np.sort(generator.random(size))) * size * gap_us
    value = pl.Series(np.round(generator.lognormal(3, 1, size), 2))
    return pl.DataFrame(
        {
            "user": pl.select(pl.format("user-{}", pl.Series(user))).to_series(),
            "event": pl.Series(TYPES).gather(kind),
            "time": pl.Series(times.astype(np.int64)).cast(pl.Datetime("us", "UTC")),
            "item": pl.select(pl.format("item {}", pl.Series(item))).to_series(),
            "category": pl.select(
                pl.format("category {}", pl.Series(item % N_CATEGORIES))
            ).to_series(),
            "value": value.set(pl.Series(kind != TYPES.index("purchase")), None),
        }
    )


def _row(log: str, n_events: int, cost: Cost) -> dict[str, Any]:
    return {
        "log": log,
        "events": n_events,
        "CPU s": round(cost.cpu_s, 2),
        "wall s": round(cost.wall_s, 2),
        "events per CPU s": round(n_events / cost.cpu_s),
        "peak MiB": round(cost.peak_mb),
    }


def synthetic_rows(millions: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """Ingest prefixes of the synthetic log."""
    files = [str(path) for path in write_log(folder / "log", max(millions))]
    rows = []
    for n_files in sorted(millions):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            cost = cost_of(INGEST, f"{place}/store", *files[:n_files], setup=INGEST_SETUP)
        rows.append(_row("synthetic", n_files * FILE_EVENTS, cost))
    return rows


def oulad_rows() -> list[dict[str, Any]]:
    """Ingest OULAD, in turns with one sort in memory; the median of each."""
    n_events = int(pl.scan_parquet(OULAD).select(pl.len()).collect().item())
    costs: dict[str, list[Cost]] = {"OULAD dev": [], "OULAD dev, one sort in memory": []}
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as place:
            ingested = cost_of(INGEST, f"{place}/store", str(OULAD), setup=INGEST_SETUP)
        costs["OULAD dev"].append(ingested)
        sort = cost_of(SORT, str(OULAD), setup=SORT_SETUP)
        costs["OULAD dev, one sort in memory"].append(sort)
    medians = {
        name: Cost(
            statistics.median(one.cpu_s for one in several),
            statistics.median(one.wall_s for one in several),
            max(one.peak_mb for one in several),
        )
        for name, several in costs.items()
    }
    return [_row(name, n_events, cost) for name, cost in medians.items()]


def run(millions: Sequence[int] = MILLIONS, scratch: Path | None = None) -> dict[str, Any]:
    """Measure prefixes of the synthetic log, and the real log where it is there.

    Parameters
    ----------
    millions
        Events of each prefix.
    scratch
        Folder where the log is kept for another time; None makes one and removes it.
    """
    with tempfile.TemporaryDirectory(prefix="bench_ingest_") as made:
        rows = synthetic_rows(millions, scratch or Path(made))
    small, large = rows[0], rows[-1]
    growth = large["peak MiB"] / small["peak MiB"] - 1
    if OULAD.exists():
        rows += oulad_rows()
    return {
        "rows": rows,
        "peak memory from the least to the most events": f"{growth:+.1%}",
        "OULAD dev": f"median of {REPEATS}" if OULAD.exists() else "not on this machine",
    }


def main() -> None:
    """Measure the sizes that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=int, nargs="+", default=MILLIONS, help="events")
    parser.add_argument("--scratch", type=Path, help="folder in which the log is kept")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    deliver("ingest", run(arguments.millions, arguments.scratch), arguments.json)


if __name__ == "__main__":
    main()
