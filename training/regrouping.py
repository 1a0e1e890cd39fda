"""A person merges or splits segments: a new version of the model, with new ids and a history.

The network, its embeddings and all other segments stay. The ids that end are retired and never
given again; what a person put together or apart is a lock that refits keep.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.audience_model import AudienceModel
from segmenter.bundle import read_bundle
from segmenter.clock import now
from segmenter.errors import ConfigError
from segmenter.events.batches import SequenceReader
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import ResolvedModel
from segmenter.segments.anchored import HOLD, settle_anchored
from segmenter.segments.density import BETWEEN, DensitySettings, find_leaves
from segmenter.segments.matching import MERGED, SPLIT as PARTED
from segmenter.segments.profiles import describe_segments
from segmenter.segments.prototypes import core_agreement
from segmenter.segments.regrouping import MERGE, Regrouping, merge_segments, split_segment
from segmenter.segments.rules import with_rules
from segmenter.segments.segment import Segment
from segmenter.segments.sensitive import all_topics, with_flags
from segmenter.segments.stability import with_stability
from segmenter.validity.validity_report import ValidityReport
from training.config import TrainConfig
from training.judging import Placement, judge
from training.naming import register_successor
from training.nesting import kept_words, regroup_levels
from training.plan import BUNDLE
from training.portrait import Portrait, Sitters, inherited_calibration, portray_users
from training.registration import RegisteredVersion
from training.regroup_effect import Crowd
from training.report.data import ReportData
from training.segmentation import Segmentation, user_facts
from training.selection import N_SPLITS, Choice
from training.summary import coverage_of, map_labels, shown_users
from training.user_tables import UserTables


@dataclass(frozen=True)
class Regrouped:
    """Segments that were merged or split.

    Attributes
    ----------
    before, after
        The version that had the old segments, and the one that has the new.
    segments
        The new segments.
    author, at
        Who did it, and when (ISO 8601).
    """

    before: ResolvedModel
    after: RegisteredVersion
    segments: tuple[Segment, ...]
    author: str
    at: str


def plan_regrouping(model: AudienceModel, ids: Sequence[int]) -> Regrouping:
    """What would come of merging two segments, or of splitting one.

    Parameters
    ----------
    model
        As it is.
    ids
        Two to merge, or one to split.

    Raises
    ------
    ConfigError
        If there is no such segment, or it has no parts.
    """
    parts = (model.assigner, model.segments, model.hierarchy)
    next_id = model.with_lineage().lineage.next_id
    if len(ids) == 1:
        return split_segment(*parts, number=ids[0], next_id=next_id)
    return merge_segments(*parts, ids=(ids[0], ids[1]), next_id=next_id)


def regroup(
    home: MlflowHome,
    before: ResolvedModel,
    planned: Regrouping,
    *,
    crowd: Crowd,
    author: str,
    tables: UserTables,
) -> Regrouped:
    """Do what was planned, as a new version of the model.

    Parameters
    ----------
    home
        Where the model is registered.
    before
        The version that it is done to.
    planned
        From `plan_regrouping`.
    crowd
        The users of the fit, with their events.
    author
        Who says so.
    tables
        What is known of users beside their events, for the check against later behaviour.

    Raises
    ------
    ConfigError
        If the events are not at hand: names and reasons are counted from them.
    RegistryError
        If MLflow cannot be written.
    """
    if crowd.store is None or crowd.users is None or crowd.embeddings is None:
        message = "names and reasons are counted from the events; pass --store, then --yes"
        raise ConfigError(message)
    model, at = AudienceModel.load(before.folder), now()
    documents = read_bundle(before.folder).documents
    space = model.projection(crowd.embeddings)
    found = _described(model, planned.with_limits(space), space, crowd=crowd)
    event = MERGED if planned.kind == MERGE else PARTED
    new = tuple(item for item in found.segments if item.id in planned.new)
    lineage = model.lineage.after_regrouping(planned.old, new, event=event, at=at, author=author)
    topics = all_topics(documents["training"].get("config", {}).get("sensitive", {}))
    levels = model.hierarchy
    if levels is not None:
        levels = regroup_levels(found, space, planned, before=levels, at=at, seed=_seed(model))
        levels = levels.with_descriptions(
            with_flags(levels.macros, topics), with_flags(levels.micros, topics)
        )
    portrait = _portrait(model, before.label, crowd, found=found)
    changed = replace(
        model,
        training=model.training | portrait.for_model(),
        assigner=found.assigner,
        segments=with_flags(found.segments, topics),
        lineage=lineage,
        hierarchy=levels,
    )
    validity = _validity(changed, found, crowd, tables=tables)
    report = _report(documents["report"], changed, found, validity=validity, portrait=portrait)
    said = _said(planned, new, author)
    with tempfile.TemporaryDirectory(prefix="segmenter-") as scratch:
        folder = Path(scratch)
        changed.save(folder / BUNDLE, documents={"report": report.to_json()})
        after = register_successor(home, before, folder, said=said, word=event)
    return Regrouped(before, after, new, author, at)


def _described(
    model: AudienceModel, planned: Regrouping, space: np.ndarray, *, crowd: Crowd
) -> Segmentation:
    """The segments after it: new ones described, all others as they were but for their sizes."""
    assert crowd.store is not None
    assert crowd.users is not None
    seed, assigner = _seed(model), planned.assigner
    assignment = assigner.assign(space)
    leaves = find_leaves(space, settings=DensitySettings(), seed=seed)
    reader = SequenceReader(crowd.store, model.network.vocabulary)
    facts = user_facts(reader, crowd.users, as_of=model.trained_as_of)
    label = assignment.segment_id[leaves.rows]
    core = np.bincount(label[leaves.labels != BETWEEN], minlength=max(planned.new) + 1)
    segments = describe_segments(
        assignment.segment_id, facts.presence, facts.tokens, levels=facts.levels, core=core
    )
    new = tuple(item for item in segments if item.id in planned.new)
    new = with_rules(new, assignment.segment_id, facts, seed=seed)
    halves = _halves(assigner.prototypes, space, seed=seed)
    new = with_stability(
        new, assignment.segment_id, space, halves=halves, owners=assigner.segment_ids
    )
    described = {item.id: item for item in new}
    segments = kept_words(segments, model.segments, touched=(*planned.old, *planned.new))
    segments = _own_names([described.get(item.id, item) for item in segments])
    return Segmentation(
        Choice((), model.projection, leaves, assigner, tuple(halves)),
        assigner,
        segments,
        leaves,
        np.zeros((0, 2), dtype=np.float32),
        assignment,
        core_agreement(label, leaves),
        facts,
    )


def _halves(prototypes: np.ndarray, space: np.ndarray, *, seed: int) -> list[np.ndarray]:
    """Prototypes that halves of the users move, as in a refit; none of a single user."""
    points, hold, halves = space.astype(np.float64), np.full(len(prototypes), HOLD), []
    for split in range(N_SPLITS if len(points) > 1 else 0):
        order = np.random.default_rng((seed, split)).permutation(len(points))
        parts = (np.sort(order[::2]), np.sort(order[1::2]))
        halves += [settle_anchored(points[half], prototypes, hold=hold) for half in parts]
    return halves


def _portrait(model: AudienceModel, label: str, crowd: Crowd, *, found: Segmentation) -> Portrait:
    """How the new segments hold their users."""
    assert crowd.store is not None
    assert crowd.users is not None
    assert crowd.embeddings is not None
    share = model.training.get("config", {}).get("outsider_share", TrainConfig().outsider_share)
    sitters = Sitters(crowd.store, crowd.users, model.trained_as_of, share, _seed(model))
    space = model.projection(crowd.embeddings)
    return portray_users(sitters, found, space, reliable=inherited_calibration(model, label))


def _own_names(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The segments, the later of two with one name under a number."""
    taken: set[str] = set()
    named = []
    for item in segments:
        name, number = item.name, 2
        while name in taken:
            name, number = f"{item.name} ({number})", number + 1
        taken.add(name)
        named.append(replace(item, name=name))
    return tuple(named)


