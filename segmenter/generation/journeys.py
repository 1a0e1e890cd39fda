"""From points of the latent to an event log: the one call that everything else stands on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.errors import ConfigError
from segmenter.events.batches import EventBatch
from segmenter.events.vocabulary import FIRST, MISSING, OTHER, Vocabulary
from segmenter.generation.crowd import Crowd, decoder_input, frames_near
from segmenter.generation.decoding import Frames, decode

OTHER_TEXT = "(other)"
"""What stands for values that the model does not know by name."""
MAX_TEMPERATURE = 5.0


@dataclass(frozen=True)
class Journeys:
    """Generated histories.

    Attributes
    ----------
    batch
        J histories in the model's codes.
    points
        float64 [J, d], in the space of the embeddings, what each was decoded from.
    decimals
        Digits behind the point of each numeric field; None where there is no common grid.
    """

    batch: EventBatch
    points: np.ndarray
    decimals: dict[str, int | None]

    def __len__(self) -> int:
        return len(self.points)

    def only(self, rows: np.ndarray) -> "Journeys":
        """Some journeys, by int64 rows, in their order."""
        batch, wanted = self.batch, torch.from_numpy(rows)
        lengths = batch.lengths[wanted]
        total = torch.cumsum(lengths, 0)
        shift = torch.repeat_interleave(batch.starts[wanted] - (total - lengths), lengths)
        taken = batch.take(shift + torch.arange(len(shift)), lengths)
        kept = EventBatch(
            times=taken.times,
            codes=taken.codes,
            numbers=taken.numbers,
            visits=taken.visits,
            lengths=lengths,
            as_of=batch.as_of[wanted],
        )
        return Journeys(kept, self.points[rows], self.decimals)

    def table(self, vocabulary: Vocabulary, *, prefix: str = "generated-") -> pl.DataFrame:
        """The event log; see `events_table`."""
        return events_table(self.batch, vocabulary, decimals=self.decimals, prefix=prefix)


def generate(
    network: SequenceAutoencoder,
    crowd: Crowd,
    points: np.ndarray,
    *,
    seed: int,
    temperature: float = 1.0,
    frames: Frames | None = None,
) -> Journeys:
    """Decode one journey from each point.

    Parameters
    ----------
    network
        Trained, in evaluation mode.
    crowd
        Real users, of whom begins, lengths and what lies inside number classes are learned.
    points
        float [J, d], in the space of the embeddings; the same point may come many times.
    seed
        Journey j depends on the points before it no more than on those after it.
    temperature
        See `segmenter.generation.decoding.decode`.
    frames
        When journeys begin and end and how long they are; None takes it from users nearby.

    Raises
    ------
    ConfigError
        If the temperature is not between 0 and 5.
    """
    if not 0 <= temperature <= MAX_TEMPERATURE:
        message = f"temperature must be between 0 and {MAX_TEMPERATURE:g}; found {temperature}"
        raise ConfigError(message)
    framed = frames or frames_near(crowd, points, seed=seed)
    batch = decode(
        network.decoder,
        decoder_input(network, points),
        frames=framed,
        scales=crowd.scales,
        seed=seed,
        temperature=temperature,
    )
    decimals = {name: one.decimals for name, one in crowd.scales.numerals.items()}
    return Journeys(batch, np.asarray(points, dtype=np.float64), decimals)


def events_table(
    batch: EventBatch,
    vocabulary: Vocabulary,
    *,
    decimals: Mapping[str, int | None] | None = None,
    prefix: str = "generated-",
) -> pl.DataFrame:
    """Histories as an event log that ``segmenter ingest`` reads.

    Parameters
    ----------
    batch
        Histories in codes.
    vocabulary
        Of the model.
    decimals
        Digits behind the point of each numeric field, which short floats do not keep; None, or no
        entry, leaves numbers as they are.
    prefix
        Of the users' ids, which are numbered from 1.

    Returns
    -------
    polars.DataFrame
        ``user``, ``time`` (UTC), ``seq``, ``event``, the model's other fields and, where the model
        knows visits by a column, that column. Values that the model does not know by name are
        ``(other)``.
    """
    owner = batch.owner.numpy()
    width = len(str(len(batch)))
    names = np.array([f"{prefix}{one:0{width}d}" for one in range(1, len(batch) + 1)])
    columns: dict[str, pl.Series | np.ndarray] = {
        "user": names[owner] if len(owner) else np.array([], dtype=str),
        "time": pl.Series(batch.times.numpy()).cast(pl.Datetime("us", "UTC")),
        "seq": np.arange(len(owner)) - batch.starts.numpy()[owner],
    }
    columns |= _fields(batch, vocabulary, decimals or {})
    if vocabulary.grouping is not None and batch.visits is not None:
        columns[vocabulary.grouping] = pl.Series(batch.visits.numpy()).cast(pl.String)
    return pl.DataFrame(columns)


def _fields(
    batch: EventBatch, vocabulary: Vocabulary, decimals: Mapping[str, int | None]
) -> Mapping[str, pl.Series]:
    """Texts and numbers of the events; what is missing is null."""
    columns = {}
    for name in vocabulary.categorical:
        texts = pl.Series([None, OTHER_TEXT, *vocabulary.values[name]], dtype=pl.String)
        columns[name] = texts.gather(batch.codes[name].numpy())
    for name in vocabulary.numeric:
        values = batch.numbers[name].double()
        digits = decimals.get(name)
        rounded = values if digits is None else torch.round(values, decimals=digits)
        columns[name] = pl.Series(rounded.numpy()).fill_nan(None)
    return columns


assert (MISSING, OTHER, FIRST) == (0, 1, 2), "the order of texts in _fields"
