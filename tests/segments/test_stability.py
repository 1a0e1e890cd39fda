"""Stability of each segment: the best overlap with what half of the users give."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import jaccard_score

from segmenter.segments.segment import Segment
from segmenter.segments.stability import best_overlaps, with_stability


def segment(number: int) -> Segment:
    return Segment(number, f"s{number}", 10, 0.1, 0, ())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_the_overlap_is_the_best_jaccard_of_scikit_learn(seed: int, k: int, m: int) -> None:
    generator = np.random.default_rng(seed)
    segment_id, label = generator.integers(1, k + 1, 60), generator.integers(0, m, 60)
    found = best_overlaps(segment_id, list(range(1, k + 1)), label)
    expected = [
        max(
            jaccard_score(segment_id == one, label == other, zero_division=0) for other in range(m)
        )
        for one in range(1, k + 1)
    ]
    np.testing.assert_allclose(found, expected)


def test_a_segment_that_halves_cut_elsewhere_is_unstable_and_the_others_are_not() -> None:
    generator = np.random.default_rng(0)
    middles = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 1.0]])
    group = np.repeat([0, 1, 2], [100, 100, 100])
    points = middles[group] + 0.3 * generator.normal(size=(300, 2))
    other = np.array([[0.0, 0.0], [9.5, 0.5], [10.5, 0.5]])
    found = with_stability([segment(n) for n in (1, 2, 3)], group + 1, points, halves=[other] * 2)
    assert found[0].stability == 1
    assert found[1].stability < 0.5
    assert found[1].is_unstable
    assert not found[0].is_unstable
    assert Segment.from_json(found[1].to_json()) == found[1]


def test_without_halves_there_is_no_figure() -> None:
    (found,) = with_stability([segment(1)], np.ones(4), np.zeros((4, 2)), halves=())
    assert found.stability is None
    assert not found.is_unstable
    assert with_stability([segment(1)], np.ones(4), np.zeros((4, 2)), halves=[np.zeros((1, 2))])[
        0
    ].stability == pytest.approx(1)
