"""pytorch-lifestream at work: its tutorial's CoLES model, timed like ours.

This file runs in that library's own environment and imports nothing of ours.

References
----------
Babaev et al.: "CoLES: Contrastive Learning for Event Sequences with Self-Supervision" (2022); the
settings are those of the library's notebook ``coles-emb.ipynb``, one embedding of 16 per field; a
training batch has 64 users, with which it is half as fast again as with the notebook's 256.
"""

import contextlib
import io
import logging
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

WIDTH, FIELD_WIDTH, FIELD_NOISE = 256, 16, 0.003
N_SLICES, SHORTEST, LONGEST = 5, 25, 200
BATCH_USERS, EMBEDDING_BATCH_USERS = 64, 256
MAX_CODES = 5_000
NUMBERS = "numbers_"


def records_of(path: Path) -> list[dict[str, Any]]:
    """Events of each user as the library wants them, from the arrays of `bench_peers`.

    Parameters
    ----------
    path
        An npz file: ``offsets``, ``times``, and columns of codes and ``numbers_`` of them.
    """
    with np.load(path) as arrays:
        columns = {name: arrays[name] for name in arrays.files if name != "offsets"}
        offsets = arrays["offsets"]
    columns["event_time"] = columns.pop("times") // 1_000_000
    tensors = {
        name: torch.from_numpy(
            np.nan_to_num(column).astype(np.float32)
            if name.startswith(NUMBERS)
            else np.minimum(column, MAX_CODES - 1 if name != "event_time" else column).astype(int)
        )
        for name, column in columns.items()
    }
    return [
        {"user_id": user} | {name: tensor[start:end] for name, tensor in tensors.items()}
        for user, (start, end) in enumerate(pairwise(offsets))
    ]


def coles(records: list[dict[str, Any]]) -> pl.LightningModule:
    """The tutorial's model for the fields of some records."""
    with contextlib.redirect_stdout(io.StringIO()):
        from ptls.frames.coles import CoLESModule  # noqa: PLC0415 - speaks while it is imported
        from ptls.nn import RnnSeqEncoder, TrxEncoder  # noqa: PLC0415
    numbers = [name for name in records[0] if name.startswith(NUMBERS)]
    codes = [name for name in records[0] if name not in {"user_id", "event_time", *numbers}]
    sizes = {name: 1 + max(int(one[name].max()) for one in records) for name in codes}
    encoder = RnnSeqEncoder(
        trx_encoder=TrxEncoder(
            embeddings_noise=FIELD_NOISE,
            embeddings={name: {"in": size, "out": FIELD_WIDTH} for name, size in sizes.items()},
            numeric_values=dict.fromkeys(numbers, "identity"),
        ),
        hidden_size=WIDTH,
        type="gru",
    )
    schedule = partial(torch.optim.lr_scheduler.StepLR, step_size=30, gamma=0.9)
    return CoLESModule(
        seq_encoder=encoder,
        optimizer_partial=partial(torch.optim.Adam, lr=1e-3),
        lr_scheduler_partial=schedule,
    )


class _Meter(pl.Callback):
    """Counts the events of the slices, and the steps of the padded batches."""

    def __init__(self) -> None:
        self.n_events, self.n_steps = 0, 0

    def on_train_batch_end(self, *arguments: Any) -> None:
        sliced, labels = arguments[3]
        self.n_events += int(sliced.seq_lens.sum())
        self.n_steps += int(sliced.seq_lens.max()) * len(labels)


def train(
    model: pl.LightningModule, records: list[dict[str, Any]], *, max_batches: int
) -> dict[str, Any]:
    """Train for some batches; returns events read and the share of padding."""
    from ptls.data_load.datasets import MemoryMapDataset  # noqa: PLC0415
    from ptls.data_load.iterable_processing import SeqLenFilter  # noqa: PLC0415
    from ptls.frames import PtlsDataModule  # noqa: PLC0415
    from ptls.frames.coles import ColesDataset  # noqa: PLC0415
    from ptls.frames.coles.split_strategy import SampleSlices  # noqa: PLC0415

    long_enough = MemoryMapDataset(data=records, i_filters=[SeqLenFilter(min_seq_len=SHORTEST)])
    splitter = SampleSlices(split_count=N_SLICES, cnt_min=SHORTEST, cnt_max=LONGEST)
    data = PtlsDataModule(
        train_data=ColesDataset(long_enough, splitter=splitter),
        train_num_workers=0,
        train_batch_size=BATCH_USERS,
    )
    meter = _Meter()
    trainer(max_batches, meter).fit(model, data)
    return {"events": meter.n_events, "padding": 1 - meter.n_events / meter.n_steps}


def embed(model: pl.LightningModule, records: list[dict[str, Any]]) -> int:
    """Embed everybody as the tutorial does; returns the count of users."""
    from ptls.data_load.datasets import inference_data_loader  # noqa: PLC0415

    loader = inference_data_loader(records, num_workers=0, batch_size=EMBEDDING_BATCH_USERS)
    return len(torch.vstack(trainer(1).predict(model, loader)))


def trainer(max_batches: int, *callbacks: pl.Callback) -> pl.Trainer:
    """A quiet trainer on the processor."""
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=max_batches,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def one_thread() -> None:
    """Hold torch to one thread, and be quiet."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
