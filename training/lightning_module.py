"""The two stages of training as Lightning modules; the network knows nothing of Lightning."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from segmenter.autoencoder.model import SequenceAutoencoder
from training.anchoring import Anchor
from training.data import HistoryBatch

Batches = Callable[[int], Iterable[HistoryBatch]]
"""Gives the training batches of one pass."""


class Stage(pl.LightningModule):
    """What both stages share: optimiser, schedule, logging.

    Parameters
    ----------
    model
        The network, trained in place.
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
        training_batches: Batches,
        validation_batches: Iterable[HistoryBatch],
        n_steps: int,
        learning_rate: float,
        anchor: Anchor | None = None,
    ) -> None:
        super().__init__()
        self.anchor = anchor
        self.model = model
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
        return self.model.forecast_losses(batch.history, batch.window)

    def trained(self) -> list[torch.nn.Module]:
        """The forecast encoder and its heads."""
        return [self.model.forecast_encoder, self.model.forecast_heads]


class TasteStage(Stage):
    """Stage two: the taste part and the decoder learn the past; the forecast part is frozen."""

    def losses(self, batch: HistoryBatch) -> dict[str, Tensor]:
        """Terms of the decoding loss."""
        return self.model.taste_losses(batch.history)

    def trained(self) -> list[torch.nn.Module]:
        """The taste encoder and the decoder."""
        return [self.model.taste_encoder, self.model.decoder, self.model.profile_from_both]

    def train(self, mode: bool = True) -> "TasteStage":  # noqa: FBT001, FBT002 - torch's signature
        """Keep the frozen forecast encoder without dropout."""
        super().train(mode)
        self.model.forecast_encoder.eval()
        return self
