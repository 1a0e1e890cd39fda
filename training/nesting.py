"""Levels above and below the published segments: macro and micro segments, found and described.

A fresh fit groups and divides; a refit lets what its parent published go on, under the same ids.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segmenter.segments.density import BETWEEN
from segmenter.segments.distances import nearest, squared_distances
from segmenter.segments.hierarchy import Hierarchy, macro_ids, nearest_within
from segmenter.segments.lineage import Lineage, carry_names
from segmenter.segments.macro import group_segments, join_macros, macro_of_points
from segmenter.segments.matching import APPEARED, GONE, KEPT, Flow
from segmenter.segments.micro import MICRO_LIMITS, Parts, find_parts, keep_parts
from segmenter.segments.profiles import WITHIN_PARENT, describe_segments
from segmenter.segments.regrouping import Regrouping
from segmenter.segments.rules import with_rules
from segmenter.segments.segment import Segment
from segmenter.segments.stability import best_overlaps
from training.segmentation import Segmentation

HELD = (
    "as the parent's: segments that go on stay in their macro segment, new ones join the nearest"
)


@dataclass(frozen=True)
class Inherited:
    """What a refit takes over.

    Attributes
    ----------
    levels
        Of the parent.
    split_from
        New segments to the one that they split from.
    """

    levels: Hierarchy
    split_from: Mapping[int, int]


@dataclass(frozen=True)
class _Micros:
    """Micro segments before they are described."""

    ids: np.ndarray
    parents: np.ndarray
    prototypes: np.ndarray
    stability: np.ndarray

    def rows(self, chosen: np.ndarray) -> "_Micros":
        """Some of them."""
        parts = (self.ids, self.parents, self.prototypes, self.stability)
        return _Micros(*(part[chosen] for part in parts))


def fit_levels(
    found: Segmentation,
    space: np.ndarray,
    *,
    at: str,
    seed: int,
    inherited: Inherited | None = None,
) -> Hierarchy:
    """Group the segments, divide each of them, and say what sets each group and part apart.

    Parameters
    ----------
    found
        The published segments, named.
    space
        float32 [n, S], the training users in segment coordinates.
    at
        As-of time of the fit, ISO 8601.
    seed
        Of halves and rules.
    inherited
        Of a refit whose parent has levels; None starts afresh.
    """
    segment_id = found.assignment.segment_id
    macro_of, reason = _macros(found, inherited)
    micros = _micros(found, space, inherited, seed=seed)
    place = nearest_within(space, segment_id, prototypes=micros.prototypes, parents=micros.parents)
    micro_id = micros.ids[place]
    micros = micros.rows(np.isin(micros.ids, micro_id))
    macro_id = macro_ids(segment_id, macro_of)
    above = _described_macros(found, macro_id, seed=seed)
    below = _described_micros(found, micro_id, micros, seed=seed)
    labels = _macro_halves(found, space, macro_of, is_refit=inherited is not None)
    above = _with_stability(above, macro_id, labels)
    if inherited is not None:
        above = carry_names(above, inherited.levels.macros)
        below = carry_names(below, inherited.levels.micros)
    before: tuple[Lineage | None, Lineage | None] = (None, None)
    if inherited is not None:
        before = (inherited.levels.macro_lineage, inherited.levels.micro_lineage)
    return Hierarchy(
        macros=above,
        micros=below,
        macro_of=macro_of,
        segment_of=dict(zip(micros.ids.tolist(), micros.parents.tolist(), strict=True)),
        prototypes=micros.prototypes,
        macro_lineage=next_lineage(before[0], above, at=at),
        micro_lineage=next_lineage(before[1], below, at=at),
        reason=reason,
    )


def regroup_levels(
    found: Segmentation,
    space: np.ndarray,
    done: Regrouping,
    *,
    before: Hierarchy,
    at: str,
    seed: int,
) -> Hierarchy:
    """The levels after a person merged or split segments: ids stay, only what changed is renamed.

    Parameters
    ----------
    found
        The segments after it.
    space
        float32 [n, S], the training users in segment coordinates.
    done
        What was merged or split.
    before
        The levels until then.
    at
        Moment, ISO 8601.
    seed
        Of rules.
    """
    macro_of, segment_of = dict(done.macro_of or {}), done.segment_of or {}
    stability = [np.nan if item.stability is None else item.stability for item in before.micros]
    micros = _Micros(
        np.array([item.id for item in before.micros], dtype=np.int32),
        np.array([segment_of[item.id] for item in before.micros], dtype=np.int32),
        before.prototypes,
        np.array(stability),
    )
    segment_id = found.assignment.segment_id
    place = nearest_within(space, segment_id, prototypes=micros.prototypes, parents=micros.parents)
    micro_id = micros.ids[place]
    micros = micros.rows(np.isin(micros.ids, micro_id))
    above = _described_macros(found, macro_ids(segment_id, macro_of), seed=seed)
    below = _described_micros(found, micro_id, micros, seed=seed)
    touched = {before.macro_of[number] for number in done.old}
    parts = {number for number, parent in segment_of.items() if parent in done.new}
    above = kept_words(above, before.macros, touched=touched)
    below = kept_words(below, before.micros, touched=parts)
    return replace(
        before,
        macros=above,
        micros=below,
        macro_of=macro_of,
        segment_of=dict(zip(micros.ids.tolist(), micros.parents.tolist(), strict=True)),
        prototypes=micros.prototypes,
        macro_lineage=next_lineage(before.macro_lineage, above, at=at),
        micro_lineage=next_lineage(before.micro_lineage, below, at=at),
    )


def kept_words(
    fresh: Sequence[Segment], before: Sequence[Segment], *, touched: Collection[int]
) -> tuple[Segment, ...]:
    """Segments under fresh figures; names, facts and rules stay where a segment was not touched.

    Parameters
    ----------
    fresh, before
        Segments of a level, described anew and until then.
    touched
        Ids whose members are others now.
    """
    known = {item.id: item for item in before if item.id not in touched}
    return tuple(
        replace(known[item.id], n_users=item.n_users, share=item.share, n_core=item.n_core)
        if item.id in known
        else item
        for item in fresh
    )


def next_lineage(before: Lineage | None, segments: Sequence[Segment], *, at: str) -> Lineage:
    """The lineage of a level after a fit: who went on, appeared and is gone.

    Parameters
    ----------
    before
        Of the parent; None of a fresh fit.
    segments
        Of the level, today.
    at
        As-of time, ISO 8601.
    """
    if before is None:
        return Lineage.begin(segments, at=at)
    now = {item.id: item.n_users for item in segments}
    known = {history.id for history in before.histories if not history.retired}
    flow = [Flow(number, number, KEPT, now[number]) for number in sorted(known & set(now))]
    flow += [Flow(None, number, APPEARED, now[number]) for number in sorted(set(now) - known)]
    flow += [Flow(number, None, GONE, 0) for number in sorted(known - set(now))]
    return before.after_refit(segments, flow, at=at)


def _macros(found: Segmentation, inherited: Inherited | None) -> tuple[dict[int, int], str]:
    """Macro segment of each segment, the largest is 1, and why there are so many."""
    ids = [item.id for item in found.segments]
    users = np.array([item.n_users for item in found.segments])
    owners = found.assigner.segment_ids
    middles = np.stack([found.assigner.prototypes[owners == one].mean(axis=0) for one in ids])
    if inherited is None:
        groups = group_segments(middles, users)
        order = np.argsort(-np.bincount(groups.label, users), kind="stable")
        rank = np.argsort(order) + 1
        return dict(zip(ids, rank[groups.label].tolist(), strict=True)), groups.reason
    levels = inherited.levels
    macro_of = join_macros(
        ids,
        middles,
        before=levels.macro_of,
        split_from=inherited.split_from,
        next_id=levels.macro_lineage.next_id,
    )
    return macro_of, f"{len(set(macro_of.values()))} macro segments, {HELD}"


def _micros(
    found: Segmentation, space: np.ndarray, inherited: Inherited | None, *, seed: int
) -> _Micros:
    """Micro prototypes of every segment, numbered from the first id that is free."""
    fitted = space[found.leaves.rows].astype(np.float64)
    label = found.assignment.segment_id[found.leaves.rows]
    smallest = MICRO_LIMITS.smallest(len(fitted))
    heirs = {} if inherited is None else _heirs(inherited, found)
    next_id = 1 if inherited is None else inherited.levels.micro_lineage.next_id
    pieces = []
    for item in found.segments:
        inside = label == item.id
        if item.id in heirs:
            ids, start = heirs[item.id]
            parts = keep_parts(fitted[inside], start, smallest=smallest, seed=seed)
            going = np.isfinite(parts.prototypes).all(axis=1)
            parts = Parts(parts.prototypes[going], parts.stability[going])
            ids = ids[going]
        else:
            parts = find_parts(
                fitted[inside], found.leaves.labels[inside], smallest=smallest, seed=seed
            )
            ids = np.arange(next_id, next_id + len(parts.prototypes))
            next_id += len(ids)
        parents = np.full(len(ids), item.id)
        pieces.append((ids, parents, parts.prototypes, parts.stability))
    ids, parents, prototypes, stability = (
        np.concatenate(part) for part in zip(*pieces, strict=True)
    )
    return _Micros(ids.astype(np.int32), parents.astype(np.int32), prototypes, stability)


def _heirs(inherited: Inherited, found: Segmentation) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Segment of today to the ids and prototypes of the parent's micro segments in it.

    A micro segment stays in its segment, or goes with the part that split from it, or, where its
    segment is no more, to the segment whose prototype is nearest.
    """
    levels, assigner = inherited.levels, found.assigner
    today = set(assigner.segment_ids.tolist())
    places: dict[int, list[int]] = {}
    for place, item in enumerate(levels.micros):
        parent = levels.segment_of[item.id]
        family = {new for new, old in inherited.split_from.items() if old == parent} | {parent}
        usable = np.isin(assigner.segment_ids, list((family & today) or today))
        squares = squared_distances(levels.prototypes[[place]], assigner.prototypes[usable])
        heir = int(assigner.segment_ids[usable][squares.argmin()])
        places.setdefault(heir, []).append(place)
    ids = np.array([item.id for item in levels.micros])
    return {heir: (ids[some], levels.prototypes[some]) for heir, some in places.items()}


