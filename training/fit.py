"""Fitting the network in two stages; each is kept when done, so that a killed job resumes."""

import json
import logging
import math
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_limits

from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.errors import FitError
from segmenter.events.store import EventStore
from segmenter.files import atomic_file, write_json
from segmenter.terminal import ProgressCallback
from training.anchoring import Anchor, anchors
from training.config import TrainConfig
from training.data import Histories, HistoryBatches
from training.lightning_module import ForecastStage, Stage, TasteStage
from training.prepare import Prepared, batch_sizes, prepare

MONITORED = "validation loss"
MAX_THREADS = 4
"""Recurrent steps are small: more threads than this wait for each other."""

EpochCallback = Callable[[str, int, dict[str, float]], None]
"""Called after each pass with (stage, pass, metrics)."""


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network and how its training went.

    Attributes
    ----------
    model
        In evaluation mode.
    curves
        Per stage and metric one value per pass.
    histories
        What was learned from.
    padding_share
        Share of the recurrent steps without an event, first pass of stage one.
    """

    model: SequenceAutoencoder
    curves: dict[str, dict[str, list[float]]]
    histories: Histories
    padding_share: float


def fit_network(
    store: EventStore,
    config: TrainConfig,
    *,
    as_of: int,
    folder: Path,
    start: SequenceAutoencoder | None = None,
    on_epoch: EpochCallback | None = None,
    progress: ProgressCallback | None = None,
) -> FittedNetwork:
    """Train the sequence autoencoder in its two stages.

    Parameters
    ----------
    store, config
        The events and the settings.
    as_of
        End of the training period in microseconds; no later event is read.
    folder
        The job's own folder; checkpoints and finished stages are kept and found again there.
    start
        A trained network to go on from; None starts from random weights.
    on_epoch
        Told of each pass, for tracking.
    progress
        Told of (steps done, steps in all).

    Returns
    -------
    FittedNetwork
        With the weights of each stage's best pass on held-out users.

    Raises
    ------
    FitError
        If no event lies in the training period, or a loss is no longer a number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _seeded(config.seed), leave_a_core():
        prepared = prepare(store, config, as_of=as_of, start=start)
        held = {} if start is None else anchors(prepared, config)
        forecast = _StageJob("forecast", prepared, config, folder=folder, anchors=held)
        taste = _StageJob("taste", prepared, config, folder=folder, anchors=held)
        meter = _Meter(progress, forecast.n_steps + taste.n_steps)
        curves = {"forecast": _run_stage(forecast, meter, on_epoch)}
        meter.offset = forecast.n_steps
        if start is None and not taste.weights.exists():
            _set_forecast_scale(prepared, config)
        curves["taste"] = _run_stage(taste, meter, on_epoch)
        for anchor in held.values():
            anchor.release()
    padding = forecast.batches(0).padding_share()
    return FittedNetwork(prepared.model.eval(), curves, prepared.histories, padding)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Fix torch's global generators for initial weights, dropout and noise, then restore them."""
    with torch.random.fork_rng():
        _seed_generators(seed)
        yield


def _seed_generators(seed: int) -> None:
    """Seed torch's global generators, of the processor and of every accelerator."""
    torch.default_generator.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


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


@contextmanager
def leave_a_core() -> Iterator[None]:
    """Use one core less than there are, and few: threads that wait for a busy core spin."""
    before, n_threads = torch.get_num_threads(), max(1, (os.cpu_count() or 2) - 1)
    torch.set_num_threads(min(MAX_THREADS, n_threads))
    try:
        with threadpool_limits(min(MAX_THREADS, n_threads)):
            yield
    finally:
        torch.set_num_threads(before)


