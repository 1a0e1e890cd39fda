"""Reports as a real fit would make them, without a fit."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from segmenter.segments.segment import LEVEL, SHARE, Fact, Segment
from segmenter.validity.lift import Interval
from segmenter.validity.rows import (
    ActivityShare,
    Lift,
    LiftCurve,
    OutcomeSummary,
    Row,
    Score,
    SegmentValidity,
    WithinActivity,
)
from segmenter.validity.validity_report import ValidityReport
from segmenter.validity.verdicts import verdicts
from training.report.data import MAP_SIDE, Coverage, ReportData, UserMap
from training.selection import DECODED, DEFAULT_LEVEL, PLAIN, Level

ACTIVITY = ("Very active", "Active", "Regular", "Occasional", "Rare", "Lapsed")
VALUES = (
    "BABY FOODS",
    "DIAPERS & DISPOSABLES",
    "DOG FOODS",
    "PET CARE SUPPLIES",
    "DOMESTIC WINE",
    "BEERS/ALES",
    "GREETING CARDS/WRAP/PARTY SPLY",
    "FRZN MEAT/MEAT DINNERS",
    "CAT FOOD",
    "SALD DRSNG/SNDWCH SPRD",
    "CONVENIENT BRKFST/WHLSM SNACKS",
    "campaign TypeA",
    "COUPON/MISC ITEMS",
    "HISPANIC",
    "VITAMINS",
    "ICE CREAM/MILK/SHERBTS",
    "MAKEUP AND TREATMENT",
)
OUTCOMES = (
    OutcomeSummary("later spend", "r2", "everybody", 2469, 812.4),
    OutcomeSummary("later spend", "r2", "known attributes", 801, 1320.9),
    OutcomeSummary("later events", "r2", "everybody", 2469, 148.2),
    OutcomeSummary("later events", "r2", "known attributes", 801, 231.0),
    OutcomeSummary("later campaign", "auc", "everybody", 2469, 0.38),
    OutcomeSummary("later redeem", "auc", "everybody", 2469, 0.061),
    OutcomeSummary("later categories", "mean auc", "everybody", 2469, 49.2, 234),
    OutcomeSummary("adoption of a new category", "mean auc", "everybody", 2469, 9.5, 157),
)
ROWS = (
    ("Segments", "segments", 16, (0.52, 0.34, 0.55, 0.37, 0.74, 0.771, 0.73, 0.62)),
    ("RFM 3x3x3", "rule", 26, (0.452, 0.249, 0.53, 0.36, 0.70, 0.632, 0.70, 0.60)),
    ("RFM 5x5x5", "rule", 102, (0.477, 0.258, 0.572, 0.359, 0.71, 0.63, 0.69, 0.59)),
    ("Demographics", "rule", None, (0.195, 0.018, 0.14, -0.021, 0.66, 0.647, 0.62, 0.56)),
    ("KMeans", "model", 16, (0.462, 0.308, 0.50, 0.37, 0.75, 0.774, 0.71, 0.61)),
    ("Random encoder", "model", 16, (0.42, 0.28, 0.47, 0.32, 0.72, 0.73, 0.71, 0.60)),
    ("No segments", "none", 1, (0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5)),
)
LINEAR = (
    ("Embedding", "embedding", None, (0.55, 0.509, 0.6, 0.41, 0.78, 0.82, 0.78, 0.67)),
    ("Plain features", "features", None, (0.548, 0.512, 0.61, 0.4, 0.77, 0.811, 0.78, 0.66)),
    ("Random encoder", "features", None, (0.51, 0.43, 0.58, 0.36, 0.75, 0.76, 0.77, 0.65)),
)
SHARES = (0.38, 0.44, 0.52, 0, 0.3, 0.25, 0)
"""Of each segmentation, what activity alone tells; 0 where it is not one."""
N_WITHIN = 3
"""Of the outcomes, so many are asked again among users of equal activity."""
CUT_US = 1_506_816_000_000_000  # 2017-10-01
QUARTER_US = 92 * 86_400_000_000


def sample_report(
    *, n_users: int = 2469, n_segments: int = 16, n_shown: int | None = None, seed: int = 0
) -> ReportData:
    """A report of planted segments with validity, curves and everything else.

    Parameters
    ----------
    n_users, n_segments
        Size of the fit.
    n_shown
        Users on the map; None shows all.
    seed
        Of every random choice.
    """
    generator = np.random.default_rng(seed)
    sizes = generator.dirichlet(np.full(n_segments, 4.0)) * (n_users - 20 * n_segments)
    users = np.floor(sizes).astype(int) + 20
    users[0] += n_users - users.sum()
    segments = tuple(_segment(generator, place, users) for place in range(n_segments))
    n_shown = n_users if n_shown is None else n_shown
    return ReportData(
        model="complete-journey",
        version=3,
        as_of="2017-09-30T23:58:51Z",
        trained_at="2026-11-24T21:14:09Z",
        n_users=n_users,
        n_events=1_076_392,
        segments=tuple(segment.to_json() for segment in segments),
        coverage=Coverage(0.57, 0.43, 0.76, 0.128, 0.998, int(users.min())),
        user_map=_user_map(generator, users, n_shown),
        curves=_curves(generator),
        validity=_validity(generator, users).to_json(),
        levels=tuple(asdict(level) for level in sample_levels(generator)),
        encoder={"kind": "hybrid", "reason": "it is", "hybrid": 0.31, "profile": 0.28},
        figures={"histories": 13_804.0, "window days": 71.2, "padding share": 0.052},
        provenance={
            "events digest": "blake2b:" + "4fd1c2" * 8,
            "until": "2017-10-01T00:00:00Z",
            "settings": {"seed": seed, "n_segments": n_segments, "model": {"noise": 0.1}},
        },
    )


def sample_levels(
    generator: np.random.Generator,
    *,
    n_segments: Sequence[int] = (4, 6, 8, 10, 12, 16, 20, 24, 30),
    weights: Sequence[float] = (0.0, 0.15, 0.3),
    was_judged: bool = True,
) -> tuple[Level, ...]:
    """Levels whose validity rises and whose stability falls, the most stable near the best chosen.

    Parameters
    ----------
    generator
        Of the noise around both.
    n_segments, weights
        What was tried.
    was_judged
        Whether there was a slice to measure validity in; otherwise the most stable of those
        nearest to the default is chosen.
    """
    levels = []
    for place, weight in enumerate(weights):
        metric = DECODED if place % 3 == 2 else PLAIN
        for number in n_segments:
            validity = 0.3 - 0.4 / number + 0.05 * weight + float(generator.normal(0, 0.004))
            stability = 0.85 - 0.09 * math.log2(number) + float(generator.normal(0, 0.03))
            sizes = {"n_asked": number, "n_segments": number, "smallest": 900 // number}
            figures = {"validity": validity, "behind": 0.0, "stability": stability}
            levels.append(Level(weight, metric, **sizes, **figures))
    if not was_judged:
        off = min(abs(level.n_asked - DEFAULT_LEVEL) for level in levels)
        near = [one for one in levels if abs(one.n_asked - DEFAULT_LEVEL) == off]
        chosen = max(near, key=lambda level: level.stability)
        return tuple(
            replace(level, validity=None, behind=None, chosen=level is chosen) for level in levels
        )
    best = max(level.validity or 0.0 for level in levels)
    told = [replace(level, behind=(best - (level.validity or 0.0)) / 0.012) for level in levels]
    near = [level for level in told if (level.behind or 0.0) <= 1]
    chosen = max(near, key=lambda level: level.stability)
    return tuple(replace(level, chosen=level is chosen) for level in told)


def renamed(data: ReportData, name: str, *, user_id: str, value: str) -> ReportData:
    """The same report with texts of one's own in its first segment and for its first user."""
    first, *others = data.segments
    facts = [first["facts"][0] | {"value": value}, *first["facts"][1:]]
    users = replace(data.user_map, user_id=(user_id, *data.user_map.user_id[1:]))
    segments = (first | {"name": name, "facts": facts}, *others)
    return replace(data, segments=segments, user_map=users)


