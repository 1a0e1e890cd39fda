"""How real generated journeys look, beside a Markov chain, a copy and published peers.

``python -m tests.benchmarks generation`` runs all; one log and seed, in about a minute::

    python -m tests.benchmarks.bench_generation --log oulad --seed 0

Each log gives 400 users to learn from and 400 to compare with, at most 60 events each. Every
generator learns from the same users. ``judge`` is the classifier of the published comparison, of
``../shared/bench/generation``, and needs LightGBM; ``AUC`` is our own.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console

from segmenter.audience_model import embed_users
from segmenter.events.batches import SequenceReader
from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions
from segmenter.events.store import EventStore
from segmenter.generation.crowd import Crowd, read_crowd
from segmenter.generation.density import fit_density
from segmenter.generation.detection import correct, told_apart
from segmenter.generation.features import Looks
from segmenter.generation.journeys import events_table, generate
from segmenter.generation.latent_use import measure_latent_use
from segmenter.generation.markov import markov_control
from segmenter.generation.privacy import measure_privacy
from segmenter.generation.request import OVERSAMPLE
from tests.benchmarks.measure import ROOT
from tests.benchmarks.slices import Slice, available, make_slice
from tests.benchmarks.tables import show
from training.config import TrainConfig
from training.fit import FittedNetwork, fit_network

JUDGE = ROOT / ".." / "shared" / "bench" / "generation"
N_SEEDS = 3
SETTINGS: dict[str, Any] = {
    "min_events": 3,
    "forecast_epochs": 4,
    "taste_epochs": 24,
    "patience": 8,
    "model": {"crop_events": 64, "blank_share": 0.15},
}
"""Of a model of 400 users; the defaults are for many more."""
BARS = {"oulad": (0.82, 0.72), "complete_journey": (0.93, 0.85), "online_retail": (0.84, 0.75)}
PEERS = {
    "oulad": (0.958, 0.973),
    "complete_journey": (0.947, 0.973),
    "online_retail": (0.909, 0.979),
}
"""Judge's figures, seed 0: Markov chain of 8 clusters, and TabularARGN at five minutes."""

Row = dict[str, Any]


def store_of(events: pl.DataFrame, folder: Path) -> EventStore:
    """Ingest a log; repeated rows stay, as the judge counts them."""
    folder.mkdir(parents=True, exist_ok=True)
    events.write_parquet(folder / "log.parquet")
    options = IngestOptions(keep_duplicates=True)
    ingest([folder / "log.parquet"], folder / "store", options=options)
    return EventStore.open(folder / "store")


def fitted(store: EventStore, *, seed: int, folder: Path) -> FittedNetwork:
    """Train on a slice."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and logging
        config = TrainConfig(seed=seed, **SETTINGS)
        return fit_network(store, config, as_of=store.newest, folder=folder)


def judged(part: Slice, sets: dict[str, pl.DataFrame]) -> dict[str, dict[str, Any]]:
    """The outside judge's figures of each set; nothing where it is not at hand."""
    if not JUDGE.exists() or find_spec("lightgbm") is None:
        return {}
    sys.path.insert(0, str(JUDGE))
    import genmetrics  # noqa: PLC0415 - stands outside of the repository

    def frame(events: pl.DataFrame) -> Any:
        return events.select(
            user_id="user",
            timestamp=pl.col("time").dt.epoch("us") / 1e6,
            event_type="event",
            item_id=pl.lit(None),
            category=pl.col("category").fill_null("NA"),
            value=pl.col("value").fill_null(0.0),
        ).to_pandas()

    learned, held_out = frame(part.learned), frame(part.held_out)
    return {
        name: genmetrics.score(learned, held_out, frame(one), quick=name != "ours")
        for name, one in sets.items()
    }


def measured(name: str, seed: int) -> Row:
    """Train on one slice, draw as many users as are held out, and measure."""
    part = make_slice(name, seed=seed)
    with tempfile.TemporaryDirectory(prefix="bench_generation_") as place:
        return _measured(part, seed, Path(place))


