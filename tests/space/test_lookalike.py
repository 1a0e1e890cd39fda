"""Look-alikes: planted likenesses are found, chance is refused, promises are kept."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from segmenter.errors import SeedError
from segmenter.space.lookalike import MIN_SEEDS, look_alikes
from segmenter.space.reach import REACHES, Landing, balanced_order, landing, lift_at
from segmenter.space.seed_models import fit_likeness, methods_for
from tests.space.clouds import affine, seeds


def planted(seed: int, n_users: int = 1500, *, pull: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Vectors float32 [n, 6] and who belongs, bool [n]: the chance rises along one direction."""
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((n_users, 6)) * [4, 2, 1, 1, 0.5, 0.5]
    chance = 1 / (1 + np.exp(-(pull * vectors[:, 2] + 0.3 * vectors[:, 0] - 3)))
    return vectors.astype(np.float32), generator.random(n_users) < chance


def no_groups(n_users: int) -> dict[str, np.ndarray]:
    """One fold and one group."""
    return {"fold": np.zeros(n_users, int), "group": np.zeros(n_users, int)}


rankings = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=60).filter(
    lambda some: 2 <= sum(yes for _, yes in some) < len(some)
)


@settings(max_examples=100)
@given(rankings)
def test_separation_is_the_area_under_the_curve_of_scikit_learn(ranking) -> None:
    scores = np.array([score for score, _ in ranking], float)
    is_seed = np.array([yes for _, yes in ranking])
    found = landing(scores, is_seed, **no_groups(len(scores))).separation()
    assert found.value == pytest.approx(roc_auc_score(is_seed, scores))
    assert found.low <= found.value <= found.high


@settings(max_examples=100)
@given(rankings)
def test_what_is_found_grows_with_the_reach_and_adds_up_to_the_separation(ranking) -> None:
    scores = np.array([score for score, _ in ranking], float)
    is_seed = np.array([yes for _, yes in ranking])
    where = landing(scores, is_seed, **no_groups(len(scores)))
    grid = np.linspace(0, 1, 2001)
    found = np.array([where.found(reach).mean() for reach in grid])
    assert (np.diff(found) >= -1e-12).all()
    assert np.trapezoid(found, grid) == pytest.approx(where.separation().value, abs=1e-3)
    assert lift_at(where, 1.0).value == pytest.approx(1.0)


def test_a_seed_without_a_crowd_of_its_group_is_found_by_lot() -> None:
    is_seed = np.array([True, True, False, False])
    group = np.array([0, 1, 0, 0])
    found = landing(np.array([3.0, 9, 1, 2]), is_seed, fold=np.zeros(4, int), group=group)
    np.testing.assert_allclose(found.found(0.1), [1, 0.1])


@settings(max_examples=60)
@given(st.integers(1, 50), st.data())
def test_the_interval_of_a_lift_is_wilsons(n_seeds, data) -> None:
    n_found = data.draw(st.integers(0, n_seeds))
    above = np.r_[np.zeros(n_found), np.ones(n_seeds - n_found)]
    found = lift_at(Landing(above, np.zeros(n_seeds)), 0.1)
    expected = binomtest(n_found, n_seeds).proportion_ci(0.9, method="wilson")
    assert found.value == pytest.approx(n_found / n_seeds / 0.1)
    assert found.low == pytest.approx(expected.low / 0.1, abs=1e-9)
    assert found.high == pytest.approx(expected.high / 0.1)


@settings(max_examples=60)
@given(seeds, st.integers(1, 5), st.integers(1, 150))
def test_every_reach_of_a_balanced_ranking_has_each_groups_share(seed, n_groups, n_first) -> None:
    generator = np.random.default_rng(seed)
    group = generator.integers(0, n_groups, 150)
    similarity = generator.standard_normal(150) + 3 * group
    order = balanced_order(similarity, group)
    first = np.argsort(-order, kind="stable")[:n_first]
    shares = np.bincount(group, minlength=n_groups) / 150
    counts = np.bincount(group[first], minlength=n_groups)
    assert (np.abs(counts - n_first * shares) <= 0.5 * n_groups + 1).all()
    for number in range(n_groups):
        inside = group == number
        assert (np.argsort(order[inside]) == np.argsort(similarity[inside])).all()


