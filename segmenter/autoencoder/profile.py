"""The profile branch: what a user did and how much, computed inside the network.

Two halves. *What*: an embedding bag over the distinct values of every categorical field, weighted
by sublinear TF-IDF and initialised with the right singular vectors. *How*: counts, values, gaps
and times of day relative to the as-of time, each mapped to a normal score by fitted quantiles.
Both are functions of a ragged batch alone, so training at any cut, batch scoring and online
serving share one path.
"""

import math

import torch
from torch import Tensor, nn

from segmenter.autoencoder.activity import (
    Activity,
    Recent,
    ValueCounts,
    activity_of,
    distinct_values,
    recent_of,
    sum_by_owner,
    values_of,
)
from segmenter.autoencoder.config import DAY_US, AutoencoderConfig
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import FIRST, Vocabulary

N_QUANTILES = 200
MAX_SCORE = 3.0
"""Normal scores are clipped here: a quantile further out says "extreme", not how extreme."""
MAX_TYPE_COUNTS = 20
"""Event types that get a count of their own among the features."""


def tfidf_entries(batch: EventBatch, name: str, idf: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sublinear TF-IDF of one field, unit length per user.

    Parameters
    ----------
    batch
        Histories of B users.
    name
        A categorical field.
    idf
        float32 [V], inverse document frequency per model code.

    Returns
    -------
    tuple of Tensor
        Owner int64 [D], code int64 [D], weight float32 [D].
    """
    found = ValueCounts(*distinct_values(batch, name, len(idf)))
    return found.owner, found.code, tfidf_weights(found, idf, len(batch))


def tfidf_weights(found: ValueCounts, idf: Tensor, n_users: int) -> Tensor:
    """Sublinear TF-IDF of the values of B users, float32 [D], unit length per user."""
    weight = (1 + torch.log(found.count)) * idf[found.code]
    length = sum_by_owner(weight**2, found.owner, n_users).sqrt()
    return weight / length[found.owner]


def activity_features(
    batch: EventBatch, vocabulary: Vocabulary, recent_days: tuple[float, ...]
) -> Tensor:
    """How much, how recently and when: raw features before the quantile map.

    Parameters
    ----------
    batch
        Histories of B users.
    vocabulary
        The model's fields.
    recent_days
        Look-back windows.

    Returns
    -------
    Tensor
        float32 [B, F]; users without events get zeros.
    """
    recent = recent_of(batch, vocabulary.numeric, recent_days)
    return features_of(activity_of(batch, vocabulary), recent, vocabulary)


def features_of(activity: Activity, recent: Recent, vocabulary: Vocabulary) -> Tensor:
    """The features of `activity_features`, from sums."""
    divisor = activity.n_events.clamp(min=1)

    def days(duration: Tensor) -> Tensor:
        return duration.double() / DAY_US

    columns = [
        activity.n_events,
        days(recent.as_of - activity.last),
        days(recent.as_of - activity.first),
        activity.n_days,
        activity.n_visits,
        days(activity.last - activity.first) / (divisor - 1).clamp(min=1),
        days(activity.greatest_gap),
        *recent.n_events,
        *(activity.hours / divisor[:, None]).T,
        *(activity.weekdays / divisor[:, None]).T,
    ]
    for name, sums in activity.numbers.items():
        known = sums.known.clamp(min=1)
        spread = (sums.deviations / known).sqrt()
        greatest = torch.where(torch.isinf(sums.greatest), 0, sums.greatest)
        columns += [sums.total, sums.total / known, spread, greatest, *recent.totals[name][1:]]
    for name, found in activity.values.items():
        if name == "event":
            columns += _type_counts(found, vocabulary.size(name), len(activity)).T
        else:
            columns.append(torch.bincount(found.owner, minlength=len(activity)))
    return torch.stack([column.float() for column in columns], dim=1)


def _type_counts(found: ValueCounts, size: int, n_users: int) -> Tensor:
    """Events of each of the first types, float32 [B, types]."""
    counts = sum_by_owner(found.count, found.owner * size + found.code, n_users * size)
    return counts.view(n_users, size)[:, FIRST : FIRST + MAX_TYPE_COUNTS]


def activity_names(vocabulary: Vocabulary, recent_days: tuple[float, ...]) -> list[str]:
    """What each column of `activity_features` measures; a name stays while a vocabulary grows."""
    names = ["events", "youngest", "tenure", "days", "visits", "mean gap", "greatest gap"]
    names += [f"recent {place}" for place in range(len(recent_days))]
    names += [f"hours {band}" for band in range(8)]
    names += [f"weekday {day}" for day in range(7)]
    for name in vocabulary.numeric:
        names += [f"{part} of {name}" for part in ("total", "mean", "spread", "greatest")]
        names += [f"recent {place} of {name}" for place in range(1, len(recent_days))]
    for name in vocabulary.categorical:
        if name == "event":
            names += [f"event {text}" for text in vocabulary.values[name][:MAX_TYPE_COUNTS]]
        else:
            names.append(f"distinct {name}")
    return names


def normal_scores(values: Tensor, quantiles: Tensor) -> Tensor:
    """Map each column to a standard normal by its fitted quantiles.

    Parameters
    ----------
    values
        float32 [B, F].
    quantiles
        float32 [F, Q], ascending along Q; ties share the middle of their range.

    Returns
    -------
    Tensor
        float32 [B, F] within plus and minus `MAX_SCORE`.
    """
    n_quantiles = quantiles.shape[1]
    columns = values.T.contiguous()
    right = torch.searchsorted(quantiles, columns, right=True)
    left = torch.searchsorted(quantiles, columns, right=False)
    below = (right - 1).clamp(0, n_quantiles - 2)
    low, high = quantiles.gather(1, below), quantiles.gather(1, below + 1)
    step = ((columns - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    tied = right > left
    rank = torch.where(tied, (left + right - 1).float() / 2, below + step)
    share = (rank / (n_quantiles - 1)).clamp(1e-7, 1 - 1e-7)
    return (math.sqrt(2) * torch.erfinv(2 * share - 1)).T.clamp(-MAX_SCORE, MAX_SCORE)


class ProfileBranch(nn.Module):
    """Fixed features of a history: the floor that the latent must not lose.

    Parameters
    ----------
    vocabulary
        The model's fields.
    config
        Sizes.
    n_activity
        Count of activity features kept (those that vary in the training data).

    Notes
    -----
    Nothing here is trained by gradients: document frequencies, singular vectors, scales and
    quantiles are fitted once on the training users and stored as buffers.
    """

    def __init__(
        self, vocabulary: Vocabulary, config: AutoencoderConfig, *, n_activity: int
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.recent_days = config.recent_days
        sizes = [vocabulary.size(name) for name in vocabulary.categorical]
        width = min(config.profile_dimensions, max(1, sum(sizes) - 1))
        self.size = width + n_activity
        for field, size in enumerate(
            sizes
        ):  # numbered: a field may be called what a buffer can not
            self.register_buffer(f"idf_{field}", torch.ones(size))
            self.register_buffer(f"directions_{field}", torch.zeros(size, width))
        self.register_buffer("what_scale", torch.ones(width))
        self.register_buffer("kept", torch.arange(n_activity))
        self.register_buffer("quantiles", torch.zeros(n_activity, N_QUANTILES))

    def idf(self, field: int) -> Tensor:
        """Inverse document frequencies of one categorical field, float32 [V]."""
        return getattr(self, f"idf_{field}")

    def directions(self, field: int) -> Tensor:
        """Singular vectors of one categorical field, float32 [V, W]."""
        return getattr(self, f"directions_{field}")

    def what(self, batch: EventBatch) -> Tensor:
        """Directions of what was done, float32 [B, W], not yet scaled."""
        return self._what_of(values_of(batch, self.vocabulary), len(batch))

    def _what_of(self, values: dict[str, ValueCounts], n_users: int) -> Tensor:
        users, parts = torch.arange(n_users, device=self.kept.device), []
        for field, found in enumerate(values.values()):
            weight = tfidf_weights(found, self.idf(field), n_users)
            parts.append(
                nn.functional.embedding_bag(
                    found.code,
                    self.directions(field),
                    torch.searchsorted(found.owner, users),
                    mode="sum",
                    per_sample_weights=weight,
                )
            )
        return torch.stack(parts).sum(0)

    def forward(self, batch: EventBatch) -> Tensor:
        """Profile of each user, float32 [B, size], each column of about unit variance."""
        activity = activity_of(batch, self.vocabulary)
        recent = recent_of(batch, self.vocabulary.numeric, self.recent_days)
        how = features_of(activity, recent, self.vocabulary)[:, self.kept]
        what = self._what_of(activity.values, len(batch)) / self.what_scale
        return torch.cat([what, normal_scores(how, self.quantiles)], dim=1)
