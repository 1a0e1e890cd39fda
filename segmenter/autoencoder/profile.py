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

from segmenter.autoencoder.config import DAY_US, AutoencoderConfig
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import FIRST, Vocabulary

N_QUANTILES = 200
MAX_SCORE = 3.0
"""Normal scores are clipped here: a quantile further out says "extreme", not how extreme."""
VISIT_PAUSE_US = 30 * 60 * 1_000_000
"""A pause of half an hour starts a new visit where the log names no session."""
MAX_TYPE_COUNTS = 20
"""Event types that get a count of their own among the features."""


def sum_by_owner(values: Tensor, owner: Tensor, n_owners: int) -> Tensor:
    """Sums of `values` [E] per owner, float32 [n_owners]."""
    return torch.zeros(n_owners, device=values.device).index_add_(0, owner, values.float())


def counts_by_owner(kinds: Tensor, n_kinds: int, *, owner: Tensor, n_owners: int) -> Tensor:
    """How many events of each kind (int64 [E]) an owner has, float32 [n_owners, n_kinds]."""
    counts = torch.bincount(owner * n_kinds + kinds, minlength=n_owners * n_kinds)
    return counts.view(n_owners, n_kinds).float()


def distinct_values(batch: EventBatch, name: str, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct known or other values of one field per user.

    Returns
    -------
    tuple of Tensor
        Owner int64 [D], model code int64 [D] and count float32 [D], sorted by owner and code.
        Missing values are no values.
    """
    codes = batch.codes[name]
    present = codes > 0
    keys, counts = torch.unique(
        batch.owner[present] * size + codes[present], sorted=True, return_counts=True
    )
    return keys // size, keys % size, counts.float()


def visit_starts(batch: EventBatch) -> Tensor:
    """Whether each event [E] opens a visit: first of its user, after a pause, or a new session."""
    if len(batch.times) == 0:
        return torch.zeros(0, dtype=torch.bool, device=batch.times.device)
    owner = batch.owner
    changed = torch.ones_like(batch.times, dtype=torch.bool)
    if batch.visits is None:
        opens = (batch.times[1:] - batch.times[:-1]) > VISIT_PAUSE_US
    else:
        opens = batch.visits[1:] != batch.visits[:-1]
    changed[1:] = opens | (owner[1:] != owner[:-1])
    return changed


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
    owner, code, count = distinct_values(batch, name, len(idf))
    weight = (1 + torch.log(count)) * idf[code]
    length = sum_by_owner(weight**2, owner, len(batch)).sqrt()
    return owner, code, weight / length[owner]


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
    owner, n_users = batch.owner, len(batch)
    ages = (batch.as_of[owner] - batch.times).double().div(DAY_US).float()
    recent = [ages <= days for days in recent_days]

    def total(values: Tensor) -> Tensor:
        return sum_by_owner(values, owner, n_users)

    def greatest(values: Tensor) -> Tensor:
        start = torch.full((n_users,), -torch.inf, device=values.device)
        reached = start.scatter_reduce_(0, owner, values, "amax")
        return torch.where(torch.isinf(reached), 0, reached)

    events = batch.lengths.float()
    divisor = events.clamp(min=1)
    days = batch.times // DAY_US
    hours = batch.times // (DAY_US // 24) % 24
    weekdays = (days + 3) % 7  # 1970-01-01 was a Thursday
    first_of_user = torch.zeros_like(ages, dtype=torch.bool)
    first_of_user[batch.starts[batch.lengths > 0]] = True
    gaps = torch.zeros_like(ages)
    gaps[1:] = (ages[:-1] - ages[1:]).clamp(min=0)
    gaps[first_of_user] = 0
    new_day = first_of_user.clone()
    new_day[1:] |= days[1:] != days[:-1]
    tenure = greatest(ages)
    youngest = -greatest(-ages)
    columns = [
        events,
        youngest,
        tenure,
        total(new_day),
        total(visit_starts(batch)),
        total(gaps) / (divisor - 1).clamp(min=1),
        greatest(gaps),
        *(total(inside) for inside in recent),
        *(counts_by_owner(hours // 3, 8, owner=owner, n_owners=n_users) / divisor[:, None]).unbind(
            1
        ),
        *(counts_by_owner(weekdays, 7, owner=owner, n_owners=n_users) / divisor[:, None]).unbind(
            1
        ),
    ]
    for name in vocabulary.numeric:
        present = ~torch.isnan(batch.numbers[name])
        value = torch.nan_to_num(batch.numbers[name])
        known = total(present).clamp(min=1)
        mean = total(value) / known
        spread = total(((value - mean[owner]) * present) ** 2) / known
        columns += [total(value), mean, spread.sqrt(), greatest(value)]
        columns += [total(value * inside) for inside in recent[1:]]
    for name in vocabulary.categorical:
        size = vocabulary.size(name)
        if name == "event":
            last = min(size, FIRST + MAX_TYPE_COUNTS)
            counted = counts_by_owner(batch.codes[name], size, owner=owner, n_owners=n_users)
            columns += counted[:, FIRST:last].unbind(1)
        else:
            who, _, count = distinct_values(batch, name, size)
            columns.append(sum_by_owner(torch.ones_like(count), who, n_users))
    return torch.stack(columns, dim=1)


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
        parts = []
        for field, name in enumerate(self.vocabulary.categorical):
            owner, code, weight = tfidf_entries(batch, name, self.idf(field))
            offsets = torch.searchsorted(owner, torch.arange(len(batch), device=owner.device))
            parts.append(
                nn.functional.embedding_bag(
                    code, self.directions(field), offsets, mode="sum", per_sample_weights=weight
                )
            )
        return torch.stack(parts).sum(0)

    def forward(self, batch: EventBatch) -> Tensor:
        """Profile of each user, float32 [B, size], each column of about unit variance."""
        how = activity_features(batch, self.vocabulary, self.recent_days)[:, self.kept]
        return torch.cat(
            [self.what(batch) / self.what_scale, normal_scores(how, self.quantiles)], dim=1
        )
