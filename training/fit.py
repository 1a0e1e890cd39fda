"""Fitting the network in its stages; each is kept when done, so that a killed job resumes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.events.store import EventStore
from segmenter.terminal import ProgressCallback
from training.anchoring import Anchor, anchors
from training.config import TrainConfig
from training.data import Histories, HistoryBatch
from training.encoder_choice import (
    HYBRID,
    EncoderChoice,
    compared_choice,
    forced_choice,
    inherited_choice,
    read_profile_only,
)
from training.lightning_module import FixedParts
from training.prepare import Prepared, batch_sizes, prepare
from training.stages import (
    FORECAST,
    HEADS,
    TASTE,
    EpochCallback,
    Meter,
    StageJob,
    run_stage,
    seed_generators,
)

ENCODER = "encoder.json"
"""Keeps what the forecast part reads, once that is decided."""
MAX_THREADS = 4
"""Recurrent steps are small: more threads than this wait for each other."""


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
    encoder
        What the forecast part reads, and why.
    """

    model: SequenceAutoencoder
    curves: dict[str, dict[str, list[float]]]
    histories: Histories
    padding_share: float
    encoder: EncoderChoice


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
        run = _Run(prepared, config, as_of, folder, Meter(progress), on_epoch, start, held)
        fixed = read_profiles(prepared, config)
        encoder, curves = _fit_forecast(run, fixed)
        curves[TASTE] = _fit_taste(run, fixed)
        for anchor in held.values():
            anchor.release()
    padding = run.job(FORECAST).batches(0).padding_share()
    model = prepared.model.eval()
    return FittedNetwork(model, curves, prepared.histories, padding, encoder)


@dataclass(frozen=True)
class _Run:
    """What every stage of one fit has in common."""

    prepared: Prepared
    config: TrainConfig
    as_of: int
    folder: Path
    meter: Meter
    on_epoch: EpochCallback | None
    start: SequenceAutoencoder | None
    anchors: dict[str, Anchor]

    def job(self, name: str) -> StageJob:
        """One stage."""
        anchor = self.anchors.get(name)
        return StageJob(name, self.prepared, self.config, folder=self.folder, anchor=anchor)

    def fit(self, name: str, fixed: FixedParts) -> dict[str, list[float]]:
        """Run, resume or reuse one stage: per metric one value per pass."""
        return run_stage(self.job(name), fixed, meter=self.meter, on_epoch=self.on_epoch)


def _fit_forecast(
    run: _Run, fixed: FixedParts
) -> tuple[EncoderChoice, dict[str, dict[str, list[float]]]]:
    """Train the forecast part, or fix it to the profile where that is all that is sound."""
    prepared, config, decided = run.prepared, run.config, run.folder / ENCODER
    choice = EncoderChoice.kept(decided)
    if choice is None:
        forced = (
            forced_choice(prepared, config, as_of=run.as_of)
            if run.start is None
            else inherited_choice(run.start)
        )
        choice = forced and forced.keep(decided)
    run.meter.expect(run.job(FORECAST).n_steps + run.job(TASTE).n_steps)
    if choice is None or choice.kind == HYBRID:
        fresh = {name: value.clone() for name, value in prepared.model.state_dict().items()}
        curves = run.fit(FORECAST, fixed)
        choice = choice or compared_choice(prepared, config, as_of=run.as_of).keep(decided)
        if choice.kind == HYBRID:
            return choice, {FORECAST: curves}
        prepared.model.load_state_dict(fresh)
        run.meter.expect(run.job(HEADS).n_steps)
    if run.start is None:
        read_profile_only(prepared, config, as_of=run.as_of)
    return choice, {HEADS: run.fit(HEADS, fixed)}


def _fit_taste(run: _Run, fixed: FixedParts) -> dict[str, list[float]]:
    """Train the taste part and the decoder beside the forecast part as it is now."""
    if not run.job(TASTE).weights.exists():
        forecast = read_forecast_parts(run.prepared, run.config, fixed)
        fixed = replace(fixed, forecast=forecast)
        if run.start is None:
            set_forecast_scale(run.prepared, forecast)
    return run.fit(TASTE, fixed)


def read_profiles(prepared: Prepared, config: TrainConfig) -> FixedParts:
    """The profile of every history, once for all passes.

    Parameters
    ----------
    prepared, config
        What is learned from, and how.
    """

    def profile(batch: HistoryBatch) -> Tensor:
        return prepared.model.profile(batch.history)

    return FixedParts(_read_all(prepared, config, profile, whole=True))


def read_forecast_parts(prepared: Prepared, config: TrainConfig, fixed: FixedParts) -> Tensor:
    """The forecast part of every history, float32 [S, forecast_dimensions].

    Parameters
    ----------
    prepared, config
        With the forecast part trained.
    fixed
        From `read_profiles`.
    """
    model = prepared.model

    def forecast_part(batch: HistoryBatch) -> Tensor:
        profile = fixed.profile[torch.from_numpy(batch.rows)]
        return model.forecast_encoder(batch.history, profile)

    return _read_all(prepared, config, forecast_part, whole=False)


def set_forecast_scale(prepared: Prepared, forecast: Tensor) -> None:
    """Let the decoder read the forecast part in units of its spread over what is learned from.

    Parameters
    ----------
    prepared
        The scale of its model is set.
    forecast
        float32 [S, forecast_dimensions], of every history.
    """
    spread = forecast[torch.from_numpy(~prepared.histories.validation)].std(0, correction=0)
    prepared.model.forecast_scale.copy_(torch.where(spread > 0, spread, 1.0))


def _read_all(
    prepared: Prepared,
    config: TrainConfig,
    what: Callable[[HistoryBatch], Tensor],
    *,
    whole: bool,
) -> Tensor:
    """Something of every history, in an order that no later pass changes: float32 [S, W]."""
    prepared.model.eval()
    sizes = batch_sizes(config, prepared.model, users=config.forecast_batch_users)
    batches = prepared.all_batches(sizes)
    rows, parts = [], []
    with torch.no_grad():
        for batch in batches.whole() if whole else batches:
            rows.append(torch.from_numpy(batch.rows))
            parts.append(what(batch))
    read = torch.cat(parts)
    return torch.empty_like(read).index_copy_(0, torch.cat(rows), read)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Fix torch's global generators for initial weights, dropout and noise, then restore them."""
    with torch.random.fork_rng():
        seed_generators(seed)
        yield


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
