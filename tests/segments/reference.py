"""Slow and plain computations to compare the segments room with, and users to try it on."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np


def nearest(
    points: np.ndarray, queries: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of the nearest points: all differences, in double precision."""
    differences = points[None].astype(np.float64) - queries[:, None].astype(np.float64)
    squares = np.square(differences).sum(axis=2)
    order = squares.argsort(axis=1, kind="stable")[:, :n_neighbors]
    return order, np.sqrt(np.take_along_axis(squares, order, axis=1))


@dataclass(frozen=True)
class Vote:
    """Outcome of one user's vote."""

    segment: int
    share: float
    runner_up: int
    farthest: float


def vote(reference: np.ndarray, labels: np.ndarray, user: np.ndarray, *, n_neighbors: int) -> Vote:
    """One user's vote by the rules in words.

    Neighbours vote with 1/d, exact matches alone where there are any. The share softens each
    distance by the mean. The runner-up has the next largest share, or else the next centroid.
    """
    indices, distances = (found[0] for found in nearest(reference, user[None], n_neighbors))
    mean = distances.mean()
    votes: dict[int, float] = defaultdict(float)
    softened: dict[int, float] = defaultdict(float)
    for index, distance in zip(indices, distances, strict=True):
        segment = int(labels[index])
        softened[segment] += 1 / (distance + mean) if mean > 0 else 1.0
        if distances[0] > 0:
            votes[segment] += 1 / distance
        elif distance == 0:
            votes[segment] += 1.0
    winner = min(votes, key=lambda segment: (-votes[segment], segment))
    share = softened[winner] / sum(softened.values())
    del softened[winner]
    if softened:
        runner_up = min(softened, key=lambda segment: (-softened[segment], segment))
    else:
        runner_up = next_centroid(reference, labels, user, winner=winner)
    return Vote(winner, share, runner_up, float(distances[-1]))


def next_centroid(
    reference: np.ndarray, labels: np.ndarray, user: np.ndarray, *, winner: int
) -> int:
    """The segment other than the winner whose mean is nearest; -1 where there is no other."""
    others = sorted(set(labels.tolist()) - {winner})
    gaps = [
        np.linalg.norm(reference[labels == segment].mean(axis=0, dtype=np.float64) - user)
        for segment in others
    ]
    return others[int(np.argmin(gaps))] if others else -1


def planted_blobs(
    sizes: tuple[int, ...], *, n_dimensions: int, spread: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Users in round groups, shuffled: space float32 [n, d] and group int64 [n] from 0."""
    generator = np.random.default_rng(seed)
    centres = 4 * generator.standard_normal((len(sizes), n_dimensions))
    group = generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    noise = spread * generator.standard_normal((len(group), n_dimensions))
    return (centres[group] + noise).astype(np.float32), group
