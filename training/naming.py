"""A person names a segment: a new version of the model that differs in nothing else.

A bundle is never rewritten in place, and what was exported under an old name is stamped with the
version that had it. So each renaming is a version of its own, with its author and moment in the
lineage, and the aliases of the version before go over to it.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from segmenter.bundle import read_bundle, write_bundle
from segmenter.clock import now
from segmenter.errors import ConfigError
from segmenter.files import write_text
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import ResolvedModel, resolve
from segmenter.segments.lineage import RENAMED, Lineage, rename
from segmenter.segments.segment import Segment
from segmenter.segments.sensitive import all_topics, with_flags
from training.plan import BUNDLE, REPORT
from training.registration import RegisteredVersion, register
from training.report.data import ReportData
from training.report.page import render
from training.tracking import Tracker


@dataclass(frozen=True)
class Renaming:
    """A segment that was named.

    Attributes
    ----------
    before, after
        The version that had the old name, and the one that has the new.
    old_name
        The name before.
    segment
        As it is now.
    author, at
        Who named it, and when (ISO 8601).
    """

    before: ResolvedModel
    after: RegisteredVersion
    old_name: str
    segment: Segment
    author: str
    at: str


def rename_segment(
    home: MlflowHome, spec: str | None, number: int, *, name: str, author: str
) -> Renaming:
    """Give a segment a name that refits keep, as a new version of the model.

    Parameters
    ----------
    home
        Where the model is registered.
    spec
        ``name@alias`` or ``name/version``; None takes the champion of the only model.
    number
        The segment's id.
    name
        Its new name.
    author
        Who says so.

    Raises
    ------
    ConfigError
        If there is no such segment, the name cannot be, nobody says so, or the model is a folder.
    RegistryError
        If there is no such model, or MLflow cannot be written.
    BundleError
        If the model's bundle is damaged.
    """
    before = editable(home, spec, author=author)
    content = read_bundle(before.folder)
    documents = dict(content.documents)
    old = [Segment.from_json(plain) for plain in documents["segments"]]
    topics = all_topics(documents["training"].get("config", {}).get("sensitive", {}))
    segments = with_flags(rename(old, number, name), topics)
    place = [segment.id for segment in segments].index(number)
    at = now()
    lineage = (
        Lineage.from_json(documents["lineage"])
        if "lineage" in documents
        else Lineage.begin(old, at=documents["training"]["as_of"])
    )
    documents["lineage"] = lineage.after_renaming(segments[place], at=at, author=author).to_json()
    documents["segments"] = [segment.to_json() for segment in segments]
    documents["report"] = {**documents["report"], "segments": documents["segments"]}
    said = f"segment {number}: {old[place].name!r} is now {segments[place].name!r}, by {author}"
    with tempfile.TemporaryDirectory(prefix="segmenter-") as scratch:
        folder = Path(scratch)
        write_bundle(folder / BUNDLE, documents=documents, arrays=content.arrays)
        after = register_successor(home, before, folder, said=said, word=RENAMED)
    return Renaming(before, after, old[place].name, segments[place], author, at)


def editable(home: MlflowHome, spec: str | None, *, author: str) -> ResolvedModel:
    """A registered version that a person may make another of.

    Raises
    ------
    ConfigError
        If nobody says so, or the model is a folder.
    RegistryError
        If there is no such model.
    """
    if not author.strip():
        message = "a new version needs to know who says so; found nobody; pass --author NAME"
        raise ConfigError(message)
    before = resolve(home, spec)
    if before.version is None:
        message = (
            f"only a registered model can have its segments changed; found the folder {spec}; "
            "pass --model MODEL@ALIAS"
        )
        raise ConfigError(message)
    return before


def register_successor(
    home: MlflowHome, before: ResolvedModel, folder: Path, *, said: str, word: str
) -> RegisteredVersion:
    """Register a version that a person made of another, in a run of its own that tells of it.

    The aliases of the version before go over to it.

    Parameters
    ----------
    home
        Where both are registered.
    before
        The version that it was made of.
    folder
        Holds the new bundle; its page is written here.
    said
        What was done, and by whom.
    word
        The same in a word: ``renamed``, ``merged`` or ``split``.
    """
    data = ReportData.from_json(read_bundle(folder / BUNDLE).documents["report"])
    with Tracker.start(home, before.name) as tracker:
        tracker.log_params({word: said, "from": before.label})
        tracker.set_tags({"mlflow.source.name": f"segmenter segments ({word})"})
        version = register(
            tracker,
            folder / BUNDLE,
            before.name,
            tags={word: said, f"{word}.from": before.label},
            description=f"{said} (from {before.label}). {data.headline()}",
            successor_of=before.version,
        )
        page = folder / REPORT
        write_text(page, render(data.with_version(version.version)))
        tracker.log_artifact(page)
    return version
