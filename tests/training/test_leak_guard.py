"""No event after the cut reaches vocabulary, network, embeddings, level or segments."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segmenter.audience_model import embed_users
from segmenter.clock import parse_time
from segmenter.errors import FitError
from segmenter.events.batches import SequenceReader, history_ends
from segmenter.events.store import EventStore
from segmenter.validity.guard import check_blind
from tests.training.conftest import TINY, UNTIL, Personas
from training.fit import fit_network
from training.plan import TrainRequest, plan_training
from training.segmentation import fit_segments
from training.selection import choose_level
from training.train import earlier_slice

CUT = parse_time(UNTIL, option="--until")
WEEK_US = 7 * 86_400_000_000


def whole_fit(personas: Personas, folder: Path, *, as_of_leak: int) -> Callable:
    """Everything that training makes of a store, as one array: embeddings and segments."""
    request = TrainRequest(personas.store.path, replace(TINY, n_segments=None), folder, until=CUT)
    plan = plan_training(request)
    n_fits = 0

    def build(store: EventStore) -> np.ndarray:
        nonlocal n_fits
        n_fits += 1
        own = replace(plan, store=store)
        network = fit_network(
            store, request.config, as_of=plan.as_of, folder=folder / f"fit-{n_fits}"
        )
        embeddings = embed_users(network.model, store, plan.users, as_of=plan.as_of + as_of_leak)
        choice = choose_level(
            embeddings,
            earlier_slice(own, network),
            request.config,
            n_forecast=network.model.config.forecast_dimensions,
        )
        reader = SequenceReader(store, network.model.vocabulary)
        found = fit_segments(
            embeddings, reader, plan.users, as_of=plan.as_of, choice=choice, seed=0
        )
        levels = [(level.validity or 0.0, level.stability) for level in choice.levels]
        figures = np.zeros((len(plan.users), 2))
        figures[: len(levels)] = levels
        labels = found.assignment.segment_id[:, None]
        return np.hstack([embeddings, labels, found.assignment.strength[:, None], figures])

    return build


def test_a_fit_before_the_cut_is_blind_for_what_comes_after_it(
    personas: Personas, tmp_path: Path
) -> None:
    everybody = np.arange(personas.store.n_users)
    later = history_ends(personas.store, everybody, CUT - 1) < personas.store.offsets[1:]
    assert later.mean() > 0.5
    build = whole_fit(personas, tmp_path, as_of_leak=0)
    check_blind(build, personas.store, until=CUT, what="the fit")


def test_an_embedding_that_reads_past_the_cut_is_caught(
    personas: Personas, tmp_path: Path
) -> None:
    build = whole_fit(personas, tmp_path, as_of_leak=2 * WEEK_US)
    with pytest.raises(FitError, match="the fit depends on events at or after the cut"):
        check_blind(build, personas.store, until=CUT, what="the fit")
