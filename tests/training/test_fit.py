"""Training the network: it learns, in two stages, and a disturbed training ends like any other."""

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from segmenter.audience_model import embed_batch, embed_users
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.errors import FitError
from segmenter.events.batches import SequenceReader
from segmenter.events.store import EventStore
from tests.models import SMALL
from tests.training.conftest import plant
from training.config import TrainConfig
from training.data import HistoryBatches
from training.fit import FittedNetwork, fit_network
from training.lightning_module import FixedParts, ForecastStage, Stage, TasteStage
from training.prepare import batch_sizes, prepare
from training.stages import load_weights, save_weights

CONFIG = TrainConfig(
    encoder="hybrid",
    n_cuts=2,
    min_events=3,
    validation_share=0.2,
    forecast_epochs=2,
    taste_epochs=2,
    forecast_batch_users=32,
    model=SMALL,
)


@dataclass
class Run:
    """One call of `fit_network` and what it told."""

    folder: Path
    network: FittedNetwork | None = None
    passes: list[tuple[str, int]] = field(default_factory=list)
    told: list[dict[str, float]] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)

    def weights(self) -> dict[str, torch.Tensor]:
        """Every weight and buffer of the trained network."""
        assert self.network is not None
        return self.network.model.state_dict()


def run_fit(
    store: EventStore,
    folder: Path,
    *,
    config: TrainConfig = CONFIG,
    at_step: Callable[[int], None] | None = None,
) -> Run:
    """Train; `at_step` may raise at any step of the progress."""
    run = Run(folder)

    def on_epoch(stage: str, number: int, metrics: dict[str, float]) -> None:
        run.passes.append((stage, number))
        run.told.append(metrics)

    def progress(done: int, total: int) -> None:
        run.steps.append((done, total))
        if at_step is not None:
            at_step(done)

    run.network = fit_network(
        store,
        config,
        as_of=store.newest,
        folder=folder,
        on_epoch=on_epoch,
        progress=progress,
    )
    return run


def differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    """Names of the weights that are not equal to the last bit."""
    assert list(one) == list(other)
    return [name for name, value in one.items() if not torch.equal(value, other[name])]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EventStore:
    return plant(tmp_path_factory.mktemp("fit"), 120, seed=2, n_days=30).store


