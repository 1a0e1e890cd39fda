"""Assignment: memberships in plain words, kept through a bundle, the same alone and in a batch."""

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors.numpy import load, save

from segmenter.errors import BundleError, FitError
from segmenter.segments.assignment import (
    BLOCK_ROWS,
    NO_SEGMENT,
    NOVELTY_PERCENTILE,
    Assignment,
    PrototypeAssigner,
)
from tests.segments.reference import planted_blobs

FUZZIFIER = 1.25

Arrays = dict[str, np.ndarray]


def random_assigner(
    seed: int, n_segments: int, n_dimensions: int, *, on_grid: bool = False
) -> PrototypeAssigner:
    """An assigner whose ids are not 1, 2, 3, ..; on a grid users may stand on a prototype."""
    generator = np.random.default_rng(seed)
    prototypes = 3 * generator.standard_normal((n_segments, n_dimensions))
    ids = generator.choice(np.arange(1, 40), n_segments, replace=False)
    limits = generator.uniform(0.2, 4, n_segments)
    return PrototypeAssigner(prototypes.round() if on_grid else prototypes, ids, limits)


assigners = st.builds(
    random_assigner,
    st.integers(0, 10_000),
    st.integers(1, 9),
    st.integers(1, 8),
    on_grid=st.booleans(),
)


def users_near(assigner: PrototypeAssigner, *, n_users: int, seed: int) -> np.ndarray:
    """Users around prototypes; every third is as near as single precision allows."""
    generator = np.random.default_rng(seed)
    places = assigner.prototypes
    users = places[generator.integers(0, len(places), n_users)]
    users += 2 * generator.standard_normal(users.shape) * (np.arange(n_users) % 3 > 0)[:, None]
    return users.astype(np.float32)


