"""The parts of the network that an ablation takes away or replaces, one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from segmenter.autoencoder.decoder import Crop, JourneyDecoder
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.events.batches import EventBatch

Alter = Callable[[SequenceAutoencoder], None]


@dataclass(frozen=True)
class Variant:
    """One change against the published network.

    Attributes
    ----------
    name
        What is changed.
    model
        Overrides of sizes and loss weights.
    alter
        Changes the network before it learns; None leaves it.
    taste
        Whether the change concerns the taste part, so that both stages are needed to judge it.
    """

    name: str
    model: dict[str, Any] = field(default_factory=dict)
    alter: Alter | None = None
    taste: bool = False


class _Zeros(nn.Module):
    """Zeros of a width instead of what a module would say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, read: Tensor | EventBatch) -> Tensor:
        return torch.zeros(len(read), self.width)


def _without_profile(model: SequenceAutoencoder) -> None:
    encoder = model.forecast_encoder
    for name in ("from_profile", "from_profile_deep"):
        setattr(encoder, name, _Zeros(model.config.forecast_dimensions))


def _without_sequence(model: SequenceAutoencoder) -> None:
    encoder = model.forecast_encoder
    encoder.sequence = _Zeros(encoder.sequence.size)  # type: ignore[assignment] # same call


class _ClassicalGru(nn.Module):
    """The gated recurrent unit whose gates read the state."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layer = nn.GRU(width, hidden, batch_first=True)

    def forward(self, steps: Tensor) -> Tensor:
        states: Tensor = self.layer(steps)[0]
        return states


class _Transformer(nn.Module):
    """Two causal layers of attention over the steps, four heads, learned places."""

    def __init__(self, width: int, hidden: int, n_steps: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(n_steps, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, 4, dim_feedforward=2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(width, hidden)

    def forward(self, steps: Tensor) -> Tensor:
        n_steps = steps.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n_steps)
        read = self.layers(steps + self.places[:n_steps], mask=mask, is_causal=True)
        return torch.tanh(self.out(read))


def _with_classical_gru(model: SequenceAutoencoder) -> None:
    config = model.config
    layer = _ClassicalGru(config.event_dimensions, config.recurrent_dimensions)
    model.forecast_encoder.sequence.recurrent = layer  # type: ignore[assignment] # same call


def _with_transformer(model: SequenceAutoencoder) -> None:
    config = model.config
    layer = _Transformer(
        config.event_dimensions, config.recurrent_dimensions, config.forecast_events
    )
    model.forecast_encoder.sequence.recurrent = layer  # type: ignore[assignment] # same call


class _WithoutBags(JourneyDecoder):
    def bag_nll(self, latent: Tensor, batch: EventBatch) -> dict[str, Tensor]:  # noqa: ARG002 - none
        return {}


class _WithoutSteps(JourneyDecoder):
    def step_nll(
        self,
        latent: Tensor,  # noqa: ARG002 - nothing is decoded
        part: Crop,  # noqa: ARG002 - nothing is decoded
        blank: Tensor | None = None,  # noqa: ARG002 - nothing is decoded
    ) -> dict[str, Tensor]:
        return {}


def _without_bags(model: SequenceAutoencoder) -> None:
    model.decoder.__class__ = _WithoutBags


def _without_steps(model: SequenceAutoencoder) -> None:
    model.decoder.__class__ = _WithoutSteps


VARIANTS = (
    Variant("as published"),
    Variant("without the profile", alter=_without_profile),
    Variant("without the sequence", alter=_without_sequence),
    Variant("no counts forecast", {"count_weight": 0.0}),
    Variant("no shares forecast", {"share_weight": 0.0}),
    Variant("no occurrence forecast", {"occurrence_weight": 0.0}),
    Variant("no profile decoded", {"profile_weight": 0.0}),
    Variant("forecast part of 8", {"forecast_dimensions": 8}),
    Variant("forecast part of 64", {"forecast_dimensions": 64}),
    Variant("192 events read", {"forecast_events": 192}),
    Variant("384 events read", {"forecast_events": 384}),
    Variant("classical GRU", alter=_with_classical_gru),
    Variant("transformer, 2 layers", alter=_with_transformer),
    Variant("as published, both parts", taste=True),
    Variant("no bag loss", alter=_without_bags, taste=True),
    Variant("no step loss", alter=_without_steps, taste=True),
)
