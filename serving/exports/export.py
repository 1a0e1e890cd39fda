"""One export: scored segments and an identity table become files for destinations, or nothing.

The output folder is whole or absent. It holds a folder for each destination and segment, the
waterfall as JSON and as a page, and a manifest with digests, which names nobody.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from segmenter.errors import ConfigError, OutputError
from segmenter.files import atomic_folder, digest_of_file, write_json, write_text
from segmenter.terminal import ProgressCallback
from serving.exports.audience_files import Outcome, write_audience
from serving.exports.audiences import Audience, Rules, gather, number_of_parts, put_aside
from serving.exports.destination import ADD, REMOVE, REPLACE, Destination, WrittenFile
from serving.exports.gates import HARD_FLOOR
from serving.exports.identities import IdentityTable
from serving.exports.ledger.ledger import Ledger
from serving.exports.scores import ScoredSegment, Scores, neighbors
from serving.exports.spill import Spill
from serving.exports.waterfall import Waterfall
from serving.exports.waterfall_page import waterfall_page

FORMAT = "segmenter export"
FORMAT_VERSION = 1
MANIFEST, PAGE, WATERFALL = "manifest.json", "waterfall.html", "waterfall.json"
CSV_ROW_BYTES = 60
"""Bytes of a line of an identity table, by which its rows are guessed."""


@dataclass(frozen=True)
class Export:
    """What is exported, and how.

    Attributes
    ----------
    scores
        Of ``segmenter score``.
    identities
        File of the identity table.
    segments
        Which of them.
    destinations
        Where to.
    rules
        Who may be exported.
    action
        ``add``, ``remove`` or ``replace``; None takes the one that states a whole list best.
    delta
        Whether only entrants and leavers since the last delivery are written.
    ledger
        Where deliveries are written down; None for an export that leaves no trace.
    floor
        Least number of people of an audience.
    settings
        Of the accounts, by name.
    compressed
        Whether files are written with gzip where a destination takes them so.
    marks
        What the export was allowed in spite of.
    """

    scores: Scores
    identities: Path
    segments: tuple[ScoredSegment, ...]
    destinations: tuple[Destination, ...]
    rules: Rules
    action: str | None = None
    delta: bool = False
    ledger: Ledger | None = None
    floor: int = HARD_FLOOR
    settings: Mapping[str, str] = field(default_factory=dict)
    compressed: bool = False
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportReport:
    """What an export left behind.

    Attributes
    ----------
    out
        Folder; None where nothing was written.
    as_of, model
        Of the scores.
    waterfalls
        One for each destination and segment.
    files
        Written files by their path within the folder.
    placeholders
        Settings of accounts that were not given, by destination.
    marks
        What the export was allowed in spite of.
    ignored
        Columns of the identity table that look like consent or age and were not read.
    deliveries
        Numbers of the deliveries in the ledger whose files these are.
    """

    out: Path | None
    as_of: str
    model: str
    waterfalls: tuple[Waterfall, ...]
    files: dict[str, WrittenFile]
    placeholders: dict[str, tuple[str, ...]]
    marks: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    deliveries: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain form for scripts."""
        return {
            "out": None if self.out is None else str(self.out),
            "as_of": self.as_of,
            "model": self.model,
            "audiences": [one.to_json() for one in self.waterfalls],
            "files": {name: asdict(one) for name, one in self.files.items()},
            "placeholders": {name: list(some) for name, some in self.placeholders.items()},
            "marks": list(self.marks),
            "ignored_columns": list(self.ignored),
            "deliveries": list(self.deliveries),
        }


def export(
    job: Export, out: Path | None, *, progress: ProgressCallback | None = None
) -> ExportReport:
    """Write the audiences of an export.

    Parameters
    ----------
    job
        What is exported, and how.
    out
        Folder to write, which must not exist or be an earlier export; None writes nothing and
        reports what would be written.
    progress
        Told of (members done, members in all).

    Returns
    -------
    ExportReport
        Waterfalls of all audiences, those below a gate included, of which there are no files.

    Raises
    ------
    ConfigError
        If a setting is none of the destinations, or an action none of a destination.
    SourceError, ColumnError
        If the identity table cannot be used.
    OutputError
        If `out` holds something else, or cannot be written.
    """
    _check(job)
    table = IdentityTable(job.identities, job.destinations)
    try:
        with _working_folder(out) as folder:
            report = _write(job, table, folder, out=out, progress=progress)
            _describe(job, report, folder)
    except OSError as error:
        message = f"cannot write the export to {out or tempfile.gettempdir()}: {error.strerror}"
        raise OutputError(message) from error
    if job.ledger is not None and out is not None:
        job.ledger.written(report.deliveries)
    return replace(report, out=out)


