"""How far generated users can pass for real ones they were not made from, with controls beside.

A figure alone proves nothing: the same is measured for a copy of the users that the model learned
from, which no generator beats, and for a Markov chain per cluster, which any generator should.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance
from sklearn.metrics import roc_auc_score

from segmenter.generation.detection import N_FAMILY_FOLDS, fit_trees, told_apart
from segmenter.generation.features import KIND, VALUE_FIELD, Looks, Table, nan_mean
from segmenter.space.neighbors import nearest_rows

COVERAGE_NEIGHBORS = 5
EXTREME = 6.0
"""Standard deviations at which features are cut before distances are taken."""
N_TARGETS = 25


@dataclass(frozen=True)
class Fidelity:
    """Likeness of one set of users to real users held out.

    Attributes
    ----------
    n_users, n_events
        Of the set.
    told_apart
        Area under the curve of a classifier between the set and real users: 0.5 is perfect.
    by_family
        The same from the features of one family alone.
    type_divergence, pair_divergence, category_divergence
        Jensen-Shannon divergence, bits, of event types, of successive pairs, of categories; None
        without categories.
    gap_distance
        Wasserstein distance of gaps, in powers of ten of a second.
    length_distance
        Kolmogorov-Smirnov statistic of the number of events.
    value_distance
        Wasserstein distance of ``log(1 + value)``; None without values.
    trained_on_set, trained_on_real
        Area under the curve of a forecast of real users (does the second half of a journey hold a
        common event), learned from the set and from real users; None where a target is lacking.
    coverage
        Share of real users who have one of the set within their five nearest real ones.
    """

    n_users: int
    n_events: int
    told_apart: float
    by_family: dict[str, float]
    type_divergence: float
    pair_divergence: float
    category_divergence: float | None
    gap_distance: float
    length_distance: float
    value_distance: float | None
    trained_on_set: float | None
    trained_on_real: float | None
    coverage: float


def measure_fidelity(
    generated: pl.DataFrame, held_out: pl.DataFrame, *, learned: pl.DataFrame, seed: int
) -> Fidelity:
    """Compare a set with real users.

    Parameters
    ----------
    generated
        Event log of the set, as `segmenter.generation.journeys.events_table` makes it.
    held_out
        Of real users whom the generator did not see.
    learned
        Of real users whom it saw; what is looked at is fixed on them.
    seed
        Of samples, folds and trees.
    """
    looks = Looks.of(learned)
    real, made = looks.table(held_out), looks.table(generated)
    forecast = _forecasts({"set": generated, "real": learned}, held_out, looks, seed=seed)
    return Fidelity(
        n_users=len(made.values),
        n_events=len(generated),
        told_apart=told_apart(real.values, made.values, seed=seed),
        by_family={
            name: told_apart(
                real.family(name), made.family(name), seed=seed, n_folds=N_FAMILY_FOLDS
            )
            for name in real.families()
        },
        type_divergence=_divergence(held_out["event"], generated["event"]),
        pair_divergence=_divergence(_pairs(held_out), _pairs(generated)),
        category_divergence=_divergence(held_out[KIND], generated[KIND])
        if looks.categories
        else None,
        gap_distance=float(wasserstein_distance(_gaps(held_out), _gaps(generated))),
        length_distance=float(ks_2samp(_lengths(held_out), _lengths(generated)).statistic),
        value_distance=float(wasserstein_distance(_sizes(held_out), _sizes(generated)))
        if looks.has_value
        else None,
        trained_on_set=forecast["set"],
        trained_on_real=forecast["real"],
        coverage=coverage(standard(real, real), standard(made, real)),
    )


def standard(table: Table, reference: Table) -> np.ndarray:
    """Features in units of a reference's spread, float64 [n, p]; what is missing is its mean."""
    mean = np.nan_to_num(nan_mean(reference.values))
    spread = np.sqrt(nan_mean((reference.values - mean) ** 2))
    spread = np.where(np.nan_to_num(spread) > 0, spread, 1.0)
    return np.nan_to_num(np.clip((table.values - mean) / spread, -EXTREME, EXTREME))


