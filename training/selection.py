"""Choosing the published level: what predicts on an earlier slice of time, and is stable.

For each level, users are placed as they were at the inner cut by the very prototypes that would
serve. Beside what that predicts stands how well the segments of two disjoint halves of the users
agree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import adjusted_rand_score

from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.density import DensitySettings, Leaves, find_leaves
from segmenter.segments.distances import nearest
from segmenter.segments.projection import Projection, fit_projection
from segmenter.segments.prototypes import SizeLimits, make_prototypes
from segmenter.terminal import ProgressCallback
from segmenter.validity.lift import NO_SPREAD
from training.config import TrainConfig
from training.inner_slice import InnerSlice, sampled_rows

LEVELS = (4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50)
"""Numbers of segments that are tried, as far as the configuration allows."""
DEFAULT_LEVEL = 12
"""Segments where there is no earlier slice to choose by."""
TASTE_WEIGHTS = (0.0, 0.15, 0.3)
"""Weights of the taste part that are tried."""
DECODED_WEIGHT = 0.15
"""Weight at which distance by what is forecast is tried too, where none is asked for."""
PLAIN, DECODED = "plain", "decoded"
"""Distance in the forecast part as it is, or by what is forecast for its users."""
N_SPLITS = 2
"""Times that the users are split into halves."""


@dataclass(frozen=True)
class Level:
    """One way to cut the space into segments, and what speaks for it.

    Attributes
    ----------
    taste_weight
        Weight of the taste part in the space.
    metric
        `PLAIN` or `DECODED`.
    n_asked, n_segments
        Segments that were asked for, and those that came out: fewer where one would have been too
        small. The published segments are made by asking again.
    validity
        See `InnerSlice.validity`; None without a slice.
    behind
        Standard errors by which the validity lies behind the best level's.
    stability
        Adjusted Rand index of the segments of all users, made from two disjoint halves of them.
    smallest
        Users in the smallest segment.
    chosen
        Whether this level was published.
    """

    taste_weight: float
    metric: str
    n_asked: int
    n_segments: int
    validity: float | None
    behind: float | None
    stability: float
    smallest: int
    chosen: bool = False


@dataclass(frozen=True)
class Choice:
    """The published level among all that were tried.

    Attributes
    ----------
    levels
        Every level, exactly one of them chosen.
    projection
        The space of the chosen one.
    leaves
        Dense cores of all users in that space; None where the choice was made on a sample.
    assigner
        Of a refit, whose segments are its parent's; None where they are yet to be made.
    halves
        Prototypes float64 [k, d] that halves of the users gave; none of a handful.
    """

    levels: tuple[Level, ...]
    projection: Projection
    leaves: Leaves | None
    assigner: PrototypeAssigner | None = None
    halves: tuple[np.ndarray, ...] = ()

    @property
    def level(self) -> Level:
        """The published level."""
        return next(level for level in self.levels if level.chosen)


def tried_levels(config: TrainConfig) -> tuple[int, ...]:
    """Numbers of segments to try: the one asked for, or all up to the greatest allowed."""
    if config.n_segments is not None:
        return (config.n_segments,)
    allowed = tuple(level for level in LEVELS if level <= config.max_segments)
    return allowed or (config.max_segments,)


def tried_spaces(config: TrainConfig, *, has_metric: bool) -> tuple[tuple[float, str], ...]:
    """Taste weight and metric of every space: the weight asked for, or all.

    Parameters
    ----------
    config
        Settings.
    has_metric
        Whether there is a measure of what is forecast.
    """
    asked = config.taste_weight
    weights = TASTE_WEIGHTS if asked is None else (asked,)
    decoded = ((DECODED_WEIGHT if asked is None else asked, DECODED),) if has_metric else ()
    return (*((weight, PLAIN) for weight in weights), *decoded)


def choose_level(
    embeddings: np.ndarray,
    earlier: InnerSlice | None,
    config: TrainConfig,
    *,
    n_forecast: int,
    metric: np.ndarray | None = None,
    progress: ProgressCallback | None = None,
) -> Choice:
    """Try every level and choose the one to publish.

    Of the levels whose validity is within one standard error of the best, the most stable one is
    chosen; at equal stability the one with fewer segments. Without an earlier slice it is the most
    stable of those nearest to the default number of segments.

    Parameters
    ----------
    embeddings
        float32 [n, D] of the training users, at the end of the training period.
    earlier
        What to choose by.
    config
        Settings.
    n_forecast
        Width of the forecast part.
    metric
        float [n_forecast, n_forecast], from `segmenter.autoencoder.sensitivity.decoder_metric`;
        None where the forecast says little.
    progress
        Told of (spaces done, spaces in all).

    Raises
    ------
    FitError
        If there are no users, or training diverged.

    References
    ----------
    Breiman, Friedman, Olshen, Stone, "Classification and Regression Trees", 1984: the rule of one
    standard error.
    """
    rows = sampled_rows(len(embeddings), seed=config.seed)
    spaces: dict[tuple[float, str], _Space] = {}
    tried: list[_Tried] = []
    wanted = tried_spaces(config, has_metric=metric is not None)
    for key in wanted:
        projection = fit_projection(
            embeddings,
            n_forecast=n_forecast,
            taste_weight=key[0],
            taste_components=config.taste_components,
            metric=metric if key[1] == DECODED else None,
        )
        spaces[key] = _space(projection, embeddings[rows], seed=config.seed)
        tried += _levels_of(spaces[key], key, earlier=earlier, config=config)
        if progress is not None:
            progress(len(spaces), len(wanted))
    drawn = [one.figures for one in tried if one.figures is not None]
    levels = published([one.level for one in tried], drawn)
    (level,) = (level for level in levels if level.chosen)
    chosen = spaces[level.taste_weight, level.metric]
    leaves = chosen.everybody.leaves if len(rows) == len(embeddings) else None
    n_asked = next(level.n_asked for level in levels if level.chosen)
    halves = sum(_half_prototypes(chosen, n_asked, seed=config.seed), start=())
    return Choice(levels, chosen.projection, leaves, halves=halves)


def published(levels: Sequence[Level], drawn: Sequence[np.ndarray]) -> tuple[Level, ...]:
    """Mark the level to publish, and say how far each one lies behind the best.

    Parameters
    ----------
    levels
        As they were tried.
    drawn
        float64 [1 + draws] for each level, see `InnerSlice.validity`; empty without a slice.

    Returns
    -------
    tuple of Level
        In the same order.
    """
    marked = list(levels)
    if drawn:
        best = max(drawn, key=lambda figures: float(figures[0]))
        behind = [_standard_errors(best - figures) for figures in drawn]
        marked = [replace(level, behind=far) for level, far in zip(levels, behind, strict=True)]
        near = [place for place, far in enumerate(behind) if far <= 1]
    else:
        off = [abs(level.n_asked - DEFAULT_LEVEL) for level in levels]
        near = [place for place, far in enumerate(off) if far == min(off)]
    chosen = max(near, key=lambda place: (levels[place].stability, -levels[place].n_segments))
    marked[chosen] = replace(marked[chosen], chosen=True)
    return tuple(marked)


def _standard_errors(differences: np.ndarray) -> float:
    """A difference in units of its bootstrap standard error; `differences` is [1 + draws]."""
    error = float(differences[1:].std(ddof=1))
    return float(differences[0]) / max(error, NO_SPREAD)


@dataclass(frozen=True)
class _Part:
    """Some users in a space and their dense cores."""

    points: np.ndarray
    leaves: Leaves

    def prototypes(self, n_asked: int, *, seed: int) -> np.ndarray:
        """Prototypes of the segments that these users give."""
        fitted = self.points[self.leaves.rows]
        return make_prototypes(
            fitted, self.leaves, n_segments=n_asked, limits=SizeLimits(), seed=seed
        )


@dataclass(frozen=True)
class _Space:
    """All users in one space, and disjoint halves of them; no halves of a handful."""

    projection: Projection
    everybody: _Part
    halves: tuple[tuple[_Part, _Part], ...]


@dataclass(frozen=True)
class _Tried:
    """A level before the choice, with the figures of its validity where there is a slice."""

    level: Level
    figures: np.ndarray | None


def _space(projection: Projection, embeddings: np.ndarray, *, seed: int) -> _Space:
    """Seek dense cores in a space, among everybody and among halves of the users."""
    points, settings = projection(embeddings), DensitySettings()

    def part(rows: np.ndarray | slice) -> _Part:
        return _Part(points[rows], find_leaves(points[rows], settings=settings, seed=seed))

    halves = []
    for split in range(N_SPLITS if len(points) >= 4 * settings.min_cluster_size else 0):
        order = np.random.default_rng((seed, split)).permutation(len(points))
        halves.append((part(np.sort(order[::2])), part(np.sort(order[1::2]))))
    return _Space(projection, part(slice(None)), tuple(halves))


def _levels_of(
    space: _Space, key: tuple[float, str], *, earlier: InnerSlice | None, config: TrainConfig
) -> Iterator[_Tried]:
    """Every number of segments in one space."""
    points, seed = space.everybody.points, config.seed
    known: set[int] = set()
    for n_asked in tried_levels(config):
        prototypes = space.everybody.prototypes(n_asked, seed=seed)
        if len(prototypes) in known:
            continue
        known.add(len(prototypes))
        figures = None
        if earlier is not None:
            then = nearest(space.projection(earlier.embeddings), prototypes)
            figures = earlier.validity(then, seed=seed)
        level = Level(
            taste_weight=key[0],
            metric=key[1],
            n_asked=n_asked,
            n_segments=len(prototypes),
            validity=None if figures is None else float(figures[0]),
            behind=None,
            stability=_stability(space, n_asked, seed=seed),
            smallest=int(np.bincount(nearest(points, prototypes)).min()),
        )
        yield _Tried(level, figures)


def _half_prototypes(space: _Space, n_asked: int, *, seed: int) -> list[tuple[np.ndarray, ...]]:
    """Prototypes that two halves give, for each split."""
    return [
        tuple(half.prototypes(n_asked, seed=seed) for half in halves) for halves in space.halves
    ]


def _stability(space: _Space, n_asked: int, *, seed: int) -> float:
    """Agreement about all users of the segments that two halves give; 1 without halves."""
    points = space.everybody.points
    agreed = [
        adjusted_rand_score(*(nearest(points, half) for half in halves))
        for halves in _half_prototypes(space, n_asked, seed=seed)
    ]
    return float(np.mean(agreed)) if agreed else 1.0
