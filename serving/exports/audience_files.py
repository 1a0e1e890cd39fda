"""One audience's files: written, judged, and taken away again where it must not leave."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from serving.exports.audiences import Audience
from serving.exports.changes import Changes
from serving.exports.csv_layout import CsvLayout
from serving.exports.destination import REMOVE, Destination, Order, WrittenFile
from serving.exports.gates import Verdict, judge, minimum_people, remedies
from serving.exports.identities import IdentityTable
from serving.exports.json_layout import JsonLayout
from serving.exports.ledger.deliveries import DELTA, FULL, Draft
from serving.exports.ledger.ledger import Parts
from serving.exports.plans import Plan, plan_of
from serving.exports.recall import Recall
from serving.exports.waterfall import REFUSED, UNCHANGED, Change, Waterfall

if TYPE_CHECKING:
    from serving.exports.export import Export

DAY_S = 86_400
LEFT_BEHIND = "the platform's list still has people who left: delete it there"


@dataclass(frozen=True)
class Outcome:
    """What became of one audience.

    Attributes
    ----------
    waterfall
        Its figures.
    files
        Written files by their path within the export, in the order in which they are sent.
    draft
        Delivery for the ledger; None where there is none, or nothing to send.
    parts
        Rows for the ledger.
    """

    waterfall: Waterfall
    files: dict[str, WrittenFile]
    draft: Draft | None
    parts: Parts


def settings_of(destination: Destination, given: "Export") -> dict[str, str]:
    """Settings of an account, with placeholders for what is not given."""
    settings = {setting.name: setting.placeholder for setting in destination.settings}
    return settings | {name: text for name, text in given.settings.items() if name in settings}


def write_audience(
    job: "Export", audience: Audience, folder: Path, *, out: Path | None, near: dict[int, int]
) -> Outcome:
    """Write one audience; where it is refused only those who leave are written.

    Parameters
    ----------
    job
        The export.
    audience
        People who may be sent.
    folder
        Of the export, as long as it grows.
    out
        Its later name; None for a dry run.
    near
        Segment to members of this one whose second segment it is.
    """
    one = audience.destination
    plan = plan_of(one, job.action, delta=job.delta)
    writer = _Writer(
        job, audience, folder / one.name / f"{job.scores.level}-{audience.segment.id}"
    )
    changes = _changes(job, audience, plan, aside=folder / ".spill")
    frames = (
        audience.people()
        if changes is None
        else changes.additions(audience.parts(), audience.spill.n_parts)
    )
    added = writer.write(frames, plan.action)
    n_people = audience.tally.counts["not_held"]
    verdict = judge(audience.segment, one, n_people, floor=job.floor)
    is_refused = verdict.word == REFUSED
    if is_refused or (job.delta and changes is not None and not changes.any):
        added = writer.take_away()
    if is_refused and changes is not None:
        changes.refuse()
        if changes.leaves_behind:
            verdict = Verdict(REFUSED, f"{verdict.why}; {LEFT_BEHIND}")
    removed = writer.write(changes.removals(), REMOVE) if changes is not None else []
    files = writer.named([*removed, *added])
    if not files:
        writer.take_away(for_good=True)
        if not is_refused:
            verdict = Verdict(UNCHANGED, "the list is as it should be: nothing has to be sent")
    waterfall = _waterfall(job, audience, verdict, near=near)
    if changes is None:
        return Outcome(waterfall, files, None, ())
    n_added = 0 if is_refused else changes.n_added
    change = Change(n_added, changes.n_removed, changes.n_stuck)
    draft = (
        _draft(job, audience, change, files=files, out=out) if files and out is not None else None
    )
    return Outcome(
        replace(waterfall, change=change, delivery=_newest(job, audience)),
        files,
        draft,
        changes.parts(),
    )


class _Writer:
    """Writes the files of one audience into a folder of their own."""

    def __init__(self, job: "Export", audience: Audience, place: Path) -> None:
        self.job, self.audience, self.place = job, audience, place
        place.mkdir(parents=True)

    def write(self, frames: Iterable[pl.DataFrame], action: str) -> list[WrittenFile]:
        one, segment, scores = self.audience.destination, self.audience.segment, self.job.scores
        settings = settings_of(one, self.job)
        order = Order(segment.id, segment.name, scores.as_of, action, settings)
        stem = (
            f"{self.place.parent.name}_{self.place.name}_{scores.moment:%Y%m%dT%H%M%SZ}_{action}"
        )
        layout = one.layout
        if self.job.compressed and one.gzip and isinstance(layout, CsvLayout | JsonLayout):
            layout = type(layout)(*layout.kinds, compressed=True)
        return layout.write(frames, order, folder=self.place, stem=stem)

    def take_away(self, *, for_good: bool = False) -> list[WrittenFile]:
        """Delete what was written; what is left, which is nothing."""
        shutil.rmtree(self.place)
        if not for_good:
            self.place.mkdir()
        return []

    def named(self, files: list[WrittenFile]) -> dict[str, WrittenFile]:
        inside = f"{self.place.parent.name}/{self.place.name}"
        return {f"{inside}/{file.name}": file for file in files}


def _changes(job: "Export", audience: Audience, plan: Plan, *, aside: Path) -> Changes | None:
    if job.ledger is None:
        return None
    one, segment = audience.destination, audience.segment
    target = job.ledger.target(one.name, (job.scores.level, segment.id), settings_of(one, job))
    return Changes(
        (job.ledger, target),
        one,
        plan,
        day=job.scores.as_of // DAY_S,
        recall=Recall(
            IdentityTable(job.identities, job.destinations),
            job.ledger.salt,
            job.rules.default_country,
        ),
        folder=aside / f"ledger-{one.name}-{segment.id}",
    )


def _newest(job: "Export", audience: Audience) -> int | None:
    assert job.ledger is not None
    one = audience.destination
    segment = (job.scores.level, audience.segment.id)
    newest = job.ledger.newest(job.ledger.target(one.name, segment, settings_of(one, job)))
    return None if newest is None else newest.id


def _draft(
    job: "Export",
    audience: Audience,
    change: Change,
    *,
    files: dict[str, WrittenFile],
    out: Path,
) -> Draft:
    return Draft(
        destination=audience.destination.name,
        level=job.scores.level,
        segment_id=audience.segment.id,
        segment_name=audience.segment.name,
        settings=settings_of(audience.destination, job),
        kind=DELTA if job.delta else FULL,
        folder=str(out.resolve()),
        as_of=job.scores.as_of,
        model=job.scores.model_version,
        scores=job.scores.identity,
        n_added=change.added,
        n_removed=change.removed,
        files=tuple(replace(file, name=name) for name, file in files.items()),
    )


def _waterfall(
    job: "Export", audience: Audience, verdict: Verdict, *, near: dict[int, int]
) -> Waterfall:
    one, segment, counts = audience.destination, audience.segment, audience.tally.counts
    low, high = one.match_rate
    return Waterfall(
        destination=one.name,
        segment_id=segment.id,
        segment_name=segment.name,
        level=job.scores.level,
        counts=dict(counts),
        reasons=audience.tally.reasons,
        minimum=minimum_people(one, job.floor),
        verdict=verdict.word,
        why=verdict.why,
        remedies=remedies(segment, job.scores, near, verdict=verdict),
        matched=(int(counts["not_held"] * low), int(counts["not_held"] * high)),
        match_rate=one.match_rate,
    )
