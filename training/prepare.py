"""Everything of the network that needs no gradient: vocabulary, cuts, profile, number classes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from segmenter.autoencoder.decoder import GAP
from segmenter.autoencoder.event_encoder import gaps_in_seconds
from segmenter.autoencoder.forecast import window_targets
from segmenter.autoencoder.growth import grow_forecast_heads, grow_network
from segmenter.autoencoder.likelihoods import NumberClasses, fit_number_classes
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.autoencoder.profile_fit import fit_profile
from segmenter.autoencoder.profile_growth import grow_profile
from segmenter.events.batches import EventBatch, SequenceReader, users_until
from segmenter.events.store import EventStore
from segmenter.events.vocabulary import fit_vocabulary, grow_vocabulary, known_counts
from training.config import TrainConfig
from training.data import BatchSizes, Histories, HistoryBatches, plan_histories

MAX_PROFILE_USERS = 50_000
"""Users on whom document frequencies, singular vectors and quantiles are fitted."""
MAX_CALENDAR_EVENTS = 100_000
"""Events on which the knots of the calendar are placed."""
MAX_NUMBER_EVENTS = 500_000
"""Events on which the classes of gaps and values are fitted."""


@dataclass(frozen=True)
class Prepared:
    """A network with fitted buffers, before any step, and what it is to learn from.

    Attributes
    ----------
    model
        Vocabulary, profile, base rates and scales are set; weights are random, or those of the
        network that it starts from.
    reader
        The store in the model's codes.
    histories
        Histories and windows.
    """

    model: SequenceAutoencoder
    reader: SequenceReader
    histories: Histories

    def training_batches(
        self, sizes: BatchSizes, seed: tuple[int, int] | None = None
    ) -> HistoryBatches:
        """Batches of the users who take part in the gradient steps."""
        chosen = np.flatnonzero(~self.histories.validation)
        return HistoryBatches(self.reader, self.histories, chosen, sizes=sizes, seed=seed)

    def validation_batches(self, sizes: BatchSizes) -> HistoryBatches:
        """Batches of the held-out users, in order of length."""
        chosen = np.flatnonzero(self.histories.validation)
        return HistoryBatches(self.reader, self.histories, chosen, sizes=sizes, seed=None)

    def all_batches(self, sizes: BatchSizes) -> HistoryBatches:
        """Batches of everybody, in order of length."""
        chosen = np.arange(len(self.histories))
        return HistoryBatches(self.reader, self.histories, chosen, sizes=sizes, seed=None)


def batch_sizes(
    config: TrainConfig, model: SequenceAutoencoder, *, users: int, taste: bool = False
) -> BatchSizes:
    """Limits of a batch of at most `users` users, for the taste stage or for all else."""
    read = model.config.sequence_events if taste else model.config.forecast_events
    return BatchSizes(users, config.batch_events, read)


def prepare(
    store: EventStore,
    config: TrainConfig,
    *,
    as_of: int,
    start: SequenceAutoencoder | None = None,
) -> Prepared:
    """Fit what is counted rather than learned, on events at or before `as_of` alone.

    Parameters
    ----------
    store
        The events.
    config
        Settings.
    as_of
        End of the training period in microseconds.
    start
        A trained network to start from, of the window length that `config` names; it is grown to
        the new values and otherwise kept.

    Raises
    ------
    FitError
        If no event lies in the training period, or a field that `start` knows changed its kind.
    """
    if start is None:
        vocabulary = fit_vocabulary(store, as_of=as_of, limits=config.limits)
    else:
        known = start.vocabulary
        vocabulary = grow_vocabulary(known, store, as_of=as_of, limits=config.limits)
    reader = SequenceReader(store, vocabulary)
    histories = plan_histories(store, reader, config, as_of=as_of)
    users = _profile_users(reader, config, as_of=as_of)

    def full_histories() -> Iterator[EventBatch]:
        batches = reader.batches(users, as_of=as_of, max_events=config.batch_events)
        return (batch for _, batch in batches)

    if start is None:
        sizes = config.autoencoder(histories.window_days or 1.0)
        profile = fit_profile(full_histories, vocabulary, sizes, seed=config.seed)
        numbers = _number_classes(full_histories, vocabulary.numeric)
        model = SequenceAutoencoder(vocabulary, sizes, numbers=numbers, profile=profile)
        model.decoder.set_calendar(_some_times(full_histories))
    else:
        model = _grown(start, reader, full_histories, as_of=as_of)
    prepared = Prepared(model, reader, histories)
    if histories.window_days:
        limits = batch_sizes(config, model, users=config.forecast_batch_users)
        windows = (batch.window for batch in prepared.training_batches(limits))
        model.forecast_heads.set_scales(
            window_targets(window, vocabulary) for window in windows if window is not None
        )
    if start is not None:
        grow_forecast_heads(model, start)
    return prepared


def _grown(
    start: SequenceAutoencoder,
    reader: SequenceReader,
    histories: Callable[[], Iterator[EventBatch]],
    *,
    as_of: int,
) -> SequenceAutoencoder:
    """A trained network, grown to the vocabulary of a reader, all but its forecast heads."""
    vocabulary = reader.vocabulary
    profile = grow_profile(start.profile, histories, vocabulary=vocabulary, config=start.config)
    numbers = _number_classes(histories, vocabulary.numeric) | start.numbers
    counts = known_counts(vocabulary, reader.store, as_of=as_of)
    return grow_network(start, profile, numbers=numbers, counts=counts)


def _profile_users(reader: SequenceReader, config: TrainConfig, *, as_of: int) -> np.ndarray:
    """Users with an event in the training period, at most `MAX_PROFILE_USERS`, in store order."""
    users = users_until(reader.store, as_of)
    if len(users) <= MAX_PROFILE_USERS:
        return users
    generator = np.random.default_rng(config.seed)
    return np.sort(generator.choice(users, MAX_PROFILE_USERS, replace=False))


def _number_classes(
    histories: Callable[[], Iterator[EventBatch]], numeric: tuple[str, ...]
) -> dict[str, NumberClasses]:
    """Classes of the gap and of each numeric field, on an even sample of the events."""
    collected: dict[str, list[np.ndarray]] = {name: [] for name in (GAP, *numeric)}
    n_events = sum(len(batch.times) for batch in histories())
    step = max(1, n_events // MAX_NUMBER_EVENTS)
    for batch in histories():
        collected[GAP].append(gaps_in_seconds(batch).numpy()[::step])
        for name in numeric:
            collected[name].append(batch.numbers[name].numpy()[::step])
    return {name: fit_number_classes(np.concatenate(parts)) for name, parts in collected.items()}


def _some_times(histories: Callable[[], Iterator[EventBatch]]) -> torch.Tensor:
    """Times of an even sample of the events, int64."""
    times = torch.cat([batch.times for batch in histories()])
    return times[:: max(1, len(times) // MAX_CALENDAR_EVENTS)]


def untrained(model: SequenceAutoencoder, *, seed: int) -> SequenceAutoencoder:
    """A network like another one before any gradient step: same buffers, fresh weights.

    Parameters
    ----------
    model
        A fitted network.
    seed
        Of the weights.

    Returns
    -------
    SequenceAutoencoder
        In evaluation mode; the floor that training must beat.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        twin = SequenceAutoencoder.from_description(model.description())
    twin.load_state_dict(dict(model.named_buffers()), strict=False)
    return twin.eval()