def _core(found: Segmentation, level_id: np.ndarray) -> np.ndarray:
    """Members in the dense cores, by id of a level."""
    inside = found.leaves.labels != BETWEEN
    return np.bincount(level_id[found.leaves.rows][inside], minlength=int(level_id.max()) + 1)


def _described_macros(
    found: Segmentation, macro_id: np.ndarray, *, seed: int
) -> tuple[Segment, ...]:
    """What sets each macro segment apart from the others."""
    facts = found.facts
    macros = describe_segments(
        macro_id, facts.presence, facts.tokens, levels=facts.levels, core=_core(found, macro_id)
    )
    return with_rules(macros, macro_id, facts, seed=seed)


def _macro_halves(
    found: Segmentation, space: np.ndarray, macro_of: Mapping[int, int], *, is_refit: bool
) -> list[np.ndarray]:
    """Macro group of everybody as each half of the users gives it, int64 [n] each.

    Halves of a fresh fit group their own prototypes; those of a refit move the published ones.
    """
    assigner, labels = found.assigner, []
    for half in found.choice.halves:
        if is_refit:
            labels.append(macro_ids(assigner.segment_ids, macro_of)[nearest(space, half)])
        else:
            n_groups = len(set(macro_of.values()))
            labels.append(macro_of_points(space, half, n_groups=n_groups))
    return labels


