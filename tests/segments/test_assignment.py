"""Assignment: the vote in plain words, kept through a bundle, the same alone and in a batch."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors.numpy import load, save

from segmenter.errors import BundleError, FitError
from segmenter.segments.assignment import (
    BLOCK_ROWS,
    N_NEIGHBORS,
    NO_SEGMENT,
    NOVELTY_PERCENTILE,
    Assignment,
    VoteAssigner,
)
from tests.segments.reference import nearest, planted_blobs, vote

Arrays = dict[str, np.ndarray]


def random_core(
    seed: int, *, n_core: int, n_dimensions: int, n_segments: int, on_grid: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Core members float32 [m, d] with labels from a few ids that are not 1, 2, 3, .."""
    generator = np.random.default_rng(seed)
    reference = generator.standard_normal((n_core, n_dimensions))
    if on_grid:
        reference = reference.round()
    ids = np.sort(generator.choice(np.arange(1, 40), n_segments, replace=False))
    return reference.astype(np.float32), generator.choice(ids, n_core).astype(np.int32)


cores = st.builds(
    random_core,
    st.integers(0, 10_000),
    n_core=st.integers(1, 120),
    n_dimensions=st.integers(1, 6),
    n_segments=st.integers(1, 6),
    on_grid=st.booleans(),
)


def users_near(reference: np.ndarray, *, n_users: int, seed: int) -> np.ndarray:
    """Users around core members; every third is one of them."""
    generator = np.random.default_rng(seed)
    users = reference[generator.integers(0, len(reference), n_users)].copy()
    users += generator.standard_normal(users.shape) * (np.arange(n_users) % 3 > 0)[:, None]
    return users.astype(np.float32)


def assert_equal(one: Assignment, other: Assignment) -> None:
    np.testing.assert_array_equal(one.segment_id, other.segment_id)
    np.testing.assert_array_equal(one.strength, other.strength)
    np.testing.assert_array_equal(one.second_segment_id, other.second_segment_id)


def rows_of(assignment: Assignment, rows: np.ndarray) -> Assignment:
    return Assignment(
        assignment.segment_id[rows],
        assignment.strength[rows],
        assignment.second_segment_id[rows],
    )


