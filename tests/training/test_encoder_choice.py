"""Hybrid or profile-only: decided by the data, said in words, the same after a kill."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from segmenter.audience_model import embed_users
from segmenter.events.batches import SequenceReader
from segmenter.events.store import EventStore
from tests.models import SMALL
from tests.training.conftest import plant
from training import encoder_choice
from training.config import TrainConfig
from training.encoder_choice import HYBRID, PROFILE, EncoderChoice, _better, forced_choice
from training.fit import FittedNetwork, fit_network
from training.prepare import prepare

CONFIG = TrainConfig(
    n_cuts=2,
    min_events=3,
    forecast_epochs=1,
    taste_epochs=1,
    forecast_batch_users=64,
    model=SMALL,
)
N_USERS = 90


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EventStore:
    return plant(tmp_path_factory.mktemp("few"), N_USERS, seed=3, n_days=30).store


def fit(store: EventStore, folder: Path, config: TrainConfig = CONFIG) -> FittedNetwork:
    return fit_network(store, config, as_of=store.newest, folder=folder)


def embeddings(store: EventStore, network: FittedNetwork) -> np.ndarray:
    users = np.arange(store.n_users)
    return embed_users(network.model, store, users, as_of=store.newest)


@pytest.fixture(scope="module")
def few(store: EventStore, tmp_path_factory: pytest.TempPathFactory) -> FittedNetwork:
    return fit(store, tmp_path_factory.mktemp("fit"))


def test_few_users_fall_back_to_the_profile_and_it_says_why(few: FittedNetwork) -> None:
    assert few.encoder.kind == PROFILE
    assert "90 users are fewer than the 1,000" in few.encoder.reason
    assert list(few.curves) == ["heads", "taste"]


def test_the_forecast_part_is_then_the_principal_components_of_the_profiles(
    store: EventStore, few: FittedNetwork
) -> None:
    reader = SequenceReader(store, few.model.vocabulary)
    everybody = np.arange(store.n_users)
    with torch.inference_mode():
        profiles = few.model.profile(reader.histories(everybody, store.newest)).numpy()
    width = SMALL["forecast_dimensions"]
    expected = PCA(width, svd_solver="full").fit_transform(profiles)
    found = embeddings(store, few)[:, :width]
    found = found - found.mean(axis=0)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)


def test_a_log_without_time_after_any_cut_falls_back_too(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(store, CONFIG, as_of=store.newest)
    monkeypatch.setattr(encoder_choice, "MIN_USERS", N_USERS)
    assert forced_choice(prepared, CONFIG, as_of=store.newest) is None
    timeless = replace(prepared, histories=replace(prepared.histories, window_days=0.0))
    choice = forced_choice(timeless, CONFIG, as_of=store.newest)
    assert choice is not None
    assert choice.kind == PROFILE
    assert "no time after any cut" in choice.reason


@pytest.mark.parametrize("kind", [HYBRID, PROFILE])
def test_the_settings_win_over_the_data(store: EventStore, tmp_path: Path, kind: str) -> None:
    network = fit(store, tmp_path, replace(CONFIG, encoder=kind))
    assert network.encoder.kind == kind
    assert network.encoder.reason == "the settings ask for it"


def test_with_enough_users_both_are_compared_on_the_earlier_slice(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_choice, "MIN_USERS", N_USERS)
    choice = fit(store, tmp_path).encoder
    assert choice.hybrid is not None
    assert choice.profile is not None
    assert f"{choice.hybrid:.3f}" in choice.reason
    assert f"{choice.profile:.3f}" in choice.reason


def test_the_profile_wins_only_when_ahead_by_more_than_a_standard_error() -> None:
    draws = np.random.default_rng(0).normal(0, 0.01, 200)
    hybrid = np.concatenate([[0.3], 0.3 + draws * 0])
    for gain, kind in ((-0.05, HYBRID), (0.005, HYBRID), (0.05, PROFILE)):
        profile = np.concatenate([[0.3 + gain], 0.3 + gain + draws])
        assert _better(hybrid, profile).kind == kind


def test_a_fallback_after_the_comparison_ends_like_one_that_was_resumed(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_choice, "MIN_USERS", N_USERS)
    monkeypatch.setattr("training.encoder_choice._better", lambda *_: EncoderChoice(PROFILE, "so"))
    at_once = fit(store, tmp_path / "at once")
    (tmp_path / "resumed").mkdir()
    EncoderChoice(PROFILE, "so").keep(tmp_path / "resumed" / "encoder.json")
    resumed = fit(store, tmp_path / "resumed")
    for name, value in at_once.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
