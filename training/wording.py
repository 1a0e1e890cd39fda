"""Names by a writer and titles by a catalogue, as a new version that differs in words alone."""

import importlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from segmenter.audience_model import AudienceModel
from segmenter.bundle import read_bundle
from segmenter.clock import now
from segmenter.errors import ConfigError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import ResolvedModel
from segmenter.segments.lineage import RENAMED
from segmenter.segments.segment import Segment
from segmenter.segments.sensitive import all_topics, with_flags
from segmenter.segments.wording import Kept, NameWriter, with_titles, with_written_names
from training.naming import editable, register_successor
from training.plan import BUNDLE
from training.registration import RegisteredVersion


@dataclass(frozen=True)
class Worded:
    """Segments in other words.

    Attributes
    ----------
    before, after
        The version with the old words, and the one with the new.
    renamed
        Old and new name of each segment whose name is another.
    kept
        Automatic names that stayed in spite of the writer, and why.
    """

    before: ResolvedModel
    after: RegisteredVersion
    renamed: dict[int, tuple[str, str]]
    kept: tuple[Kept, ...]


def load_writer(spec: str) -> NameWriter:
    """A function that is named as ``module:function``, looked for here and where Python looks.

    Raises
    ------
    ConfigError
        If there is none.
    """
    module, _, name = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        writer = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        message = f"--writer must be MODULE:FUNCTION that can be imported; found {spec!r}: {error}"
        raise ConfigError(message) from error
    if not callable(writer):
        message = f"--writer must name a function; {spec!r} is a {type(writer).__name__}"
        raise ConfigError(message)
    found: NameWriter = writer
    return found


def read_titles(path: Path, fields: Sequence[str]) -> dict[tuple[str, str], str]:
    """Titles by field and value from a CSV or Parquet table.

    Parameters
    ----------
    path
        Columns ``value`` and ``title``; ``field`` where a value belongs to one field alone.
    fields
        Those that a row without a field is about.

    Raises
    ------
    ConfigError
        If the table cannot be read or lacks a column.
    """
    try:
        is_parquet = path.suffix == ".parquet"
        table = pl.read_parquet(path) if is_parquet else pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"--titles {path} cannot be read: {error}"
        raise ConfigError(message) from error
    if not {"value", "title"} <= set(table.columns):
        message = (
            f"--titles {path} must have the columns value and title; "
            f"found {', '.join(table.columns)}"
        )
        raise ConfigError(message)
    titles: dict[tuple[str, str], str] = {}
    for row in table.cast(pl.String).drop_nulls(["value", "title"]).iter_rows(named=True):
        own = row.get("field")
        titles |= {(name, row["value"]): row["title"] for name in ([own] if own else fields)}
    return titles


def reword(
    home: MlflowHome,
    spec: str | None,
    *,
    titles: Path | None,
    writer: NameWriter | None,
    author: str,
) -> Worded:
    """Put titles into facts, rules and automatic names, then let a writer name the segments.

    Parameters
    ----------
    home, spec
        Where the model is registered, and which it is.
    titles
        Table for `read_titles`; None for none.
    writer
        From facts to a name; None leaves the automatic ones.
    author
        Who says so.

    Raises
    ------
    ConfigError
        If neither is given, a table cannot be used, or the model is a folder.
    """
    if titles is None and writer is None:
        message = "nothing to word: pass --titles FILE, --writer MODULE:FUNCTION, or both"
        raise ConfigError(message)
    before = editable(home, spec, author=author)
    model = AudienceModel.load(before.folder)
    documents = dict(read_bundle(before.folder).documents)
    topics = all_topics(documents["training"].get("config", {}).get("sensitive", {}))
    segments = model.segments
    kept: tuple[Kept, ...] = ()
    if titles is not None:
        known = read_titles(titles, model.network.vocabulary.categorical)
        segments = with_titles(segments, known)
    if writer is not None:
        segments, kept = with_written_names(segments, writer, topics)
    segments = with_flags(segments, topics)
    old = {item.id: item.name for item in model.segments}
    renamed = {
        item.id: (old[item.id], item.name) for item in segments if item.name != old[item.id]
    }
    said = f"{len(renamed)} segments named anew, by {author}"
    after = _registered(home, before, segments, renamed=renamed, said=said, author=author)
    return Worded(before, after, renamed, kept)


def _registered(
    home: MlflowHome,
    before: ResolvedModel,
    segments: Sequence[Segment],
    *,
    renamed: Mapping[int, tuple[str, str]],
    said: str,
    author: str,
) -> RegisteredVersion:
    """The version with the new words and a step in the lineage of each new name."""
    model, at = AudienceModel.load(before.folder), now()
    lineage = model.lineage
    for item in segments:
        if item.id in renamed:
            lineage = lineage.after_renaming(item, at=at, author=author)
    report = dict(read_bundle(before.folder).documents["report"])
    report["segments"] = [item.to_json() for item in segments]
    with tempfile.TemporaryDirectory(prefix="segmenter-") as scratch:
        folder = Path(scratch)
        worded = replace(model, segments=tuple(segments), lineage=lineage)
        worded.save(folder / BUNDLE, documents={"report": report})
        return register_successor(home, before, folder, said=said, word=RENAMED)
