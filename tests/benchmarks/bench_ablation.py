"""What each part of the network earns: one change at a time, judged by later behaviour.

Run from the root of the repository, by ``python -m tests.benchmarks ablation``, or in parts::

    python -m tests.benchmarks.bench_ablation --seeds 0 1 2 --scratch /tmp/ablation

For each real log, change and seed the network is trained on the events before the cut; 24
segments and a linear model on the embedding then predict what users did after it. A figure is the
mean over the seeds. What is done is kept in the scratch folder and not done again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from segmenter.audience_model import embed_users
from segmenter.events.batches import users_until
from segmenter.segments.density import DensitySettings, find_leaves
from segmenter.segments.distances import nearest
from segmenter.segments.projection import fit_projection
from segmenter.segments.prototypes import SizeLimits, make_prototypes
from segmenter.validity.lift import resampled_users
from segmenter.validity.outcomes import Outcome, future_outcomes
from segmenter.validity.scoring import Candidate, Scorer, grouping
from segmenter.validity.supplied import supplied_outcomes
from segmenter.validity.taste import taste_outcomes
from segmenter.validity.trial import linear_model
from tests.benchmarks.real_logs import RealLog, real_logs
from tests.benchmarks.tables import show
from tests.benchmarks.variants import VARIANTS, Variant
from training.config import TrainConfig
from training.fit import (
    leave_a_core,
    read_forecast_parts,
    read_profiles,
    set_forecast_scale,
)
from training.prepare import Prepared, prepare
from training.stages import FORECAST, TASTE, Meter, StageJob, run_stage, seed_generators

SEEDS = (0, 1, 2)
N_SEGMENTS = 24
TASTE_WEIGHT = 0.15
ASKED = {
    "complete journey": ("later spend", "later redeem", "adoption of a new category"),
    "oulad": ("passes",),
    "online retail": ("later spend", "later items"),
}
"""Outcomes in the table, by log."""


def outcomes_of(log: RealLog, users: np.ndarray, cut: int) -> tuple[Outcome, ...]:
    """What is asked of users of a log after a cut."""
    if log.outcomes is not None:
        ids = log.store.user_ids().gather(users)
        return supplied_outcomes(log.outcomes, ids)[0]
    end = log.store.newest + 1
    found = (
        *future_outcomes(log.store, users, cut=cut, end=end),
        *taste_outcomes(log.store, users, cut=cut, end=end),
    )
    return tuple(outcome for outcome in found if outcome.name in ASKED[log.name])


def train_variant(prepared: Prepared, variant: Variant, config: TrainConfig) -> float:
    """Train as far as the variant needs; CPU seconds."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        fixed = read_profiles(prepared, config)
        for name in (FORECAST, TASTE) if variant.taste else (FORECAST,):
            if name == TASTE:
                forecast = read_forecast_parts(prepared, config, fixed)
                set_forecast_scale(prepared, forecast)
                fixed = replace(fixed, forecast=forecast)
            job = StageJob(name, prepared, config, folder=Path(folder))
            run_stage(job, fixed, meter=Meter(None), on_epoch=None)
    return time.process_time() - began


def judged(log: RealLog, variant: Variant, seed: int) -> dict[str, Any]:
    """Train and judge one variant with one seed."""
    config = TrainConfig(seed=seed, model=variant.model)
    as_of = log.store.newest if log.until is None else log.until - 1
    users = users_until(log.store, as_of)
    with torch.random.fork_rng(), leave_a_core():
        seed_generators(seed)
        prepared = prepare(log.store, config, as_of=as_of)
        if variant.alter is not None:
            variant.alter(prepared.model)
        seconds = train_variant(prepared, variant, config)
        embeddings = embed_users(prepared.model.eval(), log.store, users, as_of=as_of)
    n_forecast = prepared.model.config.forecast_dimensions
    if not variant.taste:
        embeddings = embeddings[:, :n_forecast]
    outcomes = outcomes_of(log, users, as_of + 1)
    scorer = Scorer(outcomes, resampled_users(len(users), n_draws=1, seed=0), seed=0)
    segments = grouping("", "", {"": segments_of(embeddings, variant, n_forecast)}, seed=0)
    return {
        "CPU s": seconds,
        "segments": figures(scorer, segments),
        "linear": figures(scorer, linear_model("", "", embeddings, seed=0)),
    }


