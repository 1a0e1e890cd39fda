"""A refit's prototypes: they stay unless the data refute them, and each departure has a reason."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.cluster import KMeans

from segmenter.segments.anchored import (
    APART,
    anchored_prototypes,
    separation,
    settle_anchored,
)
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.distances import nearest
from segmenter.segments.prototypes import SizeLimits
from tests.segments.drifting import (
    N_DIMENSIONS,
    N_GROUPS,
    NEW,
    OTHER_HALF,
    SPLITTING,
    VANISHING,
    Crowd,
    Published,
    first_fit,
    leaves_among,
    refit,
)

HAPPENINGS = ("split", "appear", "vanish")
EXPECTED = {"split": "split", "appear": "appeared", "vanish": "gone"}


@pytest.fixture(scope="module")
def continuum() -> np.ndarray:
    """Users without any gap between them, more spread out along some directions."""
    return np.random.default_rng(5).normal(size=(1500, 6)) * [3, 2, 1.5, 1, 1, 1]


def id_of_group(published: Published, group: int) -> int:
    """The id that most users of a group have."""
    inside = published.segment_id[published.month.group == group]
    return int(np.bincount(inside).argmax())


@pytest.mark.parametrize("seed", range(20))
def test_what_happens_is_told_right_and_everybody_else_keeps_the_id(seed: int) -> None:
    crowd = Crowd(seed)
    published = first_fit(crowd.month())
    assert len(published.assigner.segment_ids) == N_GROUPS
    original, given_ids, kept = id_of_group(published, SPLITTING), set(), []
    lost = id_of_group(published, VANISHING)
    for happening in np.random.default_rng(seed).permutation(HAPPENINGS):
        getattr(crowd, happening)()
        given_ids |= set(published.assigner.segment_ids.tolist())
        before, published = published, refit(published, crowd.month())
        assert published.events == {EXPECTED[happening]}
        new = set(published.assigner.segment_ids.tolist()) - set(before.assigner.segment_ids)
        assert not new & given_ids
        unchanged = ~np.isin(published.month.group, (SPLITTING, OTHER_HALF, VANISHING, NEW))
        place = np.searchsorted(before.month.user, published.month.user[unchanged])
        kept.append((before.segment_id[place] == published.segment_id[unchanged]).mean())
    assert min(kept) >= 0.95
    assert np.mean(kept) >= 0.99
    halves = {id_of_group(published, group) for group in (SPLITTING, OTHER_HALF)}
    assert original in halves
    assert len(halves) == 2
    assert lost not in published.assigner.segment_ids


@pytest.mark.parametrize("seed", range(5))
def test_months_in_which_nothing_happens_change_no_segment(seed: int) -> None:
    crowd = Crowd(seed)
    first = published = first_fit(crowd.month())
    for _ in range(3):
        published = refit(published, crowd.month())
        assert published.anchored.departures == ()
        assert published.events == set()
    np.testing.assert_array_equal(published.assigner.segment_ids, first.assigner.segment_ids)


@pytest.mark.parametrize("n_segments", [3, 9])
def test_in_a_continuum_without_gaps_nothing_departs(
    continuum: np.ndarray, n_segments: int
) -> None:
    half, other = continuum[::2], continuum[1::2]
    start = KMeans(n_segments, n_init=3, random_state=0).fit(half).cluster_centers_
    parent = PrototypeAssigner.fit(start, half)
    for before in (half, None):
        found = anchored_prototypes(
            other, leaves_among(other), parent, before=before, limits=SizeLimits()
        )
        assert found.departures == ()
        np.testing.assert_array_equal(found.origins, np.arange(n_segments))


def test_two_segments_whose_users_came_together_merge_under_the_larger_ones_id() -> None:
    crowd = Crowd(3)
    parent = first_fit(crowd.month())
    one, other = (id_of_group(parent, group) for group in (2, 3))
    crowd.group[crowd.group == 3] = 2
    together = refit(parent, crowd.month())
    (departure,) = together.anchored.departures
    assert departure.kind in {"vanish", "merge"}
    assert together.events == {"merged"}
    assert one in together.assigner.segment_ids
    assert other not in together.assigner.segment_ids


def test_two_neighbours_that_meet_halfway_merge() -> None:
    crowd = Crowd(3)
    crowd.centres[3] = crowd.centres[2] + 4.5 / N_DIMENSIONS**0.5
    parent = first_fit(crowd.month())
    ids = {id_of_group(parent, group) for group in (2, 3)}
    assert len(ids) == 2
    crowd.centres[[2, 3]] = crowd.centres[[2, 3]].mean(axis=0)
    found = refit(parent, crowd.month())
    (departure,) = found.anchored.departures
    assert (departure.kind, set(departure.ids)) == ("merge", ids)
    assert departure.text.startswith(f"merge {departure.ids[0]} {departure.ids[1]}: their users")
    assert found.events == {"merged"}
    assert len(ids & set(found.assigner.segment_ids.tolist())) == 1


def test_what_the_parent_showed_already_is_no_reason() -> None:
    """Two groups that the parent held in one segment stay in it: its users see them there."""
    crowd = Crowd(1)
    crowd.split()
    parent = first_fit(crowd.month())
    ids = [id_of_group(parent, group) for group in (SPLITTING, OTHER_HALF)]
    assert len(set(ids)) == 1
    month = crowd.month()
    assert refit(parent, month).anchored.departures == ()
    forgetful = anchored_prototypes(
        month.points,
        leaves_among(month.points),
        parent.assigner,
        before=None,
        limits=SizeLimits(),
    )
    assert {departure.kind for departure in forgetful.departures} & {"split", "appear"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_without_hold_it_is_the_method_of_lloyd(seed: int, n_segments: int) -> None:
    points = np.random.default_rng(seed).normal(size=(80, 3))
    start = points[:n_segments]
    found = settle_anchored(points, start, hold=np.zeros(n_segments))
    expected = KMeans(n_segments, init=start, n_init=1, max_iter=300, tol=0).fit(points)
    if expected.n_iter_ <= 10:
        np.testing.assert_allclose(found, expected.cluster_centers_, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 50))
def test_the_more_it_is_held_the_less_a_prototype_moves(seed: int, hold: float) -> None:
    points = np.random.default_rng(seed).normal(size=(60, 2))
    start = np.zeros((1, 2)) + 3
    found = settle_anchored(points, start, hold=np.array([hold]))
    np.testing.assert_allclose(found[0], (hold * start[0] + points.mean(axis=0)) / (hold + 1))


def test_separation_tells_a_cloud_from_two() -> None:
    generator = np.random.default_rng(0)
    cloud = generator.normal(size=(4000, 1))
    halves = np.array([[-1.0], [1.0]])
    assert separation(cloud, halves)[0] == pytest.approx(2.65, abs=0.1)
    even = generator.uniform(-1, 1, size=(4000, 1))
    assert separation(even, halves)[0] == pytest.approx(12**0.5, abs=0.1)
    two = np.vstack([cloud - 3, cloud + 3])
    apart, users = separation(two, halves * 3)
    assert apart == pytest.approx(6, abs=0.1)
    assert users == pytest.approx(4000, abs=10)
    assert separation(np.zeros((0, 1)), halves) == (0.0, 0)
    assert APART > 12**0.5


def test_one_prototype_always_stays() -> None:
    parent = PrototypeAssigner.fit(np.array([[0.0, 0.0], [9.0, 9.0]]), np.zeros((50, 2)))
    far = np.random.default_rng(0).normal(size=(30, 2)) + 500
    found = anchored_prototypes(far, leaves_among(far), parent, before=None, limits=SizeLimits())
    assert len(found.prototypes) >= 1
    assert np.isfinite(found.prototypes).all()
    assert (nearest(far, found.prototypes) >= 0).all()
