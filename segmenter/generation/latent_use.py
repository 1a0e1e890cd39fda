"""Does the decoder use its latent? Sample quality alone hides a collapsed one.

Two answers: how much likelier a user's own latent makes the user's events than another's does, and
how much of a user's profile comes back when the latent is decoded freely.

References
----------
Bowman et al.: "Generating Sentences from a Continuous Space", CoNLL 2016, on collapse.
"""

import re
from dataclasses import dataclass

import numpy as np
import torch

from segmenter.autoencoder.decoder import crop
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.events.batches import EventBatch
from segmenter.generation.crowd import Crowd, decoder_input
from segmenter.generation.features import (
    CATEGORY,
    LENGTH,
    MIX,
    TIME,
    VALUE,
    Looks,
    Table,
    nan_mean,
)
from segmenter.generation.journeys import events_table, generate

N_DECODES = 6
BLOCKS = (
    (MIX, re.compile(f"{MIX}: share of")),
    (CATEGORY, re.compile(f"{CATEGORY}: share of")),
    (TIME, re.compile(f"{TIME}: mean gap$")),
    (VALUE, re.compile(f"{VALUE}: mean$")),
    (LENGTH, re.compile(f"{LENGTH}: events$")),
)
"""What a profile is: shares of types and of categories, gap, value and length, weighing alike."""


@dataclass(frozen=True)
class LatentUse:
    """How much of a journey its latent decides.

    Attributes
    ----------
    nats_per_event
        Negative log-likelihood of held-out users' events given their own latents.
    swap_gain
        Nats per journey lost when latents are exchanged between users; a collapsed decoder has 0.
    mean_gain
        The same when everybody gets the mean latent.
    profile_r2
        Share of the variance of profiles that comes back from freely decoded latents, over blocks.
    profile_r2_by_block
        The same for each block.
    """

    nats_per_event: float
    swap_gain: float
    mean_gain: float
    profile_r2: float
    profile_r2_by_block: dict[str, float]


def measure_latent_use(
    network: SequenceAutoencoder,
    crowd: Crowd,
    *,
    histories: EventBatch,
    embeddings: np.ndarray,
    looks: Looks,
    seed: int,
) -> LatentUse:
    """Measure on users whom the network did not learn from.

    Parameters
    ----------
    network
        Trained, in evaluation mode.
    crowd
        Users it learned from.
    histories
        The newest events of at least 2 other users, at most as many as the decoder reads.
    embeddings
        float32 [B, d] of them.
    looks
        What of a journey is looked at.
    seed
        Of the decodes.
    """
    latent = decoder_input(network, embeddings)
    own = _nll(network, latent, histories)
    swapped = _nll(network, latent.roll(1, dims=0), histories)
    mean = _nll(network, latent.mean(0, keepdim=True).expand_as(latent), histories)
    blocks = _profile_r2(
        network, crowd, histories=histories, embeddings=embeddings, looks=looks, seed=seed
    )
    return LatentUse(
        nats_per_event=float(own.sum() / histories.lengths.sum()),
        swap_gain=float((swapped - own).mean()),
        mean_gain=float((mean - own).mean()),
        profile_r2=float(np.mean(list(blocks.values()))),
        profile_r2_by_block=blocks,
    )


def _nll(
    network: SequenceAutoencoder, latent: torch.Tensor, histories: EventBatch
) -> torch.Tensor:
    """Negative log-likelihood of each history, float32 [B], nats."""
    part = crop(histories, network.config.sequence_events)
    with torch.inference_mode():
        links = network.decoder.step_nll(latent, part)
        per_event = torch.stack(list(links.values())).sum(0)
        return latent.new_zeros(len(histories)).index_add(0, part.events.owner, per_event)


def _profile_r2(
    network: SequenceAutoencoder,
    crowd: Crowd,
    *,
    histories: EventBatch,
    embeddings: np.ndarray,
    looks: Looks,
    seed: int,
) -> dict[str, float]:
    """Share of the variance of each block of the profile that free decodes recover."""
    real = looks.table(events_table(histories, network.vocabulary))
    decoded = []
    for one in range(N_DECODES):
        made = generate(network, crowd, embeddings, seed=seed * N_DECODES + one)
        decoded.append(looks.table(events_table(made.batch, network.vocabulary)).values)
    mean = Table(nan_mean(np.stack(decoded)), real.names)
    found = {}
    for block, pattern in BLOCKS:
        chosen = [place for place, name in enumerate(real.names) if pattern.match(name)]
        truth, guess = real.values[:, chosen], mean.values[:, chosen]
        known = ~np.isnan(truth) & ~np.isnan(guess)
        total = np.where(known, (truth - nan_mean(truth)) ** 2, 0).sum()
        if total > 0:
            found[block] = float(1 - np.where(known, (truth - guess) ** 2, 0).sum() / total)
    return found