@settings(max_examples=120, deadline=None)
@given(cores, st.integers(1, 20), st.integers(0, 10_000))
def test_the_vote_agrees_with_a_plain_one(
    core: tuple[np.ndarray, np.ndarray], n_neighbors: int, seed: int
) -> None:
    reference, labels = core
    users = users_near(reference, n_users=12, seed=seed)
    assigner = VoteAssigner(reference, labels, n_neighbors=n_neighbors)
    assignment = assigner.assign(users)
    limits = dict(zip(assigner.segment_ids.tolist(), assigner.novelty_limits, strict=True))
    for row, user in enumerate(users):
        plain = vote(reference, labels, user, n_neighbors=n_neighbors)
        assert assignment.segment_id[row] == plain.segment
        assert assignment.second_segment_id[row] == plain.runner_up
        familiarity = min(1.0, limits[plain.segment] / max(plain.farthest, 1e-300))
        assert assignment.strength[row] == pytest.approx(plain.share * familiarity, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(cores, st.integers(0, 10_000), st.sampled_from([1e-3, 1.0, 1e6]))
def test_an_assignment_is_a_segment_a_strength_and_another_segment(
    core: tuple[np.ndarray, np.ndarray], seed: int, distance: float
) -> None:
    reference, labels = core
    users = np.float32(distance) * users_near(reference, n_users=30, seed=seed)
    assignment = VoteAssigner(reference, labels).assign(users)
    assert np.isin(assignment.segment_id, labels).all()
    assert (assignment.strength > 0).all()
    assert (assignment.strength <= 1).all()
    assert (assignment.second_segment_id != assignment.segment_id).all()
    others = labels if len(np.unique(labels)) > 1 else [NO_SEGMENT]
    assert np.isin(assignment.second_segment_id, others).all()
    kinds = [assignment.segment_id, assignment.strength, assignment.second_segment_id]
    assert [kind.dtype for kind in kinds] == [np.int32, np.float32, np.int32]


@settings(max_examples=60, deadline=None)
@given(cores, st.integers(0, 10_000), st.data())
def test_a_user_alone_is_assigned_as_in_any_batch(
    core: tuple[np.ndarray, np.ndarray], seed: int, data: st.DataObject
) -> None:
    reference, labels = core
    users = users_near(reference, n_users=40, seed=seed)
    assigner = VoteAssigner(reference, labels)
    together = assigner.assign(users)
    rows = np.array(data.draw(st.lists(st.integers(0, 39), min_size=1, max_size=12)))
    assert_equal(assigner.assign(users[rows]), rows_of(together, rows))
    assert_equal(assigner.assign(users[rows[:1]]), rows_of(together, rows[:1]))


def test_a_batch_longer_than_one_block_is_assigned_row_by_row() -> None:
    reference, labels = random_core(1, n_core=9, n_dimensions=2, n_segments=3, on_grid=False)
    users = users_near(reference, n_users=BLOCK_ROWS + 5, seed=1)
    assigner = VoteAssigner(reference, labels)
    rows = np.array([0, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 4])
    together = assigner.assign(users)
    assert len(together.strength) == len(users)
    assert_equal(assigner.assign(users[rows]), rows_of(together, rows))


def test_nobody_asked_is_nobody_assigned() -> None:
    reference, labels = random_core(2, n_core=50, n_dimensions=3, n_segments=4, on_grid=False)
    assignment = VoteAssigner(reference, labels).assign(np.empty((0, 3), np.float32))
    assert len(assignment.segment_id) == len(assignment.strength) == 0
    assert len(assignment.second_segment_id) == 0


@settings(max_examples=60, deadline=None)
@given(cores, st.integers(1, 20), st.integers(0, 10_000))
def test_an_assigner_read_back_from_bytes_assigns_the_same(
    core: tuple[np.ndarray, np.ndarray], n_neighbors: int, seed: int
) -> None:
    reference, labels = core
    assigner = VoteAssigner(reference, labels, n_neighbors=n_neighbors)
    again = VoteAssigner.from_arrays(load(save(assigner.arrays())))
    users = users_near(reference, n_users=20, seed=seed)
    assert_equal(again.assign(users), assigner.assign(users))
    assert save(again.arrays()) == save(assigner.arrays())


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: change(arrays[name])}


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: value for key, value in arrays.items() if key != name}


