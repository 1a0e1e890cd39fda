"""Points to decode: of everybody, of segments, of a mixture of them, of a place, along a path."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.errors import ConfigError, FitError, SegmentTooSmallError
from segmenter.generation.crowd import decoder_input
from segmenter.generation.density import Density, fit_density
from segmenter.generation.population import MIN_USERS, Population, row_of_user
from segmenter.space.paths import Path, find_path, graph_line, straight_line

USER, SEGMENT = "user:", "segment:"
MAX_ROUNDS = 50
OVERDRAW = 2


def population_points(population: Population, *, n: int, seed: int) -> np.ndarray:
    """Points float64 [n, d] as users of the whole population lie."""
    density = fit_density(population.learned.embeddings, seed=seed)
    return _drawn(density, n, population=population, segment=None, seed=seed)


def group_points(population: Population, members: np.ndarray, *, n: int, seed: int) -> np.ndarray:
    """Points float64 [n, d] as a group of users lie, given by rows of ``population.learned``.

    Raises
    ------
    SegmentTooSmallError
        If the group has fewer than 50 users whom the model learned from.
    """
    if len(members) < MIN_USERS:
        message = (
            f"a group must have at least {MIN_USERS} users whom the model learned from before "
            f"journeys are drawn for it; found {len(members)}; list more"
        )
        raise SegmentTooSmallError(message)
    density = fit_density(population.learned.embeddings[members], seed=seed)
    return _drawn(density, n, population=population, segment=None, seed=seed)


def segment_points(population: Population, segment: int, *, n: int, seed: int) -> np.ndarray:
    """Points float64 [n, d] as members of a segment lie; the model assigns each to the segment.

    Raises
    ------
    SpaceError
        If there is no such segment.
    SegmentTooSmallError
        If it has fewer than 50 users.
    FitError
        If hardly any point that is drawn belongs to the segment.
    """
    members = population.members(segment)
    density = fit_density(population.learned.embeddings[members], seed=seed)
    return _drawn(density, n, population=population, segment=segment, seed=seed)


def mixed_points(
    population: Population, parts: Mapping[int, float], *, n: int, seed: int
) -> np.ndarray:
    """Points float64 [n, d] of several segments in given proportions; see `segment_points`."""
    total = sum(parts.values())
    if not parts or min(parts.values()) <= 0:
        message = f"a mixture needs segments with weights above 0; found {dict(parts)}"
        raise ConfigError(message)
    bounds = np.cumsum([0, *parts.values()]) / total * n
    counts = np.diff(np.round(bounds).astype(np.int64)).tolist()
    return np.concatenate(
        [
            segment_points(population, segment, n=count, seed=seed + place)
            for place, (segment, count) in enumerate(zip(parts, counts, strict=True))
        ]
    )


def _drawn(
    density: Density, n: int, *, population: Population, segment: int | None, seed: int
) -> np.ndarray:
    """Points on the data and, where a segment is asked for, in it."""
    generator = np.random.default_rng(seed)
    parts: list[np.ndarray] = [np.empty((0, density.means.shape[1]))]
    for _ in range(MAX_ROUNDS):
        points = density.draw(OVERDRAW * n + 16, generator=generator)
        points = points[~density.off_data(points)]
        if segment is not None:
            assigned = population.model.assign(points.astype(np.float32))
            points = points[assigned.segment_id == segment]
        parts.append(points)
        if sum(map(len, parts)) >= n:
            return np.concatenate(parts)[:n]
    message = (
        f"only {sum(map(len, parts))} of {n} points fell on the data"
        f"{'' if segment is None else f' and into segment {segment}'}; ask for fewer"
    )
    raise FitError(message)


def place_point(population: Population, place: str) -> np.ndarray:
    """A point float64 [d]: ``user:ID`` is a user, ``segment:ID`` the centroid of a segment.

    Raises
    ------
    ConfigError
        If a place is neither.
    SpaceError
        If there is no such user or segment.
    SegmentTooSmallError
        If the segment has fewer than 50 users.
    """
    kind, _, name = place.partition(":")
    if f"{kind}:" == USER and name:
        store, as_of = population.store, population.as_of
        rows = np.array([row_of_user(store, name, as_of=as_of)])
        return population.model.embed(store, rows, as_of=as_of)[0].astype(np.float64)
    if f"{kind}:" == SEGMENT and name.isdecimal():
        members = population.members(int(name))
        return population.learned.embeddings[members].mean(axis=0, dtype=np.float64)
    message = f"a place is user:ID or segment:ID; found {place!r}"
    raise ConfigError(message)


def decode_path(
    population: Population, start: str, end: str, *, n_steps: int, on_the_data: bool
) -> Path:
    """A path from a place to another, each step of which changes what is decoded alike.

    Parameters
    ----------
    population
        The model and its users.
    start, end
        Places; see `place_point`.
    n_steps
        Points less one.
    on_the_data
        Along chains of users instead of straight.

    Raises
    ------
    SpaceError
        If a place is not known, or both decode alike.
    """
    first, last = (place_point(population, one) for one in (start, end))
    line = straight_line(first, last)
    if on_the_data:
        line = graph_line(population.learned.embeddings, first, last)
    return find_path(line, partial(decoded_profile, population.model.network), n_steps=n_steps)


def decoded_profile(network: SequenceAutoencoder, points: np.ndarray) -> np.ndarray:
    """What points decode to without any lot, from the heads that read the latent alone.

    Parameters
    ----------
    network
        Trained.
    points
        float [n, d], in the space of the embeddings.

    Returns
    -------
    numpy.ndarray
        float32 [n, p]: square roots of the shares of each field's values, so that distances
        between profiles are Hellinger's.
    """
    latent = decoder_input(network, points)
    with torch.inference_mode():
        shares = [torch.softmax(head(latent), dim=1) for head in network.decoder.bags]
        return torch.cat(shares, dim=1).sqrt().numpy()
