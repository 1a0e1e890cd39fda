"""Distance by what is decoded: a small step costs what the losses say it does."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, strategies as st

from segmenter.autoencoder.forecast import ForecastHeads
from segmenter.autoencoder.sensitivity import decoder_metric, forecast_information
from tests.autoencoder.test_model import SIZES, VOCABULARY

PROFILE = 9


def heads_of(seed: int, **weights: float) -> ForecastHeads:
    """Heads with random weights and base rates."""
    config = replace(SIZES, forecast_dimensions=5, **weights)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        heads = ForecastHeads(VOCABULARY, config, PROFILE)
        for field in range(len(heads.fields)):
            heads.base_rate(field).uniform_(0.05, 0.95)
        for weight in heads.parameters():
            weight.data.normal_(0, 0.7)
    return heads.double().eval()


def divergence(heads: ForecastHeads, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """How much the weighted losses tell two decoded forecasts apart, float64 [n]."""
    config = heads.config
    total = config.profile_weight * (heads.profile(one) - heads.profile(other)).square().mean(1)
    moved = heads.totals(one) - heads.totals(other)
    total = total + config.count_weight * moved.square().mean(1)
    for field in range(len(heads.fields)):
        p, q = [torch.log_softmax(heads.shares[field](z), dim=1) for z in (one, other)]
        total = total + config.share_weight * (p.exp() * (p - q)).sum(1)
        a, b = [torch.sigmoid(heads.occurrences[field](z)) for z in (one, other)]
        each = a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log()
        total = total + config.occurrence_weight * (each / heads.entropy(field)).mean(1)
    return total


@given(seed=st.integers(0, 1_000))
def test_half_the_information_of_a_small_step_is_what_the_losses_tell_apart(seed: int) -> None:
    heads = heads_of(seed)
    generator = np.random.default_rng(seed)
    latent = generator.normal(0, 1, (30, 5)).astype(np.float32)
    step = generator.normal(0, 1e-3, 5)
    information = forecast_information(heads.float(), latent)
    exact = heads.double()
    start = torch.from_numpy(latent).double()
    apart = divergence(exact, start, start + torch.from_numpy(step))
    expected = float(apart.detach().mean())
    np.testing.assert_allclose(step @ information @ step / 2, expected, rtol=0.02)


@given(seed=st.integers(0, 1_000))
def test_information_is_symmetric_and_never_negative(seed: int) -> None:
    latent = np.random.default_rng(seed).normal(0, 1, (12, 5)).astype(np.float32)
    information = forecast_information(heads_of(seed).float(), latent)
    np.testing.assert_array_equal(information, information.T)
    assert np.linalg.eigvalsh(information).min() > -1e-9


def test_a_direction_that_no_head_reads_has_no_length() -> None:
    heads = heads_of(0).float()
    with torch.no_grad():
        for weight in heads.parameters():
            if weight.ndim == 2 and weight.shape[1] == 5:
                weight[:, 2] = 0
    latent = np.random.default_rng(0).normal(0, 1, (40, 5)).astype(np.float32)
    metric = decoder_metric(forecast_information(heads, latent))
    assert np.abs(metric[2]).max() < 1e-2 * np.abs(metric).max()


def test_four_times_the_metric_is_the_information() -> None:
    latent = np.random.default_rng(1).normal(0, 1, (40, 5)).astype(np.float32)
    information = forecast_information(heads_of(1).float(), latent)
    np.testing.assert_allclose(
        np.linalg.matrix_power(decoder_metric(information), 4), information, atol=1e-9
    )
