"""The stages of training as Lightning modules; the network knows nothing of Lightning."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from segmenter.autoencoder.model import SequenceAutoencoder
from training.anchoring import Anchor
from training.data import HistoryBatch

Batches = Callable[[int], Iterable[HistoryBatch]]
"""Gives the training batches of one pass."""


@dataclass(frozen=True)
class FixedParts:
    """What a stage reads of each history and does not change, computed once.

    Attributes
    ----------
    profile
        float32 [S, P], of every history.
    forecast
        float32 [S, forecast_dimensions], once that part is trained.
    """

    profile: Tensor
    forecast: Tensor | None = None


class Stage(pl.LightningModule):
    """What both stages share: optimiser, schedule, logging.

    Parameters
    ----------
    model
        The network, trained in place.
    fixed
        What is read of each history beside its newest events.
    training_batches
        Pass number to that pass's batches.
    validation_batches
        Batches of held-out users.
    n_steps
        Optimiser steps of all passes together.
    learning_rate
        Peak of the one-cycle schedule.
    anchor
        Holds the latent where it was; None lets it go.
    """

    def __init__(
        self,
        model: SequenceAutoencoder,
        *,
        fixed: FixedParts,
        training_batches: Batches,
        validation_batches: Iterable[HistoryBatch],
        n_steps: int,
        learning_rate: float,
        anchor: Anchor | None = None,
    ) -> None:
        super().__init__()
        self.anchor = anchor
        self.model, self.fixed = model, fixed
        self.training_batches, self.validation_batches = training_batches, validation_batches
        self.n_steps, self.learning_rate = n_steps, learning_rate

    @abstractmethod
    def losses(self, batch: HistoryBatch) -> dict[str, Tensor]:
        """Terms of this stage's loss."""

    @abstractmethod
    def trained(self) -> list[torch.nn.Module]:
        """Modules that this stage changes."""

    def train_dataloader(self) -> Iterable[HistoryBatch]:
        """Batches of the current pass."""
        return self.training_batches(self.current_epoch)

    def val_dataloader(self) -> Iterable[HistoryBatch]:
        """Batches of held-out users, the same at each pass."""
        return self.validation_batches

    def training_step(self, batch: HistoryBatch, _: int) -> Tensor:
        """Loss of one batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: HistoryBatch, _: int) -> Tensor:
        """Loss of one held-out batch."""
        return self._step(batch, "validation")

    def _step(self, batch: HistoryBatch, part: str) -> Tensor:
        terms = self.losses(batch) | (self.anchor.take() if self.anchor else {})
        loss = torch.stack(list(terms.values())).sum()
        named = {f"{part} {name}": term.detach() for name, term in terms.items()}
        named[f"{part} loss"] = loss.detach()
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(batch.history))
        return loss

    def _fixed(self, values: Tensor, batch: HistoryBatch) -> Tensor:
        """Rows of a fixed part, where the batch lives."""
        return values[torch.from_numpy(batch.rows)].to(self.device, non_blocking=True)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with a one-cycle schedule over all steps."""
        parameters = [p for module in self.trained() for p in module.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.learning_rate, total_steps=max(self.n_steps, 2)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class ForecastStage(Stage):
    """Stage one: the forecast part learns the coming window and the profile."""

    def losses(self, batch: HistoryBatch) -> dict[str, Tensor]:
        """Terms of the forecast loss."""
        profile = self._fixed(self.fixed.profile, batch)
        return self.model.forecast_losses(batch.history, profile, batch.window)

    def trained(self) -> list[torch.nn.Module]:
        """The forecast encoder and its heads."""
        return [self.model.forecast_encoder, self.model.forecast_heads]


class HeadsStage(ForecastStage):
    """Stage one where the forecast part is a fixed map of the profile: its heads alone learn."""

    def trained(self) -> list[torch.nn.Module]:
        """The heads of the forecast part."""
        return [self.model.forecast_heads]


class TasteStage(Stage):
    """Stage two: the taste part and the decoder learn the past; the forecast part is read."""

    def losses(self, batch: HistoryBatch) -> dict[str, Tensor]:
        """Terms of the decoding loss."""
        if self.fixed.forecast is None:
            message = "the taste part is trained beside a trained forecast part; found none"
            raise ValueError(message)
        profile = self._fixed(self.fixed.profile, batch)
        forecast = self._fixed(self.fixed.forecast, batch)
        return self.model.taste_losses(batch.history, profile, forecast)

    def trained(self) -> list[torch.nn.Module]:
        """The taste encoder and the decoder."""
        return [self.model.taste_encoder, self.model.decoder, self.model.profile_from_both]
