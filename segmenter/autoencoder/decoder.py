"""The latent to the journey: bags of what happened, and the sequence step by step.

The bag heads read the latent alone, which keeps it from being ignored by the step decoder. The
step decoder reads the latent at every step, the previous event (some of them blanked in training)
and its progress, and decides each event as a chain: type, then the other fields, then the gap, the
hour and the numbers, each given what is decided so far.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segmenter.autoencoder.activity import distinct_values
from segmenter.autoencoder.config import AutoencoderConfig
from segmenter.autoencoder.encoder import pad
from segmenter.autoencoder.event_encoder import SECOND_US, EventEncoder, gaps_in_seconds
from segmenter.autoencoder.likelihoods import NumberClasses
from segmenter.autoencoder.recurrence import GatedRecurrence
from segmenter.events.batches import EventBatch, ragged_range
from segmenter.events.vocabulary import Vocabulary

GAP = "gap"
HOUR = "hour"
LARGE_HEAD = 256
"""Classes above which a head is trained on a sample of the events: its matrix costs the most."""
LARGE_HEAD_SHARE = 0.25


@dataclass(frozen=True)
class Crop:
    """Consecutive events of each user with their place in the history.

    Attributes
    ----------
    events
        The cropped events.
    position
        int64 [B], events of the decoded history before the crop.
    total
        int64 [B], length of the decoded history.
    before
        int64 [B], time of the event before the crop; of the first event where there is none.
    start, end
        int64 [B], times of the first and the last event of the decoded history, microseconds.
    """

    events: EventBatch
    position: Tensor
    total: Tensor
    before: Tensor
    start: Tensor
    end: Tensor


def crop(batch: EventBatch, n_events: int, start: Tensor | None = None) -> Crop:
    """Take `n_events` consecutive events per user: from `start` in [0, 1], or the newest.

    Parameters
    ----------
    batch
        Histories of B users.
    n_events
        Length of the crop; shorter histories are taken whole.
    start
        float32 [B], place of the crop within its room to move; None takes the newest events.
    """
    lengths = batch.lengths.clamp(max=n_events)
    room = batch.lengths - lengths
    position = room if start is None else (start * (room + 1)).long().clamp(max=room)
    events = batch.take(ragged_range(batch.starts + position, lengths), lengths)
    first, last = batch.starts, batch.starts + batch.lengths - 1
    before = (first + position - 1).maximum(first)
    if not len(batch.times):
        none = torch.zeros_like(position)
        return Crop(events, position, batch.lengths, none, none, none)
    times = batch.times
    last_place = len(times) - 1
    return Crop(
        events,
        position,
        batch.lengths,
        *(times[at.clamp(0, last_place)] for at in (before, first, last)),
    )


class JourneyDecoder(nn.Module):
    """Likelihood of a history given its latent.

    Parameters
    ----------
    vocabulary
        The model's fields.
    config
        Sizes.
    numbers
        Classes of the gap (seconds) and of each numeric field.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: AutoencoderConfig,
        numbers: dict[str, NumberClasses],
    ) -> None:
        super().__init__()
        self.config, self.numbers = config, numbers
        self.fields = vocabulary.categorical
        width = config.decoder_dimensions
        latent = config.forecast_dimensions + config.taste_dimensions
        sizes = {name: vocabulary.size(name) for name in self.fields}
        sizes |= {GAP: numbers[GAP].n_classes, HOUR: 24}
        sizes |= {name: numbers[name].n_classes for name in vocabulary.numeric}
        self.chain = tuple(sizes)
        self.events = EventEncoder(vocabulary, config.event_dimensions)
        knots = config.decoder_calendar
        n_places = 2 + (2 + knots if knots else 0)
        dates = torch.arange(float(knots), dtype=torch.float64)
        self.register_buffer("calendar", dates, persistent=knots > 0)
        self.recurrent = GatedRecurrence(config.event_dimensions + latent + n_places, width)
        self.from_latent = nn.Linear(latent, width)
        self.heads = nn.ModuleList(nn.Linear(width, size) for size in sizes.values())
        self.decided = nn.ModuleList(nn.Embedding(size, width) for size in sizes.values())
        self.bags = nn.ModuleList(nn.Linear(latent, sizes[name]) for name in self.fields)

    def classes(self, batch: EventBatch) -> dict[str, Tensor]:
        """Class of each link of the chain, int64 [E] each."""
        hour = batch.times // (3600 * SECOND_US) % 24
        targets = {name: batch.codes[name] for name in self.fields}
        targets |= {GAP: self.numbers[GAP].encode(gaps_in_seconds(batch)), HOUR: hour}
        targets |= {
            name: self.numbers[name].encode(values) for name, values in batch.numbers.items()
        }
        return targets

    def bag_nll(self, latent: Tensor, batch: EventBatch) -> dict[str, Tensor]:
        """Negative log-likelihood of each field's histogram from the latent alone.

        Returns
        -------
        dict
            Per field float32 [B], nats per event with a value; 0 for users without one.
        """
        result = {}
        for name, head in zip(self.fields, self.bags, strict=True):
            logits = head(latent)
            owner, code, count = distinct_values(batch, name, logits.shape[1])
            log_p = torch.log_softmax(logits, dim=1)[owner, code]
            total = latent.new_zeros(len(latent)).index_add(0, owner, count)
            nll = latent.new_zeros(len(latent)).index_add(0, owner, -count * log_p)
            result[name] = nll / total.clamp(min=1)
        return result

    def step_nll(
        self, latent: Tensor, part: Crop, blank: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Negative log-likelihood of each event of a crop, link by link.

        Parameters
        ----------
        latent
            float32 [B, latent].
        part
            The events to decode.
        blank
            bool [E]: events whose vector is hidden from the step after them.

        Returns
        -------
        dict
            Per link of the chain float32 [E], nats; in training the largest heads answer for a
            random share of the events only.
        """
        states = self._states(latent, part, blank)
        decided = states
        result = {}
        targets = self.classes(part.events)
        for name, head, table in zip(self.chain, self.heads, self.decided, strict=True):
            read, target = decided, targets[name]
            if self.training and head.out_features > LARGE_HEAD:
                sample = torch.rand(len(target), device=target.device) < LARGE_HEAD_SHARE
                read, target = decided[sample], target[sample]
            result[name] = nn.functional.cross_entropy(head(read), target, reduction="none")
            decided = decided + table(targets[name])
        return result

    def _states(self, latent: Tensor, part: Crop, blank: Tensor | None) -> Tensor:
        """Decoder state before each event, float32 [E, decoder_dimensions]."""
        batch = part.events
        vectors = self.events(batch)
        if blank is not None:
            vectors = vectors.masked_fill(blank[:, None], 0.0)
        padded, real = pad(vectors, batch.lengths)
        previous = torch.cat([torch.zeros_like(padded[:, :1]), padded[:, :-1]], dim=1)
        steps = torch.arange(padded.shape[1], device=latent.device)
        place = part.position[:, None] + steps
        times, _ = pad(batch.times[:, None], batch.lengths)
        clock = torch.cat([part.before[:, None], times[:, :-1, 0]], dim=1)
        ends = torch.stack([part.start, part.end], dim=1)[:, None]
        progress = self._progress(place, part.total[:, None], clock=clock, ends=ends)
        repeated = latent[:, None].expand(-1, padded.shape[1], -1)
        states = self.recurrent(torch.cat([previous, repeated, progress], dim=2))
        return (states + self.from_latent(latent)[:, None])[real]

    def advance(
        self,
        state: Tensor,
        previous: Tensor,
        latent: Tensor,
        *,
        place: int,
        total: Tensor,
        clock: Tensor,
        ends: Tensor,
    ) -> Tensor:
        """Recurrent state before one more event of each history.

        What the links of the chain read is this state and ``from_latent(latent)`` together.

        Parameters
        ----------
        state
            float32 [B, decoder_dimensions], before the event before; zeros at the start.
        previous
            float32 [B, event_dimensions], vectors of the events before; zeros at the start.
        latent
            float32 [B, latent].
        place
            Events before this one.
        total
            int64 [B], length of each history.
        clock
            int64 [B], time of the event before, of the first event at the start; microseconds.
        ends
            int64 [B, 2], times of the first and the last event.
        """
        progress = self._progress(torch.full_like(total, place), total, clock=clock, ends=ends)
        return self.recurrent.advance(state, torch.cat([previous, latent, progress], dim=1))

    def set_calendar(self, times: Tensor) -> None:
        """Place the knots of the calendar evenly over the events of the training period.

        Parameters
        ----------
        times
            int64 [E], of many events.
        """
        parts = torch.linspace(0, 1, len(self.calendar), dtype=torch.float64)
        if len(parts):
            knots = torch.quantile(times.double() / SECOND_US, parts)
            # Knots of one moment would leave their neighbours no room.
            self.calendar.copy_(knots + torch.arange(len(knots)))

    def _progress(self, place: Tensor, total: Tensor, *, clock: Tensor, ends: Tensor) -> Tensor:
        """How far each event is in its history and in the calendar, float32 [..., places]."""
        known = total.clamp(min=1).float()
        columns = [place / known, (torch.log1p(known) / 8).expand_as(place)]
        if not len(self.calendar):
            return torch.stack(columns, dim=-1)
        passed = (clock - ends[..., 0], ends[..., 1] - clock)
        columns += [torch.log1p((one.clamp(min=0) / SECOND_US).float()) / 16 for one in passed]
        return torch.cat([torch.stack(columns, dim=-1), self._date(clock)], dim=-1)

    def _date(self, clock: Tensor) -> Tensor:
        """Where times lie between the knots of the calendar, float32 [..., knots], sum 1."""
        seconds = clock.double() / SECOND_US
        after = torch.searchsorted(self.calendar, seconds).clamp(1, len(self.calendar) - 1)
        low, high = self.calendar[after - 1], self.calendar[after]
        part = ((seconds - low) / (high - low)).clamp(0, 1).float()[..., None]
        date = part.new_zeros(*clock.shape, len(self.calendar))
        return date.scatter(-1, after[..., None], part).scatter(-1, after[..., None] - 1, 1 - part)
