"""Running one stage of training under Lightning; it is kept when done, so that a job resumes."""

import logging
import math
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping
from safetensors.torch import load_file, save_file

from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.errors import FitError
from segmenter.files import atomic_file, read_json, write_json
from segmenter.terminal import ProgressCallback
from training.anchoring import Anchor
from training.config import TrainConfig
from training.data import HistoryBatches
from training.lightning_module import FixedParts, ForecastStage, HeadsStage, Stage, TasteStage
from training.prepare import Prepared, batch_sizes

FORECAST, HEADS, TASTE = "forecast", "heads", "taste"
KINDS: dict[str, type[Stage]] = {FORECAST: ForecastStage, HEADS: HeadsStage, TASTE: TasteStage}
"""Stages by name."""
MONITORED = "validation loss"

EpochCallback = Callable[[str, int, dict[str, float]], None]
"""Called after each pass with (stage, pass, metrics)."""


def seed_generators(seed: int) -> None:
    """Seed torch's global generators, of the processor and of every accelerator."""
    torch.default_generator.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


class StageJob:
    """One stage: its batches, its passes and where its weights are kept.

    Parameters
    ----------
    name
        One of `KINDS`.
    prepared, config
        What is learned from, and how.
    folder
        Where its files stand.
    anchor
        Holds the latent where it was; None lets it go.
    """

    def __init__(
        self,
        name: str,
        prepared: Prepared,
        config: TrainConfig,
        *,
        folder: Path,
        anchor: Anchor | None = None,
    ) -> None:
        self.name, self.prepared, self.config, self.anchor = name, prepared, config, anchor
        taste = name == TASTE
        self.n_epochs = config.taste_epochs if taste else config.forecast_epochs
        users = config.taste_batch_users if taste else config.forecast_batch_users
        self.sizes = batch_sizes(config, prepared.model, users=users, taste=taste)
        self.n_steps = sum(len(self.batches(epoch)) for epoch in range(self.n_epochs))
        self.weights = folder / f"{name}.safetensors"
        self.best = folder / f"{name}-best.safetensors"
        self.curves = folder / f"{name}-curves.json"
        self.last = folder / f"{name}-last.ckpt"

    def seed(self, epoch: int) -> int:
        """Seed of dropout and noise in one pass: a resumed pass draws what it would have drawn."""
        key = (self.config.seed, list(KINDS).index(self.name), epoch)
        return int(np.random.SeedSequence(key).generate_state(1)[0])

    def batches(self, epoch: int) -> HistoryBatches:
        """Training batches of one pass."""
        return self.prepared.training_batches(self.sizes, (self.config.seed, epoch))

    def module(self, fixed: FixedParts, validation: HistoryBatches) -> Stage:
        """The stage for Lightning."""
        return KINDS[self.name](
            self.prepared.model,
            fixed=fixed,
            training_batches=self.batches,
            validation_batches=validation,
            n_steps=self.n_steps,
            learning_rate=self.config.learning_rate,
            anchor=self.anchor,
        )


class Meter(Callback):
    """Moves the one progress bar of all stages.

    Parameters
    ----------
    progress
        Told of (steps done, steps in all).
    """

    def __init__(self, progress: ProgressCallback | None) -> None:
        self.progress, self.total, self.before = progress, 0, 0

    def expect(self, n_steps: int) -> None:
        """Count on so many steps more."""
        self.total += n_steps

    def pass_over(self, n_steps: int) -> None:
        """Take so many steps as done: those of a stage that has ended."""
        self.before += n_steps

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:  # noqa: ANN401
        """Tell the steps so far; called by Lightning."""
        if self.progress is not None:
            self.progress(self.before + trainer.global_step, self.total)


