"""Portraits and refits for reports that no fit made."""

from dataclasses import asdict, replace

import numpy as np

from segmenter.segments.anchored import Departure
from segmenter.segments.calibration import Bin, Calibration
from segmenter.segments.coverage import GroupCounts, added
from segmenter.segments.journeys import Journey, Step, Transition
from segmenter.segments.matching import Flow
from segmenter.segments.outsiders import Oddity, Outsiders
from segmenter.segments.segment import Condition, Flag, Rule, Segment
from training.refit_report import FieldDrift, Refit, SegmentFlow
from training.report.data import ReportData
from training.typical import SegmentJourneys


def with_portrait(data: ReportData, *, label: str = "purchase BERRIES") -> ReportData:
    """The report with groups, outsiders, calibration and journeys; `label` is in every journey."""
    users = {segment["id"]: segment["n_users"] for segment in data.segments}
    groups = {number: _counts(n) for number, n in users.items()}
    odd = Oddity("events", "above", 4_120.0, 0.45, 0.01, 4.4, 9, (5_000.0, 300.0), "robots")
    outsiders = Outsiders(added(groups).outsider, 0.01, (odd,), 0.45)
    bins = tuple(Bin(place / 10 + 0.05, 0.9 * place / 10 + 0.1, 30) for place in range(10))
    journey = Journey((Step(0, ((label, 2), ("view", 1)), 3), Step(4, ((label, 1),), 0)))
    transition = Transition("view", "cart", 0.34, 0.3, 0.38, 0.17, 2.0, 40)
    journeys = {
        str(n): SegmentJourneys((journey, journey), (transition,)).to_json() for n in users
    }
    portrait = {
        "groups": added(groups).to_json(),
        "segments": {str(number): one.to_json() for number, one in groups.items()},
        "outsiders": outsiders.to_json(),
        "calibration": Calibration(bins, 0.037, 4).to_json(),
        "journeys": journeys,
    }
    return replace(data, portrait=portrait)


def with_evidence(data: ReportData) -> ReportData:
    """The report whose first segment is unstable, has a rule, and touches a sensitive topic."""
    first, *others = (Segment.from_json(plain) for plain in data.segments)
    rule = Rule((Condition("category", "DIAPERS", positive=True),), 0.8, 0.7, 0.1)
    flag = Flag("children", "diapers", "fact", "DIAPERS: 61 % of users, elsewhere 12 %")
    told = replace(first, rule=rule, flags=(flag,), stability=0.41)
    steady = [replace(one, stability=0.83) for one in others]
    return replace(data, segments=tuple(one.to_json() for one in (told, *steady)))


def with_refit(data: ReportData, *, with_behavior: bool = True, seed: int = 0) -> ReportData:
    """The report of a refit in which users went from anywhere to anywhere."""
    generator = np.random.default_rng(seed)
    ids = [segment["id"] for segment in data.segments]
    behavior = _crossings([None, *ids], ids, generator, keep=0.5)
    flow = _crossings(ids, ids, generator, keep=0.9)
    gone = Flow(max(ids) + 1, None, "gone", 12)
    segments = SegmentFlow(
        n_known=1_900,
        n_new=120,
        kept_share=0.957,
        stayed_share=0.47,
        behavior_share=0.48,
        flow=(*flow, gone),
        departures=(Departure("vanish", (max(ids) + 1,), "nobody is in its reach"),),
        behavior=tuple(behavior) if with_behavior else (),
    )
    parent = {"label": "shoppers/1", "digest": "d", "as_of": "2017-07-01T00:00:00Z"}
    fields = {"event": FieldDrift(0, 0.1, 0.0, 0.0)}
    return replace(data, refit=asdict(Refit(parent, 60.0, 60.0, 1_000, fields, None, segments)))


def _counts(n_users: int) -> GroupCounts:
    n_second, n_outside = n_users // 5, n_users // 50
    n_core = n_users // 2
    return GroupCounts(n_core, n_users - n_core - n_second - n_outside, n_second, n_outside)


def _crossings(
    sources: list[int | None], targets: list[int], generator: np.random.Generator, *, keep: float
) -> list[Flow]:
    rows = []
    for source in sources:
        n_users = int(generator.integers(40, 160))
        parts = generator.multinomial(
            int(n_users * (1 - keep)), np.full(len(targets), 1 / len(targets))
        )
        for target, n in zip(targets, parts.tolist(), strict=True):
            users = n + (int(n_users * keep) if target == source else 0)
            kind = "appeared" if source is None else "kept" if source == target else "moved"
            rows += [Flow(source, target, kind, users)] if users else []
    return rows
