"""The gates: what a challenger must hold beside the champion, one function each.

A gate that lacks what it needs says so; it never passes for want of evidence.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segmenter.segments.segment import UNSTABLE
from training.review.migration import Migration
from training.review.outcomes import Prediction
from training.review.sides import Side
from training.review.slices import Slice
from training.review.verdict import FAIL, NOT_JUDGED, PASS, Bound, Gate, Margins, Pair, no_worse

WEAK = 0.5
SMALLEST_SHARE = 1e-4
"""Keeps an empty segment's part of the stability index finite."""


@dataclass(frozen=True)
class Evidence:
    """Everything that the gates read.

    Attributes
    ----------
    part
        The slice.
    challenger, champion
        Both models on it; no champion where there is none.
    prediction
        What their segments say of the time after the cut.
    migration
        Who changes segment; None without a champion.
    margins
        What is allowed.
    """

    part: Slice
    challenger: Side
    champion: Side | None
    prediction: Prediction
    migration: Migration | None
    margins: Margins

    def pair(self, figure: Callable[[Side], float | None]) -> Pair:
        """A figure of both models."""
        return Pair(
            figure(self.challenger), None if self.champion is None else figure(self.champion)
        )


def judge_gates(evidence: Evidence) -> tuple[Gate, ...]:
    """Every gate in the order in which people read them."""
    return tuple(gate(evidence) for gate in GATES)


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


def shares_have_not_shifted(evidence: Evidence) -> Gate:
    """Segments must have about the shares that they had when they were made."""
    figures, limit = evidence.pair(_shift), evidence.margins.shift
    assert figures.challenger is not None
    return Gate(
        "drift",
        "Drift of the segments' shares",
        PASS if figures.challenger <= limit else FAIL,
        figures.challenger,
        figures.champion,
        f"population stability index at most {limit:g}",
        f"the index of the shares on the slice beside the fit is {figures.challenger:.3f}",
    )


def _shift(side: Side) -> float:
    """Population stability index between the shares of the fit and those on the slice."""
    n_users = len(side.found.segment_id)
    fitted = {segment.id: segment.share for segment in side.model.segments}
    pairs = [
        (max(fitted[number], SMALLEST_SHARE), max(count / n_users, SMALLEST_SHARE))
        for number, count in side.sizes.items()
    ]
    return float(sum((now - then) * np.log(now / then) for then, now in pairs))


def knows_the_values(evidence: Evidence) -> Gate:
    """Events after the fit must be of values that the model learned."""
    figures, limit = evidence.pair(lambda side: side.unknown_growth), evidence.margins.unknown
    margin = f"at most {limit:.0%} more event values unknown than when it learned"
    title, value = "Drift of the input", figures.challenger
    if value is None:
        reason = "the store has no event after the fit"
        return Gate("input", title, NOT_JUDGED, None, figures.champion, margin, reason)
    verdict, reason = PASS if value <= limit else FAIL, f"{value:+.1%} of the event values"
    return Gate("input", title, verdict, value, figures.champion, margin, reason)


def answers_alike_online(evidence: Evidence) -> Gate:
    """A user who is asked about alone must get the answer of the batch."""
    online, limit = evidence.challenger.online, evidence.margins.parity
    good = online.error <= limit and online.n_moved == 0
    return Gate(
        "parity",
        "Batch and online alike",
        PASS if good else FAIL,
        online.error,
        None if evidence.champion is None else evidence.champion.online.error,
        f"coordinates within {limit:g}, no segment changed",
        f"{online.n_users} users asked about one at a time: off by at most {online.error:.1e}, "
        f"{online.n_moved} in another segment",
    )


