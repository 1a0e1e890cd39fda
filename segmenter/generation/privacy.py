"""Does a generated set tell of the users it was made from? Attacks to run, and their limits.

None of this is a proof: an attack that fails says nothing of a better one, and only differential
privacy, which this model does not have, bounds them all.

References
----------
van Breugel et al.: "Membership Inference Attacks against Synthetic Data through Overfitting
Detection" (DOMIAS), AISTATS 2023. Yao et al.: "The DCR Delusion", ESORICS 2025: distance to the
closest record misses leaks that membership inference finds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from segmenter.generation.features import KIND, Looks
from segmenter.generation.fidelity import standard
from segmenter.space.neighbors import nearest_rows

WHAT, HOW_MUCH = ("event", KIND, "item"), ("value", "quantity")
RUN_EVENTS = 8
"""Successive events whose verbatim repetition is looked for."""
N_RESAMPLES = 200
DENSITY_NEIGHBORS = 5
LIMITS = (
    "It does not prove that nobody can be recognised: another attack may succeed.",
    "The model has no differential privacy, which alone would bound every attack.",
    "Where few users are held out the intervals are wide, and a leak of a few hides in them.",
    "Rare values are looked for one by one: an unusual sequence of common events is not seen.",
)


@dataclass(frozen=True)
class Attack:
    """How well one attack tells learned-from users from others.

    Attributes
    ----------
    name
        What it looks at.
    area
        Area under its curve: 0.5 is blind guessing.
    low, high
        90 % interval over users.
    """

    name: str
    area: float
    low: float
    high: float


@dataclass(frozen=True)
class Privacy:
    """What a generated set gives away, as far as these attacks can see.

    Attributes
    ----------
    n_learned, n_held_out
        Users compared.
    exact_copies
        Generated journeys whose events and amounts are, one by one, those of a real user.
    copied_runs, copied_runs_held_out
        Share of generated runs of eight events that stand verbatim in the journey of exactly one
        user learned from, and the same for users held out: the excess is copying.
    nearer_to_learned
        Share of generated journeys nearer to a user learned from than to one held out, of equally
        many: 0.5 where nothing is copied, 1 for copies.
    attacks
        Membership inference, the strongest first.
    rare_values
        Values in the set that few users have, by field.
    limits
        What this does not prove.
    """

    n_learned: int
    n_held_out: int
    exact_copies: int
    copied_runs: float
    copied_runs_held_out: float
    nearer_to_learned: float
    attacks: tuple[Attack, ...]
    rare_values: dict[str, int]
    limits: tuple[str, ...] = LIMITS


def measure_privacy(
    generated: pl.DataFrame,
    *,
    learned: pl.DataFrame,
    held_out: pl.DataFrame,
    rare: Mapping[str, Sequence[str]],
    seed: int,
) -> Privacy:
    """Attack a generated set.

    Parameters
    ----------
    generated
        Event log of the set.
    learned
        Of real users whom the generator learned from.
    held_out
        Of real users whom it did not see; at least 2.
    rare
        By field, values that few real users have.
    seed
        Of samples and resamples.
    """
    looks = Looks.of(learned)
    reference = looks.table(learned)
    own, other, made = (
        standard(table, reference)
        for table in (reference, looks.table(held_out), looks.table(generated))
    )
    order = np.random.default_rng(seed).permutation(len(own))[: len(other)]
    runs = _runs(generated)
    return Privacy(
        n_learned=len(own),
        n_held_out=len(other),
        exact_copies=_exact_copies(generated, learned),
        copied_runs=_share_in(runs, _single_runs(learned, order)),
        copied_runs_held_out=_share_in(runs, _single_runs(held_out, np.arange(len(other)))),
        nearer_to_learned=_nearer(made, own[order], other),
        attacks=_attacks(made, own, other, seed=seed),
        rare_values={
            name: len(set(generated[name].to_list()) & set(values))
            for name, values in rare.items()
        },
    )


def _texts(events: pl.DataFrame, *fields: str) -> pl.DataFrame:
    """What each event was, as one text of some fields."""
    known = [
        pl.col(name).cast(pl.String).fill_null("") for name in fields if name in events.columns
    ]
    return events.select("user", told=pl.concat_str(*known, separator="\x1f"))


def _exact_copies(generated: pl.DataFrame, real: pl.DataFrame) -> int:
    """Generated journeys with the very events and values of a real user; one event is none."""
    wholes = [
        _texts(one, *WHAT, *HOW_MUCH)
        .group_by("user", maintain_order=True)
        .agg(pl.len(), pl.col("told").str.join("\x1e"))
        .filter(pl.col("len") > 1)["told"]
        for one in (generated, real)
    ]
    return int(wholes[0].is_in(wholes[1].implode()).sum())


def _runs(events: pl.DataFrame) -> pl.DataFrame:
    """Every run of eight successive events of a user, as a hash."""
    told = _texts(events, *WHAT)
    shifted = [pl.col("told").shift(back).over("user") for back in range(RUN_EVENTS)]
    texts = told.select("user", text=pl.concat_str(*shifted, separator="\x1e"))
    return texts.drop_nulls().select("user", run=pl.col("text").hash())


def _single_runs(events: pl.DataFrame, users: np.ndarray) -> pl.Series:
    """Runs that exactly one of some users has."""
    chosen = events["user"].unique(maintain_order=True).gather(users)
    runs = _runs(events.filter(pl.col("user").is_in(chosen.implode())))
    owners = runs.group_by("run").agg(pl.col("user").n_unique())
    return owners.filter(pl.col("user") == 1)["run"]


def _share_in(runs: pl.DataFrame, single: pl.Series) -> float:
    found = runs["run"].is_in(single.implode())
    return int(found.sum()) / len(found) if len(found) else 0.0


def _nearer(made: np.ndarray, own: np.ndarray, other: np.ndarray) -> float:
    """Share nearer to the first of two equally large groups; ties count half."""
    (_, to_own), (_, to_other) = (nearest_rows(one, made, k=1) for one in (own, other))
    difference = to_own[:, 0] - to_other[:, 0]
    return float((difference < 0).mean() + 0.5 * (difference == 0).mean())


def _attacks(
    made: np.ndarray, own: np.ndarray, other: np.ndarray, *, seed: int
) -> tuple[Attack, ...]:
    """Membership inference by closeness, by local density, and by density against real users."""
    known = np.vstack([own, other])
    truth = np.repeat([1, 0], [len(own), len(other)])
    k = min(DENSITY_NEIGHBORS, len(made))
    _, far = nearest_rows(made, known, k=k)
    # An attacker has other real users to compare with: here the held-out ones but for oneself.
    _, usual = nearest_rows(other, known, k=min(DENSITY_NEIGHBORS + 1, len(other)))
    usual_far = np.where(truth == 1, usual[:, -2], usual[:, -1])
    scores = {
        "distance to the closest journey": -far[:, 0],
        "density of journeys": -far[:, -1],
        "density of journeys against real users": np.log(usual_far + 1e-9)
        - np.log(far[:, -1] + 1e-9),
    }
    found = [_attack(name, truth, score, seed=seed) for name, score in scores.items()]
    return tuple(sorted(found, key=lambda one: -one.area))


def _attack(name: str, truth: np.ndarray, score: np.ndarray, *, seed: int) -> Attack:
    """An attack's area under the curve, with an interval over users."""
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(truth == one) for one in (0, 1)]
    areas = []
    for _ in range(N_RESAMPLES):
        rows = np.concatenate([generator.choice(group, len(group)) for group in groups])
        areas.append(roc_auc_score(truth[rows], score[rows]))
    low, high = np.quantile(areas, [0.05, 0.95])
    return Attack(name, float(roc_auc_score(truth, score)), float(low), float(high))
