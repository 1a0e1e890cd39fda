"""Decoding the coming window from the forecast part: shares, counts, and what occurs at all.

Targets come from the events after a cut inside the training period, never from a label.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segmenter.autoencoder.activity import sum_by_owner
from segmenter.autoencoder.config import DAY_US, AutoencoderConfig
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import FIRST, Vocabulary

MIN_ENTROPY = {"event": 0.02}
"""Smallest entropy, in nats, by which an occurrence loss is divided."""
MIN_ENTROPY_OTHER = 0.05
MAX_FORECAST_ITEMS = 300
"""Values of the item field that are forecast when a log has no category."""


@dataclass(frozen=True)
class WindowTargets:
    """What users did in the window after their cut.

    Attributes
    ----------
    counts
        Per forecast field float32 [B, V]: events of each known value.
    totals
        float32 [B, T]: log1p of events, active days and positive value.
    """

    counts: dict[str, Tensor]
    totals: Tensor


def forecast_fields(vocabulary: Vocabulary) -> dict[str, int]:
    """Fields that are forecast value by value, with their number of values.

    The event type and the category; the commonest items where there is no category.
    """
    fields = {"event": len(vocabulary.values["event"])}
    if "category" in vocabulary.values:
        fields["category"] = len(vocabulary.values["category"])
    elif "item" in vocabulary.values:
        fields["item"] = min(len(vocabulary.values["item"]), MAX_FORECAST_ITEMS)
    return fields


def window_targets(window: EventBatch, vocabulary: Vocabulary) -> WindowTargets:
    """Sum up a batch of windows.

    Parameters
    ----------
    window
        Events after the cut of B users.
    vocabulary
        The model's fields.
    """
    owner, n_users = window.owner, len(window)
    counts = {}
    for name, size in forecast_fields(vocabulary).items():
        code = window.codes[name] - FIRST
        known = (code >= 0) & (code < size)
        flat = sum_by_owner(
            torch.ones_like(code[known]), owner[known] * size + code[known], n_users * size
        )
        counts[name] = flat.view(n_users, size)
    days = window.times // DAY_US
    new_day = torch.ones_like(days, dtype=torch.bool)
    new_day[1:] = (days[1:] != days[:-1]) | (owner[1:] != owner[:-1])
    totals = [window.lengths.float(), sum_by_owner(new_day, owner, n_users)]
    if "value" in vocabulary.numeric:
        value = torch.nan_to_num(window.numbers["value"])
        totals.append(sum_by_owner(value, owner, n_users).clamp(min=0))
    return WindowTargets(counts, torch.log1p(torch.stack(totals, dim=1)))


class ForecastHeads(nn.Module):
    """Decoders of the coming window and of the profile.

    Parameters
    ----------
    vocabulary
        The model's fields.
    config
        Sizes and loss weights.
    profile_size
        Width of the profile.
    """

    def __init__(
        self, vocabulary: Vocabulary, config: AutoencoderConfig, profile_size: int
    ) -> None:
        super().__init__()
        self.config = config
        self.fields = forecast_fields(vocabulary)
        size = config.forecast_dimensions
        n_totals = 3 if "value" in vocabulary.numeric else 2
        self.profile = nn.Linear(size, profile_size)
        self.totals = nn.Sequential(nn.Linear(size, 64), nn.GELU(), nn.Linear(64, n_totals))
        self.shares = nn.ModuleList(nn.Linear(size, n) for n in self.fields.values())
        self.occurrences = nn.ModuleList(nn.Linear(size, n) for n in self.fields.values())
        self.register_buffer("totals_mean", torch.zeros(n_totals))
        self.register_buffer("totals_scale", torch.ones(n_totals))
        for field, n_values in enumerate(self.fields.values()):
            self.register_buffer(f"base_rate_{field}", torch.full((n_values,), 0.5))

    def base_rate(self, field: int) -> Tensor:
        """Share of training windows in which each value of a field occurs, float32 [V]."""
        return getattr(self, f"base_rate_{field}")

    def entropy(self, field: int) -> Tensor:
        """Nats in whether each value of a field occurs, never quite zero, float32 [V]."""
        name, rate = list(self.fields)[field], self.base_rate(field)
        entropy = torch.special.entr(rate) + torch.special.entr(1 - rate)
        return entropy.clamp(min=MIN_ENTROPY.get(name, MIN_ENTROPY_OTHER))

    def set_scales(self, windows: Iterable[WindowTargets]) -> None:
        """Fit base rates and the scales of the totals on the training windows."""
        totals = []
        hits = [torch.zeros(n_values) for n_values in self.fields.values()]
        for targets in windows:
            totals.append(targets.totals)
            for field, name in enumerate(self.fields):
                hits[field] += (targets.counts[name] > 0).float().sum(0)
        joined = torch.cat(totals)
        self.totals_mean.copy_(joined.mean(0))
        spread = joined.std(0, correction=0)
        self.totals_scale.copy_(torch.where(spread > 0, spread, 1.0))
        for field, hit in enumerate(hits):
            self.base_rate(field).copy_(hit / len(joined))

    def losses(
        self, latent: Tensor, profile: Tensor, targets: WindowTargets | None
    ) -> dict[str, Tensor]:
        """Weighted terms of the forecast loss, each a scalar; the loss is their sum.

        Parameters
        ----------
        latent
            float32 [B, forecast_dimensions].
        profile
            float32 [B, P], what the history looked like.
        targets
            What came after the cut; None when the log has no later window to learn from.
        """
        config = self.config
        terms = {
            "profile": config.profile_weight * (self.profile(latent) - profile).square().mean(),
            "latent": config.latent_weight * latent.square().sum(1).mean(),
        }
        if targets is None:
            return terms
        scaled = (targets.totals - self.totals_mean) / self.totals_scale
        terms["counts"] = config.count_weight * (self.totals(latent) - scaled).square().mean()
        for field, name in enumerate(self.fields):
            counts = targets.counts[name]
            total = counts.sum(1, keepdim=True)
            log_share = torch.log_softmax(self.shares[field](latent), dim=1)
            share = counts / total.clamp(min=1)
            terms[f"{name} shares"] = -config.share_weight * (share * log_share).sum(1).mean()
            terms[f"{name} occurs"] = config.occurrence_weight * self._occurrence_loss(
                latent, counts, field
            )
        return terms

    def _occurrence_loss(self, latent: Tensor, counts: Tensor, field: int) -> Tensor:
        """Binary cross-entropy per value over the entropy of its base rate.

        The division lets a rare value, such as a redemption, weigh as much as a common one.
        """
        each = nn.functional.binary_cross_entropy_with_logits(
            self.occurrences[field](latent), (counts > 0).float(), reduction="none"
        )
        return (each.mean(0) / self.entropy(field)).mean()
