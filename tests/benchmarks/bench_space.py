"""What the geometry is worth: speed of a scan, errors of the drift test, erasure, look-alikes.

Run from the root of the repository, by ``python -m tests.benchmarks space`` or, with look-alikes,
on embeddings of Complete Journey that a model made from the events before 2017-10-01::

    python -m tests.benchmarks.bench_space --embeddings scores/embeddings/part-00000.parquet

Everything else is made here: a million random vectors, crowds of six groups as the drift test may
meet them, and groups with a planted attribute.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from segmenter.errors import SeedError
from segmenter.space.attributes import encode_attribute
from segmenter.space.debias import erase_attribute
from segmenter.space.drift import drift_by_segment, measure_drift
from segmenter.space.lookalike import look_alikes
from segmenter.space.paths import Profile, find_path, graph_line, neighbor_profile, straight_line
from segmenter.space.reach import REACHES
from segmenter.space.segmenting import settled_segments
from tests.benchmarks.journey import Journey
from tests.benchmarks.measure import cost_of
from tests.benchmarks.tables import show

N_VECTORS, N_DIMENSIONS = 1_000_000, 64
SCAN_SETUP = """
import numpy as np
from segmenter.space.neighbors import score_rows, top
vectors = np.load(sys.argv[1], mmap_mode="r")
query = vectors[0].copy()
top(score_rows(vectors, query, metric=sys.argv[2]), share=0.1)
"""
SCAN = """
for _ in range(5):
    top(score_rows(vectors, query, metric=sys.argv[2]), share=0.1)
"""
N_SCANS = 5
N_SEEDS = 3
N_NULL, N_ALTERNATIVE, N_GROUP = 200, 100, 400
LEVEL = 0.05
N_PATHS, N_STEPS = 40, 8
DRAWS, PROSPECTING_DRAWS = 4, 12
MIN_HIDDEN = 15
FIVE_PER_CENT = REACHES.index(0.05)

Row = dict[str, Any]


def row(figure: str, measured: str, bars: tuple[str, str] = ("-", "-")) -> Row:
    """One line of the table; the bars are what is accepted and what is aimed at."""
    return {"figure": figure, "measured": measured, "accept": bars[0], "aim": bars[1]}


def spread(values: list[float], digits: int = 2) -> str:
    """The mean of several seeds and their range."""
    mean, low, high = np.mean(values), min(values), max(values)
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def scan_rows() -> Iterator[Row]:
    """Seconds to rank a memory-mapped million and take the first tenth; the file is in memory."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="bench_space_") as folder:
        path = Path(folder) / "vectors.npy"
        np.save(path, generator.standard_normal((N_VECTORS, N_DIMENSIONS), dtype=np.float32))
        for metric in ("dot", "cosine", "euclidean"):
            cost = cost_of(SCAN, str(path), metric, setup=SCAN_SETUP)
            figures = f"{cost.wall_s / N_SCANS:.3f} s wall, {cost.cpu_s / N_SCANS:.3f} s CPU"
            yield row(f"1 M x 64, top 10 %, {metric}", figures, ("<= .3 s", "<= .1 s"))