class _StageJob:
    """One stage: its batches, its passes and where its weights are kept."""

    def __init__(
        self,
        name: str,
        prepared: Prepared,
        config: TrainConfig,
        *,
        folder: Path,
        anchors: dict[str, Anchor],
    ) -> None:
        self.name, self.prepared, self.config = name, prepared, config
        self.anchor = anchors.get(name)
        taste = name == "taste"
        self.n_epochs = config.taste_epochs if taste else config.forecast_epochs
        users = config.taste_batch_users if taste else config.forecast_batch_users
        self.sizes = batch_sizes(config, prepared.model, users=users)
        self.n_steps = sum(len(self.batches(epoch)) for epoch in range(self.n_epochs))
        self.weights = folder / f"{name}.safetensors"
        self.best = folder / f"{name}-best.safetensors"
        self.curves = folder / f"{name}-curves.json"
        self.last = folder / f"{name}-last.ckpt"

    def seed(self, epoch: int) -> int:
        """Seed of dropout and noise in one pass: a resumed pass draws what it would have drawn."""
        key = (self.config.seed, int(self.name == "taste"), epoch)
        return int(np.random.SeedSequence(key).generate_state(1)[0])

    def batches(self, epoch: int) -> HistoryBatches:
        return self.prepared.training_batches(self.sizes, (self.config.seed, epoch))

    def module(self, validation: HistoryBatches) -> Stage:
        kind = TasteStage if self.name == "taste" else ForecastStage
        return kind(
            self.prepared.model,
            training_batches=self.batches,
            validation_batches=validation,
            n_steps=self.n_steps,
            learning_rate=self.config.learning_rate,
            anchor=self.anchor,
        )


class _Meter(Callback):
    """Moves the one progress bar of both stages."""

    def __init__(self, progress: ProgressCallback | None, total: int) -> None:
        self.progress, self.total, self.offset = progress, total, 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:  # noqa: ANN401
        if self.progress is not None:
            self.progress(self.offset + trainer.global_step, self.total)


class _Passes(Callback):
    """Keeps each pass's metrics and the weights of the best; its state rides the checkpoint."""

    def __init__(self, job: _StageJob, on_epoch: EpochCallback | None) -> None:
        self.job, self.on_epoch = job, on_epoch
        self.curves: dict[str, list[float]] = {}
        self.lowest = float("inf")

    def on_train_epoch_start(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        _seed_generators(self.job.seed(trainer.current_epoch))

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


def _run_stage(
    job: _StageJob, meter: _Meter, on_epoch: EpochCallback | None
) -> dict[str, list[float]]:
    """Run, resume or reuse one stage; leave the model with the weights of its best pass."""
    if not job.weights.exists():
        passes = _Passes(job, on_epoch)
        # Lightning calls a Checkpoint after the others, so that it holds the pass it follows.
        _run_trainer(job, [passes, meter, _LastPass(job.last)])
        write_json(job.curves, passes.curves)
        job.best.replace(job.weights)
        job.last.unlink()
    load_weights(job.prepared.model, job.weights)
    return json.loads(job.curves.read_text(encoding="utf-8"))


def _run_trainer(job: _StageJob, callbacks: list[Callback]) -> None:
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
            # weights_only: a checkpoint is read as tensors and plain values, never unpickled.
            trainer.fit(job.module(validation), ckpt_path=resumed, weights_only=True)
    job.prepared.model.to("cpu")


def _set_forecast_scale(prepared: Prepared, config: TrainConfig) -> None:
    """Spread of the forecast part over the training histories: the decoder reads it in units."""
    model = prepared.model.eval()
    sizes = batch_sizes(config, model, users=config.forecast_batch_users)
    with torch.inference_mode():
        parts = [
            model.forecast_encoder(batch.history, model.profile(batch.history))
            for batch in prepared.training_batches(sizes)
        ]
    spread = torch.cat(parts).std(0, correction=0)
    model.forecast_scale.copy_(torch.where(spread > 0, spread, 1.0))


def save_weights(model: SequenceAutoencoder, path: Path) -> None:
    """Write all weights and buffers as safetensors, atomically."""
    with atomic_file(path) as temporary:
        save_file(model.state_dict(), temporary)


def load_weights(model: SequenceAutoencoder, path: Path) -> None:
    """Read weights that `save_weights` wrote."""
    model.load_state_dict(load_file(path))
