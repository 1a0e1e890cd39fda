"""One event to one vector: what happened, how much, and when relative to the event before."""

import math

import torch
from torch import Tensor, nn

from segmenter.autoencoder.activity import visit_starts
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import Vocabulary

SECOND_US = 1_000_000


def gaps_in_seconds(batch: EventBatch) -> Tensor:
    """Seconds since the user's previous event, float32 [E]; 0 for a first event."""
    gaps = torch.zeros(len(batch.times), device=batch.times.device)
    if len(gaps) > 1:
        gaps[1:] = (batch.times[1:] - batch.times[:-1]).double().div(SECOND_US).float()
        gaps[batch.starts[(batch.lengths > 0) & (batch.starts > 0)]] = 0
    return gaps


def signed_log(values: Tensor) -> Tensor:
    """``sign(x) log(1 + |x|)``, so that returns and large sums stay in range."""
    return torch.sign(values) * torch.log1p(values.abs())


class EventEncoder(nn.Module):
    """Sum of field embeddings and a linear map of the event's numbers, layer-normalised.

    Parameters
    ----------
    vocabulary
        The model's fields.
    dimensions
        Width of an event vector.

    Notes
    -----
    Time enters as the gap to the previous event and as hour and weekday on circles, never as an
    absolute date, so that events after the training period are encoded like those inside it.
    """

    def __init__(self, vocabulary: Vocabulary, dimensions: int) -> None:
        super().__init__()
        self.fields = vocabulary.categorical
        self.numeric = vocabulary.numeric
        self.embeddings = nn.ModuleList(
            nn.Embedding(vocabulary.size(name), dimensions) for name in self.fields
        )
        for table in self.embeddings:
            nn.init.normal_(table.weight, std=0.3)
        self.numbers = nn.Linear(6 + len(self.numeric), dimensions)
        self.norm = nn.LayerNorm(dimensions)

    def forward(self, batch: EventBatch) -> Tensor:
        """Event vectors, float32 [E, dimensions]."""
        return self.vectors(batch, gaps_in_seconds(batch), visit_starts(batch))

    def vectors(self, batch: EventBatch, gaps: Tensor, opens: Tensor) -> Tensor:
        """Event vectors of events whose predecessors need not be in the batch.

        Parameters
        ----------
        batch
            E events, in any number of histories.
        gaps
            float32 [E], seconds since the user's event before.
        opens
            bool [E], whether an event opens a visit.

        Returns
        -------
        Tensor
            float32 [E, dimensions].
        """
        vectors = self.numbers(self._numbers(batch, gaps, opens))
        for name, table in zip(self.fields, self.embeddings, strict=True):
            vectors = vectors + table(batch.codes[name])
        return self.norm(vectors)

    def _numbers(self, batch: EventBatch, gaps: Tensor, opens: Tensor) -> Tensor:
        """Gap, visit start, clock and values of each event, float32 [E, 6 + numeric fields]."""
        hour_us = 3600 * SECOND_US
        hour = (batch.times % (24 * hour_us)).float() / (24 * hour_us) * (2 * math.pi)
        week = (batch.times % (168 * hour_us)).float() / (168 * hour_us) * (2 * math.pi)
        columns = [
            torch.log1p(gaps) / 8,  # about 1 at an hour, 1.6 at six days
            opens.float(),
            torch.sin(hour),
            torch.cos(hour),
            torch.sin(week),
            torch.cos(week),
        ]
        columns += [signed_log(torch.nan_to_num(batch.numbers[name])) for name in self.numeric]
        return torch.stack(columns, dim=1)