class _Passes(Callback):
    """Keeps each pass's metrics and the weights of the best; its state rides the checkpoint."""

    def __init__(self, job: StageJob, on_epoch: EpochCallback | None) -> None:
        self.job, self.on_epoch = job, on_epoch
        self.curves: dict[str, list[float]] = {}
        self.lowest = float("inf")

    def on_train_epoch_start(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        seed_generators(self.job.seed(trainer.current_epoch))

    def on_train_epoch_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not all(map(math.isfinite, metrics.values())):
            message = (
                f"pass {trainer.current_epoch + 1} of the {self.job.name} stage ended with a loss "
                f"that is no number; lower learning_rate ({self.job.config.learning_rate})"
            )
            raise FitError(message)
        for name, value in metrics.items():
            self.curves.setdefault(name, []).append(value)
        if metrics.get(MONITORED, -float("inf")) <= self.lowest:
            self.lowest = metrics.get(MONITORED, self.lowest)
            save_weights(self.job.prepared.model, self.job.best)
        if self.on_epoch is not None:
            self.on_epoch(self.job.name, trainer.current_epoch, metrics)

    def state_dict(self) -> dict[str, Any]:
        return {"curves": self.curves, "lowest": self.lowest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curves, self.lowest = state_dict["curves"], state_dict["lowest"]


class _LastPass(Checkpoint):
    """Keeps the newest pass, whole or not at all; Lightning's own moves it over file systems."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        with atomic_file(self.path) as temporary:
            trainer.save_checkpoint(temporary)


def run_stage(
    job: StageJob, fixed: FixedParts, *, meter: Meter, on_epoch: EpochCallback | None
) -> dict[str, list[float]]:
    """Run, resume or reuse one stage; leave the model with the weights of its best pass.

    Parameters
    ----------
    job
        The stage.
    fixed
        What it reads and does not change.
    meter
        Told of its steps.
    on_epoch
        Told of each pass.

    Returns
    -------
    dict
        Per metric one value per pass.

    Raises
    ------
    FitError
        If a loss is no longer a number.
    """
    if not job.weights.exists():
        passes = _Passes(job, on_epoch)
        # Lightning calls a Checkpoint after the others, so that it holds the pass it follows.
        _run_trainer(job, fixed, [passes, meter, _LastPass(job.last)])
        write_json(job.curves, passes.curves)
        job.best.replace(job.weights)
        job.last.unlink()
    meter.pass_over(job.n_steps)
    load_weights(job.prepared.model, job.weights)
    curves: dict[str, list[float]] = read_json(job.curves)
    return curves


def _run_trainer(job: StageJob, fixed: FixedParts, callbacks: list[Callback]) -> None:
    """Let Lightning run the passes, quietly, from the last checkpoint when there is one."""
    validation = job.prepared.validation_batches(job.sizes)
    if len(validation):
        callbacks = [*callbacks, EarlyStopping(MONITORED, patience=job.config.patience)]
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Its advice on worker processes does not hold: batches are gathered from mapped memory.
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if torch.cuda.is_available() else "32-true",
            max_epochs=job.n_epochs,
            gradient_clip_val=1.0,
            logger=False,
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=None if len(validation) else 0,
            reload_dataloaders_every_n_epochs=1,
            default_root_dir=job.last.parent,
        )
        resumed = str(job.last) if job.last.exists() else None
        with _ending_on_interrupt():
            # Lightning trains in the mode that it finds: dropout, noise and crops need this one.
            stage = job.module(fixed, validation).train()
            # weights_only: a checkpoint is read as tensors and plain values, never unpickled.
            trainer.fit(stage, ckpt_path=resumed, weights_only=True)
    job.prepared.model.to("cpu")


@contextmanager
def _ending_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C be an interrupt again: Lightning ignores the signal and exits with 1."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from error
        raise


def save_weights(model: SequenceAutoencoder, path: Path) -> None:
    """Write all weights and buffers as safetensors, atomically."""
    with atomic_file(path) as temporary:
        save_file(model.state_dict(), temporary)


def load_weights(model: SequenceAutoencoder, path: Path) -> None:
    """Read weights that `save_weights` wrote."""
    model.load_state_dict(load_file(path))
