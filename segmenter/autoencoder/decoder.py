"""The latent to the journey: bags of what happened, and the sequence step by step.

The bag heads read the latent alone, which keeps it from being ignored by the step decoder. The
step decoder reads the latent at every step, the previous event (some of them blanked in training)
and its progress, and decides each event as a chain: type, then the other fields, then the gap, the
hour and the numbers, each given what is decided so far.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segmenter.autoencoder.activity import distinct_values
from segmenter.autoencoder.config import AutoencoderConfig
from segmenter.autoencoder.encoder import pad
from segmenter.autoencoder.event_encoder import SECOND_US, EventEncoder, gaps_in_seconds
from segmenter.autoencoder.likelihoods import NumberClasses
from segmenter.autoencoder.recurrence import GatedRecurrence
from segmenter.events.batches import EventBatch, ragged_range
from segmenter.events.vocabulary import Vocabulary

GAP = "gap"
HOUR = "hour"
LARGE_HEAD = 256
"""Classes above which a head is trained on a sample of the events: its matrix costs the most."""
LARGE_HEAD_SHARE = 0.25


@dataclass(frozen=True)
class Crop:
    """Consecutive events of each user with their place in the history.

    Attributes
    ----------
    events
        The cropped events.
    position
        int64 [B], events of the decoded history before the crop.
    total
        int64 [B], length of the decoded history.
    """

    events: EventBatch
    position: Tensor
    total: Tensor


def crop(batch: EventBatch, n_events: int, start: Tensor | None = None) -> Crop:
    """Take `n_events` consecutive events per user: from `start` in [0, 1], or the newest.

    Parameters
    ----------
    batch
        Histories of B users.
    n_events
        Length of the crop; shorter histories are taken whole.
    start
        float32 [B], place of the crop within its room to move; None takes the newest events.
    """
    lengths = batch.lengths.clamp(max=n_events)
    room = batch.lengths - lengths
    position = room if start is None else (start * (room + 1)).long().clamp(max=room)
    events = batch.take(ragged_range(batch.starts + position, lengths), lengths)
    return Crop(events, position, batch.lengths)


class JourneyDecoder(nn.Module):
    """Likelihood of a history given its latent.

    Parameters
    ----------
    vocabulary
        The model's fields.
    config
        Sizes.
    numbers
        Classes of the gap (seconds) and of each numeric field.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: AutoencoderConfig,
        numbers: dict[str, NumberClasses],
    ) -> None:
        super().__init__()
        self.config, self.numbers = config, numbers
        self.fields = vocabulary.categorical
        width = config.decoder_dimensions
        latent = config.forecast_dimensions + config.taste_dimensions
        sizes = {name: vocabulary.size(name) for name in self.fields}
        sizes |= {GAP: numbers[GAP].n_classes, HOUR: 24}
        sizes |= {name: numbers[name].n_classes for name in vocabulary.numeric}
        self.chain = tuple(sizes)
        self.events = EventEncoder(vocabulary, config.event_dimensions)
        self.recurrent = GatedRecurrence(config.event_dimensions + latent + 2, width)
        self.from_latent = nn.Linear(latent, width)
        self.heads = nn.ModuleList(nn.Linear(width, size) for size in sizes.values())
        self.decided = nn.ModuleList(nn.Embedding(size, width) for size in sizes.values())
        self.bags = nn.ModuleList(nn.Linear(latent, sizes[name]) for name in self.fields)

    def classes(self, batch: EventBatch) -> dict[str, Tensor]:
        """Class of each link of the chain, int64 [E] each."""
        hour = batch.times // (3600 * SECOND_US) % 24
        targets = {name: batch.codes[name] for name in self.fields}
        targets |= {GAP: self.numbers[GAP].encode(gaps_in_seconds(batch)), HOUR: hour}
        targets |= {
            name: self.numbers[name].encode(values) for name, values in batch.numbers.items()
        }
        return targets

    def bag_nll(self, latent: Tensor, batch: EventBatch) -> dict[str, Tensor]:
        """Negative log-likelihood of each field's histogram from the latent alone.

        Returns
        -------
        dict
            Per field float32 [B], nats per event with a value; 0 for users without one.
        """
        result = {}
        for name, head in zip(self.fields, self.bags, strict=True):
            logits = head(latent)
            owner, code, count = distinct_values(batch, name, logits.shape[1])
            log_p = torch.log_softmax(logits, dim=1)[owner, code]
            total = latent.new_zeros(len(latent)).index_add(0, owner, count)
            nll = latent.new_zeros(len(latent)).index_add(0, owner, -count * log_p)
            result[name] = nll / total.clamp(min=1)
        return result

    def step_nll(
        self, latent: Tensor, part: Crop, blank: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Negative log-likelihood of each event of a crop, link by link.

        Parameters
        ----------
        latent
            float32 [B, latent].
        part
            The events to decode.
        blank
            bool [E]: events whose vector is hidden from the step after them.

        Returns
        -------
        dict
            Per link of the chain float32 [E], nats; in training the largest heads answer for a
            random share of the events only.
        """
        states = self._states(latent, part, blank)
        decided = states
        result = {}
        targets = self.classes(part.events)
        for name, head, table in zip(self.chain, self.heads, self.decided, strict=True):
            read, target = decided, targets[name]
            if self.training and head.out_features > LARGE_HEAD:
                sample = torch.rand(len(target), device=target.device) < LARGE_HEAD_SHARE
                read, target = decided[sample], target[sample]
            result[name] = nn.functional.cross_entropy(head(read), target, reduction="none")
            decided = decided + table(targets[name])
        return result

    def _states(self, latent: Tensor, part: Crop, blank: Tensor | None) -> Tensor:
        """Decoder state before each event, float32 [E, decoder_dimensions]."""
        batch = part.events
        vectors = self.events(batch)
        if blank is not None:
            vectors = vectors.masked_fill(blank[:, None], 0.0)
        padded, real = pad(vectors, batch.lengths)
        previous = torch.cat([torch.zeros_like(padded[:, :1]), padded[:, :-1]], dim=1)
        steps = torch.arange(padded.shape[1], device=latent.device)
        place = (part.position[:, None] + steps).float()
        total = part.total[:, None].clamp(min=1).float()
        progress = torch.stack([place / total, torch.log1p(total).expand_as(place) / 8], dim=2)
        repeated = latent[:, None].expand(-1, padded.shape[1], -1)
        states = self.recurrent(torch.cat([previous, repeated, progress], dim=2))
        return (states + self.from_latent(latent)[:, None])[real]
