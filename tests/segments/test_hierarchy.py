"""Three levels nest for every user, and say the same of a user alone and in any batch."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors.numpy import load, save

from segmenter.errors import ConfigError
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.hierarchy import LEVELS, Hierarchy, check_level, rows_at
from segmenter.segments.lineage import Lineage
from segmenter.segments.segment import Segment


def plain_segment(number: int, *, n_users: int = 10, stability: float | None = None) -> Segment:
    return Segment(number, f"segment {number}", n_users, 0.1, 4, (), stability=stability)


def nested(seed: int) -> tuple[Hierarchy, PrototypeAssigner]:
    """Random levels: some segments, each in a macro segment and with some micro segments."""
    generator = np.random.default_rng(seed)
    ids = generator.permutation(np.arange(1, 30))[: generator.integers(1, 8)]
    n_macros = int(generator.integers(1, len(ids) + 1))
    owners = np.append(np.arange(n_macros), generator.integers(0, n_macros, len(ids)))[: len(ids)]
    parents = np.repeat(ids, generator.integers(1, 4, len(ids)))
    micro_ids = generator.permutation(len(parents)) + 5
    levels = Hierarchy(
        macros=tuple(plain_segment(number + 1) for number in range(n_macros)),
        micros=tuple(plain_segment(int(number)) for number in micro_ids),
        macro_of={int(one): int(macro) + 1 for one, macro in zip(ids, owners, strict=True)},
        segment_of={int(one): int(up) for one, up in zip(micro_ids, parents, strict=True)},
        prototypes=generator.normal(size=(len(parents), 3)),
        macro_lineage=Lineage(n_macros + 1, ()),
        micro_lineage=Lineage(len(parents) + 5, ()),
        reason="so",
    )
    prototypes = generator.normal(size=(len(ids), 3))
    return levels, PrototypeAssigner(prototypes, ids, np.ones(len(ids)))


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_levels_nest_for_every_user_alone_and_in_a_batch(seed: int) -> None:
    levels, assigner = nested(seed)
    levels.check(assigner.ids.tolist(), 3)
    users = np.random.default_rng(seed).normal(size=(40, 3)).astype(np.float32)
    segment = assigner.assign(users).segment_id
    macro, micro = levels.place(users, segment)
    for row, user in enumerate(users):
        assert levels.macro_of[int(segment[row])] == macro[row]
        assert levels.segment_of[int(micro[row])] == segment[row]
        own = [
            (float(np.linalg.norm(prototype - user)), item.id)
            for prototype, item in zip(levels.prototypes, levels.micros, strict=True)
            if levels.segment_of[item.id] == segment[row]
        ]
        assert min(own)[1] == micro[row]
        alone = levels.place(users[[row]], segment[[row]])
        assert (int(alone[0][0]), int(alone[1][0])) == (macro[row], micro[row])
    assert [len(part) for part in levels.place(users[:0], segment[:0])] == [0, 0]


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_levels_come_back_from_a_bundle_as_they_were(seed: int) -> None:
    levels, _ = nested(seed)
    plain = json.loads(json.dumps(levels.to_json()))
    again = Hierarchy.from_json(plain, load(save(levels.arrays())))
    np.testing.assert_array_equal(again.prototypes, levels.prototypes)
    assert replace(again, prototypes=levels.prototypes) == levels
    segments = [plain_segment(number).to_json() for number in levels.macro_of]
    for level in LEVELS:
        published = tuple(Segment.from_json(row) for row in segments)
        rows = list(rows_at(plain, level, segments))
        assert [row["id"] for row in rows] == [one.id for one in levels.at(level, published)]
        assert [row["parent"] for row in rows] == [levels.parent(level, row["id"]) for row in rows]
        assert all(row["core"] + row["voted"] == row["size"] for row in rows)


def test_what_does_not_nest_is_refused() -> None:
    levels, assigner = nested(3)
    ids, some = assigner.ids.tolist(), next(iter(levels.macro_of))
    broken = [
        (replace(levels, macro_of={**levels.macro_of, some: 99}), ids),
        (replace(levels, segment_of={**levels.segment_of, 999: some}), ids),
        (replace(levels, prototypes=levels.prototypes[1:]), ids),
        (levels, [*ids, 77]),
    ]
    for one, numbers in broken:
        with pytest.raises(ValueError, match="levels must nest"):
            one.check(numbers, 3)


def test_a_model_without_levels_says_so_and_a_level_must_be_one() -> None:
    rows = list(rows_at(None, "segment", [plain_segment(3, stability=0.2).to_json()]))
    assert (rows[0]["parent"], rows[0]["status"]) == (None, "unstable")
    with pytest.raises(ConfigError, match="made before there were levels"):
        list(rows_at(None, "micro", []))
    with pytest.raises(ConfigError, match="must be macro, segment or micro; found 'top'"):
        check_level("top")