def segments_of(
    embeddings: np.ndarray, variant: Variant, n_forecast: int, *, n_segments: int = N_SEGMENTS
) -> np.ndarray:
    """Segments of users, int64 [n], the way that training makes them."""
    projection = fit_projection(
        embeddings,
        n_forecast=n_forecast,
        taste_weight=TASTE_WEIGHT if variant.taste else 0.0,
        taste_components=TrainConfig().taste_components,
    )
    space = projection(embeddings)
    settings = replace(DensitySettings(), max_fit_users=4_000)
    leaves = find_leaves(space, settings=settings, seed=0)
    fitted = space[leaves.rows]
    prototypes = make_prototypes(
        fitted, leaves, n_segments=n_segments, limits=SizeLimits(), seed=0
    )
    return nearest(space, prototypes)


def figures(scorer: Scorer, candidate: Candidate) -> dict[str, float]:
    """Outcome to R2 or AUC."""
    scored = scorer.score(candidate)
    return {
        outcome.name: float(values[0])
        for outcome, values in zip(scorer.outcomes, scored.figures, strict=True)
    }


def measure(
    logs: Iterable[RealLog], variants: Sequence[Variant], seeds: Sequence[int], *, kept: Path
) -> list[dict[str, Any]]:
    """Everything that is not in the file yet, a line of JSON each; all lines."""
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {(one["log"], one["variant"], one["seed"]) for one in done}
    chosen = list(logs)
    for seed in seeds:
        for log in chosen:
            for variant in variants:
                if (log.name, variant.name, seed) in known:
                    continue
                one = {"log": log.name, "variant": variant.name, "seed": seed}
                one |= judged(log, variant, seed)
                done.append(one)
                with kept.open("a", encoding="utf-8") as opened:
                    opened.write(json.dumps(one) + "\n")
    return done


def rows_of(done: Sequence[dict[str, Any]], log: str) -> list[dict[str, Any]]:
    """The table of one log: means over the seeds, and the spread of the published network."""
    rows = []
    for variant in VARIANTS:
        runs = [one for one in done if (one["log"], one["variant"]) == (log, variant.name)]
        if not runs:
            continue
        row: dict[str, Any] = {"change": variant.name, "seeds": len(runs)}
        for kind in ("segments", "linear"):
            for outcome in ASKED[log]:
                found = [one[kind][outcome] for one in runs if outcome in one[kind]]
                row[f"{outcome}, {kind}"] = f"{np.mean(found):.3f}" if found else "-"
        row["CPU s"] = round(float(np.mean([one["CPU s"] for one in runs])), 1)
        rows.append(row)
    return rows


def run(seeds: Sequence[int] = SEEDS, scratch: Path | None = None) -> dict[str, Any]:
    """Every change on every log at hand.

    Parameters
    ----------
    seeds
        Of weights, batches and layouts.
    scratch
        Folder of stores and finished runs; None makes one and removes it.
    """
    with tempfile.TemporaryDirectory(prefix="bench_ablation_") as made:
        folder = scratch or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        logs = list(real_logs(folder))
        done = measure(logs, VARIANTS, seeds, kept=folder / "runs.jsonl")
    tables = {log.name: rows_of(done, log.name) for log in logs}
    rows = [
        {"log": log, "change": row["change"], "seeds": row["seeds"], "figures": _told(row)}
        for log, found in tables.items()
        for row in found
    ]
    return {"rows": rows, "by log": tables}


def _told(row: dict[str, Any]) -> str:
    """Figures of a row in one cell."""
    return "; ".join(
        f"{key} {value}" for key, value in row.items() if "," in key or key == "CPU s"
    )


def main() -> None:
    """Run with given seeds and a folder that is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.seeds, arguments.scratch)
    console = Console(highlight=False)
    for log, rows in result["by log"].items():
        show(f"ablation: {log}", {"rows": rows}, console)


if __name__ == "__main__":
    main()
