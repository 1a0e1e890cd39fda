"""How many users a CPU second exports, and in how much memory.

Run from the root of the repository, by ``python -m tests.benchmarks exports`` or with other
sizes::

    python -m tests.benchmarks.bench_exports --millions 1 10 --scratch /tmp/exports

It makes scores and an identity table of some million users (e-mail addresses of which four in ten
are Gmail's, telephone numbers of four countries in the writings that people use, of which one in
fifty is none), and exports all of them to Google: e-mail alone, then e-mail and telephone, then
with a ledger, then what changes when one in twenty takes the consent back. Reading, consent,
normalising, hashing, the search for the same person twice, the comparison and writing count.
Every export has a process of its own.
"""

import argparse
import datetime as dt
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from serving.shards import ASSIGNMENTS, FORMAT, MANIFEST
from tests.benchmarks.measure import Cost, cost_of
from tests.benchmarks.tables import show

MILLIONS = (1,)
CHUNK = 500_000
KINDS = ("plain", "full", "delta")
KINDS_TOLD = {"plain": "", "full": ", with a ledger", "delta": ", the change of a twentieth"}
DOMAINS = ("gmail.com", "Example.com", "gmail.com", "mail.example.org", "yahoo.example")
COUNTRIES = ("US", "US", "DE", "GB", "FR")
SETUP = """
import datetime as dt
from contextlib import nullcontext
from serving.exports.audiences import Rules
from serving.exports.destinations import DESTINATIONS
from serving.exports.export import Export, export
from serving.exports.ledger.ledger import open_ledger
from serving.exports.scores import chosen_segments, open_scores
"""
WORK = """
scores = open_scores(Path(sys.argv[1]))
rules = Rules(min_strength=0.0, minimum_age=18, moment=scores.moment)
kind = sys.argv[5]
with nullcontext() if kind == "plain" else open_ledger(Path(sys.argv[3] + ".db")) as ledger:
    job = Export(scores, Path(sys.argv[2]), tuple(chosen_segments(scores, "1")),
        (DESTINATIONS[sys.argv[4]],), rules, delta=kind == "delta", ledger=ledger)
    report = export(job, Path(sys.argv[3]))
    for number in report.deliveries:
        ledger.delivered(number)
(waterfall,) = report.waterfalls
assert waterfall.is_written and waterfall.counts["people"] > 0.94 * waterfall.counts["members"]
"""


