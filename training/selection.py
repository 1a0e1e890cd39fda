"""Choosing the published level on an earlier slice of time, inside the training period.

Users are placed as they were at an inner cut, by the very prototypes that would serve, and their
segments are held against what they did in the window after it. Beside that stands how well the
segments of two disjoint halves of the users agree. The outcome that is reported later is never
looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import adjusted_rand_score

from segmenter.events.store import EventStore
from segmenter.segments.density import DensitySettings, Leaves, find_leaves
from segmenter.segments.distances import nearest
from segmenter.segments.projection import Projection, fit_projection
from segmenter.segments.prototypes import SizeLimits, make_prototypes
from segmenter.terminal import ProgressCallback
from segmenter.validity.activity import activity_before, within_bands
from segmenter.validity.lift import NO_SPREAD, resampled_users
from segmenter.validity.outcomes import future_outcomes
from segmenter.validity.scoring import Scorer, grouping
from segmenter.validity.taste import taste_outcomes
from training.config import TrainConfig

LEVELS = (4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50)
"""Numbers of segments that are tried, as far as the configuration allows."""
DEFAULT_LEVEL = 12
"""Segments where there is no earlier slice to choose by."""
TASTE_WEIGHTS = (0.0, 0.15, 0.3)
"""Weights of the taste part that are tried."""
MAX_USERS = 8_000
"""Users on whom the choice is made; more are sampled."""
N_SPLITS = 2
N_DRAWS = 50


@dataclass(frozen=True)
class InnerSlice:
    """An earlier time inside the training period, with the window that followed it.

    Attributes
    ----------
    embeddings
        float32 [m, D], users as they were at the inner cut.
    scorers
        Score a segmentation of these users on everything asked of them: among all users, and
        within bands of equal activity.
    """

    embeddings: np.ndarray
    scorers: tuple[Scorer, ...]

    def validity(self, labels: np.ndarray, *, seed: int) -> np.ndarray:
        """How much of the window segments predict: the mean over everything asked.

        Parameters
        ----------
        labels
            int [m].
        seed
            Of the split into folds.

        Returns
        -------
        numpy.ndarray
            float64 [1 + draws], of the users as they are and of each bootstrap sample: 0 for the
            same guess for everybody, 1 for a perfect one.
        """
        candidate = grouping("tried", "segments", {"": labels}, seed=seed)
        figures = []
        for scorer in self.scorers:
            scored = scorer.score(candidate)
            for outcome, figure in zip(scorer.outcomes, scored.figures, strict=True):
                chance = 0.0 if outcome.kind == "r2" else 0.5
                figures.append((figure - chance) / (1 - chance))
        return np.mean(figures, axis=0)


def inner_slice(
    store: EventStore, users: np.ndarray, embeddings: np.ndarray, *, cut: int, end: int, seed: int
) -> InnerSlice | None:
    """Ask what users did after an inner cut.

    Parameters
    ----------
    store
        The events.
    users
        int64 [m] rows of the store, with an event at or before the cut.
    embeddings
        float32 [m, D] of these users as of the cut.
    cut, end
        The window is after `cut`, up to and with `end`, microseconds.
    seed
        Of folds and draws.

    Returns
    -------
    InnerSlice or None
        None where nothing in the window can be predicted.
    """
    if len(users) > MAX_USERS:
        kept = _sample(len(users), MAX_USERS, seed)
        users, embeddings = users[kept], embeddings[kept]
    outcomes = (
        *future_outcomes(store, users, cut=cut + 1, end=end + 1),
        *taste_outcomes(store, users, cut=cut + 1, end=end + 1),
    )
    if not outcomes:
        return None
    weights = resampled_users(len(users), n_draws=N_DRAWS, seed=seed)
    bands = activity_before(store, users, until=cut + 1).bands
    scorers = [Scorer(outcomes, weights, seed=seed)]
    within = within_bands(outcomes, bands)
    if within:
        scorers.append(Scorer(within, weights, seed=seed, bands=bands))
    return InnerSlice(embeddings, tuple(scorers))


def _sample(n_users: int, n_wanted: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(n_users, min(n_wanted, n_users), replace=False))


@dataclass(frozen=True)
class Level:
    """One way to cut the space into segments, and what speaks for it.

    Attributes
    ----------
    taste_weight
        Weight of the taste part in the space.
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
    """

    levels: tuple[Level, ...]
    projection: Projection
    leaves: Leaves | None

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


def tried_weights(config: TrainConfig) -> tuple[float, ...]:
    """Weights of the taste part to try: the one asked for, or all."""
    return TASTE_WEIGHTS if config.taste_weight is None else (config.taste_weight,)


def choose_level(
    embeddings: np.ndarray,
    earlier: InnerSlice | None,
    config: TrainConfig,
    *,
    n_forecast: int,
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
    progress
        Told of (weights done, weights in all).

    Raises
    ------
    FitError
        If there are no users, or training diverged.

    References
    ----------
    Breiman, Friedman, Olshen, Stone, "Classification and Regression Trees", 1984: the rule of one
    standard error.
    """
    sampled = embeddings
    if len(embeddings) > MAX_USERS:
        sampled = embeddings[_sample(len(embeddings), MAX_USERS, config.seed)]
    spaces: dict[float, _Space] = {}
    tried: list[_Tried] = []
    weights = tried_weights(config)
    for weight in weights:
        projection = fit_projection(
            embeddings,
            n_forecast=n_forecast,
            taste_weight=weight,
            taste_components=config.taste_components,
        )
        spaces[weight] = _space(projection, sampled, seed=config.seed)
        tried += _levels_of(spaces[weight], weight, earlier=earlier, config=config)
        if progress is not None:
            progress(len(spaces), len(weights))
    levels = _with_choice(tried)
    chosen = spaces[next(level.taste_weight for level in levels if level.chosen)]
    leaves = chosen.everybody.leaves if sampled is embeddings else None
    return Choice(levels, chosen.projection, leaves)


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
    space: _Space, taste_weight: float, *, earlier: InnerSlice | None, config: TrainConfig
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
            taste_weight=taste_weight,
            n_asked=n_asked,
            n_segments=len(prototypes),
            validity=None if figures is None else float(figures[0]),
            behind=None,
            stability=_stability(space, n_asked, seed=seed),
            smallest=int(np.bincount(nearest(points, prototypes)).min()),
        )
        yield _Tried(level, figures)