@pytest.fixture(scope="module")
def undisturbed(store: EventStore, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_fit(store, tmp_path_factory.mktemp("undisturbed"))


def test_losses_are_finite_and_fall_in_both_stages(undisturbed: Run) -> None:
    curves = undisturbed.network.curves
    assert list(curves) == ["forecast", "taste"]
    for metrics in curves.values():
        values = np.array(list(metrics.values()))
        assert values.shape[1] == 2
        assert np.isfinite(values).all()
        for part in ("train", "validation"):
            terms = [metrics[name] for name in metrics if name.startswith(part)]
            loss = np.array(metrics[f"{part} loss"])
            np.testing.assert_allclose(loss, sum(map(np.array, terms)) - loss, rtol=1e-5)
            assert loss[0] > loss[1]


def test_each_pass_is_told_once_with_the_figures_that_are_kept(undisturbed: Run) -> None:
    stages = [(stage, number) for stage in ("forecast", "taste") for number in range(2)]
    assert undisturbed.passes == stages
    curves = undisturbed.network.curves
    for (stage, number), metrics in zip(undisturbed.passes, undisturbed.told, strict=True):
        kept = json.loads((undisturbed.folder / f"{stage}-curves.json").read_text())
        assert kept == curves[stage]
        assert metrics == {name: values[number] for name, values in kept.items()}


def test_progress_counts_every_step_of_both_stages(undisturbed: Run) -> None:
    total = len(undisturbed.steps)
    assert undisturbed.steps == [(step + 1, total) for step in range(total)]


def test_the_second_stage_leaves_the_forecast_part_as_it_was(undisturbed: Run) -> None:
    before, after = [
        SequenceAutoencoder.from_description(undisturbed.network.model.description())
        for _ in range(2)
    ]
    load_weights(before, undisturbed.folder / "forecast.safetensors")
    load_weights(after, undisturbed.folder / "taste.safetensors")
    changed = {
        name.partition(".")[0] for name in differing(before.state_dict(), after.state_dict())
    }
    assert changed == {"taste_encoder", "decoder", "profile_from_both", "forecast_scale"}
    assert differing(after.state_dict(), undisturbed.weights()) == []


def test_noise_dropout_and_crops_work_while_learning_and_only_then(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning trains in the mode that it finds a module in."""
    modes: list[tuple[bool, bool]] = []
    noisy = SequenceAutoencoder._noisy

    def watched(model: SequenceAutoencoder, latent: torch.Tensor) -> torch.Tensor:
        modes.append((torch.is_grad_enabled(), model.training))
        return noisy(model, latent)

    monkeypatch.setattr(SequenceAutoencoder, "_noisy", watched)
    run = run_fit(store, tmp_path)
    assert set(modes) == {(True, True), (False, False)}
    assert sum(learning for learning, _ in modes) == len(run.steps)


def test_the_decoder_reads_the_forecast_part_at_unit_scale(store, undisturbed: Run) -> None:
    network = undisturbed.network.model
    prepared = prepare(store, CONFIG, as_of=store.newest)
    batches = prepared.training_batches(batch_sizes(CONFIG, network, users=50))
    with torch.inference_mode():
        latents = [network.encode(batch.history) for batch in batches.whole()]
        forecast = torch.cat([network.decoder_input(latent) for latent in latents])
    spread = forecast[:, : network.config.forecast_dimensions].std(0, correction=0)
    np.testing.assert_allclose(spread.numpy(), 1.0, rtol=1e-4)


@pytest.fixture(scope="module")
def everybody(store: EventStore, undisturbed: Run) -> np.ndarray:
    """Embeddings of all users, each in batches of users with histories as long."""
    network = undisturbed.network.model
    return embed_users(network, store, np.arange(store.n_users), as_of=store.newest)


@settings(max_examples=15, deadline=None)
@given(chosen=st.lists(st.integers(0, 119), min_size=1, max_size=30, unique=True))
def test_a_vector_is_the_same_in_every_company(
    store, undisturbed: Run, everybody, *, chosen
) -> None:
    network = undisturbed.network.model
    reader = SequenceReader(store, network.vocabulary)
    some = embed_batch(network, reader.histories(np.array(chosen), store.newest))
    np.testing.assert_allclose(some, everybody[chosen], atol=1e-5)


def test_another_seed_gives_other_weights(store, undisturbed: Run, tmp_path: Path) -> None:
    other = run_fit(store, tmp_path, config=replace(CONFIG, seed=1))
    trained = {"forecast_encoder", "taste_encoder", "decoder"}
    names = differing(undisturbed.weights(), other.weights())
    assert trained <= {name.partition(".")[0] for name in names}


def steps_per_pass(store: EventStore) -> dict[str, int]:
    """Optimiser steps in one pass of each stage: batches of the users who are not held out."""
    prepared = prepare(store, CONFIG, as_of=store.newest)
    sizes = {"forecast": CONFIG.forecast_batch_users, "taste": CONFIG.taste_batch_users}
    return {
        stage: len(
            prepared.training_batches(batch_sizes(CONFIG, prepared.model, users=users), (0, 0))
        )
        for stage, users in sizes.items()
    }


@dataclass(frozen=True)
class Disturbance:
    """An exception after so many passes and steps of a stage, and the passes then missing."""

    stage: str
    n_passes: int
    n_steps: int
    missing: int
    kind: type[BaseException] = RuntimeError


@pytest.mark.parametrize(
    "what",
    [
        Disturbance("forecast", 0, 2, 4, KeyboardInterrupt),
        Disturbance("forecast", 1, 2, 3),
        Disturbance("taste", 0, 1, 2),
        Disturbance("taste", 1, 1, 1),
    ],
)
def test_a_disturbed_training_ends_with_the_same_weights(
    store, undisturbed: Run, tmp_path: Path, *, what: Disturbance
) -> None:
    per_pass = steps_per_pass(store)
    stop = what.n_passes * per_pass[what.stage] + what.n_steps
    stop += 2 * per_pass["forecast"] if what.stage == "taste" else 0

    def disturb(step: int) -> None:
        if step == stop:
            raise what.kind

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(what.kind):
        run_fit(store, tmp_path, at_step=disturb)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / "forecast.safetensors").exists() == (what.stage == "taste")
    assert not (tmp_path / "taste.safetensors").exists()

    again = run_fit(store, tmp_path)
    assert again.passes == undisturbed.passes[-what.missing :]
    assert again.network.curves == undisturbed.network.curves
    assert differing(again.weights(), undisturbed.weights()) == []


def test_finished_stages_are_not_run_again(store, undisturbed: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.folder.iterdir()}
    again = run_fit(store, undisturbed.folder)
    assert (again.passes, again.steps) == ([], [])
    assert again.network.curves == undisturbed.network.curves
    assert differing(again.weights(), undisturbed.weights()) == []
    assert {path: path.stat().st_mtime_ns for path in undisturbed.folder.iterdir()} == before


def test_only_finished_stages_stay_in_the_folder(undisturbed: Run) -> None:
    kept = {path.name for path in undisturbed.folder.iterdir()}
    assert kept == {
        f"{stage}{end}"
        for stage in ("forecast", "taste")
        for end in (".safetensors", "-curves.json")
    } | {"encoder.json"}


class Trap:
    """Runs a program when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_is_never_unpickled(store, tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {}, "callbacks": Trap(tmp_path / "sprung")}, tmp_path / "forecast-last.ckpt"
    )
    with pytest.raises(Exception, match="Weights only load failed"):
        run_fit(store, tmp_path)
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "forecast.safetensors").exists()


