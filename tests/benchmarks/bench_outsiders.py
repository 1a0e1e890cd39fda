"""How many planted outsiders a model finds, at one false alarm in a hundred users.

Run from the root of the repository, by ``python -m tests.benchmarks outsiders`` or with models of
one's own::

    python -m tests.benchmarks.bench_outsiders --bundle bundle --store store

Robots, testers, resellers and crawlers, one per hundred users, are planted into a real log and
embedded by a model that never saw them. Found are those beyond the limit that one in a hundred
real users passes; once by the model's own segments, once by segments that were made anew with the
outsiders among the users. Without a bundle the model has the default sizes and is not trained, and
stands for the least that can be expected.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segmenter.audience_model import AudienceModel
from segmenter.events.batches import users_until
from segmenter.events.ingest import ingest
from segmenter.events.store import EventStore
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.coverage import fit_coverage
from segmenter.segments.density import BETWEEN, DensitySettings, Leaves, find_leaves
from segmenter.segments.prototypes import SizeLimits, make_prototypes
from tests.benchmarks.logs import persona_store
from tests.benchmarks.tables import deliver
from tests.models import make_model
from tests.outsiders import KINDS, plant_outsiders

FALSE_SHARE = 0.01
ONE_IN = 100


def run(bundle: Path | None = None, store: Path | None = None) -> dict[str, Any]:
    """Recall of each kind by both segmentations."""
    with tempfile.TemporaryDirectory(prefix="bench_outsiders_") as scratch:
        folder = Path(scratch)
        real = EventStore.open(store or persona_store(folder, 2_000, n_days=120))
        model = AudienceModel.load(bundle) if bundle else make_model(real)
        planted = _planted(real, folder / "planted", until=model.trained_as_of)
        users = users_until(planted, model.trained_as_of)
        space = model.projection(model.embed(planted, users, as_of=model.trained_as_of))
        names = planted.user_ids().gather(users)
        kind = np.array([name.split("-")[1] if name[:8] == "planted-" else "" for name in names])
        leaves = find_leaves(space, settings=DensitySettings(), seed=0)
        anew, everybody = _anew(space, leaves, model), np.ones(len(kind), dtype=bool)
        scores = {
            "segments made without them": _score(space, leaves, model.assigner, fitted=kind == ""),
            "segments made with them": _score(space, leaves, anew, fitted=everybody),
        }
        rows = [{"by": name} | _recall(score, kind) for name, score in scores.items()]
        return {"rows": rows, "users": len(users), "planted": int((kind != "").sum())}


def _anew(space: np.ndarray, leaves: Leaves, model: AudienceModel) -> PrototypeAssigner:
    """As many segments as the model has, made with everybody."""
    fitted = space[leaves.rows]
    prototypes = make_prototypes(
        fitted, leaves, n_segments=len(model.segments), limits=SizeLimits(), seed=0
    )
    return PrototypeAssigner.fit(prototypes, space)


def _score(
    space: np.ndarray, leaves: Leaves, assigner: PrototypeAssigner, *, fitted: np.ndarray
) -> np.ndarray:
    """Novelty over the limit that the users of the fit set, float64 [n]."""
    known = np.flatnonzero(fitted[leaves.rows])
    rule = fit_coverage(
        assigner.assign(space[fitted]),
        assigner,
        rows=np.searchsorted(np.flatnonzero(fitted), leaves.rows[known]),
        in_core=leaves.labels[known] != BETWEEN,
        outsider_share=FALSE_SHARE,
    )
    assigned = assigner.assign(space)
    return assigned.novelty / np.array([rule.outside[n] for n in assigned.segment_id.tolist()])


def _recall(score: np.ndarray, kind: np.ndarray) -> dict[str, str]:
    """Share found of all and of each kind, beyond what so many real users pass."""
    cut = np.quantile(score[kind == ""], 1 - FALSE_SHARE)
    found = {"all": score[kind != ""] > cut}
    found |= {name: score[kind == name] > cut for name in KINDS}
    return {name: f"{values.mean():.2f}" for name, values in found.items()}


def _planted(store: EventStore, folder: Path, *, until: int) -> EventStore:
    """The store's log until a time, with outsiders in it, as a store of its own."""
    owner = np.repeat(np.arange(store.n_users), np.diff(np.asarray(store.offsets)))
    columns: dict[str, pl.Series] = {
        "user": store.user_ids().gather(owner),
        "time": pl.Series(np.asarray(store.times)).cast(pl.Datetime("us")),
    }
    for name in store.categorical:
        texts = pl.Series([None, *store.vocabulary(name)], dtype=pl.String)
        columns[name] = texts.gather(np.asarray(store.codes(name)))
    for name in store.numeric:
        columns[name] = pl.Series(np.asarray(store.numbers(name))).fill_nan(None)
    log = pl.DataFrame(columns).filter(pl.col("time").dt.epoch("us") <= until)
    folder.mkdir(parents=True)
    planted = plant_outsiders(log, log["user"].n_unique() // ONE_IN, seed=0)
    planted.write_parquet(folder / "log.parquet")
    ingest([folder / "log.parquet"], folder / "store")
    return EventStore.open(folder / "store")


def main() -> None:
    """Run with a bundle and a store of one's own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    deliver("outsiders", run(arguments.bundle, arguments.store), arguments.json)


if __name__ == "__main__":
    main()
