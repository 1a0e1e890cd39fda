"""The creative space against its bars C1 to C19: two trainings, planted libraries, controls.

Everything is synthetic: one procedural generator, tiny encoders trained here, and for the speed a
checkpoint of SigLIP base shape with random weights. ``CREATIVE_BENCH`` names a folder in which
trainings and vectors are kept, so that a run that was stopped goes on.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import creative_trials as trials
from tests.benchmarks.creative_speed import speed
from tests.benchmarks.creative_worlds import Trained, trained

Row = dict[str, Any]


def row(bar: str, what: str, measured: str, *, bars: tuple[str, str], control: str = "-") -> Row:
    """One line of the table."""
    return {
        "bar": bar,
        "what": what,
        "measured": measured,
        "accept": bars[0],
        "aim": bars[1],
        "control": control,
    }


def both(values: list[float], digits: int = 2) -> str:
    """The figure of each training."""
    return " / ".join(f"{value:.{digits}f}" for value in values)


def measured(folder: Path, models: list[Trained], name: str, *, worlds: bool = False) -> list[Any]:
    """A trial on each training, of planted worlds or not, kept in the folder once it is done."""
    trial = getattr(trials, name)
    found = []
    for model in models:
        path = folder / f"{model.name.replace(' ', '-')}-{name}.json"
        if not path.exists():
            result = trial(model, folder) if worlds else trial(model)
            path.write_text(json.dumps(result), encoding="utf-8")
        found.append(json.loads(path.read_text(encoding="utf-8")))
    return found


def run() -> dict[str, Any]:
    """Measure everything."""
    kept = os.environ.get("CREATIVE_BENCH")
    with tempfile.TemporaryDirectory(prefix="bench_creative_") as own:
        folder = Path(kept or own)
        folder.mkdir(parents=True, exist_ok=True)
        return {
            "rows": [*_reading(folder), *_drifting(folder), *_mending(folder), *_speed(folder)],
            "figures": "two trainings; every library is synthetic",
            "C7": "no decoder is shown: nearest real assets are",
        }


def _reading(folder: Path) -> Iterator[Row]:
    models = [trained(folder, seed) for seed in (0, 1)]
    yield row(
        "C1", "training, CPU s", both([model.cpu_s for model in models], 0), bars=("180", "120")
    )
    found = measured(folder, models, "retrieval")
    yield row(
        "C2",
        "own caption in ten of 360; unseen combinations",
        f"{both([one['all'] for one in found])}; {both([one['unseen'] for one in found])}",
        bars=(".85; .60", ".95; .85"),
        control=".03",
    )
    found = measured(folder, models, "precision")
    yield row(
        "C3",
        "P@10 of four queries",
        both([one["ten"] for one in found]),
        bars=(".90", ".97"),
        control=both([one["base"] for one in found]),
    )
    refused = measured(folder, models, "refusals")
    yield row("C4", "readable or not, of 7", " / ".join(map(str, refused)), bars=("6", "7"))
    yield row(
        "C5",
        "P@25 of two lists, pictures; texts",
        f"{both([one['pictures'] for one in found])}; {both([one['texts'] for one in found])}",
        bars=(".95; .85", ".98; .90"),
        control=f"texts in one list {both([one['mixed'] for one in found])}",
    )
    shown = measured(folder, models, "spectra")
    for name, what, bars in (
        ("rho", "rank correlation", (".90", ".95")),
        ("step", "largest step", (".35", ".20")),
        ("changes", "changes of the rest", (".05", ".02")),
    ):
        yield row(
            "C6",
            f"spectrum, {what}",
            both([one["anchored"][name] for one in shown]),
            bars=bars,
            control=both([one["random"][name] for one in shown]),
        )


def _drifting(folder: Path) -> Iterator[Row]:
    models = [trained(folder, seed) for seed in (0, 1)]
    found = measured(folder, models, "orders", worlds=True)
    yield row(
        "C8",
        "order of three regions, 24 small worlds",
        both([one["axis"] for one in found]),
        bars=(".90", "1.00"),
        control=f"kept {both([one['kept'] for one in found])}, raw "
        f"{both([one['raw'] for one in found])}, chance .17",
    )
    yield row(
        "-",
        "pairs called different in them",
        both([one["power"] for one in found]),
        bars=("-", "-"),
    )
    alarms = measured(folder, models, "false_alarms", worlds=True)
    for kind, what in (("equal", "equal drift"), ("taste", "equal drift and local taste")):
        yield row(
            "C9",
            f"called different, {what}",
            both([one[kind] for one in alarms]),
            bars=(".15", ".07"),
            control="resampling alone "
            + both([one[f"{kind}, resampling alone"] for one in alarms]),
        )
    yield row(
        "C10",
        "bootstrap sd / sd over draws",
        both([one["sd ratio"] for one in alarms]),
        bars=(".8 to 1.25", ".9 to 1.1"),
    )
    small = measured(folder, models, "small_regions", worlds=True)
    yield row(
        "C11",
        "bias of the distance of ten assets",
        both([one["corrected"] for one in small]),
        bars=(".10", ".05"),
        control=f"uncorrected {both([one['plain'] for one in small])}",
    )
    moved = measured(folder, models, "refreshes", worlds=True)

    def told(how: str) -> str:
        parts = [both([one[how][what] for one in moved]) for what in ("kept", "closed")]
        return "; ".join(parts)

    yield row(
        "C12",
        "refresh: own look kept; brand gap closed",
        told("held"),
        bars=(".95; .25", ".99; .30"),
        control=f"raw {told('raw')}, no move {told('no move')}",
    )
    named = measured(folder, models, "causes", worlds=True)
    yield row(
        "C13",
        "top five words: planted; local",
        f"{both([one['planted'] for one in named])}; {both([one['local'] for one in named])}",
        bars=(".60; .15", ".75; .05"),
        control=f"random direction {both([one['chance'] for one in named])}",
    )
    yield row(
        "C14",
        f"unseen causes named, of {named[0]['directions']:.0f} directions",
        both([one["unseen"] for one in named], 0),
        bars=("0", "0"),
    )
    scored = measured(folder, models, "on_brand", worlds=True)
    yield row(
        "C15",
        "on-brand AUC on other assets",
        both([one["probe"] for one in scored]),
        bars=(".90", ".95"),
        control=f"axis {both([one['axis'] for one in scored])}, words "
        f"{both([one['words'] for one in scored])}",
    )


def _mending(folder: Path) -> Iterator[Row]:
    skewed = measured(folder, [trained(folder, 2, biased=True)], "biases")[0]
    plain = measured(folder, [trained(folder, seed) for seed in (0, 1)], "biases")
    yield row(
        "C17",
        "planted bias found, of 10; false finds",
        f"{10 * skewed['found']:.0f}; {both([one['found'] for one in plain])}",
        bars=("8; .10", "10; .05"),
    )
    yield row(
        "C18",
        "gap after re-ranking; P@100 loss",
        f"{skewed['gap after']:.3f}; {skewed['P@100 loss']:.3f}",
        bars=(".05; .01", ".02; 0"),
        control=f"gap before {skewed['gap']:.3f}",
    )


def _speed(folder: Path) -> Iterator[Row]:
    found = speed(folder)
    yield row(
        "C19",
        "1,800 pictures, SigLIP base shape, one thread, min",
        f"{found['minutes']:.1f}",
        bars=("12", "5"),
        control=f"peak {found['peak_mb']:,.0f} MiB, {found['n']:.0f} pictures timed",
    )
    yield row(
        "C19",
        "exact search of 100,000 by 768, ms",
        f"{found['search_ms']:.0f}",
        bars=("50", "15"),
        control=f"a query's text {np.round(found['text_ms']):.0f} ms",
    )
