"""Ward's tree over weighted points is scipy's over as many copies of each point."""

import numpy as np
from hypothesis import given, settings, strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

from segmenter.segments.ward import group_middles, ward_tree


def drawn(seed: int, n_points: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n_points, 3)), generator.integers(1, 6, n_points)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 14))
def test_groups_are_those_of_scipy_on_copies_of_the_points(seed: int, n_points: int) -> None:
    points, users = drawn(seed, n_points)
    copies = np.repeat(np.arange(n_points), users)
    oracle = linkage(points[copies], "ward")
    tree = ward_tree(points, users)
    heights = oracle[-(n_points - 1) :, 2]
    np.testing.assert_allclose(np.sqrt(2 * tree.costs[: n_points - 1][::-1]), heights, rtol=1e-6)
    for n_groups in range(1, n_points + 1):
        expected = fcluster(oracle, n_groups, "maxclust")
        assert adjusted_rand_score(tree.cut(n_groups)[copies], expected) == 1


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 14))
def test_fewer_groups_are_unions_of_more_and_cost_more(seed: int, n_points: int) -> None:
    points, users = drawn(seed, n_points)
    tree = ward_tree(points, users)
    for n_groups in range(1, n_points + 1):
        label = tree.cut(n_groups)
        assert sorted(set(label.tolist())) == list(range(n_groups))
        if n_groups > 1:
            for group in range(n_groups):
                assert len(set(tree.cut(n_groups - 1)[label == group].tolist())) == 1
    assert (np.diff(tree.costs) <= 1e-9).all()
    middles = group_middles(points, users.astype(float), tree.cut(1))
    np.testing.assert_allclose(middles[0], np.average(points, axis=0, weights=users))
