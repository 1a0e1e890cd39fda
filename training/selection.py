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
from segmenter.validity.lift import resampled_users
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
    n_segments
        Segments that came out.
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
    """

    levels: tuple[Level, ...]
    projection: Projection

    @property
    def level(self) -> Level:
        """The published level."""
        return next(level for level in self.levels if level.chosen)


def tried_levels(config: TrainConfig) -> tuple[int, ...]:
    """Numbers of segments to try: the one asked for, or all up to the greatest allowed."""
    if config.n_segments is not None:
        return (config.n_segments,)
    return tuple(level for level in LEVELS if level <= config.max_segments) or (1,)


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
    chosen; at equal stability the one with fewer segments.

    Parameters
    ----------
    embeddings
        float32 [n, D] of the training users, at the end of the training period.
    earlier
        What to choose by; without it the default level is taken.
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
    weights = tried_weights(config)
    levels: list[Level] = []
    drawn: list[np.ndarray] = []
    projections = {}
    for done, weight in enumerate(weights, start=1):
        projections[weight] = fit_projection(
            embeddings,
            n_forecast=n_forecast,
            taste_weight=weight,
            taste_components=config.taste_components,
        )
        space = _Space(weight, projections[weight], sampled, earlier)
        for level, figures in _levels_of(space, config):
            levels.append(level)
            drawn.append(figures)
        if progress is not None:
            progress(done, len(weights))
    marked = _with_choice(levels, drawn if earlier is not None else [])
    chosen = next(level for level in marked if level.chosen)
    return Choice(marked, projections[chosen.taste_weight])


@dataclass(frozen=True)
class _Space:
    """One space to cut: users at the end of the period, and as they were at the inner cut."""

    taste_weight: float
    projection: Projection
    embeddings: np.ndarray
    earlier: InnerSlice | None


def _levels_of(space: _Space, config: TrainConfig) -> Iterator[tuple[Level, np.ndarray]]:
    """Every number of segments in one space, with the figures of its validity."""
    settings, limits, seed = DensitySettings(), SizeLimits(), config.seed
    points, earlier = space.projection(space.embeddings), space.earlier
    leaves = find_leaves(points, settings=settings, seed=seed)
    halves = list(_halves(points, settings, seed))
    known: set[int] = set()
    for n_segments in tried_levels(config):
        prototypes = make_prototypes(
            points[leaves.rows], leaves, n_segments=n_segments, limits=limits, seed=seed
        )
        if len(prototypes) in known:
            continue
        known.add(len(prototypes))
        figures = np.zeros(1)
        if earlier is not None:
            then = nearest(space.projection(earlier.embeddings), prototypes)
            figures = earlier.validity(then, seed=seed)
        agreed = [
            _agreement(points, pair, n_segments=n_segments, limits=limits, seed=seed)
            for pair in halves
        ]
        users = np.bincount(nearest(points, prototypes), minlength=len(prototypes))
        level = Level(
            taste_weight=space.taste_weight,
            n_segments=len(prototypes),
            validity=None if earlier is None else float(figures[0]),
            behind=None,
            stability=float(np.mean(agreed)) if agreed else 1.0,
            smallest=int(users.min()),
        )
        yield level, figures


def _halves(
    space: np.ndarray, settings: DensitySettings, seed: int
) -> Iterator[tuple[tuple[np.ndarray, Leaves], tuple[np.ndarray, Leaves]]]:
    """Dense cores of two disjoint halves of the users, a few times; nothing for a handful."""
    if len(space) < 4 * settings.min_cluster_size:
        return
    for split in range(N_SPLITS):
        order = np.random.default_rng((seed, split)).permutation(len(space))
        one, other = (np.sort(order[start::2]) for start in (0, 1))
        yield (
            (one, find_leaves(space[one], settings=settings, seed=seed)),
            (other, find_leaves(space[other], settings=settings, seed=seed)),
        )


def _agreement(
    space: np.ndarray,
    pair: Sequence[tuple[np.ndarray, Leaves]],
    *,
    n_segments: int,
    limits: SizeLimits,
    seed: int,
) -> float:
    """Adjusted Rand index over all users of the segments that each half gives."""
    labels = []
    for rows, leaves in pair:
        prototypes = make_prototypes(
            space[rows][leaves.rows], leaves, n_segments=n_segments, limits=limits, seed=seed
        )
        labels.append(nearest(space, prototypes))
    return float(adjusted_rand_score(*labels))


def _with_choice(levels: list[Level], drawn: list[np.ndarray]) -> tuple[Level, ...]:
    """Mark the published level."""
    near = list(range(len(levels)))
    if drawn:
        best = max(near, key=lambda place: drawn[place][0])
        for place, figures in enumerate(drawn):
            differences = drawn[best] - figures
            error = float(differences[1:].std(ddof=1)) if len(differences) > 2 else 0.0
            behind = 0.0 if place == best else differences[0] / max(error, 1e-12)
            levels[place] = replace(levels[place], behind=float(behind))
        near = [place for place in near if (levels[place].behind or 0.0) <= 1.0]
    else:
        near = [place for place in near if levels[place].n_segments >= DEFAULT_LEVEL] or near
        near = [min(near, key=lambda place: levels[place].n_segments)]
    chosen = max(near, key=lambda place: (levels[place].stability, -levels[place].n_segments))
    levels[chosen] = replace(levels[chosen], chosen=True)
    return tuple(levels)
