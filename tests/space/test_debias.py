"""Bias: erasure is that of the paper, probes read what is there, weights make independent."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mutual_info_score

from segmenter.errors import SpaceError
from segmenter.space.attributes import MAX_VALUES, encode_attribute
from segmenter.space.debias import (
    balancing_weights,
    effective_sample,
    erase_attribute,
    measure_bias,
    resampled_rows,
)
from segmenter.space.disparity import (
    segment_disparities,
    selection_disparity,
    shared_information,
)
from segmenter.space.erasure import fit_eraser
from segmenter.space.probes import linear_probe, tree_probe
from tests.space.clouds import cloud, seeds


def concept(seed: int, crowd: np.ndarray, n_values: int) -> np.ndarray:
    """A group per user, float64 [n, c] of 0 and 1, that depends on the first coordinates."""
    generator = np.random.default_rng(seed)
    score = crowd[:, 0] / crowd[:, 0].std() + generator.standard_normal(len(crowd))
    codes = np.searchsorted(np.quantile(score, np.linspace(0, 1, n_values + 1)[1:-1]), score)
    return np.eye(n_values)[codes]


def planted(seed: int, n_users: int = 1200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors with four far groups in two coordinates and an attribute in a third."""
    generator = np.random.default_rng(seed)
    group = generator.integers(0, 4, n_users)
    vectors = generator.standard_normal((n_users, 6)) * 0.6
    vectors[:, :2] += 4 * np.stack([group % 2, group // 2], axis=1)
    attribute = generator.random(n_users) < 0.5
    vectors[:, 2] += 1.5 * attribute
    return vectors @ np.linalg.qr(generator.standard_normal((6, 6)))[0], attribute, group


def four_groups(vectors: np.ndarray) -> np.ndarray:
    """Segments by KMeans; the numbers follow the first coordinate."""
    return KMeans(4, n_init=3, random_state=0).fit_predict(vectors)


@settings(max_examples=25)
@given(seeds, st.integers(2, 4))
def test_erasure_is_that_of_the_concept_erasure_package(seed, n_values) -> None:
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("concept_erasure")
    crowd = cloud(seed)
    targets = concept(seed, crowd, n_values)
    vectors, labels = torch.from_numpy(crowd), torch.from_numpy(targets)
    theirs = package.LeaceEraser.fit(vectors, labels, shrinkage=False)(vectors).numpy()
    np.testing.assert_allclose(fit_eraser(crowd, targets)(crowd), theirs, atol=1e-6)


@settings(max_examples=40)
@given(seeds, st.integers(2, 4))
def test_after_erasure_nothing_linear_is_left_and_twice_is_once(seed, n_values) -> None:
    crowd = cloud(seed)
    targets = concept(seed, crowd, n_values)
    eraser = fit_eraser(crowd, targets)
    erased = eraser(crowd)
    assert LinearRegression().fit(erased, targets).score(erased, targets) < 1e-9
    np.testing.assert_allclose(eraser(erased), erased, atol=1e-8)
    np.testing.assert_allclose(erased.mean(axis=0), crowd.mean(axis=0), atol=1e-9)
    assert eraser.rank == n_values - 1


@settings(max_examples=25)
@given(seeds)
def test_no_other_erasing_map_moves_the_vectors_less_in_any_norm(seed) -> None:
    """Others: the projection along the attribute's covariance in a norm of one's choice."""
    crowd, generator = cloud(seed), np.random.default_rng(seed)
    targets = concept(seed, crowd, 2)
    ours = fit_eraser(crowd, targets)(crowd) - crowd
    mixing = generator.standard_normal((crowd.shape[1], crowd.shape[1]))
    norm = mixing @ mixing.T
    centred = crowd - crowd.mean(axis=0)
    shared = centred.T @ (targets[:, 0] - targets[:, 0].mean())
    read = np.linalg.solve(norm, shared)
    for other in (read, shared):
        theirs = -np.outer(centred @ other / (other @ shared), shared)
        assert np.abs((crowd + theirs - crowd.mean(axis=0)).T @ targets[:, 0]).max() < 1e-6 * max(
            np.abs(shared).max(), 1
        )
        cost = [np.einsum("nd,de,ne->", moved, norm, moved) for moved in (ours, theirs)]
        assert cost[0] <= cost[1] * (1 + 1e-9)


def test_probes_read_what_is_straight_and_what_is_curved() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((1500, 4))
    straight = encode_attribute("straight", vectors[:, 0] > 0)
    curved = encode_attribute("curved", np.where(vectors[:, 0] * vectors[:, 1] > 0, "a", "b"))
    chance = encode_attribute("chance", generator.random(1500) < 0.5)
    number = encode_attribute("number", 2 * vectors[:, 3] + 7)
    assert linear_probe(vectors, straight) > 0.55
    assert linear_probe(vectors, number) > 0.99
    assert tree_probe(vectors, number) > 0.95
    assert linear_probe(vectors, curved) < 0.02
    assert tree_probe(vectors, curved) > 0.6
    assert max(linear_probe(vectors, chance), tree_probe(vectors, chance)) < 0.02


def test_an_attribute_is_erased_and_segments_stay() -> None:
    vectors, attribute, group = planted(0)
    known = encode_attribute("gender", attribute)
    found = erase_attribute(
        vectors,
        known,
        four_groups,
        outcomes={"group": encode_attribute("group", group.astype(str))},
    )
    assert found.before.linear_r2 > 0.4
    assert found.after.linear_r2 < 0.02
    assert found.after.tree_r2 < 0.05
    assert found.segment_agreement > 0.95
    assert found.moved < 0.5
    assert abs(found.after.outcomes["group"] - found.before.outcomes["group"]) < 0.02
    assert found.to_json()["dimensions_erased"] == 1


groups = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), min_size=8, max_size=80)


