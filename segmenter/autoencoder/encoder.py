"""A user's history to the two parts of the latent.

*Forecast part*: trained first, on the coming window and the profile. *Taste part*: trained second,
together with the sequence decoder, to supply what the decoder still lacks.
"""

import torch
from torch import Tensor, nn

from segmenter.autoencoder.config import AutoencoderConfig
from segmenter.autoencoder.event_encoder import EventEncoder
from segmenter.autoencoder.recurrence import GatedRecurrence
from segmenter.events.batches import EventBatch, ragged_range
from segmenter.events.vocabulary import Vocabulary


def pad(vectors: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Lay ragged rows side by side.

    Parameters
    ----------
    vectors
        [E, D], users end to end.
    lengths
        int64 [B].

    Returns
    -------
    tuple of Tensor
        Padded [B, T, D] with zeros behind each history, and bool [B, T], true on real events.
        T is at least 1.
    """
    width = max(int(lengths.max()), 1) if len(lengths) else 1
    starts = torch.arange(len(lengths), device=lengths.device) * width
    padded = vectors.new_zeros(len(lengths) * width, vectors.shape[1])
    padded = padded.index_copy(0, ragged_range(starts, lengths), vectors)
    steps = torch.arange(width, device=lengths.device)
    return padded.view(len(lengths), width, -1), steps < lengths[:, None]


class SequenceBranch(nn.Module):
    """The newest events, in order, through a recurrent layer; mean, maximum and last state.

    Parameters
    ----------
    vocabulary
        The model's fields.
    config
        Sizes.
    n_events
        Newest events that are read.
    """

    def __init__(self, vocabulary: Vocabulary, config: AutoencoderConfig, n_events: int) -> None:
        super().__init__()
        self.n_events = n_events
        self.events = EventEncoder(vocabulary, config.event_dimensions)
        self.recurrent = GatedRecurrence(config.event_dimensions, config.recurrent_dimensions)
        self.size = 3 * config.recurrent_dimensions + config.event_dimensions

    def forward(self, batch: EventBatch) -> Tensor:
        """Pooled states and the mean event vector, float32 [B, size]; zeros without events."""
        recent = batch.tail(self.n_events)
        vectors, real = pad(self.events(recent), recent.lengths)
        states = self.recurrent(vectors)
        mask = real[:, :, None]
        count = recent.lengths.clamp(min=1)[:, None]
        mean = (states * mask).sum(1) / count
        greatest = states.masked_fill(~mask, -1.0).amax(1)  # states lie within plus and minus 1
        last = states[torch.arange(len(batch), device=states.device), count[:, 0] - 1]
        pooled = torch.cat([mean, greatest, last, (vectors * mask).sum(1) / count], dim=1)
        return pooled * (recent.lengths > 0)[:, None]


class ForecastEncoder(nn.Module):
    """Profile and sequence to the forecast part of the latent.

    Parameters
    ----------
    vocabulary
        The model's fields.
    config
        Sizes.
    profile_size
        Width of the profile.
    """

    def __init__(
        self, vocabulary: Vocabulary, config: AutoencoderConfig, profile_size: int
    ) -> None:
        super().__init__()
        size = config.forecast_dimensions
        self.sequence = SequenceBranch(vocabulary, config, config.forecast_events)
        self.from_profile = nn.Linear(profile_size, size)
        self.from_profile_deep = nn.Sequential(
            nn.Linear(profile_size, 128),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(128, size),
        )
        self.from_sequence = nn.Linear(self.sequence.size, size)

    def forward(self, batch: EventBatch, profile: Tensor) -> Tensor:
        """Forecast part, float32 [B, forecast_dimensions]."""
        return (
            self.from_profile(profile)
            + self.from_profile_deep(profile)
            + self.from_sequence(self.sequence(batch))
        )

    @property
    def reads_sequences(self) -> bool:
        """Whether sequences count; not after `read_profile_only`."""
        return bool(self.from_sequence.weight.any())

    def read_profile_only(self, directions: Tensor) -> None:
        """Become a fixed linear map of the profile, which sequences do not touch.

        Parameters
        ----------
        directions
            float32 [forecast_dimensions, profile_size].
        """
        with torch.no_grad():
            for layer in (self.from_profile, self.from_profile_deep[-1], self.from_sequence):
                layer.weight.zero_()
                layer.bias.zero_()
            self.from_profile.weight.copy_(directions)


class TasteEncoder(nn.Module):
    """Profile and sequence to the taste part of the latent.

    Parameters
    ----------
    vocabulary
        The model's fields.
    config
        Sizes.
    profile_size
        Width of the profile.
    """

    def __init__(
        self, vocabulary: Vocabulary, config: AutoencoderConfig, profile_size: int
    ) -> None:
        super().__init__()
        self.sequence = SequenceBranch(vocabulary, config, config.sequence_events)
        self.from_profile = nn.Linear(profile_size, config.taste_dimensions)
        self.from_sequence = nn.Linear(self.sequence.size, config.taste_dimensions)

    def forward(self, batch: EventBatch, profile: Tensor) -> Tensor:
        """Taste part, float32 [B, taste_dimensions]."""
        return self.from_profile(profile) + self.from_sequence(self.sequence(batch))
