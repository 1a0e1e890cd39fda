"""Macro segments: planted groups of segments are found, and a refit keeps who belongs where."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.metrics import adjusted_rand_score

from segmenter.segments.macro import FEWEST, MOST, group_segments, join_macros, macro_of_points


def planted(seed: int, n_groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prototypes in groups far apart, the group of each, and users."""
    generator = np.random.default_rng(seed)
    label = np.repeat(np.arange(n_groups), generator.integers(2, 5, n_groups))
    centres = np.linalg.qr(generator.normal(size=(10, 10)))[0][:n_groups] * 30
    points = centres[label] + generator.normal(size=(len(label), 10))
    return points, label, generator.integers(50, 400, len(label))


@pytest.mark.parametrize("n_groups", range(FEWEST, MOST + 1))
@pytest.mark.parametrize("seed", range(3))
def test_planted_groups_of_segments_are_the_macro_segments(seed: int, n_groups: int) -> None:
    points, label, users = planted(seed, n_groups)
    groups = group_segments(points, users)
    assert adjusted_rand_score(label, groups.label) == 1
    assert f"{n_groups} macro segments" in groups.reason
    halves = macro_of_points(np.repeat(points, users, axis=0), points, n_groups=n_groups)
    assert adjusted_rand_score(np.repeat(label, users), halves) == 1


@given(st.integers(1, 30), st.integers(0, 10**6))
def test_there_are_four_to_eight_or_fewer_than_segments(n_segments: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(n_segments, 4))
    found = group_segments(points, generator.integers(0, 9, n_segments))
    n_groups = len(set(found.label.tolist()))
    assert n_groups <= max(1, min(MOST, n_segments - 1))
    assert n_groups >= min(FEWEST, max(1, n_segments // 2))


def test_a_refit_keeps_macros_and_places_what_is_new() -> None:
    prototypes = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0], [0.4, 0], [9, 1], [100, 100]])
    ids = [1, 2, 3, 4, 8, 9, 10]
    found = join_macros(
        ids, prototypes, before={1: 1, 2: 1, 3: 2, 4: 2, 5: 2}, split_from={8: 3}, next_id=3
    )
    assert found == {1: 1, 2: 1, 3: 2, 4: 2, 8: 2, 9: 2, 10: 3}
    assert join_macros([6], prototypes[:1], before={1: 1}, split_from={}, next_id=7) == {6: 7}
