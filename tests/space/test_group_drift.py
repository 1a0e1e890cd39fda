"""Groups against shared targets: what is local does not count, errors are not understated."""

import numpy as np
import pytest
from hypothesis import given, settings

from segmenter.errors import SpaceError
from segmenter.space.group_drift import GroupDrift, measure_group_drift
from segmenter.space.within import matched_basis, within_group_axis, without
from tests.space.clouds import seeds

GROUPS = ("a", "b", "c")
LOCAL = np.array([[0, 0, 3, 0, 0], [0, 0, 0, 3, 0], [0, 0, -2, -2, 1.0]])


def library(
    levels: tuple[float, ...], *, seed: int, n: int = 600, leak: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points, groups, targets and one known attribute; dimension 0 is what makes a target.

    With a leak the local part of a group shows on dimensions 0 and 1 alike, where the attribute
    is.
    """
    generator = np.random.default_rng(seed)
    code = np.repeat(np.arange(3), n // 3)
    points = generator.standard_normal((n, 5)) * [1, 1, 0.1, 0.1, 1] + LOCAL[code]
    known = generator.random(n) < 0.5
    points[:, 1] += 2 * known
    points[:, 0] += np.array(levels)[code]
    score = points[:, 0] + 0.2 * generator.standard_normal(n)
    targets = np.zeros(n, dtype=bool)
    for group in range(3):
        inside = np.flatnonzero(code == group)
        targets[inside[np.argsort(-score[inside])[: len(inside) // 5]]] = True
    shift = leak * generator.standard_normal((3, 2))
    points[:, :2] += shift[code]
    return points, np.array(GROUPS)[code], targets, known.astype(float)


def drift_of(found: GroupDrift) -> dict[str, float]:
    return {place.name: place.drift.value for place in found.groups}


@settings(max_examples=15)
@given(seeds)
def test_the_axis_is_blind_to_where_the_groups_are(seed) -> None:
    points, groups, targets, _ = library((0, 0.3, 0.6), seed=seed)
    codes = np.searchsorted(GROUPS, groups)
    moved = points + 50 * np.random.default_rng(seed).standard_normal((3, 5))[codes]
    one, two = (within_group_axis(places, codes, targets) for places in (points, moved))
    np.testing.assert_allclose(one, two, atol=1e-9)
    assert np.linalg.norm(one) == pytest.approx(1)
    basis = matched_basis(points, codes, one)
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-9)
    np.testing.assert_allclose(basis @ one, 0, atol=1e-9)
    np.testing.assert_allclose(without(points, basis) @ basis.T, 0, atol=1e-8)


def test_the_order_of_the_groups_is_that_of_the_axis_and_not_of_what_is_local() -> None:
    for seed in range(5):
        points, groups, targets, known = library((0.0, 0.4, 0.8), seed=seed)
        found = measure_group_drift(points, groups, targets, controls=[known], seed=seed)
        assert [place.name for place in found.groups] == ["a", "b", "c"]
        assert sorted(found.groups, key=lambda place: -place.raw) != list(found.groups)
        differences = {(one.one, one.other): one for one in found.differences}
        assert differences["a", "c"].different
        assert differences["a", "c"].difference.low < 0.8 < differences["a", "c"].difference.high
        assert found.n_controls == 1
        assert sum(place.n_targets for place in found.groups) == targets.sum()


def test_the_interval_is_the_spread_over_libraries() -> None:
    found = [
        measure_group_drift(*library((0, 0.4, 0.8), seed=seed)[:3], seed=seed)
        for seed in range(30)
    ]
    figures = np.array([drift_of(one)["a"] for one in found])
    widths = [place.drift.high - place.drift.low for one in found for place in one.groups]
    assert np.mean(widths) / 3.92 == pytest.approx(figures.std(), rel=0.35)


def test_what_leaks_into_the_axis_is_called_a_difference_without_controls_alone() -> None:
    alarms = np.zeros(2)
    for seed in range(20):
        points, groups, targets, known = library((0, 0, 0), seed=seed, leak=0.25)
        for place, controls in enumerate(([], [known])):
            found = measure_group_drift(points, groups, targets, controls=controls, seed=seed)
            alarms[place] += sum(one.different for one in found.differences)
    assert alarms[0] / 60 > 0.25
    assert alarms[1] < 0.7 * alarms[0]


def test_a_small_group_is_not_farther_for_being_small() -> None:
    kept, raw = [], []
    for seed in range(40):
        points, groups, targets, _ = library((0, 0, 0), seed=seed)
        rows = np.concatenate([np.flatnonzero(groups == "a")[:12], np.flatnonzero(groups != "a")])
        found = measure_group_drift(points[rows], groups[rows], targets[rows], seed=seed)
        place = next(one for one in found.groups if one.name == "a")
        kept.append(place.kept)
        raw.append(place.raw)
    truth = np.mean(
        [measure_group_drift(*library((0, 0, 0), seed=99, n=6_000)[:3]).groups[0].kept]
    )
    assert np.mean(kept) == pytest.approx(truth, rel=0.1)


def test_members_that_belong_together_are_drawn_together() -> None:
    """Nine copies of each say nothing new."""
    plain = library((0, 0.4, 0.8), seed=0)[:3]
    copied = [np.repeat(values, 9, axis=0) for values in plain]
    units = np.repeat(np.arange(len(plain[0])), 9)
    found = [
        measure_group_drift(*plain),
        measure_group_drift(*copied),
        measure_group_drift(*copied, units=units),
    ]
    assert drift_of(found[1]) == pytest.approx(drift_of(found[0]))
    once, alone, together = (
        np.mean([place.drift.high - place.drift.low for place in one.groups]) for one in found
    )
    assert together == pytest.approx(once, rel=0.2)
    assert alone < 0.5 * once


def test_too_little_to_compare_is_refused() -> None:
    points, groups, targets, known = library((0, 0, 0), seed=0)
    with pytest.raises(SpaceError, match="two groups or more"):
        measure_group_drift(points, np.full(len(groups), "a"), targets)
    with pytest.raises(SpaceError, match="flag more"):
        measure_group_drift(points, groups, np.arange(len(groups)) < 3)
    unknown = np.where(groups == "a", np.nan, known)
    found = measure_group_drift(points, groups, targets, controls=[unknown])
    assert found.local_error is None
    assert found.n_controls == 0