def printed(table: Table, *, width: int = 100) -> str:
    """A table as a terminal of that width shows it, without colours."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def _segment(generator: np.random.Generator, place: int, users: np.ndarray) -> Segment:
    word = ACTIVITY[place % len(ACTIVITY)]
    values = [VALUES[(2 * place + step + place // 8) % len(VALUES)] for step in range(2)]
    n_users, total = int(users[place]), int(users.sum())
    spoken = [v.capitalize() if v.isupper() else v for v in values]
    name = f"{word}: {', '.join(spoken)}" + (f" ({place // 17 + 1})" if place >= 17 else "")
    facts = [_share_fact(generator, value, n_users) for value in values]
    events = float(generator.integers(20, 1400))
    facts.append(Fact(LEVEL, "events", "", events, 328.0, events * 0.93, events * 1.08, n_users))
    n_core = int(n_users * generator.uniform(0.35, 0.8))
    return Segment(place + 1, name, n_users, n_users / total, n_core, tuple(facts))


def _share_fact(generator: np.random.Generator, value: str, n_users: int) -> Fact:
    here = float(generator.uniform(0.3, 0.95))
    half = 1.64 * np.sqrt(here * (1 - here) / n_users)
    low, high = max(0.0, here - half), min(1.0, here + half)
    elsewhere = here * float(generator.uniform(0.1, 0.7))
    return Fact(SHARE, "category", value, here, elsewhere, low, high, round(here * n_users))


def _user_map(generator: np.random.Generator, users: np.ndarray, n_shown: int) -> UserMap:
    """Islands along a spiral, with some users strewn between them."""
    place = generator.permutation(np.repeat(np.arange(len(users)), users))[:n_shown]
    angle = place * 2.4
    centre = np.sqrt(place + 0.6)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    strength = np.clip(generator.beta(3.2, 1.1, len(place)), 0.05, 1.0)
    spread = 0.16 + 0.75 * (1 - strength)
    xy = centre + generator.normal(size=(len(place), 2)) * spread[:, None]
    whole = (xy - xy.min(axis=0)) / np.ptp(xy, axis=0) * MAP_SIDE
    return UserMap(
        x=tuple(whole[:, 0].round().astype(int).tolist()),
        y=tuple(whole[:, 1].round().astype(int).tolist()),
        segment_id=tuple((place + 1).tolist()),
        strength=tuple((100 * strength).round().astype(int).tolist()),
        user_id=tuple(str(number) for number in range(1, len(place) + 1)),
        n_users=int(users.sum()),
    )


def _curves(generator: np.random.Generator) -> dict[str, dict[str, list[float]]]:
    stages = {
        "forecast": (4, ("counts", "shares", "occurrence", "profile")),
        "taste": (3, ("bag category", "bag event", "step category", "step time", "step value")),
    }
    curves: dict[str, dict[str, list[float]]] = {}
    for stage, (n_passes, terms) in stages.items():
        metrics: dict[str, list[float]] = {}
        for part, excess in (("train", 0.0), ("validation", 0.06)):
            lines = [
                generator.uniform(0.4, 2) * (0.5 + np.exp(-np.arange(n_passes))) + excess
                for _ in terms
            ]
            for term, line in zip(terms, lines, strict=True):
                metrics[f"{part} {term}"] = line.tolist()
            metrics[f"{part} loss"] = np.sum(lines, axis=0).tolist()
        curves[stage] = metrics
    return curves


def _validity(generator: np.random.Generator, users: np.ndarray) -> ValidityReport:
    rows = _rows(generator, ROWS)
    segments = tuple(
        SegmentValidity(
            place + 1, int(n), tuple(_lift(generator, outcome, int(n)) for outcome in OUTCOMES)
        )
        for place, n in enumerate(users)
    )
    return ValidityReport(
        cut=CUT_US,
        end=CUT_US + QUARTER_US,
        n_users=int(users.sum()),
        outcomes=OUTCOMES,
        rows=rows,
        segments=segments,
        notes=("Amounts in 2 currencies are added as they are.", *verdicts(OUTCOMES, rows)),
        linear=_rows(generator, LINEAR),
        within=_within(generator),
        curves=tuple(
            _curve(generator, place, name)
            for place in range(len(OUTCOMES))
            for name in ("Segments", "RFM 3x3x3", "RFM 5x5x5")
        ),
    )


PlainRow = tuple[str, str, int | None, tuple[float, ...]]


def _rows(generator: np.random.Generator, plain: tuple[PlainRow, ...]) -> tuple[Row, ...]:
    """Rows with intervals; the first is under test."""
    return tuple(_row(generator, row, tested=plain[0]) for row in plain)


def _row(generator: np.random.Generator, row: PlainRow, *, tested: PlainRow) -> Row:
    name, kind, n_groups, values = row
    scores = []
    for place, value in enumerate(values):
        half = 0.0 if kind == "none" else float(generator.uniform(0.015, 0.05))
        apart = tested[3][place] - value
        width = half * 0.7 + 0.01
        ahead = None if row is tested else Interval(apart, apart - width, apart + width)
        rule = "kids_count" if name == "Demographics" else ""
        scores.append(Score(Interval(value, value - half, value + half), ahead, rule))
    return Row(name, kind, n_groups, tuple(scores))


def _within(generator: np.random.Generator) -> WithinActivity:
    less = tuple(
        (name, kind, n_groups, tuple(0.3 * value - 0.01 for value in values[:N_WITHIN]))
        for name, kind, n_groups, values in ROWS
    )
    shares = tuple(
        ActivityShare(name, float(share), 0.9 * float(share))
        for (name, _, n_groups, _), share in zip(ROWS, SHARES, strict=True)
        if n_groups and n_groups > 1
    )
    return WithinActivity(10, OUTCOMES[:N_WITHIN], _rows(generator, less), shares)


def _curve(generator: np.random.Generator, outcome: int, name: str) -> LiftCurve:
    lifts = 2.6 * np.exp(-np.arange(10) / generator.uniform(3, 5))
    return LiftCurve(outcome, name, tuple(Interval(x, 0.9 * x, 1.12 * x) for x in lifts.tolist()))


def _lift(generator: np.random.Generator, outcome: OutcomeSummary, n_users: int) -> Lift:
    if outcome.population != "everybody" and generator.random() < 0.05:
        return Lift(0, 0.0, 0.0, None)
    lift = float(np.exp(generator.normal(0, 0.6))) if generator.random() > 0.04 else 0.0
    width = float(np.exp(2.5 / np.sqrt(n_users)))
    made = Interval(lift, lift / width, max(lift, 0.1) * width)
    return Lift(n_users, lift * outcome.mean, 0.9 * lift * outcome.mean, made)
