"""The sequence autoencoder: one user's events to a latent in two parts, and back.

Trained in two stages. Stage one fits the forecast part on the coming window and the profile. Stage
two freezes it and fits the taste part together with the decoder of the past. Joint training would
spread the forecast part along items and cost the segments their validity.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from segmenter.autoencoder.config import AutoencoderConfig
from segmenter.autoencoder.decoder import Crop, JourneyDecoder, crop
from segmenter.autoencoder.encoder import ForecastEncoder, TasteEncoder
from segmenter.autoencoder.forecast import ForecastHeads, window_targets
from segmenter.autoencoder.likelihoods import NumberClasses
from segmenter.autoencoder.profile import ProfileBranch
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import Vocabulary


@dataclass(frozen=True)
class Latent:
    """Both parts of the latent of B users.

    Attributes
    ----------
    forecast, taste
        float32 [B, forecast_dimensions] and [B, taste_dimensions].
    """

    forecast: Tensor
    taste: Tensor

    def joined(self) -> Tensor:
        """Both parts side by side, as exported."""
        return torch.cat([self.forecast, self.taste], dim=1)


class SequenceAutoencoder(nn.Module):
    """Profile and sequence encoders, forecast heads and journey decoder.

    Parameters
    ----------
    vocabulary
        The model's fields.
    config
        Sizes and weights.
    numbers
        Classes of the gap and of each numeric field, for the decoder.
    profile
        The fitted profile branch.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: AutoencoderConfig,
        *,
        numbers: dict[str, NumberClasses],
        profile: ProfileBranch,
    ) -> None:
        super().__init__()
        self.vocabulary, self.config, self.numbers = vocabulary, config, numbers
        self.profile = profile
        self.forecast_encoder = ForecastEncoder(vocabulary, config, profile.size)
        self.forecast_heads = ForecastHeads(vocabulary, config, profile.size)
        self.taste_encoder = TasteEncoder(vocabulary, config, profile.size)
        self.decoder = JourneyDecoder(vocabulary, config, numbers)
        joined = config.forecast_dimensions + config.taste_dimensions
        self.profile_from_both = nn.Linear(joined, profile.size)
        self.register_buffer("forecast_scale", torch.ones(config.forecast_dimensions))

    @property
    def embedding_dimensions(self) -> int:
        """Length of an exported embedding."""
        return self.config.forecast_dimensions + self.config.taste_dimensions

    def encode(self, batch: EventBatch) -> Latent:
        """Both parts of the latent of each history."""
        profile = self.profile(batch)
        forecast = self.forecast_encoder(batch, profile)
        return Latent(forecast, self.taste_encoder(batch, profile))

    def decoder_input(self, latent: Latent) -> Tensor:
        """What the decoder reads: the forecast part at unit scale beside the taste part."""
        return torch.cat([latent.forecast / self.forecast_scale, latent.taste], dim=1)

    def forecast_losses(
        self, history: EventBatch, profile: Tensor, window: EventBatch | None
    ) -> dict[str, Tensor]:
        """Terms of the stage-one loss; in training the latent carries noise.

        Parameters
        ----------
        history
            Events up to a cut, at least the newest ``config.forecast_events`` of each user.
        profile
            float32 [B, P], the profile of the whole histories.
        window
            The same users' events in the window after it, or None.
        """
        latent = self._noisy(self.forecast_encoder(history, profile))
        targets = None if window is None else window_targets(window, self.vocabulary)
        return self.forecast_heads.losses(latent, profile, targets)

    def taste_losses(
        self, history: EventBatch, profile: Tensor, forecast: Tensor
    ) -> dict[str, Tensor]:
        """Terms of the stage-two loss; the forecast part is read, not trained.

        Parameters
        ----------
        history
            Events up to a cut, at least the newest ``config.sequence_events`` of each user.
        profile
            As in `forecast_losses`.
        forecast
            float32 [B, forecast_dimensions], the forecast part of the histories.
        """
        taste = self.taste_encoder(history, profile)
        latent = self._noisy(self.decoder_input(Latent(forecast, taste)))
        recent = history.tail(self.config.sequence_events)
        bags = self.decoder.bag_nll(latent, recent)
        steps = self.decoder.step_nll(latent, *self._training_crop(recent))
        terms = {f"bag {name}": nll.mean() for name, nll in bags.items()}
        terms |= {f"step {name}": nll.mean() for name, nll in steps.items()}
        error = (self.profile_from_both(latent) - profile).square().mean()
        terms["profile"] = self.config.profile_weight * error
        terms["latent"] = self.config.latent_weight * taste.square().sum(1).mean()
        return terms

    def _training_crop(self, recent: EventBatch) -> tuple[Crop, Tensor | None]:
        """A random crop with blanked events in training, the newest events otherwise."""
        if not self.training:
            return crop(recent, self.config.crop_events), None
        start = torch.rand(len(recent), device=recent.lengths.device)
        part = crop(recent, self.config.crop_events, start)
        n_events = len(part.events.times)
        blank = torch.rand(n_events, device=start.device) < self.config.blank_share
        return part, blank

    def _noisy(self, latent: Tensor) -> Tensor:
        """Add the training noise that makes neighbours decode alike."""
        if not self.training:
            return latent
        return latent + self.config.latent_noise * torch.randn_like(latent)

    def description(self) -> dict[str, Any]:
        """Everything besides the weights that rebuilds this network, in plain form."""
        return {
            "config": self.config.to_json(),
            "vocabulary": self.vocabulary.to_json(),
            "numbers": {name: classes.to_json() for name, classes in self.numbers.items()},
            "n_activity_features": len(self.profile.kept),
        }

    @classmethod
    def from_description(cls, plain: dict[str, Any]) -> "SequenceAutoencoder":
        """An untrained network of the described shape; load its weights afterwards."""
        config = AutoencoderConfig.from_json(plain["config"])
        vocabulary = Vocabulary.from_json(plain["vocabulary"])
        profile = ProfileBranch(vocabulary, config, n_activity=plain["n_activity_features"])
        numbers = {
            name: NumberClasses.from_json(classes) for name, classes in plain["numbers"].items()
        }
        return cls(vocabulary, config, numbers=numbers, profile=profile)
