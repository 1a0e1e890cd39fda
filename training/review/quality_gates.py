"""Gates about the model itself: whether it loads, tells, predicts, and holds its users.

A gate that lacks what it needs says so; it never passes for want of evidence.
"""

import numpy as np

from segmenter.segments.segment import UNSTABLE
from training.review.evidence import Evidence
from training.review.sides import Side
from training.review.verdict import FAIL, NOT_JUDGED, PASS, Bound, Gate, no_worse

WEAK = 0.5


def loads(evidence: Evidence) -> Gate:
    """A fresh process without MLflow repeats the golden vectors."""
    side, title = evidence.challenger, "Loads alone and answers as it was saved"
    margin = "golden vectors repeated in a fresh process"
    if side.proof is None:
        return Gate("golden", title, FAIL, None, None, margin, side.refusal)
    if side.proof.n_golden == 0:
        reason = "the bundle keeps no golden vectors: it was saved before these were kept"
        return Gate("golden", title, FAIL, None, None, margin, reason)
    reason = f"{side.proof.n_golden} histories repeated, off by at most {side.proof.error:.1e}"
    return Gate("golden", title, PASS, side.proof.error, None, margin, reason)


def reconstructs(evidence: Evidence) -> Gate:
    """What an embedding tells of the history that it is of."""
    bound = Bound(evidence.margins.reconstruction, 0.0)
    figures = evidence.pair(lambda side: side.reconstruction)
    what = "the share of surprise at a history that its embedding takes away"
    return no_worse(("reconstruction", "Reconstruction"), figures, bound, what=what)


def beats_floors(evidence: Evidence) -> Gate:
    """Segments must say more of later behaviour than what needs no training."""
    title, margin = "Validity against floors", "not behind a rule, ahead of something untrained"
    report = evidence.prediction.report
    if not report.outcomes:
        return Gate("floors", title, NOT_JUDGED, None, None, margin, report.reason)
    first = report.rows[0].scores[0].score.value
    if report.floor_reasons:
        reason = "; ".join(report.floor_reasons)
        return Gate("floors", title, FAIL, first, None, margin, reason)
    return Gate("floors", title, PASS, first, None, margin, report.summary_line())


def keeps_validity(evidence: Evidence) -> Gate:
    """Segments must say no less of later behaviour than the champion's, paired over users."""
    title, allowed = "Validity against the champion", evidence.margins
    margin = f"mean difference at least -{allowed.validity:g}, with its whole 90 % interval"
    report, over = evidence.prediction.report, evidence.prediction.over_champion
    if over is None:
        reason = report.reason or "there is no champion to compare with"
        return Gate("validity", title, NOT_JUDGED, None, None, margin, reason)
    means = [
        float(np.mean([score.score.value for score in row.scores])) for row in report.rows[:2]
    ]
    figures = (means[0], means[1])
    span = f"{over.value:+.3f} ({over.low:+.3f} to {over.high:+.3f})"
    reason = f"mean over {len(report.outcomes)} outcomes beside the champion: {span}"
    lost = _lost_outcomes(evidence)
    if lost:
        return Gate("validity", title, FAIL, *figures, margin, f"{reason}; behind on {lost}")
    if over.low >= -allowed.validity:
        return Gate("validity", title, PASS, *figures, margin, reason)
    if over.high < 0 and over.value < -allowed.validity:
        return Gate("validity", title, FAIL, *figures, margin, reason)
    unsure = f"{reason}; the interval holds both, more users or a longer time would tell"
    return Gate("validity", title, NOT_JUDGED, *figures, margin, unsure)


def _lost_outcomes(evidence: Evidence) -> str:
    """Outcomes on which the challenger is clearly and by far behind the champion."""
    report = evidence.prediction.report
    ahead = [score.ahead for score in report.rows[1].scores]
    pairs = zip(report.outcomes, ahead, strict=True)
    return "; ".join(
        f"{outcome.title} {one.value:+.3f}"
        for outcome, one in pairs
        if one is not None and one.high < 0 and one.value < -evidence.margins.outcome
    )


def is_stable(evidence: Evidence) -> Gate:
    """Segments must come out again from half of the users."""
    bound = Bound(evidence.margins.stability, evidence.margins.floor_stability)
    figures = evidence.pair(_stability)
    what = f"the mean overlap with segments made from half of the users (below {UNSTABLE:g} one "
    return no_worse(("stability", "Stability"), figures, bound, what=f"{what}dissolves)")


def _stability(side: Side) -> float | None:
    known = [(segment.stability, segment.share) for segment in side.model.segments]
    told = [(value, share) for value, share in known if value is not None]
    if told:
        values, shares = zip(*told, strict=True)
        return float(np.average(values, weights=shares))
    value = side.report.get("figures", {}).get("stability")
    return None if value is None else float(value)


def covers(evidence: Evidence) -> Gate:
    """Few users may stand between segments."""
    bound = Bound(evidence.margins.weak_share, evidence.margins.most_weak, higher_is_better=False)
    figures = evidence.pair(lambda side: float((side.found.strength < WEAK).mean()))
    what = "the share of users with a strength below .5"
    return no_worse(("coverage", "Coverage"), figures, bound, what=what)


def has_no_tiny_segment(evidence: Evidence) -> Gate:
    """Every published segment must be large enough to be an audience."""
    sizes, allowed = evidence.challenger.sizes, evidence.margins
    least = max(allowed.least_users, int(np.ceil(allowed.least_share * len(evidence.part.users))))
    number = min(sizes, key=lambda one: sizes[one])
    reason = f"segment {number} ({evidence.challenger.names[number]}) has {sizes[number]:,} users"
    champion = None if evidence.champion is None else min(evidence.champion.sizes.values())
    return Gate(
        "smallest",
        "Smallest segment",
        PASS if sizes[number] >= least else FAIL,
        float(sizes[number]),
        None if champion is None else float(champion),
        f"at least {least:,} users of the slice",
        reason,
    )


def assigns_as_clustered(evidence: Evidence) -> Gate:
    """Core members must get the segment of their core."""
    bound = Bound(evidence.margins.agreement, evidence.margins.floor_agreement)
    figures = evidence.pair(lambda side: side.report.get("coverage", {}).get("agreement"))
    what = "the share of core members who get the segment of their core"
    return no_worse(("agreement", "Assigner agreement"), figures, bound, what=what)
