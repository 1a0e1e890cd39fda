"""How likely an asset is on brand, learned from the reviewed ones and tested on others."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from segmenter.creative.manifest import FLAG, NO, YES
from segmenter.creative.store import CreativeSpace
from segmenter.errors import CreativeError
from segmenter.validity.lift import auc

N_FOLDS = 5
PENALTY = 0.3
MIN_EACH = 20


@dataclass(frozen=True)
class OnBrandScore:
    """A score for every picture.

    Attributes
    ----------
    scores
        float64 [n_pictures] in [0, 1]; of reviewed pictures by a model that did not see them.
    auc
        Chance that a flagged picture scores above one that was called off brand, held out.
    n_yes, n_no
        Reviewed pictures.
    """

    scores: np.ndarray
    auc: float
    n_yes: int
    n_no: int


def reviewed(table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rows that were reviewed and whether each is on brand.

    Raises
    ------
    CreativeError
        If there are too few of either kind.
    """
    flags = table[FLAG] if FLAG in table.columns else pl.Series([""] * len(table))
    rows = np.flatnonzero(flags.is_in([YES, NO]).to_numpy())
    is_yes = (flags.gather(rows) == YES).to_numpy()
    if min(int(is_yes.sum()), int((~is_yes).sum())) < MIN_EACH:
        message = (
            f"a score needs {MIN_EACH} assets flagged {YES} and {MIN_EACH} flagged {NO}; found "
            f"{int(is_yes.sum())} and {int((~is_yes).sum())}: have more reviewed"
        )
        raise CreativeError(message)
    return rows, is_yes


def brand_probe() -> Pipeline:
    """A logistic model of features, not yet fitted."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=1_000))


def score_on_brand(
    space: CreativeSpace, *, features: np.ndarray | None = None, seed: int = 0
) -> OnBrandScore:
    """Score every picture by a probe on the frozen features.

    Parameters
    ----------
    space
        The library.
    features
        float [n_pictures, p]; None takes the pooled features before the projection.
    seed
        Of the folds.

    Raises
    ------
    CreativeError
        If too few pictures were reviewed.
    """
    rows, is_yes = reviewed(space.assets[: space.n_pictures])
    seen = space.pooled if features is None else features
    probe = brand_probe()
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    held_out = cross_val_predict(probe, seen[rows], is_yes, cv=folds, method="predict_proba")[:, 1]
    scores = probe.fit(seen[rows], is_yes).predict_proba(seen)[:, 1]
    scores[rows] = held_out
    return OnBrandScore(
        scores=scores,
        auc=auc(is_yes.astype(np.float64), held_out)[0],
        n_yes=int(is_yes.sum()),
        n_no=int((~is_yes).sum()),
    )
