"""How fast and in how much memory a log becomes an event store.

Run from the root of the repository::

    python -m tests.benchmarks.bench_ingest --events 5000000 20000000

It makes a synthetic log of each size (users, event types, items, categories, values, sessions;
100 events per user) in a scratch folder, ingests it in a process of its own, and prints events,
CPU and wall seconds, events per CPU second and peak memory. The log is removed afterwards.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

EVENTS_PER_USER = 100
CHUNK_EVENTS = 1_000_000
TYPES = ("view", "search", "cart", "purchase", "wish", "return")
START_US = 1_704_067_200_000_000
SECOND_US = 1_000_000


def write_log(path: Path, n_events: int) -> None:
    """Write a log in time order, a million events at a time."""
    users = pl.Series([f"user-{i:08d}" for i in range(max(1, n_events // EVENTS_PER_USER))])
    items = pl.Series([f"item {i}" for i in range(50_000)])
    categories = pl.Series([f"category {i}" for i in range(200)])
    writer = None
    for start in range(0, n_events, CHUNK_EVENTS):
        size = min(CHUNK_EVENTS, n_events - start)
        generator = np.random.default_rng([1, start])
        who = (len(users) * generator.random(size) ** 2).astype(np.int64)
        item = (len(items) * generator.random(size) ** 3).astype(np.int64)
        kind = generator.choice(len(TYPES), size, p=(0.6, 0.1, 0.15, 0.1, 0.04, 0.01))
        span = 365 * 86_400 * SECOND_US
        times = START_US + np.sort(start + generator.random(size) * size) / n_events * span
        value = pl.Series(np.round(generator.lognormal(3, 1, size), 2))
        frame = pl.DataFrame(
            {
                "user": users.gather(who),
                "event": pl.Series(TYPES).gather(kind),
                "time": pl.Series(times.astype(np.int64)).cast(pl.Datetime("us", "UTC")),
                "item": items.gather(item),
                "category": categories.gather(item % 200),
                "value": value.set(pl.Series(kind != 3), None),
            }
        ).with_columns(session=pl.format("{}/{}", "user", pl.col("time").dt.ordinal_day() // 7))
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def measure(log: Path, store: Path, n_events: int) -> dict[str, float]:
    """Ingest a log in a new process; what it took."""
    command = (
        "from pathlib import Path; from segmenter.events.ingest import ingest; "
        f"ingest([Path({str(log)!r})], Path({str(store)!r}))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", command], check=True)  # noqa: S603 - our own code
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "events": n_events,
        "cpu_s": round(cpu, 2),
        "wall_s": round(wall, 2),
        "events_per_cpu_s": round(n_events / cpu),
        # Children's peak is the greatest so far: sizes are measured in ascending order.
        "peak_mb": round(after.ru_maxrss / 1024),
        "store_mb": round(sum(f.stat().st_size for f in store.rglob("*") if f.is_file()) / 2**20),
    }


def main() -> None:
    """Measure every size that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[5_000_000, 20_000_000])
    parser.add_argument("--scratch", type=Path, help="folder for the log and the store")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    results = []
    print(f"{'events':>12} {'CPU s':>8} {'wall s':>8} {'events/CPU s':>14} {'peak MB':>8}")
    for n_events in sorted(arguments.events):
        folder = Path(tempfile.mkdtemp(prefix="bench_ingest_", dir=arguments.scratch))
        try:
            write_log(folder / "log.parquet", n_events)
            result = measure(folder / "log.parquet", folder / "store", n_events)
        finally:
            shutil.rmtree(folder)
        results.append(result)
        print(
            f"{result['events']:>12,} {result['cpu_s']:>8.1f} {result['wall_s']:>8.1f} "
            f"{result['events_per_cpu_s']:>14,} {result['peak_mb']:>8,}"
        )
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