def _measured(part: Slice, seed: int, folder: Path) -> Row:
    store, began = store_of(part.learned, folder / "learned"), time.process_time()
    network = fitted(store, seed=seed, folder=folder / "job").model
    cpu, as_of = time.process_time() - began, store.newest
    users = np.arange(store.n_users)
    embeddings = embed_users(network, store, users, as_of=as_of)
    crowd = read_crowd(network, store, users=users, embeddings=embeddings, as_of=as_of)
    n = part.held_out["user"].n_unique()
    density = fit_density(embeddings, seed=seed)
    points = density.draw(OVERSAMPLE * n, generator=np.random.default_rng(seed))
    many = generate(network, crowd, points, seed=seed)
    first = many.only(np.arange(n)).table(network.vocabulary)
    looks = Looks.of(part.learned)
    known, real = looks.table(part.learned), looks.table(part.held_out)
    found = correct(
        known.values, looks.table(many.table(network.vocabulary)).values, n=n, seed=seed
    )
    sets = {
        "ours": first,
        "corrected": many.only(found.rows).table(network.vocabulary),
        "markov": markov_control(part.learned, n=n, seed=seed),
        "copy": part.learned,
    }
    outside = judged(part, sets)
    row: Row = {"log": part.name, "seed": seed}
    for key, one in sets.items():
        row[f"judge {key}"] = outside.get(key, {}).get("c2st_auc")
        if key in ("ours", "markov"):
            made = looks.table(one).values
            row[f"AUC {key}"] = told_apart(real.values, made, seed=seed)
    row |= _latent_row(network, crowd, part, folder=folder, seed=seed)
    privacy = measure_privacy(
        first, learned=part.learned, held_out=part.held_out, rare={}, seed=seed
    )
    return row | {
        "effective share": found.effective_share,
        "exact copies": privacy.exact_copies,
        "nearer to learned": privacy.nearer_to_learned,
        "best attack AUC": privacy.attacks[0].area,
        "train CPU s": cpu,
        "outside": outside,
    }


def _latent_row(network: Any, crowd: Crowd, part: Slice, *, folder: Path, seed: int) -> Row:
    """What the decoder makes of the latents of held-out users."""
    store = store_of(part.held_out, folder / "held_out")
    users, as_of = np.arange(store.n_users), store.newest
    batch = SequenceReader(store, network.vocabulary).histories(users, as_of)
    use = measure_latent_use(
        network,
        crowd,
        histories=batch.tail(network.config.sequence_events),
        embeddings=embed_users(network, store, users, as_of=as_of),
        looks=Looks.of(events_table(batch, network.vocabulary)),
        seed=seed,
    )
    return {"swap gain": use.swap_gain, "profile R2": use.profile_r2} | {
        f"R2 {name}": value for name, value in use.profile_r2_by_block.items()
    }


def summary(rows: Sequence[Row]) -> list[Row]:
    """One line per log: mean over seeds, with the bars and the peers."""
    lines = []
    for name in dict.fromkeys(row["log"] for row in rows):
        own = [row for row in rows if row["log"] == name]

        def mean(key: str, own: list[Row] = own) -> str:
            values = [row[key] for row in own if row[key] is not None]
            spread = f" ({min(values):.3f}-{max(values):.3f})" if len(values) > 1 else ""
            return f"{np.mean(values):.3f}{spread}" if values else "-"

        markov, argn = PEERS[name]
        accept, aim = BARS[name]
        lines.append(
            {
                "log": name,
                "seeds": len(own),
                "judge": mean("judge ours"),
                "bar": f"<= {accept}; {aim}",
                "corrected": mean("judge corrected"),
                "effective": mean("effective share"),
                "own Markov": mean("judge markov"),
                "Markov / ARGN": f"{markov} / {argn}",
                "copy": mean("judge copy"),
                "AUC": mean("AUC ours"),
                "AUC Markov": mean("AUC markov"),
                "swap gain": mean("swap gain"),
                "profile R2": mean("profile R2"),
                "copies": sum(row["exact copies"] for row in own),
                "nearer": mean("nearer to learned"),
                "attack": mean("best attack AUC"),
                "CPU s": mean("train CPU s"),
            }
        )
    return lines


def run(rows: Sequence[Row] | None = None) -> dict[str, Any]:
    """Every log that is at hand, three seeds each."""
    every = rows or [measured(name, seed) for name in available() for seed in range(N_SEEDS)]
    lines = summary(every)
    rows_by_figure = [
        {"figure": name, **{line["log"]: line[name] for line in lines}}
        for name in lines[0]
        if name != "log"
    ]
    return {"rows": rows_by_figure, "runs": len(every)}


def main() -> None:
    """Measure one log and seed, or tell of measurements written before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", choices=available())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--append", type=Path, help="file of one JSON line per measurement")
    arguments = parser.parse_args()
    if arguments.log is not None:
        row = measured(arguments.log, arguments.seed)
        print(json.dumps(row))
        if arguments.append is not None:
            with arguments.append.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    else:
        lines = arguments.append.read_text(encoding="utf-8").splitlines()
        show("generation", run([json.loads(line) for line in lines]), Console(highlight=False))


if __name__ == "__main__":
    main()
