"""Search by meaning: pictures and texts as two lists, and what a score is worth.

A text query is nearer to any text than to any picture, so one list of both is a list of texts
(Liang et al., "Mind the gap", 2022); the lists are kept apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.space.latent_space import LatentSpace
from segmenter.space.neighbors import score_rows, top
from segmenter.space.reach import balanced_order

N_REFERENCES = 200
"""Pictures of the library whose own searches tell what a picture query may score."""
STANDING = 0.9
"""Share of empty queries that a text must beat."""
OWN_STANDING = 0.05
"""Share of the library's own pictures that a picture must beat."""
MIN_LIFT = 1.2
N_RATES = 5


@dataclass(frozen=True)
class BaseRate:
    """How common a tag is among the hits and in the list.

    Attributes
    ----------
    tag, value
        What is counted.
    hits, library
        Share of the hits and of the whole list.
    """

    tag: str
    value: str
    hits: float
    library: float


@dataclass(frozen=True)
class Hits:
    """One list.

    Attributes
    ----------
    ids
        The best first.
    scores
        float64 [k]: the cosine with the query; of several queries the mean.
    z
        float64 [k]: how far above the mean of the list, in spreads.
    stands_out
        Whether the best score higher than those of queries that have no answer here; None where
        nothing can tell.
    rates
        Tags that are more common among the hits, the largest difference first.
    """

    ids: tuple[str, ...]
    scores: np.ndarray
    z: np.ndarray
    stands_out: bool | None
    rates: tuple[BaseRate, ...]


def search_list(
    space: LatentSpace,
    queries: Sequence[np.ndarray],
    *,
    k: int = 10,
    where: str | None = None,
    standings: Sequence[float] = (),
    tags: Sequence[str] = (),
    balance: str | None = None,
) -> Hits:
    """Rank one list by one or several queries.

    Parameters
    ----------
    space
        Assets of one kind, with vectors of unit length.
    queries
        float32 [d] each, of unit length; scores of several are standardised and averaged, so
        that a text and a picture count alike.
    k
        Hits.
    where
        Condition on what is known of the assets.
    standings
        Per query the score that the best hits must reach together to stand out; empty tells
        nothing.
    tags
        Columns whose base rates are told.
    balance
        Column whose values shall have at the top the shares that they have in the list.
    """
    scores = [score_rows(space.vectors, query, metric="dot") for query in queries]
    z = np.mean([_standardised(one) for one in scores], axis=0)
    order = z if balance is None else balanced_order(z, space.attribute(balance).codes)
    found = top(order, k=k, allowed=None if where is None else space.group(where))
    means = np.mean(scores, axis=0)[found.rows]
    reached = [float(one[found.rows].mean()) for one in scores]
    above = [mine > least for mine, least in zip(reached, standings, strict=False)]
    return Hits(
        ids=tuple(space.ids.gather(found.rows)),
        scores=means.astype(np.float64),
        z=z[found.rows],
        stands_out=all(above) if above else None,
        rates=_base_rates(space, found.rows, tags),
    )


def _standardised(scores: np.ndarray) -> np.ndarray:
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros(len(scores))


def empty_standing(vectors: np.ndarray, nothing: np.ndarray, *, k: int) -> float:
    """Mean score of the best k that all but a tenth of empty text queries stay below.

    Parameters
    ----------
    vectors
        float32 [n, d], the list.
    nothing
        float32 [m, d], texts about nothing in particular.
    k
        Hits.
    """
    return float(np.quantile(_best(vectors, nothing, k=k), STANDING))


def own_standing(vectors: np.ndarray, *, k: int, seed: int = 0) -> float:
    """Mean score of the best k that hardly any of a library's own pictures stays below.

    Parameters
    ----------
    vectors
        float32 [n, d], the list.
    k
        Hits.
    seed
        Of the pictures that are taken.
    """
    rows = np.random.default_rng(seed).permutation(len(vectors))[:N_REFERENCES]
    return float(np.quantile(_best(vectors, vectors[rows], k=k, own=rows), OWN_STANDING))


def _best(
    vectors: np.ndarray, queries: np.ndarray, *, k: int, own: np.ndarray | None = None
) -> np.ndarray:
    """Mean of the k best scores of each query, float64 [q]; its own row does not count."""
    scores = queries.astype(np.float32) @ vectors.T.astype(np.float32)
    if own is not None:
        scores[np.arange(len(own)), own] = -np.inf
    k = min(k, scores.shape[1])
    best = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k:]
    return np.where(np.isfinite(best), best, np.nan).mean(axis=1, where=np.isfinite(best))


def _base_rates(space: LatentSpace, rows: np.ndarray, tags: Sequence[str]) -> tuple[BaseRate, ...]:
    """Values that are clearly more common among some rows than in the list."""
    found = []
    for tag in tags:
        column = space.metadata[tag].cast(pl.String)
        counts = column.drop_nulls().value_counts(name="n")
        known = max(int(counts["n"].sum()), 1)
        hits = column.gather(rows)
        for value, n in counts.iter_rows():
            share = float((hits == value).sum()) / len(rows)
            if share >= MIN_LIFT * n / known:
                found.append(BaseRate(tag, str(value), share, n / known))
    found.sort(key=lambda one: (one.library - one.hits, one.tag, one.value))
    return tuple(found[:N_RATES])
