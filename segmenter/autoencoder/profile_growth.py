"""Growing a fitted profile branch with its vocabulary, without moving what it says of anybody.

What is kept: the document frequencies and singular vectors of known values, the scales of the
directions, and the quantiles of known activity features. So a user who did nothing new has the
same profile before and after, and whatever reads the profile goes on reading the same columns.
Fitting them afresh would turn the directions at will and re-rank everybody.

What is added: a new value of a known field is folded in, at the place of the users who did it; a
new activity feature gets quantiles of its own in a new column at the end. The values of a new
field have no direction: every user has some, so folding them in would move everybody. A new field
enters through the event vectors, its count of distinct values, and the decoder.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from segmenter.autoencoder.config import AutoencoderConfig
from segmenter.autoencoder.profile import (
    ProfileBranch,
    activity_features,
    activity_names,
    tfidf_entries,
)
from segmenter.autoencoder.profile_fit import (
    MIN_SPREAD,
    fit_document_frequencies,
    quantile_grid,
)
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import Vocabulary


def grow_profile(
    old: ProfileBranch,
    histories: Callable[[], Iterator[EventBatch]],
    *,
    vocabulary: Vocabulary,
    config: AutoencoderConfig,
) -> ProfileBranch:
    """Extend a fitted profile branch to a grown vocabulary.

    Parameters
    ----------
    old
        The fitted branch.
    histories
        Gives the batches of training users, in codes of `vocabulary`, afresh at each call.
    vocabulary
        The old one, grown by `segmenter.events.vocabulary.grow_vocabulary`.
    config
        Sizes that the old branch was made with.

    Returns
    -------
    ProfileBranch
        `profile_places` says where the old columns stand in it.
    """
    names = activity_names(vocabulary, config.recent_days)
    before = activity_names(old.vocabulary, config.recent_days)
    known = [names.index(before[place]) for place in old.kept.tolist()]
    activity = np.concatenate(
        [activity_features(batch, vocabulary, config.recent_days).numpy() for batch in histories()]
    )
    varying = np.flatnonzero(activity.std(axis=0) > MIN_SPREAD)
    added = np.setdiff1d(varying, known)
    branch = ProfileBranch(vocabulary, config, n_activity=len(known) + len(added))
    branch.kept.copy_(torch.as_tensor([*known, *added]))
    branch.quantiles.copy_(torch.cat([old.quantiles, quantile_grid(activity[:, added])]))
    branch.what_scale[: len(old.what_scale)] = old.what_scale
    fit_document_frequencies(branch, histories)
    for field, name in enumerate(old.vocabulary.categorical):
        n_known, width = old.vocabulary.size(name), len(old.what_scale)
        branch.idf(field)[:n_known] = old.idf(field)
        branch.directions(field)[:n_known, :width] = old.directions(field)
    _fold_in(branch, old, histories)
    return branch


def profile_places(new: ProfileBranch, old: ProfileBranch) -> Tensor:
    """Where each column of an old profile stands in the grown one, int64 [old.size]."""
    width = len(old.what_scale)
    features = len(new.what_scale) + torch.arange(len(old.kept))
    return torch.cat([torch.arange(width), features])


def _fold_in(
    branch: ProfileBranch, old: ProfileBranch, histories: Callable[[], Iterator[EventBatch]]
) -> None:
    """Give each new value of a known field the direction that best explains who did it.

    With users' scores Z from the known values and a new column x of TF-IDF weights, the row is
    the least-squares solution of ``Z v = x``. For the values of the original fit this is their row
    of the right singular vectors, since there ``Z'Z`` is the diagonal of squared singular values.

    References
    ----------
    Berry, Dumais, O'Brien: Using Linear Algebra for Intelligent Information Retrieval. SIAM Review
    37 (1995), folding-in of terms (equation 7).
    """
    fields = list(enumerate(old.vocabulary.categorical))
    width = len(branch.what_scale)
    gram = torch.zeros(width, width, dtype=torch.float64)
    crossed = [
        torch.zeros(branch.vocabulary.size(name), width, dtype=torch.float64) for _, name in fields
    ]
    for batch in histories():
        scores = branch.what(batch).double()  # new values have no direction yet
        gram += scores.T @ scores
        for field, name in fields:
            owner, code, weight = tfidf_entries(batch, name, branch.idf(field))
            fresh = code >= old.vocabulary.size(name)
            parts = weight[fresh, None] * scores[owner[fresh]]
            crossed[field].index_add_(0, code[fresh], parts)
    inverse = torch.linalg.pinv(gram, hermitian=True)
    for field, name in fields:
        n_known = old.vocabulary.size(name)
        branch.directions(field)[n_known:] = (crossed[field][n_known:] @ inverse).float()