@settings(max_examples=80)
@given(groups.filter(lambda some: len({label for _, label in some}) == 2))
def test_shared_information_is_scikit_learns_less_chance(some) -> None:
    segments = np.array([segment for segment, _ in some])
    attribute = encode_attribute("x", np.array([label for _, label in some]))
    entropy = mutual_info_score(attribute.codes, attribute.codes)
    chance = (len(np.unique(segments)) - 1) / (2 * len(some))
    expected = (mutual_info_score(segments, attribute.codes) - chance) / entropy
    found = shared_information(segments, attribute)
    assert found == pytest.approx(np.clip(expected, 0, 1), abs=1e-9)


@settings(max_examples=80)
@given(seeds)
def test_weights_make_segments_and_attribute_independent_and_keep_their_shares(seed) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 3, 200)
    segments = (codes + generator.integers(0, 3, 200)) % 4
    attribute = encode_attribute("x", np.array(list("abc"))[codes])
    joint = np.histogram2d(segments, codes, bins=(np.arange(5), np.arange(4)))[0]
    if (joint == 0).any():
        with pytest.raises(SpaceError, match="has nobody with x"):
            balancing_weights(segments, attribute)
        return
    weights = balancing_weights(segments, attribute)
    table = np.zeros((4, 3))
    np.add.at(table, (segments, codes), weights / 200)
    np.testing.assert_allclose(table, np.outer(table.sum(1), table.sum(0)), atol=1e-12)
    np.testing.assert_allclose(table.sum(axis=1), np.bincount(segments) / 200)
    np.testing.assert_allclose(table.sum(axis=0), np.bincount(codes) / 200)
    assert 0 < effective_sample(weights) <= 200 + 1e-9


def test_resampling_by_weights_ends_the_disparity() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 2, 3000)
    segments = (generator.random(3000) < 0.3 + 0.4 * codes).astype(np.int64)
    attribute = encode_attribute("x", codes.astype(bool))
    before = segment_disparities(segments, attribute)
    assert max(one.ratio for one in before.values()) < 0.6
    rows = resampled_rows(balancing_weights(segments, attribute), 20_000, seed=0)
    after = measure_bias(
        generator.standard_normal((20_000, 2)),
        encode_attribute("x", codes[rows].astype(bool)),
        segments[rows],
    )
    assert after.worst_ratio > 0.95
    assert after.shared_information < 0.001


def test_disparity_is_the_lowest_rate_over_the_highest_of_groups_large_enough() -> None:
    attribute = encode_attribute("x", np.array(["a"] * 100 + ["b"] * 100 + ["c"] * 3))
    selected = np.r_[np.arange(100) < 40, np.arange(100) < 20, np.zeros(3, bool)]
    found = selection_disparity(selected, attribute)
    np.testing.assert_allclose(found.rates, [0.4, 0.2, 0])
    assert found.ratio == pytest.approx(0.5)
    assert selection_disparity(np.zeros(203, bool), attribute).ratio == 1


def test_numbers_are_banded_and_useless_attributes_refused() -> None:
    number = encode_attribute("age", np.arange(100))
    assert number.labels == ("0 to 24", "25 to 49", "50 to 74", "75 to 99")
    assert number.is_number
    for values in (np.ones(5), np.array(["x"] * 5), np.arange(MAX_VALUES + 1).astype(str)):
        with pytest.raises(SpaceError, match="attribute a must have 2 to 50 values"):
            encode_attribute("a", values)
    with pytest.raises(SpaceError, match="known of everybody"):
        encode_attribute("a", np.array([1.0, np.nan]))
