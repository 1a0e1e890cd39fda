"""Sizes and weights of the sequence autoencoder, as one frozen value."""

from dataclasses import asdict, dataclass
from typing import Any

DAY_US = 86_400_000_000
"""Microseconds per day."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Everything that shapes the network besides the vocabulary.

    Attributes
    ----------
    window_days
        Length of the coming window that the forecast part learns to decode.
    forecast_events, sequence_events
        Events, the newest of each user, that the recurrent branch of the forecast part reads, and
        that of the taste part and the decoder.
    forecast_dimensions, taste_dimensions
        Sizes of the two parts of the latent.
    event_dimensions, recurrent_dimensions, decoder_dimensions
        Widths of the event vectors, the encoders' and the decoder's recurrent layers.
    profile_dimensions
        Directions kept of what a user did (truncated SVD of TF-IDF).
    dropout, latent_noise
        Regularisation of the encoder head; standard deviation of noise on the latent in training.
    profile_weight, share_weight, count_weight, occurrence_weight, latent_weight
        Weights of the forecast losses.
    crop_events, blank_share
        Steps decoded per user and pass; share of previous events hidden from the decoder.
    decoder_calendar
        Knots of the calendar that the decoder reads, beside the time since the first and until the
        last event of a history; models of earlier versions read neither (0).
    """

    window_days: float
    forecast_events: int = 64
    sequence_events: int = 192
    forecast_dimensions: int = 32
    taste_dimensions: int = 32
    event_dimensions: int = 64
    recurrent_dimensions: int = 64
    decoder_dimensions: int = 96
    profile_dimensions: int = 48
    dropout: float = 0.2
    latent_noise: float = 0.05
    profile_weight: float = 0.5
    share_weight: float = 0.3
    count_weight: float = 1.0
    occurrence_weight: float = 1.0
    latent_weight: float = 0.001
    crop_events: int = 48
    blank_share: float = 0.3
    decoder_calendar: int = 16

    @property
    def recent_days(self) -> tuple[float, ...]:
        """Look-back windows of the activity features, a tenth of the forecast window upwards."""
        return tuple(self.window_days * factor for factor in (0.1, 0.2, 0.4, 0.8, 1.6))

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "AutoencoderConfig":
        """Inverse of `to_json`."""
        return cls(**{"decoder_calendar": 0, **plain})
