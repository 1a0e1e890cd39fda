"""Fitting the profile branch: document frequencies, singular vectors, scales and quantiles."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy import sparse
from sklearn.decomposition import TruncatedSVD

from segmenter.autoencoder.activity import distinct_values
from segmenter.autoencoder.config import AutoencoderConfig
from segmenter.autoencoder.profile import (
    N_QUANTILES,
    ProfileBranch,
    activity_features,
    tfidf_entries,
)
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import Vocabulary

MIN_SPREAD = 1e-9
"""A feature or direction that varies less than this says nothing about anybody."""
MIN_SPREAD_SHARE = 1e-4
"""Nor does a direction that varies so little beside the first: it is what rounding left, and in
its units a value that was never seen would throw a user out of the space."""


def fit_profile(
    histories: Callable[[], Iterator[EventBatch]],
    vocabulary: Vocabulary,
    config: AutoencoderConfig,
    *,
    seed: int,
) -> ProfileBranch:
    """Fit the profile branch on the full training histories.

    Parameters
    ----------
    histories
        Gives the batches of training users afresh at each call; it is read three times.
    vocabulary
        The model's fields.
    config
        Sizes.
    seed
        For the randomised singular value decomposition.

    Returns
    -------
    ProfileBranch
        With every buffer set.
    """
    activity = np.concatenate(
        [activity_features(batch, vocabulary, config.recent_days).numpy() for batch in histories()]
    )
    kept = np.flatnonzero(activity.std(axis=0) > MIN_SPREAD)
    branch = ProfileBranch(vocabulary, config, n_activity=len(kept))
    branch.kept.copy_(torch.from_numpy(kept))
    branch.quantiles.copy_(quantile_grid(activity[:, kept]))
    fit_document_frequencies(branch, histories)
    _fit_directions(branch, histories, seed=seed)
    what = torch.cat([branch.what(batch) for batch in histories()])
    spread = what.std(dim=0, correction=0)
    heard = spread > max(MIN_SPREAD, MIN_SPREAD_SHARE * float(spread.max()))
    branch.what_scale.copy_(torch.where(heard, spread, 1.0))
    return branch


def quantile_grid(values: np.ndarray) -> torch.Tensor:
    """Even quantiles of each column of float32 [n, F], ascending: float32 [F, `N_QUANTILES`]."""
    levels = np.linspace(0, 1, N_QUANTILES)
    grid = np.quantile(values, levels, axis=0).T if values.shape[1] else np.empty((0, N_QUANTILES))
    return torch.as_tensor(np.asarray(grid), dtype=torch.float32)


def fit_document_frequencies(
    branch: ProfileBranch, histories: Callable[[], Iterator[EventBatch]]
) -> None:
    """Set the smoothed inverse document frequency of each value, a user being a document."""
    names = branch.vocabulary.categorical
    users_with = {name: torch.zeros(branch.vocabulary.size(name)) for name in names}
    n_users = 0
    for batch in histories():
        n_users += len(batch)
        for name in names:
            _, code, _ = distinct_values(batch, name, len(users_with[name]))
            users_with[name] += torch.bincount(code, minlength=len(users_with[name]))
    for field, name in enumerate(names):
        branch.idf(field).copy_(torch.log((1 + n_users) / (1 + users_with[name])) + 1)


def _fit_directions(
    branch: ProfileBranch, histories: Callable[[], Iterator[EventBatch]], *, seed: int
) -> None:
    """Right singular vectors of the users' TF-IDF rows, all fields side by side."""
    names = branch.vocabulary.categorical
    blocks = []
    for batch in histories():
        parts = []
        for field, name in enumerate(names):
            idf = branch.idf(field)
            owner, code, weight = (part.numpy() for part in tfidf_entries(batch, name, idf))
            shape = (len(batch), len(idf))
            parts.append(sparse.csr_matrix((weight, (owner, code)), shape=shape))
        blocks.append(sparse.hstack(parts))
    matrix = sparse.vstack(blocks).tocsr()
    width = len(branch.what_scale)
    rank = min(width, min(matrix.shape) - 1)
    if rank < 1:
        return
    svd = TruncatedSVD(rank, random_state=seed).fit(matrix)
    directions = torch.zeros(matrix.shape[1], width)
    directions[:, :rank] = torch.from_numpy(svd.components_.T.copy())
    start = 0
    for field in range(len(names)):
        target = branch.directions(field)
        target.copy_(directions[start : start + len(target)])
        start += len(target)