def keeps_the_budget(evidence: Evidence) -> Gate:
    """Answers must be quick and the bundle small."""
    side, allowed = evidence.challenger, evidence.margins
    memory = 0.0 if side.proof is None else side.proof.resident_mb
    over = [
        text
        for text, value, limit in (
            ("time", side.online.ms_per_user, allowed.ms_per_user),
            ("size", side.size_mb, allowed.size_mb),
            ("memory", memory, allowed.memory_mb),
        )
        if value > limit
    ]
    return Gate(
        "budget",
        "Latency and size",
        FAIL if over else PASS,
        side.online.ms_per_user,
        None if evidence.champion is None else evidence.champion.online.ms_per_user,
        f"at most {allowed.ms_per_user:g} ms per user on one core, {allowed.size_mb:g} MB on "
        f"disk, {allowed.memory_mb:g} MB in memory",
        f"{side.online.ms_per_user:.1f} ms, {side.size_mb:.1f} MB, {memory:.0f} MB"
        + (f"; over the budget of {', '.join(over)}" if over else ""),
    )


def touches_no_new_topic(evidence: Evidence) -> Gate:
    """No segment may be set apart by a sensitive topic that the champion's are not."""
    topics = _topics(evidence.challenger)
    known = {} if evidence.champion is None else _topics(evidence.champion)
    new = {topic: ids for topic, ids in topics.items() if topic not in known}
    told = "; ".join(
        f"{topic} in segment {', '.join(map(str, ids))}" for topic, ids in new.items()
    )
    old = ", ".join(topic for topic in topics if topic in known)
    return Gate(
        "sensitive",
        "Sensitive topics",
        FAIL if new else PASS,
        float(len(topics)),
        None if evidence.champion is None else float(len(known)),
        "no topic that the champion does not touch",
        told or (f"none that the champion does not touch ({old})" if old else "none is touched"),
    )


def _topics(side: Side) -> dict[str, list[int]]:
    topics: dict[str, list[int]] = {}
    for segment in side.model.segments:
        for topic in dict.fromkeys(flag.topic for flag in segment.flags):
            topics.setdefault(topic, []).append(segment.id)
    return topics


def respects_consent(evidence: Evidence) -> Gate:
    """Whether the users of the slice agreed, as far as the log tells."""
    title, margin, store = "Consent", "no user who said no", evidence.part.store
    if not store.has_consent:
        reason = "the log says nothing of consent; exports ask for it apart"
        return Gate("consent", title, NOT_JUDGED, None, None, margin, reason)
    starts, ends = store.offsets[evidence.part.users], store.offsets[evidence.part.users + 1]
    said = store.codes("consent")
    last = [_last_word(said[start:end]) for start, end in zip(starts, ends, strict=True)]
    denied, unknown = last.count(DENIED), last.count(0)
    reason = f"{denied:,} of {len(last):,} users said no in the end, {unknown:,} said nothing"
    if denied:
        return Gate("consent", title, FAIL, float(denied), None, margin, reason)
    verdict = NOT_JUDGED if unknown else PASS
    return Gate("consent", title, verdict, 0.0, None, margin, reason)


DENIED = 1


def _last_word(codes: np.ndarray) -> int:
    """A user's newest answer; 0 where there is none."""
    told = codes[codes > 0]
    return int(told[-1]) if len(told) else 0


def keeps_audiences(evidence: Evidence) -> Gate:
    """Live audiences are known by segment ids: these must go on holding the same people."""
    title, limit = "Live audiences", evidence.margins.same_id
    margin = f"at least {limit:.0%} of the users in a segment of the same id"
    if evidence.migration is None:
        reason = "there is no champion whose audiences could be live"
        return Gate("audiences", title, NOT_JUDGED, None, None, margin, reason)
    share = evidence.migration.same_id
    reason = (
        f"{share:.1%} of the users are in a segment of the same id; paired by their users, "
        f"segments keep {evidence.migration.same_matched:.1%}"
    )
    return Gate("audiences", title, PASS if share >= limit else FAIL, share, None, margin, reason)


GATES: tuple[Callable[[Evidence], Gate], ...] = (
    loads,
    reconstructs,
    beats_floors,
    keeps_validity,
    is_stable,
    covers,
    has_no_tiny_segment,
    assigns_as_clustered,
    shares_have_not_shifted,
    knows_the_values,
    keeps_audiences,
    answers_alike_online,
    keeps_the_budget,
    touches_no_new_topic,
    respects_consent,
)
