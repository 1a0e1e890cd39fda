"""How much what is decoded changes as a latent moves: the network's own measure of distance.

Two users are near when what is forecast for them is near. Directions of the latent that no head
reads, or that only the count of events reads, weigh as much as they change the forecast.
"""

import numpy as np
import torch
from torch import Tensor

from segmenter.autoencoder.forecast import ForecastHeads

MAX_USERS = 2_000
"""Users over whom the information is averaged; more are taken evenly."""
TEMPER = 0.25
"""Power of the information that gives the metric: the square root of the exact one, tempered.

The exact power, one half, lets the few directions that tell most hide all others.
"""


def forecast_information(heads: ForecastHeads, forecast: np.ndarray) -> np.ndarray:
    """Fisher information of the forecast heads about the forecast part, averaged over users.

    For a small step ``d`` of a latent, half of ``d' M d`` is how much the heads' weighted losses
    tell the two decoded forecasts apart.

    Parameters
    ----------
    heads
        Trained.
    forecast
        float32 [n, F], forecast parts of users.

    Returns
    -------
    numpy.ndarray
        float64 [F, F], symmetric and positive semi-definite.

    References
    ----------
    Arvanitidis, Hansen, Hauberg, "Latent Space Oddity", 2018: the decoder's pull-back metric.
    """
    step = max(1, -(-len(forecast) // MAX_USERS))
    latent = torch.from_numpy(np.ascontiguousarray(forecast[::step], dtype=np.float32))
    with torch.no_grad():
        information = heads.config.profile_weight * _of_numbers(
            heads.profile.weight.expand(1, -1, -1)
        )
        steepness = torch.func.vmap(torch.func.jacrev(heads.totals))(latent)
        information = information + heads.config.count_weight * _of_numbers(steepness)
        for field in range(len(heads.fields)):
            shares, occurs = heads.shares[field], heads.occurrences[field]
            share = torch.softmax(shares(latent), dim=1)
            information = information + heads.config.share_weight * _of_shares(
                shares.weight, share
            )
            weight = _occurrence_weights(heads, field, torch.sigmoid(occurs(latent)))
            information = information + heads.config.occurrence_weight * (
                occurs.weight.T.double() * weight @ occurs.weight.double()
            )
    symmetric: np.ndarray = ((information + information.T) / 2).numpy()
    return symmetric


def decoder_metric(information: np.ndarray) -> np.ndarray:
    """A map of the forecast part after which plain distance is decoded distance, tempered.

    Parameters
    ----------
    information
        float64 [F, F], from `forecast_information`.

    Returns
    -------
    numpy.ndarray
        float64 [F, F], symmetric.
    """
    values, directions = np.linalg.eigh(information)
    return (directions * np.maximum(values, 0) ** TEMPER) @ directions.T


def _of_numbers(steepness: Tensor) -> Tensor:
    """Information in the mean squared error of T numbers; their steepness is [n, T, F]."""
    steep = steepness.double()
    return 2 * torch.einsum("ntf,ntg->fg", steep, steep) / (steep.shape[0] * steep.shape[1])


def _of_shares(weight: Tensor, share: Tensor) -> Tensor:
    """Information in a distribution over V values: weight [V, F], shares [n, V]."""
    rows, each = weight.double(), share.double()
    middle = each @ rows
    spread = rows.T * each.mean(0) @ rows
    return spread - middle.T @ middle / len(each)


def _occurrence_weights(heads: ForecastHeads, field: int, chance: Tensor) -> Tensor:
    """Weight of each value's direction in the occurrence loss, float64 [V]."""
    variance = (chance * (1 - chance)).double().mean(0)
    return variance / heads.entropy(field).double() / variance.shape[0]
