"""The work that benchmarks measure, as functions of files: the steps of a job, one by one.

They run in processes of their own, on one thread: a second one would only be waited for.
"""

import time
from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from segmenter.audience_model import AudienceModel, embed_users
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.events.batches import SequenceReader, users_until
from segmenter.events.store import EventStore
from training import fit
from training.config import TrainConfig
from training.data import plan_histories
from training.fit import fit_network
from training.inner_slice import inner_slice, sampled_rows
from training.prepare import Prepared, batch_sizes, prepare
from training.segmentation import fit_segments
from training.selection import choose_level


def one_thread() -> None:
    """Hold every library of this process to one thread."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    fit.leave_a_core = nullcontext  # which would ask for more


class _Enough(Exception):  # noqa: N818 - nothing is wrong
    """Ends a fit whose rest is not measured."""


class _Clock:
    """Follows a fit from outside: when it was prepared, and when each stage ended.

    Attributes
    ----------
    spent
        Name of a step to its CPU and wall seconds.
    """

    def __init__(self, config: TrainConfig, last: str) -> None:
        self.config, self.last = config, last
        self.spent: dict[str, tuple[float, float]] = {}
        self.passes: Counter[str] = Counter()
        self.is_over = False
        self._before = self._now()
        self.prepared: Prepared | None = None

    def prepare(self, *arguments: Any, **options: Any) -> Prepared:
        """Stands in for `training.prepare.prepare` and takes the time when it is done."""
        self.prepared = prepare(*arguments, **options)
        self._lap("prepare")
        if self.last == "prepare":
            raise _Enough
        return self.prepared

    def on_epoch(self, stage: str, *_: Any) -> None:
        """Take the time after each pass: that of the last one counts."""
        self.passes[stage] += 1
        self.is_over = stage == self.last and self.passes[stage] == self._asked(stage)
        if self.passes[stage] == self._asked(stage):
            self._lap(stage)

    def progress(self, *_: int) -> None:
        """A stage's weights are kept by the time that the first batch of the next one is done."""
        if self.is_over:
            raise _Enough

    def _asked(self, stage: str) -> int:
        """Passes of a stage."""
        return self.config.taste_epochs if stage == "taste" else self.config.forecast_epochs

    def _lap(self, name: str) -> None:
        now = self._now()
        cpu_s, wall_s = (after - before for after, before in zip(now, self._before, strict=True))
        self.spent[name], self._before = (cpu_s, wall_s), now

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.process_time(), time.perf_counter()


def timed_fit(store: Path, config: TrainConfig, folder: Path, *, last: str) -> dict[str, Any]:
    """Fit a network as a training job does, up to a step, and say what that step took.

    Parameters
    ----------
    store, config, folder
        As for `training.fit.fit_network`; stages that stand in the folder are not run again.
    last
        ``"prepare"``, ``"forecast"`` or ``"taste"``.

    Returns
    -------
    dict
        ``cpu_s`` and ``wall_s`` of the step. Of a stage, which has the validation and what is
        computed once for all of its passes in its time: ``events`` that the recurrent layer reads
        in all passes, and ``padding``, the share of its steps in the first pass without one.
    """
    opened, clock = EventStore.open(store), _Clock(config, last)
    fit.prepare = clock.prepare
    with suppress(_Enough):
        fit_network(
            opened,
            config,
            as_of=opened.newest,
            folder=folder,
            on_epoch=clock.on_epoch,
            progress=clock.progress,
        )
    told = dict(zip(("cpu_s", "wall_s"), clock.spent[last], strict=True))
    return told if last == "prepare" else told | _read_in(clock.prepared, config, last)


def _read_in(prepared: Prepared, config: TrainConfig, stage: str) -> dict[str, Any]:
    """What a stage reads in all its passes."""
    taste = stage == "taste"
    users = config.taste_batch_users if taste else config.forecast_batch_users
    n_passes = config.taste_epochs if taste else config.forecast_epochs
    sizes = batch_sizes(config, prepared.model, users=users, taste=taste)
    plan = prepared.histories
    read = np.minimum(plan.ends - plan.starts, sizes.sequence_events)[~plan.validation]
    padding = prepared.training_batches(sizes, (config.seed, 0)).padding_share()
    return {"events": int(read.sum()) * n_passes, "padding": padding}


def fitted(store: Path, config: TrainConfig, folder: Path) -> SequenceAutoencoder:
    """The network whose stages stand in a folder."""
    opened = EventStore.open(store)
    return fit_network(opened, config, as_of=opened.newest, folder=folder).model


def embed_some(
    store: Path, network: SequenceAutoencoder, users: np.ndarray | None = None
) -> np.ndarray:
    """Embeddings of users of a store at its newest event; None takes everybody."""
    opened = EventStore.open(store)
    rows = np.arange(opened.n_users) if users is None else users
    return embed_users(network, opened, rows, as_of=opened.newest)


def find_segments(
    store: Path, network: SequenceAutoencoder, *, embeddings: np.ndarray, config: TrainConfig
) -> AudienceModel:
    """Choose the level on an earlier slice and make the segments of everybody."""
    opened = EventStore.open(store)
    reader, end = SequenceReader(opened, network.vocabulary), opened.newest
    cut = int(plan_histories(opened, reader, config, as_of=end).cuts.max())
    everybody, known = np.arange(opened.n_users), users_until(opened, cut)
    sample = known[sampled_rows(len(known), seed=config.seed)]
    earlier = inner_slice(
        opened,
        sample,
        embed_users(network, opened, sample, as_of=cut),
        cut=cut,
        end=end,
        seed=config.seed,
    )
    n_forecast = network.config.forecast_dimensions
    choice = choose_level(embeddings, earlier, config, n_forecast=n_forecast)
    found = fit_segments(embeddings, reader, everybody, as_of=end, choice=choice, seed=config.seed)
    training = {"as_of_us": end}
    return AudienceModel(
        network, choice.projection, found.assigner, found.segments, training=training
    )