def assert_equal(one: Assignment, other: Assignment) -> None:
    for mine, theirs in zip(astuple(one), astuple(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def rows_of(assignment: Assignment, rows: np.ndarray) -> Assignment:
    return Assignment(*(part[rows] for part in astuple(assignment)))


def fuzzy_membership(distances: np.ndarray) -> np.ndarray:
    """Memberships of fuzzy c-means of one user by the book: Bezdek 1981, equation 11.3a."""
    if (distances == 0).any():
        return (distances == 0) / (distances == 0).sum()
    exponent = 2 / (FUZZIFIER - 1)
    return np.array([1 / np.sum((own / distances) ** exponent) for own in distances])


@settings(max_examples=100, deadline=None)
@given(assigners, st.integers(0, 10_000))
def test_segments_and_strengths_are_those_of_fuzzy_c_means(
    assigner: PrototypeAssigner, seed: int
) -> None:
    users = users_near(assigner, n_users=12, seed=seed)
    assignment = assigner.assign(users)
    for row, user in enumerate(users):
        distances = np.linalg.norm(assigner.prototypes - user, axis=1)
        ranked = np.argsort(distances, kind="stable")
        first, second = ranked[0], ranked[1] if len(ranked) > 1 else None
        assert assignment.segment_id[row] == assigner.segment_ids[first]
        runner_up = NO_SEGMENT if second is None else assigner.segment_ids[second]
        assert assignment.second_segment_id[row] == runner_up
        familiarity = min(1.0, assigner.novelty_limits[first] / max(distances[first], 1e-300))
        strength = fuzzy_membership(distances)[first] * familiarity
        assert assignment.strength[row] == pytest.approx(strength, rel=1e-5)
        novelty = distances[first] / assigner.novelty_limits[first]
        assert assignment.novelty[row] == pytest.approx(novelty, rel=1e-5, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(assigners, st.integers(0, 10_000), st.sampled_from([1e-3, 1.0, 1e6, 1e30]))
def test_an_assignment_is_a_segment_a_strength_and_another_segment(
    assigner: PrototypeAssigner, seed: int, distance: float
) -> None:
    users = np.float32(distance) * users_near(assigner, n_users=30, seed=seed)
    assignment = assigner.assign(users)
    kinds = [np.int32, np.float32, np.int32, np.float32]
    assert [part.dtype for part in astuple(assignment)] == kinds
    assert (np.isfinite(assignment.novelty) & (assignment.novelty >= 0)).all()
    assert np.isin(assignment.segment_id, assigner.segment_ids).all()
    assert ((assignment.strength > 0) & (assignment.strength <= 1)).all()
    assert (assignment.second_segment_id != assignment.segment_id).all()
    others = assigner.segment_ids if len(assigner.segment_ids) > 1 else [NO_SEGMENT]
    assert np.isin(assignment.second_segment_id, others).all()


@settings(max_examples=60, deadline=None)
@given(assigners, st.integers(0, 10_000), st.lists(st.integers(0, 39), min_size=1, max_size=12))
def test_a_user_alone_is_assigned_as_in_any_batch(
    assigner: PrototypeAssigner, seed: int, some: list[int]
) -> None:
    users, rows = users_near(assigner, n_users=40, seed=seed), np.array(some)
    together = assigner.assign(users)
    assert_equal(assigner.assign(users[rows]), rows_of(together, rows))
    assert_equal(assigner.assign(users[rows[:1]]), rows_of(together, rows[:1]))
    assert_equal(assigner.assign(np.asfortranarray(users)), together)


def test_a_batch_longer_than_one_block_is_assigned_row_by_row() -> None:
    assigner = random_assigner(1, 3, 2)
    users = users_near(assigner, n_users=BLOCK_ROWS + 5, seed=1)
    rows = np.array([0, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 4])
    together = assigner.assign(users)
    assert len(together.strength) == len(users)
    assert_equal(assigner.assign(users[rows]), rows_of(together, rows))


def test_nobody_asked_is_nobody_assigned() -> None:
    assignment = random_assigner(2, 4, 3).assign(np.empty((0, 3), np.float32))
    assert [len(part) for part in astuple(assignment)] == [0, 0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(assigners, st.integers(0, 10_000))
def test_an_assigner_read_back_from_bytes_assigns_the_same(
    assigner: PrototypeAssigner, seed: int
) -> None:
    again = PrototypeAssigner.from_arrays(load(save(assigner.arrays())))
    users = users_near(assigner, n_users=20, seed=seed)
    assert_equal(again.assign(users), assigner.assign(users))
    assert save(again.arrays()) == save(assigner.arrays())


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: change(arrays[name])}


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: value for key, value in arrays.items() if key != name}


def holed(array: np.ndarray) -> np.ndarray:
    """The array as numbers with a NaN in its middle."""
    flat = array.astype(np.float64).ravel()
    flat[len(flat) // 2] = np.nan
    return flat.reshape(array.shape)


DAMAGES = {
    "no prototypes": without("prototypes"),
    "no ids": without("segment_ids"),
    "no limits": without("novelty_limits"),
    "prototypes that are no table": changed("prototypes", np.ravel),
    "prototypes of nothing": changed("prototypes", lambda array: array[:0]),
    "prototypes without coordinates": changed("prototypes", lambda array: array[:, :0]),
    "prototypes with NaN": changed("prototypes", holed),
    "a prototype too few": changed("prototypes", lambda array: array[1:]),
    "an id too few": changed("segment_ids", lambda array: array[1:]),
    "ids in a column": changed("segment_ids", lambda array: array[:, None]),
    "ids with NaN": changed("segment_ids", holed),
    "an id of zero": changed("segment_ids", lambda array: array - array.min()),
    "parts of a segment apart": changed(
        "segment_ids", lambda array: 1 + np.arange(len(array)) % 2
    ),
    "a limit too few": changed("novelty_limits", lambda array: array[1:]),
    "a limit of NaN": changed("novelty_limits", holed),
    "limits of zero": changed("novelty_limits", np.zeros_like),
    "infinite limits": changed("novelty_limits", lambda array: np.full_like(array, np.inf)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_arrays_are_refused(damage: Callable[[Arrays], Arrays]) -> None:
    arrays = random_assigner(3, 4, 3).arrays()
    with pytest.raises(BundleError, match="the assigner's arrays do not fit together: "):
        PrototypeAssigner.from_arrays(damage(arrays))


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"ids": [1]}, r"found prototypes of shape \(2, 3\), ids of \(1,\) and limits of \(2,\)"),
        ({"ids": [0, 1]}, r"integers from 1, equal ones side by side; found int64 \[0, 1\]"),
        ({"limits": [1.0, -2.0]}, r"must be positive numbers; found \[1.0, -2.0\]"),
        ({"prototypes": np.full((2, 3), np.inf)}, "must have finite coordinates"),
    ],
    ids=["shapes", "an id of zero", "a negative limit", "an infinite place"],
)
def test_parts_that_do_not_fit_together_are_refused(
    parts: dict[str, list[float]], complaint: str
) -> None:
    fitting = {"prototypes": np.ones((2, 3)), "ids": [1, 2], "limits": [1.0, 1.0]}
    prototypes, ids, limits = (np.asarray(part) for part in (fitting | parts).values())
    with pytest.raises(FitError, match=complaint):
        PrototypeAssigner(prototypes, ids, limits)


@pytest.mark.parametrize(
    "users",
    [np.zeros((3, 2)), np.zeros(3), np.full((1, 3), np.nan), np.full((1, 3), np.inf)],
    ids=["too narrow", "no table", "NaN", "infinite"],
)
def test_users_without_a_place_are_refused(users: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"users must have (3|finite) coordinates; found"):
        random_assigner(4, 2, 3).assign(users.astype(np.float32))


def test_strength_falls_with_the_distance_from_everybody() -> None:
    space, _ = planted_blobs((200,), n_dimensions=4, spread=1.0, seed=5)
    centre = space.mean(axis=0)
    assigner = PrototypeAssigner.fit(centre[None], space)
    away = np.array([0.0, 5, 10, 20, 100, 1e4, 1e8], dtype=np.float32)
    strength = assigner.assign(centre + away[:, None] * np.eye(4, dtype=np.float32)[0]).strength
    assert strength[0] == 1
    assert (np.diff(strength) < 0).all()
    np.testing.assert_allclose(strength[1:], assigner.novelty_limits[0] / away[1:], rtol=1e-4)


def test_strength_falls_from_a_prototype_to_the_border() -> None:
    assigner = PrototypeAssigner(np.array([[-1.0], [1.0]]), np.array([3, 8]), np.full(2, 9.0))
    users = np.array([[-1], [-0.5], [-0.2], [-0.01], [0.01]], dtype=np.float32)
    assignment = assigner.assign(users)
    assert assignment.segment_id.tolist() == [3, 3, 3, 3, 8]
    assert assignment.second_segment_id.tolist() == [8, 8, 8, 8, 3]
    assert assignment.strength[0] == 1
    assert (np.diff(assignment.strength[:4]) < 0).all()
    np.testing.assert_allclose(assignment.strength[3:], 0.5, atol=0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_novelty_is_what_five_in_a_hundred_of_the_segments_users_exceed(
    seed: int, n_segments: int
) -> None:
    generator = np.random.default_rng(seed)
    space = generator.standard_normal((400, 3)).astype(np.float32)
    prototypes = generator.standard_normal((n_segments, 3))
    assigner = PrototypeAssigner.fit(prototypes, space)
    np.testing.assert_array_equal(assigner.prototypes, prototypes)
    assert assigner.segment_ids.tolist() == list(range(1, n_segments + 1))
    distances = np.linalg.norm(space[:, None].astype(np.float64) - prototypes, axis=2)
    own = distances.argmin(axis=1)
    for place in range(n_segments):
        theirs = distances[own == place, place] if (own == place).any() else distances.min(axis=1)
        expected = np.percentile(theirs, NOVELTY_PERCENTILE)
        assert assigner.novelty_limits[place] == pytest.approx(expected)


def test_rounding_is_no_novelty_where_a_segment_is_one_point() -> None:
    prototypes = np.array([[1.0, 2.0], [5.0, 6.0]])
    space = np.repeat(prototypes, 50, axis=0).astype(np.float32)
    assigner = PrototypeAssigner.fit(prototypes, space)
    nearly = np.nextafter(space, np.float32(9))
    assert (nearly != space).all()
    assignment = assigner.assign(nearly)
    np.testing.assert_allclose(assignment.strength, 1, rtol=1e-6)
    np.testing.assert_array_equal(assignment.segment_id, np.repeat([1, 2], 50))


def test_an_assigner_of_a_diverged_network_is_refused() -> None:
    space = np.zeros((20, 2), np.float32)
    space[3] = np.nan
    with pytest.raises(FitError, match="novelty limits must be positive numbers; found"):
        PrototypeAssigner.fit(np.zeros((1, 2)), space)


@settings(max_examples=60, deadline=None)
@given(assigners, st.integers(0, 10_000), st.integers(0, 100))
def test_a_merged_segment_holds_exactly_the_users_of_its_parts(
    assigner: PrototypeAssigner, seed: int, place: int
) -> None:
    ids = assigner.segment_ids.copy()
    place %= len(ids)
    ids[place : place + 2] = merged = int(ids.max()) + 1
    parts = assigner.segment_ids[place : place + 2]
    joined = PrototypeAssigner(assigner.prototypes, ids, assigner.novelty_limits)
    users = users_near(assigner, n_users=40, seed=seed)
    before, after = assigner.assign(users), joined.assign(users)
    inside = np.isin(before.segment_id, parts)
    np.testing.assert_array_equal(after.segment_id == merged, inside)
    np.testing.assert_array_equal(after.segment_id[~inside], before.segment_id[~inside])
    np.testing.assert_array_equal(after.novelty, before.novelty)
    assert (after.strength >= before.strength - 1e-6).all()
    assert (after.second_segment_id != after.segment_id).all()
    assert joined.ids.tolist() == list(dict.fromkeys(ids.tolist()))
