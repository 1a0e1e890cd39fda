"""Latent to journeys, event by event: what, when, how much, each drawn given all before.

One step costs the same however long the journey is, since the decoder's state is carried along.
Every journey has its own stream of random numbers, so that it does not depend on the others in
its batch.

References
----------
Ancestral sampling along the chain of heads of `segmenter.autoencoder.decoder.JourneyDecoder`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segmenter.autoencoder.decoder import GAP, HOUR, JourneyDecoder
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import MISSING, OTHER
from segmenter.generation.numerals import Numerals

SECOND_US, HOUR_US, DAY_US = 1_000_000, 3_600_000_000, 86_400_000_000
BATCH_JOURNEYS = 512
MIDDLE = 0.5
MIN_VALUE_USERS = 5
"""A value of fewer users than this could point at one of them."""
EVENT_STREAM = 0


@dataclass(frozen=True)
class Scales:
    """What turns classes into times and numbers; learned of many users.

    Attributes
    ----------
    numerals
        Of the gap, in seconds, and of each numeric field.
    opens
        float64 [classes of the gap], share of events after such a gap that open a visit.
    clock_us
        Times are multiples of it.
    newest
        The last time of the log, microseconds: nothing is drawn after it.
    n_users
        Per categorical field int64 [model codes], users who did each; what fewer than
        `MIN_VALUE_USERS` did is never drawn.
    """

    numerals: dict[str, Numerals]
    opens: np.ndarray
    clock_us: int
    newest: int
    n_users: dict[str, np.ndarray]

    def hidden(self, name: str) -> Tensor:
        """Codes of a field that are not drawn, bool [model codes]."""
        rare = self.n_users[name] < MIN_VALUE_USERS
        rare[[MISSING, OTHER]] = name == "event", False
        return torch.from_numpy(rare)


@dataclass(frozen=True)
class Frames:
    """When journeys begin and end, and how many events they have.

    Attributes
    ----------
    start, end
        int64 [J], microseconds since the epoch; a journey aims at its end and may miss it.
    length
        int64 [J], at least 1.
    """

    start: np.ndarray
    end: np.ndarray
    length: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Frames":
        """The frames of some journeys."""
        return Frames(self.start[chosen], self.end[chosen], self.length[chosen])


def decode(
    decoder: JourneyDecoder,
    latent: Tensor,
    *,
    frames: Frames,
    scales: Scales,
    seed: int,
    temperature: float = 1.0,
) -> EventBatch:
    """Draw one journey per latent.

    Parameters
    ----------
    decoder
        Trained, in evaluation mode.
    latent
        float32 [J, latent], as the decoder reads it; see
        `segmenter.autoencoder.model.SequenceAutoencoder.decoder_input`.
    frames, scales
        Begin and length of each journey; how classes become times and numbers.
    seed
        Journey j draws from stream (seed, j) alone.
    temperature
        Of every categorical choice; 0 takes the likeliest value of each link and the middle of
        each class, so that no seed matters.

    Returns
    -------
    EventBatch
        J histories in time order; `as_of` is the time of each last event.
    """
    order = np.argsort(-frames.length, kind="stable")
    parts = []
    for start in range(0, len(order), BATCH_JOURNEYS):
        rows = order[start : start + BATCH_JOURNEYS]
        steps = _Steps(
            decoder, latent[torch.from_numpy(rows)], frames=frames.rows(rows), scales=scales
        )
        with torch.inference_mode():
            parts.append(steps.run(rows, seed=seed, temperature=temperature))
    return _in_order(parts, order, decoder)


class _Steps:
    """The running decode of journeys of descending length."""

    def __init__(
        self, decoder: JourneyDecoder, latent: Tensor, *, frames: Frames, scales: Scales
    ) -> None:
        self.decoder, self.latent, self.frames, self.scales = decoder, latent, frames, scales
        self.hidden = {name: scales.hidden(name) for name in decoder.fields}
        self.offset = decoder.from_latent(latent)
        self.state = torch.zeros_like(self.offset)
        self.previous = latent.new_zeros(len(latent), decoder.config.event_dimensions)
        self.total = torch.from_numpy(frames.length)
        self.ends = torch.from_numpy(np.stack([frames.start, frames.end], axis=1))
        self.time = frames.start.copy()

    def run(self, rows: np.ndarray, *, seed: int, temperature: float) -> list[EventBatch]:
        """One batch of single events per step, of the journeys that are not over."""
        n_steps = int(self.frames.length.max(initial=0))
        n_draws = 2 * len(self.decoder.chain) + 1  # a class and a place in it, and the visit
        chances = stream_chances(rows, n_steps, n_draws, key=(seed, EVENT_STREAM))
        if temperature == 0:
            chances[:] = MIDDLE
        return [
            self._step(
                place, chances[: int((self.frames.length > place).sum()), place], temperature
            )
            for place in range(n_steps)
        ]

    def _step(self, place: int, chance: np.ndarray, temperature: float) -> EventBatch:
        """Draw the event at `place` of the first ``len(chance)`` journeys."""
        n = len(chance)
        latent, total = self.latent[:n], self.total[:n]
        self.state = self.decoder.advance(
            self.state[:n],
            self.previous[:n],
            latent,
            place=place,
            total=total,
            clock=torch.from_numpy(self.time[:n]),
            ends=self.ends[:n],
        )
        chosen = self._chain(place, chance, temperature)
        gap_class = chosen[GAP].numpy()
        moved = self._times(
            place, gap_class, hour=chosen[HOUR].numpy(), chance=self._inside(chance, GAP)
        )
        opens = (chance[:, -1] < self.scales.opens[gap_class]) | (place == 0)
        event = self._event(chosen, chance, opens)
        gaps = torch.from_numpy(moved / SECOND_US).float()
        self.previous = self.decoder.events.vectors(event, gaps, torch.from_numpy(opens))
        return event

    def _chain(self, place: int, chance: np.ndarray, temperature: float) -> dict[str, Tensor]:
        """Class of each link, int64 [n], each drawn given those before it."""
        n = len(chance)
        read = self.state + self.offset[:n]
        chosen = {}
        links = zip(self.decoder.chain, self.decoder.heads, self.decoder.decided, strict=True)
        for link, (name, head, table) in enumerate(links):
            if place == 0 and name == GAP:
                drawn = self.decoder.numbers[GAP].encode(torch.zeros(n))
            elif place == 0 and name == HOUR:
                drawn = torch.from_numpy(self.time[:n] // HOUR_US % 24)
            else:
                logits = head(read)
                if name in self.hidden:
                    logits = logits.masked_fill(self.hidden[name], -torch.inf)
                drawn = _draw(logits, torch.from_numpy(chance[:, link]), temperature)
            chosen[name] = drawn
            read = read + table(drawn)
        return chosen

    def _times(
        self, place: int, gap_class: np.ndarray, *, hour: np.ndarray, chance: np.ndarray
    ) -> np.ndarray:
        """Move the clocks of the journeys; returns by how much, int64 [n] microseconds."""
        n = len(chance)
        before = self.time[:n]
        if place == 0:
            self.time = before
            return np.zeros(n, dtype=np.int64)
        numerals = self.scales.numerals[GAP]
        seconds = np.nan_to_num(numerals.draw(gap_class, chance))
        clock = self.scales.clock_us
        gap = np.round(seconds * SECOND_US / clock).astype(np.int64) * clock
        if clock <= HOUR_US:
            ends = numerals.points[gap_class][:, [0, -1]] * SECOND_US
            gap = _at_hour(before, gap, hour=hour, ends=ends)
        after = np.minimum(before + np.maximum(gap, 0), self.scales.newest)
        self.time = np.maximum(after, before)
        return self.time - before

    def _event(
        self, chosen: dict[str, Tensor], chance: np.ndarray, opens: np.ndarray
    ) -> EventBatch:
        """The drawn events as a batch of one event per journey; visits hold whether one opens."""
        numbers = {}
        for name, numerals in self.scales.numerals.items():
            if name != GAP:
                values = numerals.draw(chosen[name].numpy(), self._inside(chance, name))
                numbers[name] = torch.from_numpy(values).float()
        time = torch.from_numpy(self.time.copy())
        return EventBatch(
            times=time,
            codes={name: chosen[name] for name in self.decoder.fields},
            numbers=numbers,
            visits=torch.from_numpy(opens.astype(np.int64)),
            lengths=torch.ones(len(chance), dtype=torch.int64),
            as_of=time,
        )

    def _inside(self, chance: np.ndarray, name: str) -> np.ndarray:
        """Where in its class the number of a link lies, float32 [n] in [0, 1]."""
        return chance[:, len(self.decoder.chain) + self.decoder.chain.index(name)]


def stream_chances(
    rows: np.ndarray, n_steps: int, n_draws: int, *, key: tuple[int, int]
) -> np.ndarray:
    """Uniform numbers float32 [J, n_steps, n_draws] in [0, 1).

    Parameters
    ----------
    rows
        int64 [J], numbers of the journeys; each draws from the stream (key, number) alone.
    n_steps, n_draws
        Shape; a longer stream begins like a shorter one.
    key
        Seed, at least 0, and purpose.
    """
    chances = np.empty((len(rows), n_steps, n_draws), dtype=np.float32)
    for place, row in enumerate(rows.tolist()):
        stream = np.random.Generator(
            np.random.Philox(key=[key[0], row], counter=[0, 0, 0, key[1]])
        )
        chances[place] = stream.random((n_steps, n_draws), dtype=np.float32)
    return chances


def _draw(logits: Tensor, chance: Tensor, temperature: float) -> Tensor:
    """A class int64 [n] of each row of logits."""
    if temperature == 0:
        return logits.argmax(dim=1)
    cumulated = torch.softmax(logits / temperature, dim=1).cumsum(dim=1)
    aim = (chance * cumulated[:, -1])[:, None]
    return torch.searchsorted(cumulated, aim, right=True)[:, 0].clamp(max=logits.shape[1] - 1)


def _at_hour(
    before: np.ndarray, gap: np.ndarray, *, hour: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Gaps int64 [n] shifted to an hour of the day, as far as they stay in their class.

    Parameters
    ----------
    before
        int64 [n], times from which the gaps count.
    gap, hour
        Drawn for each.
    ends
        float64 [n, 2], smallest and greatest gap of the class, microseconds.
    """
    shift = ((hour - (before + gap) // HOUR_US % 24 + 12) % 24 - 12) * HOUR_US
    result = gap.copy()
    for days in (1, -1, 0):  # the smallest shift comes last and wins
        moved = gap + shift + days * DAY_US
        fits = (moved >= ends[:, 0]) & (moved <= ends[:, 1]) & (ends[:, 1] > ends[:, 0])
        result = np.where(fits, moved, result)
    return result


def _in_order(
    parts: list[list[EventBatch]], order: np.ndarray, decoder: JourneyDecoder
) -> EventBatch:
    """Steps of many batches as one batch, journeys in the order asked for."""
    steps = [step for part in parts for step in part]
    places = list(_owners(parts, order))
    owner = np.concatenate([rows for rows, _ in places]) if places else np.zeros(0, np.int64)
    when = np.concatenate([step for _, step in places]) if places else np.zeros(0, np.int64)
    sort = torch.from_numpy(np.lexsort((when, owner)))
    lengths = torch.from_numpy(np.bincount(owner, minlength=len(order)))

    def join(columns: list[Tensor]) -> Tensor:
        return torch.cat(columns)[sort]

    times = join([step.times for step in steps])
    opened = join([step.visits for step in steps if step.visits is not None])
    numeric = [name for name in decoder.numbers if name != GAP]
    return EventBatch(
        times=times,
        codes={name: join([step.codes[name] for step in steps]) for name in decoder.fields},
        numbers={name: join([step.numbers[name] for step in steps]) for name in numeric},
        visits=torch.cumsum(opened, 0),
        lengths=lengths,
        as_of=times[torch.cumsum(lengths, 0) - 1],
    )


def _owners(
    parts: list[list[EventBatch]], order: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Journey and step of each event, step by step."""
    start = 0
    for part in parts:
        for place, step in enumerate(part):
            rows = order[start : start + len(step)]
            yield rows, np.full(len(rows), place)
        start += BATCH_JOURNEYS
