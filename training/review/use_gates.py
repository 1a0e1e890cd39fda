"""Gates about the model in use: today's data, live audiences, the service, and the people."""

import numpy as np

from training.review.evidence import Evidence
from training.review.sides import Side
from training.review.verdict import FAIL, NOT_JUDGED, PASS, Gate

SMALLEST_SHARE = 1e-4
"""Keeps an empty segment's part of the stability index finite."""
DENIED = 1
"""Code of a "no" in a store's consent column."""


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
