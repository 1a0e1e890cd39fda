"""A finished fit in plain form: the figures for tracking, and the data of the report."""

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from segmenter.clock import iso, now
from segmenter.validity.validity_report import ValidityReport
from training.fit import FittedNetwork
from training.refit import FIT_TIME, read_time
from training.refit_report import Refit
from training.report.data import MAP_SIDE, Coverage, ReportData, UserMap
from training.segmentation import Segmentation
from training.selection import DECODED

if TYPE_CHECKING:
    from training.plan import TrainPlan

MAX_MAP_USERS = 6_000
WEAK_STRENGTH = 0.5
PERSONAL_ID = re.compile(r"@|^\+?[\d\s()./-]{9,}$")
"""What looks like an e-mail address or a phone number."""
PERSONAL_SAMPLE = 1_000


def fit_figures(network: FittedNetwork, segmentation: Segmentation) -> dict[str, float]:
    """Numbers of a fit that say how it went, the same for the same data and seed."""
    leaves, level = segmentation.leaves, segmentation.choice.level
    figures = {
        "histories": float(len(network.histories)),
        "window days": network.histories.window_days,
        "padding share": network.padding_share,
        "dense cores": float(leaves.n_leaves),
        "mean persistence": float(leaves.persistence.mean()),
        "stability": level.stability,
        "taste weight": level.taste_weight,
        "decoded metric": float(level.metric == DECODED),
    }
    for stage, metrics in network.curves.items():
        figures |= {f"final {stage} {name}": values[-1] for name, values in metrics.items()}
    return figures


def build_report(
    plan: "TrainPlan",
    segmentation: Segmentation,
    *,
    network: FittedNetwork,
    validity: ValidityReport | None,
    refit: Refit | None,
) -> ReportData:
    """Collect what the report shows of a model that is not registered yet."""
    config = plan.request.config
    spent = read_time(plan.folder / FIT_TIME)
    figures = fit_figures(network, segmentation)
    figures |= {"fit seconds": spent["wall_s"], "fit CPU seconds": spent["cpu_s"]}
    figures |= {} if refit is None else refit.figures()
    return ReportData(
        model=config.name,
        version=None,
        as_of=iso(plan.as_of),
        trained_at=now(),
        n_users=len(plan.users),
        n_events=plan.n_events,
        segments=tuple(segment.to_json() for segment in segmentation.segments),
        coverage=coverage_of(segmentation),
        user_map=_user_map(plan, segmentation),
        curves=network.curves,
        validity=None if validity is None else validity.to_json(),
        levels=tuple(asdict(level) for level in segmentation.choice.levels),
        encoder=network.encoder.to_json(),
        figures=figures,
        provenance={
            "events": str(plan.store.path.name),
            "events digest": plan.store.digest,
            "until": None if plan.request.until is None else iso(plan.request.until),
            "settings": config.to_json(),
            **({} if refit is None else {"refit of": refit.parent}),
        },
        refit=None if refit is None else refit.to_json(),
        hierarchy=None if segmentation.levels is None else segmentation.levels.to_json(),
    )


def coverage_of(segmentation: Segmentation) -> Coverage:
    """How much of the users the segments really hold."""
    strength = segmentation.assignment.strength
    return Coverage(
        core_share=1 - segmentation.leaves.between_share,
        between_share=segmentation.leaves.between_share,
        mean_strength=float(strength.mean(dtype=np.float64)),
        weak_share=float((strength < WEAK_STRENGTH).mean()),
        agreement=segmentation.agreement,
        smallest=min(segment.n_users for segment in segmentation.segments),
    )


def _user_map(plan: "TrainPlan", segmentation: Segmentation) -> UserMap:
    """The map of the fit, thinned where users are many, without personal ids."""
    shown = shown_users(len(segmentation.leaves.rows), seed=plan.request.config.seed)
    rows = segmentation.leaves.rows[shown]
    segment_id, strength = map_labels(segmentation, rows)
    ids = plan.store.user_ids().gather(plan.users[rows]).to_list()
    return UserMap(
        x=_whole(segmentation.map_xy[shown, 0]),
        y=_whole(segmentation.map_xy[shown, 1]),
        segment_id=segment_id,
        strength=strength,
        user_id=() if _are_personal(ids) else tuple(ids),
        n_users=len(plan.users),
    )


def shown_users(n_fitted: int, *, seed: int) -> np.ndarray:
    """Ascending places among the users of a fit of those on the map: all, or some at random."""
    shown = np.arange(n_fitted)
    if n_fitted <= MAX_MAP_USERS:
        return shown
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(n_fitted, MAX_MAP_USERS, replace=False))


def map_labels(
    segmentation: Segmentation, rows: np.ndarray
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Segment, and strength in whole percents, of users on the map."""
    assignment = segmentation.assignment
    strength = np.rint(100 * assignment.strength[rows]).astype(int)
    return tuple(assignment.segment_id[rows].tolist()), tuple(strength.tolist())


def _whole(values: np.ndarray) -> tuple[int, ...]:
    """Coordinates as whole numbers from 0 to `MAP_SIDE`."""
    low, high = float(values.min()), float(values.max())
    scale = MAP_SIDE / max(high - low, 1e-9)
    return tuple(np.rint((values.astype(np.float64) - low) * scale).astype(int).tolist())


def _are_personal(ids: list[str]) -> bool:
    """Whether ids look like e-mail addresses or phone numbers, which belong into no report."""
    return any(PERSONAL_ID.search(user) for user in ids[:PERSONAL_SAMPLE])
