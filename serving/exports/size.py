"""How large audiences would be, before anything is exported; from a sample of the members.

What lives here: the sample, and what it says of everybody. The steps are those of an export.

References
----------
Interval of a share: Wilson, "Probable inference, the law of succession, and statistical
inference", Journal of the American Statistical Association 22, 1927. Of a sample in which each
user stands with chance f, both users of one person stand with chance f squared, which is how
people who are two users are counted. Where some are more, the bounds of the number of different
values are those of Charikar et al., "Towards estimation error guarantees for distinct values",
PODS 2000.
"""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from serving.exports.audiences import USERS, Audience, gather, put_aside
from serving.exports.export import Export
from serving.exports.gates import Verdict, judge, minimum_people, remedies
from serving.exports.identities import IdentityTable
from serving.exports.scores import neighbors
from serving.exports.spill import Spill
from serving.exports.waterfall import STAGES, WRITTEN, Waterfall

SAMPLE = 20_000
LEAST = 2_000
"""Members of the sample in all, and at least of each segment."""

SEED = 1
"""Of the hash that chooses the sample: the same users again for the same question."""

Z = 1.96
Interval = tuple[int, int]


@dataclass(frozen=True)
class Size:
    """One audience as it would be.

    Attributes
    ----------
    waterfall
        Estimates; the very figures of an export where nobody was left out of the sample.
    intervals
        Of 95 %, by stage.
    n_sampled
        Members that were looked at.
    """

    waterfall: Waterfall
    intervals: dict[str, Interval]
    n_sampled: int

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts."""
        intervals = {stage: list(pair) for stage, pair in self.intervals.items()}
        return self.waterfall.to_json() | {"intervals": intervals, "sampled": self.n_sampled}


@dataclass(frozen=True)
class Shared:
    """People of a sample who are several of its users.

    Attributes
    ----------
    n_several, n_crowded
        People who are two users or more, and three or more.
    """

    n_several: int
    n_crowded: int


def sizes(job: Export, sample: int = SAMPLE) -> list[Size]:
    """How large the audiences of an export would be.

    Parameters
    ----------
    job
        The export, of which nothing is written.
    sample
        Members to look at; segments that are small enough are looked at whole.

    Raises
    ------
    SourceError, ColumnError
        If the identity table cannot be used.
    """
    table = IdentityTable(job.identities, job.destinations)
    least = max(LEAST, sample // len(job.segments))
    fractions = {one.id: min(1.0, least / max(one.n_users, 1)) for one in job.segments}
    chosen = pl.concat(list(_sampled(job, fractions)))
    with tempfile.TemporaryDirectory(prefix="size-") as folder:
        place = Path(folder)
        members = put_aside([chosen], place / "members", 1)
        identities = put_aside(table.rows_of(chosen["user_id"]), place / "identities", 1)
        audiences = [
            Audience(one, segment, Spill(place / f"{one.name}-{segment.id}", 1))
            for one in job.destinations
            for segment in job.segments
        ]
        for _ in gather((members, identities), audiences, job.rules):
            pass
        shared = [_shared(audience) for audience in audiences]
    judged = [
        _size(job, one, fractions[one.segment.id], shared=some)
        for one, some in zip(audiences, shared, strict=True)
    ]
    if all(verdict.word == WRITTEN for _, verdict in judged):
        return [one for one, _ in judged]
    near = neighbors(job.scores, list(fractions))
    found = []
    for (one, verdict), audience in zip(judged, audiences, strict=True):
        segment = audience.segment
        help_ = remedies(segment, job.scores, near[segment.id], verdict=verdict)
        found.append(replace(one, waterfall=replace(one.waterfall, remedies=help_)))
    return found


def _sampled(job: Export, fractions: dict[int, float]) -> Iterator[pl.DataFrame]:
    """Members by a hash of their id, each segment with its fraction."""
    share = pl.col("user_id").hash(seed=SEED) / 2.0**64
    bound = pl.col("segment_id").replace_strict(fractions, return_dtype=pl.Float64)
    for members in job.scores.members(list(fractions)):
        yield members.filter(share < bound)


def _shared(audience: Audience) -> Shared:
    """People of a sample who are several users; the people are counted on the way."""
    sizes_ = [
        part[USERS].list.len().drop_nulls() for part in audience.people() if USERS in part.columns
    ]
    several = pl.concat(sizes_) if sizes_ else pl.Series(dtype=pl.UInt32)
    return Shared(len(several), int((several > 2).sum()))


def _size(
    job: Export, audience: Audience, fraction: float, *, shared: Shared
) -> tuple[Size, Verdict]:
    """What the tally of a sample says of everybody, and whether that many may leave."""
    one, segment, tally = audience.destination, audience.segment, audience.tally
    intervals, counts = scaled(tally.counts, fraction, segment.n_users, shared=shared)
    verdict = judge(segment, one, counts["not_held"], floor=job.floor)
    low, high = one.match_rate
    waterfall = Waterfall(
        destination=one.name,
        segment_id=segment.id,
        segment_name=segment.name,
        level=job.scores.level,
        counts=counts,
        reasons={
            stage: {reason: round(n / fraction) for reason, n in reasons.items()}
            for stage, reasons in tally.reasons.items()
        },
        minimum=minimum_people(one, job.floor),
        verdict="would be " + verdict.word,
        why=verdict.why,
        remedies=(),
        matched=(int(intervals["not_held"][0] * low), int(intervals["not_held"][1] * high)),
        match_rate=one.match_rate,
    )
    return Size(waterfall, intervals, tally.counts["members"]), verdict


def scaled(
    counts: dict[str, int], fraction: float, n_members: int, *, shared: Shared
) -> tuple[dict[str, Interval], dict[str, int]]:
    """Intervals and estimates of all members from the counts of a sample.

    Parameters
    ----------
    counts
        By stage of `STAGES`.
    fraction
        Chance of each member to stand in the sample; 1 gives the counts themselves.
    n_members
        All of them, which are known.
    shared
        People of the sample who are several users.
    """
    n_sampled = counts["members"]
    if fraction >= 1.0 or not n_sampled:
        return {stage: (n, n) for stage, n in counts.items()}, dict(counts)
    intervals, estimates = {}, {}
    for stage in STAGES:
        pair = wilson(counts[stage], n_sampled, fraction)
        intervals[stage] = (math.floor(pair[0] * n_members), math.ceil(pair[1] * n_members))
        estimates[stage] = round(counts[stage] / n_sampled * n_members)
    intervals["members"] = (n_members, n_members)
    estimate, pair = _different(counts, fraction, intervals["valid"], shared=shared)
    estimates["people"] = round(estimate)
    intervals["people"] = (math.floor(pair[0]), math.ceil(pair[1]))
    n_people = max(counts["people"], 1)
    low, high = wilson(counts["not_held"], n_people, fraction)
    estimates["not_held"] = round(counts["not_held"] / n_people * estimate)
    intervals["not_held"] = (math.floor(low * pair[0]), math.ceil(high * pair[1]))
    return intervals, estimates


def _different(
    counts: dict[str, int], fraction: float, valid: Interval, *, shared: Shared
) -> tuple[float, tuple[float, float]]:
    """People among users of whom each stands in the sample with a chance; with the interval."""
    seen, lost = counts["people"], counts["valid"] - counts["people"]
    all_valid = counts["valid"] / fraction
    if shared.n_crowded:
        # Nothing is said of how many users a person is: the bounds hold for any number.
        estimate = (seen - shared.n_several) / math.sqrt(fraction) + shared.n_several
        high = max(float(seen), valid[1] - lost)
        return min(max(estimate, seen), high), (seen, high)
    # Bounds of a Poisson count, without its tables.
    fewest, most = max(0.0, lost - Z * math.sqrt(lost)), lost + Z**2 / 2 + Z * math.sqrt(lost + 1)
    least, estimate, greatest = (
        max(float(seen), total - n / fraction**2)
        for total, n in ((valid[0], most), (all_valid, lost), (valid[1], fewest))
    )
    return estimate, (least, greatest)


def wilson(n_hits: int, n: int, fraction: float) -> tuple[float, float]:
    """Interval of 95 % of a share, narrower the more of the population was looked at."""
    size = n / (1 - fraction)
    share = n_hits / n
    middle = (share + Z**2 / (2 * size)) / (1 + Z**2 / size)
    spread = share * (1 - share) / size + Z**2 / (4 * size**2)
    half = Z * math.sqrt(spread) / (1 + Z**2 / size)
    # At the ends the formula gives 0 and 1 but for a rounding.
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return (0.0 if n_hits == 0 else low), (1.0 if n_hits == n else high)