@pytest.mark.parametrize("method", ["centroid", "discriminant", "classifier"])
def test_a_likeness_has_the_crowd_at_0_the_seeds_at_1_and_finds_the_planted_ones(method) -> None:
    vectors, belongs = planted(0)
    likeness = fit_likeness(vectors, belongs, method=method)
    similarity = likeness(vectors)
    assert similarity[~belongs].mean() == pytest.approx(0, abs=1e-6)
    assert similarity[belongs].mean() == pytest.approx(1, abs=1e-6)
    fresh, theirs = planted(1)
    assert roc_auc_score(theirs, likeness(fresh)) > 0.8


@settings(max_examples=30)
@given(seeds)
def test_the_discriminant_does_not_depend_on_the_coordinates_but_for_its_shrinkage(seed) -> None:
    linear, offset = affine(seed, 6)
    vectors, belongs = planted(2, 400)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segmenter.space.seed_models.SHRINKAGE", 0.0)
        before = fit_likeness(vectors, belongs, method="discriminant")(vectors)
        moved = vectors @ linear + offset
        after = fit_likeness(moved, belongs, method="discriminant")(moved)
    np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("n_seeds", [30, 70, 150])
def test_hidden_members_are_found_as_often_as_promised(n_seeds: int) -> None:
    vectors, belongs = planted(3, 4000)
    members = np.random.default_rng(0).permutation(np.flatnonzero(belongs))
    listed, hidden = members[:n_seeds], members[n_seeds:]
    found = look_alikes(vectors, listed, controls={"volume": vectors[:, 0]})
    assert found.method in methods_for(n_seeds)
    assert set(found.rows) == set(range(len(vectors))) - set(listed)
    assert (np.diff(found.similarity) <= 0).all()
    for point in found.curve:
        reached = np.isin(hidden, found.rows[: point.n_users]).mean() / point.reach
        slack = 0.4 * point.lift.value + 0.3
        assert point.lift.low - slack <= reached <= point.lift.high + slack
    five = REACHES.index(0.05)
    assert found.curve[five].lift.value > found.controls[0].lifts[five].value + 1
    again = look_alikes(vectors, listed, controls={"volume": vectors[:, 0]})
    np.testing.assert_array_equal(again.rows, found.rows)


def test_seeds_by_lot_are_refused_with_the_reason() -> None:
    vectors, _ = planted(0)
    refused = 0
    for seed in range(20):
        listed = np.random.default_rng(seed).choice(len(vectors), 60, replace=False)
        try:
            look_alikes(vectors, listed)
        except SeedError as error:
            refused += "not distinctive: 60 seeds" in str(error)
    assert refused >= 17


def test_prospecting_ranks_and_learns_from_new_people_alone() -> None:
    vectors, belongs = planted(4)
    already = vectors[:, 0] > 4
    listed = np.flatnonzero(belongs)
    found = look_alikes(vectors, listed, already=already)
    assert not already[found.rows].any()
    assert found.n_seeds == (belongs & ~already).sum()
    assert found.n_excluded == (already & ~belongs).sum()


def test_a_balanced_ranking_keeps_an_attribute_that_the_seeds_do_not_have() -> None:
    vectors, belongs = planted(5)
    group = (vectors[:, 2] > 0).astype(np.int64)
    listed = np.flatnonzero(belongs)[:100]
    plain, balanced = look_alikes(vectors, listed), look_alikes(vectors, listed, balance=group)
    tenth = len(plain.rows) // 10
    eligible = group[plain.rows].mean()
    assert group[plain.rows[:tenth]].mean() > eligible + 0.3
    assert group[balanced.rows[:tenth]].mean() == pytest.approx(eligible, abs=0.01)
    assert balanced.curve[3].lift.value < plain.curve[3].lift.value


@pytest.mark.parametrize(
    "case",
    [
        (np.arange(MIN_SEEDS - 1), None, "at least 10 seeds; found 9"),
        (np.arange(1500), None, "at least 10 other users; found 0"),
        (np.arange(40), np.arange(1500) < 35, "found 5 once those who did it already"),
    ],
)
def test_too_few_on_either_side_are_refused(case) -> None:
    listed, already, said = case
    vectors, _ = planted(0)
    with pytest.raises(SeedError, match=said):
        look_alikes(vectors, listed, already=already)
