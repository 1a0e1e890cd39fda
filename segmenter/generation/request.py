"""One request for journeys: from where, how many, how; answered by one call.

This is what a command and a service call: everything that is drawn follows from the request's
seed, the model and the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from segmenter.errors import ConfigError
from segmenter.generation.detection import Correction, correct
from segmenter.generation.features import Looks
from segmenter.generation.journeys import Journeys, generate
from segmenter.generation.points import (
    decode_path,
    group_points,
    mixed_points,
    place_point,
    population_points,
)
from segmenter.generation.population import Population
from segmenter.space.directions import Direction
from segmenter.space.paths import Path

MAX_JOURNEYS = 100_000
OVERSAMPLE = 4
"""Candidates per journey that is kept, where a set is corrected."""
MAX_CORRECTION_USERS = 2_000


@dataclass(frozen=True)
class Request:
    """What to draw.

    Attributes
    ----------
    n
        Journeys; of a path, at each of its points.
    segments
        Segment to weight; several make a mixture. Empty takes the whole population.
    users
        Ids of a group of at least 50 users; journeys are drawn as they lie.
    place
        ``user:ID`` or ``segment:ID``: every journey is decoded from this one point.
    path
        Two places; journeys are decoded along the way.
    n_steps, on_the_data
        Steps of the path, and whether it follows users instead of the straight line.
    direction, amount
        A what-if: every point is moved along it.
    correction
        Whether more are drawn and those kept that look most like real users.
    seed, temperature
        See `segmenter.generation.journeys.generate`.
    """

    n: int
    segments: Mapping[int, float] = field(default_factory=dict)
    users: tuple[str, ...] = ()
    place: str | None = None
    path: tuple[str, str] | None = None
    n_steps: int = 8
    on_the_data: bool = False
    direction: Direction | None = None
    amount: float = 1.0
    correction: bool = False
    seed: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        sources = (bool(self.segments), bool(self.users), self.place, self.path)
        if sum(one not in (None, False) for one in sources) > 1:
            message = "journeys come from segments, listed users, a place or a path; give one"
            raise ConfigError(message)
        if not 1 <= self.n <= MAX_JOURNEYS:
            message = f"n must be between 1 and {MAX_JOURNEYS:,}; found {self.n}"
            raise ConfigError(message)
        if self.correction and (self.path or self.place or self.direction):
            message = (
                "a correction makes a set look like real users; it needs segments, listed users "
                "or everybody, not a place, a path or a direction"
            )
            raise ConfigError(message)

    @property
    def describes_users(self) -> bool:
        """Whether the set stands for real users, so that it can be compared with them."""
        return self.place is None and self.path is None and self.direction is None


@dataclass(frozen=True)
class Drawn:
    """The answer to a request.

    Attributes
    ----------
    journeys
        In order; of a path, `n` at each point.
    unmoved
        Of a what-if, the same journeys without the direction; None otherwise.
    step
        int64 [J], point of the path; zeros without one.
    correction
        How the set was corrected; None where that was not asked for.
    path
        Of a path, its points with how evenly and steadily they lead on; None otherwise.
    """

    journeys: Journeys
    unmoved: Journeys | None
    step: np.ndarray
    correction: Correction | None = None
    path: Path | None = None


def draw(population: Population, request: Request) -> Drawn:
    """Answer a request.

    Parameters
    ----------
    population
        The model and the users behind it.
    request
        What to draw.

    Raises
    ------
    SegmentTooSmallError
        If a segment has fewer than 50 users.
    SpaceError
        If a segment, user or direction is not of this space.
    ConfigError
        If a setting is out of range.
    FitError
        If hardly any point falls on the data.
    """
    path = None
    if request.path is not None:
        path = decode_path(
            population, *request.path, n_steps=request.n_steps, on_the_data=request.on_the_data
        )
    points = _points(population, request) if path is None else path.points.repeat(request.n, 0)
    step = np.repeat(np.arange(len(points) // request.n), request.n)
    if request.correction:
        return _corrected(population, request, points)
    unmoved = None
    if request.direction is not None:
        unmoved = _decode(population, request, points)
        points = request.direction.apply(points, amount=request.amount)
    return Drawn(_decode(population, request, points), unmoved, step, path=path)


def target_members(population: Population, request: Request) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the learned-from and of the held-out users that a request's set stands for."""
    if request.users:
        listed = population.is_listed(request.users)
        learned, held_out = population.learned.users, population.held_out.users
        return np.flatnonzero(listed[learned]), np.flatnonzero(listed[held_out])
    if not request.segments:
        return np.arange(len(population.segments)), np.arange(len(population.held_out_segments))
    wanted = list(request.segments)
    return (
        np.flatnonzero(np.isin(population.segments, wanted)),
        np.flatnonzero(np.isin(population.held_out_segments, wanted)),
    )


def _points(population: Population, request: Request) -> np.ndarray:
    """Points float64 [J, d] of a request that is no path, before any direction."""
    if request.place is not None:
        return np.tile(place_point(population, request.place), (request.n, 1))
    wanted = request.n * (OVERSAMPLE if request.correction else 1)
    if request.segments:
        return mixed_points(population, request.segments, n=wanted, seed=request.seed)
    if request.users:
        members, _ = target_members(population, request)
        return group_points(population, members, n=wanted, seed=request.seed)
    return population_points(population, n=wanted, seed=request.seed)


def _decode(population: Population, request: Request, points: np.ndarray) -> Journeys:
    return generate(
        population.model.network,
        population.learned,
        points,
        seed=request.seed,
        temperature=request.temperature,
    )


def _corrected(population: Population, request: Request, points: np.ndarray) -> Drawn:
    """Draw candidates and keep those that a classifier takes for real ones."""
    candidates = _decode(population, request, points)
    members, _ = target_members(population, request)
    generator = np.random.default_rng(request.seed)
    chosen = np.sort(generator.permutation(members)[:MAX_CORRECTION_USERS])
    real = population.events(population.learned.only(chosen))
    looks = Looks.of(real)
    made = looks.table(candidates.table(population.model.network.vocabulary))
    found = correct(looks.table(real).values, made.values, n=request.n, seed=request.seed)
    kept = candidates.only(found.rows)
    return Drawn(kept, None, np.zeros(request.n, dtype=np.int64), found)
