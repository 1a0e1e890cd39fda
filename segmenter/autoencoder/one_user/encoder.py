"""Embeddings of one user at a time, from a network's weights."""

import math

import numpy as np
import torch
from torch import nn

from segmenter.autoencoder.activity import VISIT_PAUSE_US
from segmenter.autoencoder.encoder import SequenceBranch
from segmenter.autoencoder.event_encoder import SECOND_US
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.autoencoder.one_user.events import FieldCoder, UserEvents
from segmenter.autoencoder.one_user.scan import scan
from segmenter.autoencoder.one_user.sums import HistorySums, features_of, recent_of, sums_of
from segmenter.autoencoder.profile import MAX_SCORE, N_QUANTILES

HOUR_US = 3600 * SECOND_US
HALF_ROOT = np.float32(math.sqrt(0.5))
PERIODS_US = np.array([[24 * HOUR_US], [168 * HOUR_US]])


def array(tensor: torch.Tensor) -> np.ndarray:
    """A weight as an array that shares nothing with the network."""
    return tensor.detach().cpu().numpy().copy()


class OneUserEncoder:
    """What `SequenceAutoencoder.encode` gives for a batch of one, at a fraction of its cost.

    Parameters
    ----------
    network
        The trained network, in evaluation mode; its weights are copied.

    Attributes
    ----------
    coder
        Turns values into codes.
    n_newest
        Events that the sequence branches read.
    """

    def __init__(self, network: SequenceAutoencoder) -> None:
        self.coder = FieldCoder(network.vocabulary)
        self.recent_days = np.array(network.config.recent_days, dtype=np.float32)
        self.profile = _Profile(network)
        self.sequences = _Sequences(
            (network.forecast_encoder.sequence, network.taste_encoder.sequence)
        )
        self.n_newest = max(self.sequences.n_events)
        forecast, taste = network.forecast_encoder, network.taste_encoder
        self._deep = [
            (array(layer.weight).T, array(layer.bias))
            for layer in forecast.from_profile_deep
            if isinstance(layer, nn.Linear)
        ]
        pairs = (
            (forecast.from_profile, forecast.from_sequence),
            (taste.from_profile, taste.from_sequence),
        )
        self._heads = [
            (array(profile.weight), array(sequence.weight), array(profile.bias + sequence.bias))
            for profile, sequence in pairs
        ]

    def embed(self, events: UserEvents, *, as_of: int) -> np.ndarray:
        """Embedding float32 [D] of a user from all events, of which there is at least one.

        Parameters
        ----------
        events
            Whole history.
        as_of
            Microseconds, not before the newest event.
        """
        recent = recent_of(events.times, events.numbers, as_of=as_of, recent_days=self.recent_days)
        return self.embed_sums(sums_of(events, self.coder), recent, events, as_of=as_of)

    def embed_sums(
        self, sums: HistorySums, recent: np.ndarray, newest: UserEvents, *, as_of: int
    ) -> np.ndarray:
        """Embedding float32 [D] from what a history adds up to, and its newest events.

        Parameters
        ----------
        sums, recent
            Of the whole history, see `sums_of` and `recent_of`.
        newest
            At least the last `n_newest` events.
        as_of
            Microseconds.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # too large is infinite, as in torch
            features = features_of(sums, recent, self.coder, as_of=as_of)
            profile = self.profile.of(sums, features)
            pooled = self.sequences.pooled(newest.tail(self.n_newest))
            return self._joined_heads(profile, pooled)

    def _joined_heads(self, profile: np.ndarray, pooled: list[np.ndarray]) -> np.ndarray:
        """Both parts of the latent, float32 [D]."""
        parts = [
            weight @ profile + sequence_weight @ seen + bias
            for (weight, sequence_weight, bias), seen in zip(self._heads, pooled, strict=True)
        ]
        (first, first_bias), (second, second_bias) = self._deep
        hidden = profile @ first + first_bias
        # The error function of torch alone: its gelu costs a tenth of the whole.
        gelu = hidden * (1 + torch.erf(torch.from_numpy(hidden * HALF_ROOT)).numpy()) / 2
        parts[0] += gelu @ second + second_bias
        return np.concatenate(parts)


class _Profile:
    """The profile branch."""

    def __init__(self, network: SequenceAutoencoder) -> None:
        branch, n_fields = network.profile, len(network.vocabulary.categorical)
        self.coder = FieldCoder(network.vocabulary)
        self.idf = np.concatenate([array(branch.idf(field)) for field in range(n_fields)])
        directions = [array(branch.directions(field)) for field in range(n_fields)]
        self.directions = np.concatenate(directions) / array(branch.what_scale)
        self.kept, self.quantiles = array(branch.kept), array(branch.quantiles)

    def of(self, sums: HistorySums, features: np.ndarray) -> np.ndarray:
        """Profile float32 [P]."""
        weights = (1 + np.log(sums.counts.astype(np.float32))) * self.idf[sums.codes]
        fields = self.coder.field_of[sums.codes]
        lengths = np.sqrt(np.bincount(fields, np.square(weights), len(self.coder.starts)))
        what = (weights / lengths[fields]).astype(np.float32) @ self.directions[sums.codes]
        return np.concatenate([what, self._scores(features[self.kept])])

    def _scores(self, values: np.ndarray) -> np.ndarray:
        """See `segmenter.autoencoder.profile.normal_scores`; float32 [F]."""
        grid, rows = self.quantiles, np.arange(len(values))
        right = np.count_nonzero(grid <= values[:, None], axis=1)
        left = np.count_nonzero(grid < values[:, None], axis=1)
        below = np.clip(right - 1, 0, N_QUANTILES - 2)
        low, high = grid[rows, below], grid[rows, below + 1]
        step = np.clip((values - low) / np.maximum(high - low, np.float32(1e-12)), 0, 1)
        rank = np.where(right > left, (left + right - 1) / 2, below + step).astype(np.float32)
        share = np.clip(rank / (N_QUANTILES - 1), np.float32(1e-7), np.float32(1 - 1e-7))
        scores = torch.erfinv(torch.from_numpy(2 * share - 1)).numpy() * np.float32(math.sqrt(2))
        return np.clip(scores, -MAX_SCORE, MAX_SCORE)


class _Sequences:
    """Both sequence branches side by side: arrays have an axis of 2 for them."""

    def __init__(self, branches: tuple[SequenceBranch, SequenceBranch]) -> None:
        encoders = [branch.events for branch in branches]
        self.n_events = [branch.n_events for branch in branches]
        tables = [
            np.concatenate([array(table.weight) for table in encoder.embeddings])
            for encoder in encoders
        ]
        self.table = np.concatenate(tables, axis=1)
        self.numbers = np.concatenate([array(one.numbers.weight).T for one in encoders], axis=1)
        self.bias = np.concatenate([array(one.numbers.bias) for one in encoders])
        self.scale = np.stack([array(one.norm.weight) for one in encoders])
        self.shift = np.stack([array(one.norm.bias) for one in encoders])
        self.epsilon = encoders[0].norm.eps
        layers = [branch.recurrent.gate_and_candidate for branch in branches]
        self.gates = np.stack([array(layer.weight).T for layer in layers])
        self.gate_bias = np.stack([array(layer.bias) for layer in layers])[:, None]

    def pooled(self, events: UserEvents) -> list[np.ndarray]:
        """Pooled states and the mean event vector of each branch."""
        vectors = self._vectors(events)
        both, half = vectors @ self.gates + self.gate_bias, self.gates.shape[2] // 2
        opening = 1 / (1 + np.exp(-both[:, :, :half]))
        keep, new = 1 - opening, opening * np.tanh(both[:, :, half:])
        starts = [max(len(events) - n_events, 0) for n_events in self.n_events]
        for branch, start in enumerate(starts):
            new[branch, :start] = 0  # what it does not read leaves no state
        states = scan(keep.transpose(1, 0, 2), new.transpose(1, 0, 2))
        pooled = []
        for branch, start in enumerate(starts):
            seen, read = states[start:, branch], vectors[branch, start:]
            n_read = len(read)
            parts = [seen.sum(0) / n_read, seen.max(0), seen[-1], read.sum(0) / n_read]
            pooled.append(np.concatenate(parts))
        return pooled

    def _vectors(self, events: UserEvents) -> np.ndarray:
        """Event vectors float32 [2, E, dimensions]."""
        seen = self._seen(events)
        known = self.table[events.codes].sum(axis=0) + self.bias
        width = self.scale.shape[1]
        halves = (slice(width), slice(width, None))
        summed = seen @ self.numbers + known
        vectors = np.stack([summed[:, half] for half in halves])
        for branch, n_events in enumerate(self.n_events):
            start = len(events) - n_events
            if start > 0:  # the oldest event that a branch reads has none before it
                first = seen[start].copy()
                first[:2] = 0, 1
                vectors[branch, start] = (first @ self.numbers + known[start])[halves[branch]]
        vectors -= vectors.sum(axis=2, keepdims=True) / width
        variance = np.square(vectors).sum(axis=2, keepdims=True) / width
        vectors /= np.sqrt(variance + self.epsilon)
        vectors *= self.scale[:, None]
        vectors += self.shift[:, None]
        return vectors

    def _seen(self, events: UserEvents) -> np.ndarray:
        """Gap, visit start, clock and values of each event, float32 [E, 6 + numeric fields]."""
        times = events.times
        seen = np.empty((6 + len(events.numbers), len(times)), dtype=np.float32)
        seen[0] = 0
        seen[0, 1:] = np.log1p(((times[1:] - times[:-1]) / SECOND_US).astype(np.float32)) / 8
        seen[1] = events.visit_starts(VISIT_PAUSE_US)
        angles = (times % PERIODS_US).astype(np.float32) / PERIODS_US.astype(np.float32)
        angles *= np.float32(2 * math.pi)
        np.sin(angles, out=seen[2:6:2])
        np.cos(angles, out=seen[3:6:2])
        values = np.where(np.isnan(events.numbers), np.float32(0), events.numbers)
        seen[6:] = np.sign(values) * np.log1p(np.abs(values))
        return seen.T
