"""Strength means what it says: of those who are surer, more keep their segment in another fit."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.density import DensitySettings, find_leaves
from segmenter.segments.distances import nearest
from segmenter.segments.projection import fit_projection
from segmenter.segments.prototypes import SizeLimits, make_prototypes
from tests.training.crowd import AS_OF, N_FORECAST, crowd_at

N_SEGMENTS = 4
N_HALVES = 5
EDGES = (0.65, 0.9)


@pytest.fixture(scope="module")
def points(two_months):
    """Users by how much they do alone: kinds that reach into each other."""
    embeddings = crowd_at(two_months.store, AS_OF).embeddings
    return fit_projection(embeddings, n_forecast=N_FORECAST, taste_weight=0.0, taste_components=0)(
        embeddings
    )


def prototypes_of(points):
    leaves = find_leaves(points, settings=DensitySettings(), seed=0)
    return make_prototypes(
        points[leaves.rows], leaves, n_segments=N_SEGMENTS, limits=SizeLimits(), seed=0
    )


def keeps(label, other):
    """Who stays, where segments of two fits are matched so that as many as possible stay."""
    table = np.zeros((label.max() + 1, other.max() + 1))
    np.add.at(table, (label, other), 1)
    mine, theirs = linear_sum_assignment(table, maximize=True)
    match = np.full(len(table), -1)
    match[mine] = theirs
    return match[label] == other


@pytest.fixture(scope="module")
def staying(points):
    """Strength of each user, and the share of fits on half of the users that keep the segment."""
    prototypes = prototypes_of(points)
    label, stays = nearest(points, prototypes), []
    for seed in range(N_HALVES):
        half = np.random.default_rng(seed).permutation(len(points))[: len(points) // 2]
        stays.append(keeps(label, nearest(points, prototypes_of(points[np.sort(half)]))))
    return PrototypeAssigner.fit(prototypes, points).assign(points).strength, np.mean(stays, 0)


def test_of_those_with_more_strength_more_keep_their_segment(staying):
    strength, stays = staying
    group = np.digitize(strength, EDGES)
    assert np.bincount(group).min() >= 20
    share = [stays[group == number].mean() for number in range(3)]
    assert share[0] + 0.1 < share[1] < share[2] - 0.05


def test_the_share_who_stay_is_near_to_the_strength(staying):
    strength, stays = staying
    group = np.digitize(strength, EDGES)
    for number in range(3):
        inside = group == number
        assert abs(stays[inside].mean() - strength[inside].mean()) < 0.15