def _with_stability(
    macros: Sequence[Segment], macro_id: np.ndarray, labels: Sequence[np.ndarray]
) -> tuple[Segment, ...]:
    """Overlap of each macro segment with the nearest group that halves of the users give."""
    if not labels:
        return tuple(macros)
    ids = [item.id for item in macros]
    shares = np.mean([best_overlaps(macro_id, ids, label) for label in labels], axis=0)
    return tuple(
        replace(item, stability=float(share)) for item, share in zip(macros, shares, strict=True)
    )


def _described_micros(
    found: Segmentation, micro_id: np.ndarray, micros: _Micros, *, seed: int
) -> tuple[Segment, ...]:
    """What sets each part of a segment apart from the other parts, in the order of `micros`."""
    held = dict(zip(micros.ids.tolist(), micros.stability.tolist(), strict=True))
    described: dict[int, Segment] = {}
    core = _core(found, micro_id)
    for item in found.segments:
        inside = np.flatnonzero(found.assignment.segment_id == item.id)
        own = micro_id[inside]
        if len(np.unique(own)) == 1:
            number = int(own[0])
            described[number] = replace(item, id=number, locked=False)
            continue
        for part in _parts_of(found, inside, own, core=core, seed=seed):
            share = part.n_users / len(micro_id)
            known = None if np.isnan(held[part.id]) else held[part.id]
            described[part.id] = replace(part, share=share, stability=known)
    return tuple(described[number] for number in micros.ids.tolist())


def _parts_of(
    found: Segmentation, inside: np.ndarray, micro_id: np.ndarray, *, core: np.ndarray, seed: int
) -> Iterator[Segment]:
    """The parts of one segment beside each other; shares are those within it."""
    facts = found.facts.rows(inside)
    parts = describe_segments(
        micro_id, facts.presence, facts.tokens, levels=facts.levels, core=core, words=WITHIN_PARENT
    )
    yield from with_rules(parts, micro_id, facts, seed=seed)