class Crowds:
    """Crowds of six groups in 24 dimensions.

    Parameters
    ----------
    seed
        Of the users that are drawn.
    shape
        Of the groups; 0 is the shape in which drift tests were compared before, of which the bar
        is. How hard a shift is to see depends on the shape.
    """

    def __init__(self, seed: int, *, shape: int = 0) -> None:
        shaped, self.generator = np.random.default_rng(shape), np.random.default_rng([seed, shape])
        self.centres = 0.8 * shaped.normal(size=(6, 24))
        scale = np.sqrt(np.linspace(1.2, 0.1, 24))
        turns = [np.linalg.qr(shaped.normal(size=(24, 24)))[0] for _ in range(6)]
        self.mixing = np.stack(turns) * scale
        way = shaped.normal(size=24)
        self.way = way / np.linalg.norm(way)

    def draw(
        self, *, shift: float = 0.0, group: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Users and their groups, moved by a shift: all of them, or those of one group."""
        label = self.generator.integers(0, 6, N_GROUP)
        noise = self.generator.standard_normal((N_GROUP, 24))
        points = self.centres[label] + np.einsum("nij,nj->ni", self.mixing[label], noise)
        moved = np.ones(N_GROUP) if group is None else label == group
        return points + shift * moved[:, None] * self.way, label


def drift_rows() -> Iterator[Row]:
    """False alarms and power of both statistics."""
    names = ("none", "all", "other shapes", "one segment")
    alarms: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for seed in range(N_SEEDS):
        crowds = Crowds(seed)
        null = [_alarms(crowds, number) for number in range(N_NULL)]
        moved = [_alarms(crowds, number, shift=0.25) for number in range(N_ALTERNATIVE)]
        alarms["none"].append(np.mean(null, axis=0))
        alarms["all"].append(np.mean(moved, axis=0))
        other = Crowds(seed, shape=1 + seed)
        moved = [_alarms(other, number, shift=0.25) for number in range(N_ALTERNATIVE)]
        alarms["other shapes"].append(np.mean(moved, axis=0))
        found = [_segment_alarm(crowds, number) for number in range(N_ALTERNATIVE // 2)]
        alarms["one segment"].append(np.mean(found, axis=0))
    for place, name in enumerate(("centroid", "energy")):
        null = [100 * one[place] for one in alarms["none"]]
        yield row(f"drift, {name}: false alarms at 5 %", spread(null, 1), ("2-9 %", "3-7 %"))
        power = [one[place] for one in alarms["all"]]
        yield row(f"drift, {name}: power, shift .25, 400 v 400", spread(power), (">= .7", ">= .8"))
        power = [one[place] for one in alarms["other shapes"]]
        yield row(f"   the same in {N_SEEDS} other crowds", spread(power))
    told = ("right segment named", "a wrong one named too")
    for place, name in enumerate(told):
        values = [one[place] for one in alarms["one segment"]]
        yield row(f"drift of one segment by 1.0: {name}", spread(values))


def _alarms(crowds: Crowds, seed: int, *, shift: float = 0.0) -> list[bool]:
    group, target = crowds.draw(shift=shift)[0], crowds.draw()[0]
    found = measure_drift(group, target, seed=seed)
    return [found.distance_p <= LEVEL, found.energy_p <= LEVEL]


def _segment_alarm(crowds: Crowds, seed: int) -> list[bool]:
    (group, inside), (target, outside) = crowds.draw(shift=1.0, group=2), crowds.draw()
    found = drift_by_segment(
        group, target, group_segments=inside, target_segments=outside, seed=seed
    )
    named = {one.segment for one in found if one.p is not None and one.p <= LEVEL}
    return [2 in named, bool(named - {2})]


def erasure_rows() -> Iterator[Row]:
    """An attribute planted across six groups, 1,200 users in 24 dimensions."""
    figures: dict[str, list[float]] = {"before": [], "linear": [], "tree": [], "loss": []}
    for seed in range(N_SEEDS):
        generator = np.random.default_rng(seed)
        group, pole = generator.integers(0, 6, 1200), generator.random(1200)
        vectors = 1.2 * generator.standard_normal((6, 24))[group]
        vectors += np.outer(2 * pole, generator.standard_normal(24) / np.sqrt(24) * 2)
        vectors += 0.6 * generator.standard_normal((1200, 24))
        found = erase_attribute(vectors, encode_attribute("pole", pole), _six_groups, seed=seed)
        before = adjusted_rand_score(group, _six_groups(vectors))
        after = adjusted_rand_score(group, _six_groups(found.eraser(vectors)))
        figures["before"].append(found.before.tree_r2)
        figures["linear"].append(found.after.linear_r2)
        figures["tree"].append(found.after.tree_r2)
        figures["loss"].append(before - after)
    yield row("erasure: linear R2 left", spread(figures["linear"], 3), ("< .02", "< .02"))
    left = f"{spread(figures['tree'], 3)}; before {np.mean(figures['before']):.2f}"
    yield row("erasure: tree R2 left", left, ("< .10", "< .05"))
    yield row("erasure: loss of ARI with the groups", spread(figures["loss"], 3), ("< .05", "-"))


def _six_groups(vectors: np.ndarray) -> np.ndarray:
    return KMeans(6, n_init=5, random_state=0).fit_predict(vectors)


def attribute_rows(journey: Journey) -> Iterator[Row]:
    """Erasure on real vectors: a demographic attribute, and one that the space is full of."""
    kids, known = journey.has_kids()
    for name, values, rows in (
        ("children", kids[known], known),
        ("log purchases", journey.volume, np.ones(len(kids), dtype=bool)),
    ):
        vectors = journey.vectors[rows]
        spend = encode_attribute("spend", journey.later_spend()[rows])
        assign = settled_segments(vectors, n_segments=16, seed=0)
        other = settled_segments(vectors, n_segments=16, seed=1)(vectors.astype(float))
        attribute = encode_attribute(name, values)
        found = erase_attribute(vectors, attribute, assign, outcomes={"spend": spend})
        before, after = found.before, found.after
        figures = f"{before.linear_r2:.3f} to {after.linear_r2:.3f}"
        yield row(f"erasure CJ, {name}: linear R2", figures, ("< .02", "< .02"))
        figures = f"{before.tree_r2:.3f} to {after.tree_r2:.3f}"
        yield row(f"erasure CJ, {name}: tree R2", figures, ("< .10", "< .05"))
        agreement, by_lot = found.segment_agreement, adjusted_rand_score(found.segments, other)
        figures = f"{agreement:.2f} (another start of KMeans: {by_lot:.2f})"
        yield row(f"   segments before and after agree, {name}", figures)
        figures = f"{before.outcomes['spend']:.3f} to {after.outcomes['spend']:.3f}"
        yield row(f"   cost, {name}: later spend R2", figures)


def path_rows(journey: Journey) -> Iterator[Row]:
    """Paths between random households; what those around a point bought is its profile.

    The steps are placed by that profile, so it is the control that tells what this is worth.
    """
    pairs = np.random.default_rng(0).integers(0, len(journey.vectors), (N_PATHS, 2))
    ends = [journey.vectors[pair] for pair in pairs[pairs[:, 0] != pairs[:, 1]]]
    profile = neighbor_profile(journey.vectors, journey.counts())
    straight = [find_path(straight_line(*pair), profile, n_steps=N_STEPS) for pair in ends]
    graph = [
        find_path(graph_line(journey.vectors, *pair), profile, n_steps=N_STEPS) for pair in ends
    ]
    found = {
        "straight": [(path.monotonicity, path.largest_step) for path in straight],
        "along the graph": [(path.monotonicity, path.largest_step) for path in graph],
        "control, even in coordinates": [_even_in_coordinates(pair, profile) for pair in ends],
    }
    for name, figures in found.items():
        monotonicity, largest = np.mean(figures, axis=0)
        told = f"{monotonicity:.3f} / {largest:.2f}"
        bars = (">= .90 / <= .45", ">= .97 / <= .33")
        yield row(f"path CJ, {name}: monotonicity / largest of {N_STEPS} steps", told, bars)


def _even_in_coordinates(ends: np.ndarray, profile: Profile) -> tuple[float, float]:
    """Monotonicity and largest step of a straight line in equal steps."""
    seen = profile(straight_line(*ends, n_points=N_STEPS + 1))
    whole = seen[-1] - seen[0]
    progress = (seen - seen[0]) @ whole / (whole @ whole)
    monotonicity = spearmanr(np.arange(len(progress)), progress).statistic
    return float(monotonicity), float(np.abs(np.diff(progress)).max())


def lookalike_rows(journey: Journey) -> Iterator[Row]:
    """Lift of hidden members in the first 5 % of the ranking, mean of targets and draws."""
    bars = {(100, False): ("> 4.0", "> 4.8"), (100, True): ("> 3.3", "> 3.9")}
    for n_seeds, prospecting in ((25, False), (100, False), (100, True)):
        found, n_refused = _lifts(journey, n_seeds, prospecting=prospecting)
        mode = "prospecting" if prospecting else "all"
        what = f"look-alikes CJ, {n_seeds} seeds, {mode}: lift at 5 %"
        means = np.mean(found, axis=0)
        told = f"{means[0]:.2f} (promised {means[1]:.2f}; {len(found)} lists, {n_refused} refused)"
        yield row(what, told, bars.get((n_seeds, prospecting), ("-", "-")))
        beside = f"volume {means[2]:.2f}, how often before {means[3]:.2f}"
        yield row(f"   controls, {n_seeds} seeds, {mode}", beside)


def _lifts(journey: Journey, n_seeds: int, *, prospecting: bool) -> tuple[list[list[float]], int]:
    """Lift found, lift promised, and those of both controls, for each list; refusals."""
    generator, found, n_refused = np.random.default_rng(0), [], 0
    for category in journey.targets():
        times = journey.times_bought(category)
        before = times > 0
        member = journey.buyers(journey.future, category) & ~(before & prospecting)
        for _ in range(PROSPECTING_DRAWS if prospecting else DRAWS):
            members = generator.permutation(np.flatnonzero(member))
            if len(members) < n_seeds + MIN_HIDDEN:
                continue
            try:
                already = before if prospecting else None
                found.append(_lift(journey, members[:n_seeds], (member, times), already=already))
            except SeedError:
                n_refused += 1
    return found, n_refused


def _lift(
    journey: Journey,
    seeds: np.ndarray,
    member_and_times: tuple[np.ndarray, np.ndarray],
    *,
    already: np.ndarray | None,
) -> list[float]:
    member, times = member_and_times
    controls = {"volume": journey.volume, "before": times}
    ranked = look_alikes(journey.vectors, seeds, controls=controls, already=already)
    hidden, point = member[ranked.rows], ranked.curve[FIVE_PER_CENT]
    lift = float(hidden[: point.n_users].mean() / hidden.mean())
    beside = [control.lifts[FIVE_PER_CENT].value for control in ranked.controls]
    return [lift, point.lift.value, *beside]


def run(embeddings: Path | None = None) -> dict[str, Any]:
    """Measure everything; the look-alikes where embeddings of Complete Journey are given."""
    rows = [*scan_rows(), *drift_rows(), *erasure_rows()]
    if embeddings is not None:
        journey = Journey(embeddings)
        rows += [*attribute_rows(journey), *path_rows(journey), *lookalike_rows(journey)]
    return {
        "rows": rows,
        "seeds": f"{N_SEEDS}, mean and range",
        "Complete Journey": "measured" if embeddings is not None else "needs --embeddings",
    }


def main() -> None:
    """Measure with the embeddings that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embeddings", type=Path, help="Parquet of user_id and embedding")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    result = run(arguments.embeddings)
    show("space", result, Console(highlight=False))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