def holed(array: np.ndarray) -> np.ndarray:
    """The array with a NaN in its middle."""
    flat = array.astype(array.dtype if array.dtype.kind == "f" else np.float64).ravel()
    flat[len(flat) // 2] = np.nan
    return flat.reshape(array.shape)


DAMAGES = {
    "no reference": without("reference"),
    "no labels": without("labels"),
    "no limits": without("novelty_limits"),
    "no number of neighbors": without("n_neighbors"),
    "a reference that is no table": changed("reference", np.ravel),
    "a reference of nobody": changed("reference", lambda array: array[:0]),
    "a reference without coordinates": changed("reference", lambda array: array[:, :0]),
    "a reference with NaN": changed("reference", holed),
    "fewer labels than members": changed("labels", lambda array: array[1:]),
    "labels in two columns": changed("labels", lambda array: np.stack([array, array], axis=1)),
    "labels with NaN": changed("labels", holed),
    "labels with noise": changed("labels", lambda array: array - array.max()),
    "a limit too few": changed("novelty_limits", lambda array: array[1:]),
    "limits in a column": changed("novelty_limits", lambda array: array[:, None]),
    "a limit of NaN": changed("novelty_limits", holed),
    "limits of zero": changed("novelty_limits", np.zeros_like),
    "infinite limits": changed("novelty_limits", lambda array: array / 0.0),
    "an empty number of neighbors": changed("n_neighbors", lambda array: array[:0]),
    "zero neighbors": changed("n_neighbors", np.zeros_like),
    "NaN neighbors": changed("n_neighbors", holed),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_damaged_arrays_are_refused(damage: Callable[[Arrays], Arrays]) -> None:
    reference, labels = random_core(3, n_core=40, n_dimensions=3, n_segments=3, on_grid=False)
    arrays = VoteAssigner(reference, labels).arrays()
    with pytest.raises(BundleError, match="arrays do not fit together"):
        VoteAssigner.from_arrays(damage(arrays))


def test_core_members_that_cannot_vote_are_refused() -> None:
    space = np.ones((4, 2), np.float32)
    labels = np.array([1, 1, 2, 2], dtype=np.int32)
    with pytest.raises(FitError, match=r"found reference of shape \(4, 2\) and labels of shape"):
        VoteAssigner(space, labels[:3])
    with pytest.raises(FitError, match="found reference of shape"):
        VoteAssigner.fit(space, np.full(4, NO_SEGMENT, np.int32), seed=0)
    with pytest.raises(FitError, match="n_neighbors must be at least 1; found 0"):
        VoteAssigner(space, labels, n_neighbors=0)


@pytest.mark.parametrize(
    "users",
    [np.zeros((3, 2)), np.zeros(3), np.full((1, 3), np.nan), np.full((1, 3), np.inf)],
    ids=["too narrow", "no table", "NaN", "infinite"],
)
def test_users_without_a_place_are_refused(users: np.ndarray) -> None:
    reference, labels = random_core(4, n_core=20, n_dimensions=3, n_segments=2, on_grid=False)
    with pytest.raises(ValueError, match=r"users must have (3|finite) coordinates; found"):
        VoteAssigner(reference, labels).assign(users.astype(np.float32))


def test_strength_falls_with_the_distance_from_everybody() -> None:
    space, _ = planted_blobs((200,), n_dimensions=4, spread=1.0, seed=5)
    assigner = VoteAssigner(space, np.ones(200, np.int32))
    centre = space.mean(axis=0)
    away = np.array([0.0, 5, 10, 20, 100, 1e4, 1e8], dtype=np.float32)
    strength = assigner.assign(centre + away[:, None] * np.eye(4, dtype=np.float32)[0]).strength
    assert strength[0] == 1
    assert (np.diff(strength) < 0).all()
    assert strength[1] < 0.7
    assert strength[-1] < 1e-6


def test_a_user_between_two_segments_is_less_sure_than_one_inside() -> None:
    generator = np.random.default_rng(6)
    space = generator.uniform(-1, 1, (600, 2)).astype(np.float32)
    labels = np.where(space[:, 0] < 0, 3, 8).astype(np.int32)
    assigner = VoteAssigner(space, labels)
    edge = assigner.assign(np.array([[-0.01, 0.0]], dtype=np.float32))
    inside = assigner.assign(np.array([[-0.6, 0.0]], dtype=np.float32))
    assert (edge.second_segment_id[0], inside.segment_id[0], inside.strength[0]) == (8, 3, 1)
    assert edge.strength[0] < 0.75


def test_novelty_is_what_five_in_a_hundred_of_the_segments_users_exceed() -> None:
    space, group = planted_blobs((300, 200, 100), n_dimensions=3, spread=1.0, seed=7)
    labels = (group + 1).astype(np.int32)
    between = np.random.default_rng(7).random(len(labels)) < 0.4
    labels[between] = NO_SEGMENT
    assigner = VoteAssigner.fit(space, labels, seed=0)
    np.testing.assert_array_equal(assigner.reference, space[~between])
    expected: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for row, user in enumerate(space):
        voters = ~between & (np.arange(len(space)) != row)
        plain = vote(space[voters], labels[voters], user, n_neighbors=N_NEIGHBORS)
        expected[plain.segment].append(plain.farthest)
    limits = [np.percentile(farthest, NOVELTY_PERCENTILE) for farthest in expected.values()]
    np.testing.assert_allclose(assigner.novelty_limits, limits)
    on_core_alone = VoteAssigner(space[~between], labels[~between])
    assert (assigner.novelty_limits != on_core_alone.novelty_limits).all()


def test_rounding_is_no_novelty_where_a_segment_is_one_point() -> None:
    space = np.repeat(np.array([[1, 2], [5, 6]], dtype=np.float32), 50, axis=0)
    assigner = VoteAssigner(space, np.repeat([1, 2], 50).astype(np.int32))
    nearly = np.nextafter(space, np.float32(9))
    assert (nearly != space).all()
    assert (assigner.assign(nearly).strength == 1).all()
    np.testing.assert_array_equal(assigner.assign(nearly).segment_id, assigner.labels)


def test_references_are_drawn_from_each_segment_by_its_share() -> None:
    space, group = planted_blobs((3000, 900, 90, 10), n_dimensions=3, spread=1.0, seed=8)
    labels = (group + 1).astype(np.int32)
    assigner = VoteAssigner.fit(space, labels, seed=1, max_references=1000)
    assert np.bincount(assigner.labels)[1:].tolist() == [750, 225, 22, 10]
    known = {row.tobytes() for row in space}
    assert all(row.tobytes() in known for row in assigner.reference)
    again = VoteAssigner.fit(space, labels, seed=1, max_references=1000)
    np.testing.assert_array_equal(again.reference, assigner.reference)
    other = VoteAssigner.fit(space, labels, seed=2, max_references=1000)
    assert (other.reference != assigner.reference).any()


def test_every_core_member_that_votes_is_given_back() -> None:
    space, group = planted_blobs((60, 60), n_dimensions=2, spread=9.0, seed=9)
    labels = (group + 1).astype(np.int32)
    labels[::5] = NO_SEGMENT
    assigner = VoteAssigner.fit(space, labels, seed=0)
    assert assigner.training_agreement(space, labels) == 1
    assert assigner.leave_one_out_agreement() < 1


def test_training_agreement_is_the_share_of_core_members_given_back() -> None:
    space, group = planted_blobs((400, 400), n_dimensions=2, spread=4.0, seed=10)
    labels = (group + 1).astype(np.int32)
    labels[::7] = NO_SEGMENT
    assigner = VoteAssigner.fit(space, labels, seed=0, max_references=60)
    core = np.flatnonzero(labels != NO_SEGMENT)
    plain = [
        vote(assigner.reference, assigner.labels, space[row], n_neighbors=N_NEIGHBORS).segment
        for row in core
    ]
    agreement = assigner.training_agreement(space, labels)
    assert agreement == pytest.approx(np.mean(plain == labels[core]))
    assert 0.6 < agreement < 1


@settings(max_examples=30, deadline=None)
@given(cores)
def test_leave_one_out_agreement_asks_all_the_others(core: tuple[np.ndarray, np.ndarray]) -> None:
    reference, labels = core
    agreement = VoteAssigner(reference, labels).leave_one_out_agreement()
    if len(reference) == 1:
        assert agreement == 1
        return
    # Of many copies of one point it is left open which ones are asked.
    copies = nearest(reference, reference, min(N_NEIGHBORS + 1, len(reference)))[1]
    if (copies[:, -1] == 0).any():
        return
    given_back = []
    for row, member in enumerate(reference):
        others = np.arange(len(reference)) != row
        plain = vote(reference[others], labels[others], member, n_neighbors=N_NEIGHBORS)
        given_back.append(plain.segment == labels[row])
    assert agreement == pytest.approx(np.mean(given_back))