def fixed_parts(batches: HistoryBatches, model: SequenceAutoencoder) -> FixedParts:
    """Profile and forecast part of every history, from its events."""
    profile = torch.zeros(len(batches.histories), model.profile.size)
    forecast = torch.zeros(len(profile), model.config.forecast_dimensions)
    with torch.inference_mode():
        for batch in batches.whole():
            rows = torch.from_numpy(batch.rows)
            profile[rows] = model.profile(batch.history)
            forecast[rows] = model.encode(batch.history).forecast
    return FixedParts(profile, forecast)


def validation_loss(
    store: EventStore, config: TrainConfig, model: SequenceAutoencoder
) -> list[float]:
    """Mean loss per held-out history of both stages, worked out without Lightning."""
    prepared = prepare(store, config, as_of=store.newest)
    sizes = {"forecast": config.forecast_batch_users, "taste": config.taste_batch_users}
    means = []
    fixed = fixed_parts(prepared.all_batches(batch_sizes(config, model, users=50)), model)
    for stage, users in sizes.items():
        batches = prepared.validation_batches(batch_sizes(config, model, users=users))
        kind: type[Stage] = ForecastStage if stage == "forecast" else TasteStage
        module = kind(
            model,
            fixed=fixed,
            training_batches=lambda _: [],
            validation_batches=[],
            n_steps=1,
            learning_rate=1,
        ).eval()
        with torch.inference_mode():
            losses = [float(sum(module.losses(batch).values())) for batch in batches]
        means.append(np.average(losses, weights=[len(batch.history) for batch in batches]))
    return means


def test_the_best_pass_is_kept_and_a_stage_that_gets_no_better_stops(store, tmp_path) -> None:
    config = replace(CONFIG, learning_rate=0.2, forecast_epochs=8, taste_epochs=8, patience=1)
    run = run_fit(store, tmp_path, config=config)
    found = validation_loss(store, config, run.network.model)
    for loss, (stage, metrics) in zip(found, run.network.curves.items(), strict=True):
        curve = metrics["validation loss"]
        assert np.argmin(curve) == len(curve) - 2, stage
        assert len(curve) < 8
        assert loss == pytest.approx(min(curve), rel=1e-4)


def test_without_held_out_users_every_pass_is_run_and_the_last_is_kept(store, tmp_path) -> None:
    run = run_fit(
        store,
        tmp_path,
        config=replace(CONFIG, validation_share=0),
    )
    assert len(run.passes) == 4
    assert all(name.startswith("train") for name in run.network.curves["taste"])


def test_a_training_that_diverges_is_an_error_and_leaves_nothing_finished(store, tmp_path) -> None:
    with pytest.raises(FitError, match=r"forecast stage .* lower learning_rate \(1e\+30\)"):
        run_fit(store, tmp_path, config=replace(CONFIG, learning_rate=1e30))
    assert list(tmp_path.glob("*.safetensors")) == []


def test_training_neither_follows_nor_moves_the_random_numbers_of_others(
    store, undisturbed: Run, tmp_path: Path
) -> None:
    torch.rand(7)
    state = torch.get_rng_state()
    torch.set_num_threads(7)
    again = run_fit(store, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == 7
    torch.set_num_threads(1)
    assert differing(again.weights(), undisturbed.weights()) == []


def test_weights_come_back_as_they_were_saved(undisturbed: Run, tmp_path: Path) -> None:
    model = undisturbed.network.model
    save_weights(model, tmp_path / "weights.safetensors")
    again = SequenceAutoencoder.from_description(model.description())
    load_weights(again, tmp_path / "weights.safetensors")
    assert differing(again.state_dict(), model.state_dict()) == []