def coverage(real: np.ndarray, made: np.ndarray) -> float:
    """Share of real users who have a made one within the ball of their five nearest real ones.

    References
    ----------
    Naeem et al.: "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020.
    """
    _, own = nearest_rows(real, real, k=min(COVERAGE_NEIGHBORS + 1, len(real)))
    _, other = nearest_rows(made, real, k=1)
    return float((other[:, 0] <= own[:, -1]).mean())


def _divergence(a: pl.Series, b: pl.Series) -> float:
    """Jensen-Shannon divergence of two columns, bits: 0 is the same, 1 shares nothing."""
    counts = [one.fill_null("(none)").value_counts() for one in (a, b)]
    names = sorted({name for one in counts for name in one.to_series(0).to_list()})
    shares = []
    for one in counts:
        found: Mapping[str, int] = dict(one.iter_rows())
        shares.append(np.array([found.get(name, 0) for name in names], dtype=np.float64))
    return float(jensenshannon(*shares, base=2) ** 2)


def _pairs(events: pl.DataFrame) -> pl.Series:
    """Successive event types."""
    before = pl.col("event").shift(1).over("user")
    pairs = events.select(pl.concat_str(before, "event", separator=" > ").alias("pair"))
    return pairs["pair"].drop_nulls()


def _gaps(events: pl.DataFrame) -> np.ndarray:
    """``log10(1 + seconds)`` between successive events."""
    seconds = pl.col("time").dt.epoch("us").diff().over("user") / 1e6
    gaps = events.select(gap=seconds)["gap"].drop_nulls().to_numpy()
    return np.log10(1 + np.maximum(gaps, 0)) if len(gaps) else np.zeros(1)


def _lengths(events: pl.DataFrame) -> np.ndarray:
    return events.group_by("user").len()["len"].to_numpy()


def _sizes(events: pl.DataFrame) -> np.ndarray:
    return events[VALUE_FIELD].fill_null(0.0).clip(0.0).log1p().to_numpy()


def _forecasts(
    sets: Mapping[str, pl.DataFrame], held_out: pl.DataFrame, looks: Looks, *, seed: int
) -> dict[str, float | None]:
    """Train on each set, test on real users: the first half of a journey foretells the second."""
    target = _target(sets["real"], looks)
    known, truth = _halves(held_out, looks, target)
    found: dict[str, float | None] = {}
    for name, events in sets.items():
        features, happened = _halves(events, looks, target)
        if min(happened.mean(), truth.mean()) in (0.0, 1.0) or min(len(truth), len(happened)) < 20:
            found[name] = None
            continue
        trees = fit_trees(features, happened, seed=seed)
        found[name] = float(roc_auc_score(truth, trees.predict_proba(known)[:, 1]))
    return found


def _target(events: pl.DataFrame, looks: Looks) -> pl.Expr:
    """The event type or category that nearest to half of the users have in the second half."""
    late = _split(events).filter("late")
    n_users = events["user"].n_unique()
    candidates = [pl.col("event") == name for name in looks.types]
    if looks.categories:
        candidates += [pl.col(KIND) == name for name in looks.categories[:N_TARGETS]]
    shares = [late.filter(one)["user"].n_unique() / n_users for one in candidates]
    return candidates[int(np.argmin(np.abs(np.array(shares) - 0.5)))]


def _split(events: pl.DataFrame) -> pl.DataFrame:
    """Events with whether they lie in the second half of their user's journey."""
    place = pl.int_range(pl.len()).over("user")
    return events.with_columns(late=place >= pl.len().over("user") // 2)


def _halves(events: pl.DataFrame, looks: Looks, target: pl.Expr) -> tuple[np.ndarray, np.ndarray]:
    """Features of first halves, and whether the target is in the second, of users with both."""
    parts = _split(events)
    first = parts.filter(~pl.col("late"))
    late = parts.filter("late").group_by("user").agg(happened=target.any())
    users = first.select(pl.col("user").unique(maintain_order=True))
    happened = users.join(late, on="user", how="left", maintain_order="left")["happened"]
    return looks.table(first).values, happened.fill_null(value=False).to_numpy()