def write_scores(folder: Path, n_users: int) -> None:
    """Scores of users in order, everybody in one segment."""
    (folder / ASSIGNMENTS).mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, n_users, CHUNK)):
        users = np.arange(start, min(start + CHUNK, n_users))
        pl.DataFrame({"user_id": _ids(users)}).with_columns(
            segment_id=pl.lit(1, pl.Int32),
            strength=pl.lit(0.9, pl.Float32),
            second_segment_id=pl.lit(None, pl.Int32),
        ).write_parquet(folder / ASSIGNMENTS / f"part-{number:05d}.parquet")
    manifest = {
        "format": FORMAT,
        "identity": f"benchmark {n_users}",
        "as_of": "2026-01-01T00:00:00Z",
        "model_version": "benchmark/1",
        "users": n_users,
        "segments": [{"id": 1, "name": "everybody", "n_users": n_users}],
        "shards": [],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def write_identities(path: Path, n_users: int, *, with_phones: bool) -> None:
    """Identities in another order than the scores."""
    writer = None
    order = np.random.default_rng(7).permutation(n_users)
    for start in range(0, n_users, CHUNK):
        table = _identities(order[start : start + CHUNK], with_phones=with_phones).to_arrow(
            compat_level=pl.CompatLevel.oldest()
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(pa.Table.from_batches(table.to_batches()))
    assert writer is not None
    writer.close()


def withdrawn(place: Path) -> Path:
    """The identities of a base after one in twenty has taken the consent back."""
    path = place / "withdrawn.parquet"
    if not path.exists():
        refuses = pl.int_range(pl.len()) % 20 == 0
        consent = pl.when(refuses).then(pl.lit("no")).otherwise("consent")
        pl.scan_parquet(place / "people.parquet").with_columns(consent=consent).sink_parquet(path)
    return path


def _ids(users: np.ndarray) -> pl.Series:
    return pl.select(pl.format("user-{}", pl.Series(users))).to_series()


def _identities(users: np.ndarray, *, with_phones: bool) -> pl.DataFrame:
    generator = np.random.default_rng(int(users[0]))
    size = len(users)
    domain = pl.Series(DOMAINS).gather(generator.integers(0, len(DOMAINS), size))
    known = pl.DataFrame(
        {
            "user_id": _ids(users),
            "email": pl.select(
                pl.format("First.Last{}+x@{}", pl.Series(users), domain)
            ).to_series(),
            "consent": pl.Series(["yes"]).gather(np.zeros(size, dtype=int)),
        }
    )
    if not with_phones:
        return known
    kind = generator.integers(0, len(COUNTRIES), size)
    number = pl.Series(generator.integers(2_000_000, 9_999_999, size)).cast(pl.String)
    writings = [
        pl.format("+1415{}", number),
        pl.format("(212) {}-{}", number.str.slice(0, 3), number.str.slice(3)),
        pl.format("0170 {}", number),
        pl.format("+44 7911 1{}", number.str.slice(2)),
        pl.format("+33 6 1{}", number),
    ]
    phone = pl.select(
        pl.coalesce(
            pl.when(pl.Series(kind) == place).then(one) for place, one in enumerate(writings)
        ).alias("phone")
    ).to_series()
    odd = pl.Series(generator.random(size) < 0.02)
    country = pl.Series(COUNTRIES).gather(kind)
    return known.with_columns(phone=phone.zip_with(~odd, number), country=country)


def _row(told: str, n_users: int, cost: Cost) -> dict[str, Any]:
    return {
        "identifiers": told,
        "users": n_users,
        "CPU s": round(cost.cpu_s, 2),
        "wall s": round(cost.wall_s, 2),
        "users per CPU s": round(n_users / cost.cpu_s),
        "peak MiB": round(cost.peak_mb),
    }


def rows(millions: Sequence[float], folder: Path) -> list[dict[str, Any]]:
    """Export bases of some sizes, with and without telephone numbers."""
    found = []
    for size in millions:
        n_users = round(size * 1_000_000)
        for told, with_phones in (("e-mail", False), ("e-mail and phone", True)):
            place = folder / f"{n_users}-{'phone' if with_phones else 'email'}"
            if not place.exists():
                write_scores(place / "scores", n_users)
                write_identities(place / "people.parquet", n_users, with_phones=with_phones)
            with tempfile.TemporaryDirectory(dir=folder) as out:
                for kind in KINDS if with_phones else KINDS[:1]:
                    people = withdrawn(place) if kind == "delta" else place / "people.parquet"
                    words = (f"{place}/scores", str(people), f"{out}/out", "google-ads-csv", kind)
                    cost = cost_of(WORK, *words, setup=SETUP)
                    found.append(_row(f"{told}{KINDS_TOLD[kind]}", n_users, cost))
    return found


def run(millions: Sequence[float] = MILLIONS, scratch: Path | None = None) -> dict[str, Any]:
    """Measure exports of some sizes.

    Parameters
    ----------
    millions
        Users of each base.
    scratch
        Folder where the bases are kept for another time; None makes one and removes it.
    """
    with tempfile.TemporaryDirectory(prefix="bench_exports_") as made:
        found = rows(millions, scratch or Path(made))
    return {"rows": found, "measured": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"}


def main() -> None:
    """Measure the sizes that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=float, nargs="+", default=MILLIONS, help="users")
    parser.add_argument("--scratch", type=Path, help="folder in which the bases are kept")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    if arguments.scratch is not None:
        arguments.scratch.mkdir(parents=True, exist_ok=True)
    result = run(arguments.millions, arguments.scratch)
    show("exports", result, Console(highlight=False))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