def _validity(
    model: AudienceModel, found: Segmentation, crowd: Crowd, *, tables: UserTables
) -> ValidityReport | None:
    """The new segments against what users did after the training period, if it is known."""
    assert crowd.store is not None
    assert crowd.users is not None
    assert crowd.embeddings is not None
    if crowd.store.newest <= model.trained_as_of and tables.outcomes is None:
        return None
    placed = Placement(
        crowd.users, found.assignment.segment_id, crowd.embeddings, model.trained_as_of
    )
    return judge(crowd.store, placed, model.network, tables=tables, seed=_seed(model))


def _report(
    plain: dict[str, Any],
    model: AudienceModel,
    found: Segmentation,
    *,
    validity: ValidityReport | None,
    portrait: Portrait,
) -> ReportData:
    """The report of the version before, with what is different now."""
    data, seed = ReportData.from_json(plain), _seed(model)
    rows = found.leaves.rows[shown_users(len(found.leaves.rows), seed=seed)]
    users = data.user_map
    if len(rows) == len(users.x):
        segment_id, strength = map_labels(found, rows)
        users = replace(users, segment_id=segment_id, strength=strength)
    return replace(
        data,
        segments=tuple(item.to_json() for item in model.segments),
        coverage=coverage_of(found),
        user_map=users,
        validity=None if validity is None else validity.to_json(),
        hierarchy=None if model.hierarchy is None else model.hierarchy.to_json(),
        portrait=portrait.to_json(),
    )


def _seed(model: AudienceModel) -> int:
    return int(model.training.get("config", {}).get("seed", 0))


def _said(planned: Regrouping, new: Sequence[Segment], author: str) -> str:
    """What was done, in a sentence."""
    old = " and ".join(map(str, planned.old))
    names = " and ".join(f"{item.id} ({item.name})" for item in new)
    done = "merged" if planned.kind == MERGE else "split"
    return f"segment {old} {done} into {names}, by {author}"
