"""Parts of a segment: planted ones are found, one cloud stays whole, and a refit keeps them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import adjusted_rand_score

from segmenter.segments.density import BETWEEN
from segmenter.segments.distances import nearest
from segmenter.segments.micro import MAX_MICROS, find_parts, keep_parts

SMALLEST = 20


def clouds(
    seed: int, sizes: tuple[int, ...], *, apart: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, planted cloud of each, and two dense cores in each cloud."""
    generator = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(sizes)), sizes)
    centres = np.linalg.qr(generator.normal(size=(6, 6)))[0][: len(sizes)] * apart
    points = centres[label] + generator.normal(size=(len(label), 6))
    cores = 2 * label + (points[:, 0] > centres[label, 0])
    cores[generator.random(len(label)) < 0.4] = BETWEEN
    return points, label, cores


@pytest.mark.parametrize("seed", range(4))
def test_planted_parts_are_found_and_confirmed(seed: int) -> None:
    points, label, cores = clouds(seed, (120, 80, 50), apart=9)
    parts = find_parts(points, cores, smallest=SMALLEST, seed=0)
    found = nearest(points, parts.prototypes)
    assert all(len(set(label[found == part].tolist())) == 1 for part in np.unique(found))
    assert len(parts.prototypes) >= 3
    assert parts.stability.min() >= 0.5
    assert np.bincount(found).min() >= SMALLEST
    assert (np.diff(np.bincount(found)) <= 0).all()


@pytest.mark.parametrize("n_users", [1, 2, 39, 300])
def test_a_segment_in_one_piece_keeps_one_part(n_users: int) -> None:
    points = np.random.default_rng(n_users).normal(size=(n_users, 6))
    for cores in (np.zeros(n_users, dtype=int), np.full(n_users, BETWEEN)):
        parts = find_parts(points, cores, smallest=SMALLEST, seed=0)
        np.testing.assert_allclose(parts.prototypes, points.mean(axis=0, keepdims=True))
        assert parts.stability.tolist() == [1.0]


def test_cores_without_a_gap_that_halves_do_not_confirm_are_no_parts() -> None:
    generator = np.random.default_rng(5)
    points = generator.normal(size=(400, 24))
    cores = generator.integers(0, 8, 400)  # cores that say nothing of where one is
    assert len(find_parts(points, cores, smallest=SMALLEST, seed=0).prototypes) == 1


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(5, 40))
def test_no_part_is_too_small_and_there_are_few(seed: int, smallest: int) -> None:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(int(generator.integers(1, 200)), 3)) ** 3
    cores = generator.integers(-1, 9, len(points))
    parts = find_parts(points, cores, smallest=smallest, seed=seed)
    sizes = np.bincount(nearest(points, parts.prototypes), minlength=len(parts.prototypes))
    assert 1 <= len(parts.prototypes) <= MAX_MICROS
    assert len(parts.prototypes) == 1 or sizes.min() >= smallest
    assert ((parts.stability >= 0.5) & (parts.stability <= 1)).all()


@pytest.mark.parametrize("seed", range(4))
def test_parts_go_on_where_their_users_went_and_end_without_them(seed: int) -> None:
    points, label, cores = clouds(seed, (120, 80, 50), apart=9)
    start = np.stack([points[label == part].mean(axis=0) for part in range(3)])
    drifted = points + 0.3
    kept = keep_parts(drifted, start, smallest=SMALLEST, seed=0)
    assert adjusted_rand_score(nearest(drifted, kept.prototypes), label) > 0.95
    moved = np.linalg.norm(kept.prototypes - start, axis=1)
    assert ((moved > 0) & (moved < 0.3 * np.sqrt(6))).all()

    left = label != 2
    ended = keep_parts(points[left], start, smallest=SMALLEST, seed=0)
    assert np.isnan(ended.prototypes).all(axis=1).tolist() == [False, False, True]
    alone = keep_parts(points[:1], start, smallest=SMALLEST, seed=0)
    assert np.isfinite(alone.prototypes).all(axis=1).sum() == 1
    assert len(cores) == len(points)
