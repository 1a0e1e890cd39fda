"""Exact search: what a sort of everything finds, of equals the first, filters obeyed."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from segmenter.errors import SpaceError
from segmenter.space import neighbors
from segmenter.space.neighbors import nearest_rows, score_rows, top
from tests.space.clouds import cloud, clouds, seeds


@settings(max_examples=60)
@given(clouds, st.sampled_from(["cosine", "dot", "euclidean"]))
def test_scores_are_the_textbook_ones_in_blocks_of_any_size(crowd, metric) -> None:
    vectors, query = crowd.astype(np.float32), crowd[0]
    expected = {
        "cosine": 1 - cdist(crowd, query[None], "cosine")[:, 0],
        "dot": crowd @ query,
        "euclidean": -cdist(crowd, query[None])[:, 0],
    }[metric]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "BLOCK_ROWS", 7)
        found = score_rows(vectors, query, metric=metric)
    tolerance = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=tolerance)


scores = st.lists(st.integers(-4, 4), min_size=1, max_size=40).map(
    lambda some: np.array(some, float)
)


@settings(max_examples=100)
@given(scores, st.integers(1, 45), st.randoms(use_true_random=False))
def test_the_top_is_the_head_of_a_stable_sort_of_those_allowed(values, k, random) -> None:
    allowed = np.array([random.random() < 0.7 for _ in values])
    allowed[0] = True
    rows = np.flatnonzero(allowed)
    expected = rows[np.argsort(-values[rows], kind="stable")][:k]
    found = top(values, k=k, allowed=allowed)
    np.testing.assert_array_equal(found.rows, expected)
    np.testing.assert_array_equal(found.scores, values[expected])
    np.testing.assert_array_equal(top(values, share=1.0).rows, np.argsort(-values, kind="stable"))


@settings(max_examples=60)
@given(seeds, st.integers(1, 30), st.integers(3, 50))
def test_nearest_rows_are_those_of_scikit_learn_in_blocks_of_any_size(seed, k, block) -> None:
    crowd, points = cloud(seed), cloud(seed + 1, n_rows=4)
    allowed = np.random.default_rng(seed).random(len(crowd)) < 0.8
    candidates = np.flatnonzero(allowed)
    model = NearestNeighbors(algorithm="brute").fit(crowd[candidates])
    distances, places = model.kneighbors(points, min(k, len(candidates)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "BLOCK_ROWS", block)
        rows, found = nearest_rows(crowd, points, k=k, allowed=allowed)
    np.testing.assert_allclose(found, distances, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(rows, candidates[places])


def test_of_equal_rows_the_first_is_nearest_across_blocks() -> None:
    vectors = np.zeros((50, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "BLOCK_ROWS", 8)
        rows, _ = nearest_rows(vectors, np.zeros((2, 2)), k=5)
    assert rows.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_a_vector_without_length_is_like_nobody() -> None:
    vectors = np.array([[0, 0], [3, 4]], dtype=np.float32)
    assert score_rows(vectors, np.array([6.0, 8.0])).tolist() == [0, 1]
    assert score_rows(vectors, np.zeros(2)).tolist() == [0, 0]


def test_a_file_is_searched_where_it_lies(tmp_path) -> None:
    crowd = cloud(0, n_rows=500).astype(np.float32)
    np.save(tmp_path / "crowd.npy", crowd)
    mapped = np.load(tmp_path / "crowd.npy", mmap_mode="r")
    np.testing.assert_array_equal(score_rows(mapped, crowd[3]), score_rows(crowd, crowd[3]))
    assert top(score_rows(mapped, crowd[3]), k=1).rows.tolist() == [3]


@pytest.mark.parametrize(
    "case",
    [
        ({}, "k=None, share=None"),
        ({"k": 1, "share": 0.5}, "k=1, share=0.5"),
        ({"k": 0}, "k=0"),
        ({"share": 1.5}, "share=1.5"),
        ({"k": 1, "allowed": np.zeros(3, bool)}, "leave nobody"),
    ],
)
def test_a_search_for_nothing_is_refused(case) -> None:
    options, said = case
    with pytest.raises(SpaceError, match=said):
        top(np.ones(3), **options)


def test_a_query_of_another_space_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"shape \(4,\) of one vector; found \(3,\)"):
        score_rows(np.ones((5, 4), np.float32), np.ones(3))