def _stability(space: _Space, n_asked: int, *, seed: int) -> float:
    """Agreement about all users of the segments that two halves give; 1 without halves."""
    points, agreed = space.everybody.points, []
    for halves in space.halves:
        labels = [nearest(points, half.prototypes(n_asked, seed=seed)) for half in halves]
        agreed.append(adjusted_rand_score(*labels))
    return float(np.mean(agreed)) if agreed else 1.0


def _with_choice(tried: Sequence[_Tried]) -> tuple[Level, ...]:
    """Mark the published level."""
    behind = _errors_behind([one.figures for one in tried if one.figures is not None])
    levels = [one.level for one in tried]
    if behind:
        levels = [
            replace(level, behind=errors) for level, errors in zip(levels, behind, strict=True)
        ]
        near = [place for place, errors in enumerate(behind) if errors <= 1]
    else:
        off = [abs(level.n_asked - DEFAULT_LEVEL) for level in levels]
        near = [place for place, distance in enumerate(off) if distance == min(off)]
    chosen = max(near, key=lambda place: (levels[place].stability, -levels[place].n_segments))
    levels[chosen] = replace(levels[chosen], chosen=True)
    return tuple(levels)


def _errors_behind(drawn: Sequence[np.ndarray]) -> list[float]:
    """Paired standard errors by which each level's validity lies behind the best one's."""
    if not drawn:
        return []
    best = max(drawn, key=lambda figures: float(figures[0]))
    behind = []
    for figures in drawn:
        differences = best - figures
        error = float(differences[1:].std(ddof=1))
        behind.append(float(differences[0]) / max(error, NO_SPREAD))
    return behind