def _check(job: Export) -> None:
    if job.delta and (job.ledger is None or job.action is not None):
        message = "--delta needs a ledger, and decides itself what is added and taken off"
        raise ConfigError(message)
    known = {setting.name for one in job.destinations for setting in one.settings}
    unknown = sorted(set(job.settings) - known)
    if unknown:
        message = (
            f"--set {unknown[0]} is no setting of the destinations; there are {sorted(known)}"
        )
        raise ConfigError(message)
    for one in job.destinations:
        can = {ADD: True, REMOVE: one.can_remove, REPLACE: one.can_replace}
        if job.action is not None and not can.get(job.action, False):
            possible = ", ".join(action for action, able in can.items() if able)
            message = f"--action {job.action} is not possible for {one.name}; possible: {possible}"
            raise ConfigError(message)


@contextmanager
def _working_folder(out: Path | None) -> Iterator[Path]:
    """Where files grow: beside the output, or nowhere that stays."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="export-") as temporary:
            yield Path(temporary)
        return
    _refuse_foreign(out)
    with atomic_folder(out) as temporary:
        yield temporary


def _refuse_foreign(out: Path) -> None:
    """Never replace a folder that no export has written."""
    if not out.exists():
        return
    try:
        is_ours = f'"format": "{FORMAT}"' in (out / MANIFEST).read_text(encoding="utf-8")
    except OSError:
        is_ours = out.is_dir() and not any(out.iterdir())
    if not is_ours:
        message = f"{out} holds something that no export has written; choose another --out"
        raise OutputError(message)


def _write(
    job: Export,
    table: IdentityTable,
    folder: Path,
    *,
    out: Path | None,
    progress: ProgressCallback | None,
) -> ExportReport:
    spills = folder / ".spill"
    ids = [segment.id for segment in job.segments]
    n_members = sum(segment.n_users for segment in job.segments)
    n_parts = number_of_parts(max(n_members, _n_identities(job.identities)))
    members = put_aside(job.scores.members(ids), spills / "members", n_parts)
    identities = put_aside(table.batches(), spills / "identities", n_parts)
    audiences = [
        Audience(one, segment, Spill(spills / f"{one.name}-{segment.id}", n_parts))
        for one in job.destinations
        for segment in job.segments
    ]
    for done in gather((members, identities), audiences, job.rules):
        if progress is not None:
            progress(done, n_members)
    near = neighbors(job.scores, ids)
    outcomes = [
        write_audience(job, audience, folder, out=out, near=near[audience.segment.id])
        for audience in audiences
    ]
    numbers = _prepare(job, outcomes, out)
    shutil.rmtree(spills)
    return ExportReport(
        out=None,
        as_of=f"{job.scores.moment:%Y-%m-%dT%H:%M:%SZ}",
        model=job.scores.model_version,
        waterfalls=tuple(
            replace(one.waterfall, delivery=numbers.get(place, one.waterfall.delivery))
            for place, one in enumerate(outcomes)
        ),
        files={name: file for one in outcomes for name, file in one.files.items()},
        placeholders=_placeholders(job),
        marks=job.marks,
        ignored=tuple(table.ignored),
        deliveries=tuple(numbers.values()),
    )


def _prepare(job: Export, outcomes: list[Outcome], out: Path | None) -> dict[int, int]:
    """Tell the ledger what is about to appear; numbers of deliveries by place of the audience."""
    if job.ledger is None or out is None:
        return {}
    drafts = {
        place: (one.draft, one.parts)
        for place, one in enumerate(outcomes)
        if one.draft is not None
    }
    control = job.rules.control
    fresh = None if control is None else control.fresh
    return dict(zip(drafts, job.ledger.prepare(list(drafts.values()), fresh), strict=True))


def _describe(job: Export, report: ExportReport, folder: Path) -> None:
    """Write the waterfall, its page and the manifest, which name nobody."""
    plain = report.to_json()
    del plain["out"]
    write_json(folder / WATERFALL, {"audiences": plain["audiences"]})
    write_text(folder / PAGE, waterfall_page(report.as_of, report.model, report.waterfalls))
    inputs = {
        "scores": job.scores.identity,
        "level": job.scores.level,
        "identities": digest_of_file(job.identities),
        "min_strength": job.rules.min_strength,
        "minimum_age": job.rules.minimum_age,
        "default_country": job.rules.default_country,
        "silence_is_consent": sorted(job.rules.silence_is_consent),
        "floor": job.floor,
        "delta": job.delta,
        "holdout": None if job.rules.control is None else job.rules.control.share,
        "salt": None if job.ledger is None else job.ledger.salt_id,
        "notes": {one.name: one.note for one in job.destinations if one.note},
    }
    marks = {"format": FORMAT, "format_version": FORMAT_VERSION}
    write_json(folder / MANIFEST, marks | plain | {"inputs": inputs})


def _placeholders(job: Export) -> dict[str, tuple[str, ...]]:
    missing = {
        one.name: tuple(name.name for name in one.settings if name.name not in job.settings)
        for one in job.destinations
    }
    return {name: some for name, some in missing.items() if some}


def _n_identities(path: Path) -> int:
    """Rows of an identity table, guessed by its size where it does not say."""
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    return path.stat().st_size // CSV_ROW_BYTES
