"""One user alone has the embedding that the network gives in a batch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from segmenter.autoencoder.activity import VISIT_PAUSE_US
from segmenter.autoencoder.config import DAY_US, AutoencoderConfig
from segmenter.autoencoder.decoder import GAP
from segmenter.autoencoder.likelihoods import NumberClasses
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.autoencoder.one_user.encoder import OneUserEncoder
from segmenter.autoencoder.one_user.events import FieldCoder
from segmenter.autoencoder.one_user.scan import scan
from segmenter.autoencoder.one_user.sums import features_of, joined, recent_of, sums_of
from segmenter.autoencoder.profile import ProfileBranch, activity_features
from segmenter.autoencoder.recurrence import GatedRecurrence
from segmenter.events.batches import batch_from_lists
from segmenter.events.vocabulary import Vocabulary
from tests.models import World

NOW = 20_000 * DAY_US
MINUTE_US = 60_000_000
DAYS = np.array([1.0, 3.0, 30.0], dtype=np.float32)
PRICES = [0.0, 9.99, -4.5]
VOCABULARIES = [
    Vocabulary({"event": ("view", "buy"), "item": ("a", "b", "c")}, ("value",)),
    Vocabulary({"item": ("a",), "event": ("view",)}, ("value", "quantity"), "session"),
    Vocabulary({"event": tuple(f"type {number}" for number in range(25))}, ()),
]

one_event = st.tuples(
    st.integers(0, 90 * 24 * 60),
    st.sampled_from(["view", "buy", "return", "type 3", "type 24"]),
    st.sampled_from(["a", "b", "c", "d", None]),
    st.none() | st.sampled_from(PRICES) | st.floats(-1e6, 1e6, width=32),
    st.sampled_from([None, "s", "t"]),
)
FIELDS = ("time", "event", "item", "value", "session")
histories = st.lists(one_event, min_size=1, max_size=40)
vocabularies = st.sampled_from(VOCABULARIES)


def columns_of(events: list[tuple]) -> dict[str, list[Any]]:
    columns = dict(zip(FIELDS, map(list, zip(*events, strict=True)), strict=True))
    columns["time"] = [NOW - minutes * MINUTE_US for minutes in columns["time"]]
    return columns


def drawn_network(vocabulary: Vocabulary, seed: int, **sizes: int) -> SequenceAutoencoder:
    """A network with random weights, norms and quantiles."""
    config = AutoencoderConfig(window_days=20.0, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        n_features = 12
        profile = ProfileBranch(vocabulary, config, n_activity=n_features)
        profile.quantiles.copy_(torch.cumsum(torch.randint(0, 2, profile.quantiles.shape), 1))
        classes = dict.fromkeys((GAP, *vocabulary.numeric), NumberClasses((), (), (0.0,)))
        network = SequenceAutoencoder(vocabulary, config, numbers=classes, profile=profile)
        for name, value in network.state_dict().items():
            if value.dtype == torch.float32 and "quantiles" not in name:
                value.add_(0.3 * torch.randn_like(value)).abs_()
    return network.eval()


@given(histories, vocabularies, st.integers(0, 30 * 24 * 60))
def test_features_from_sums_are_those_of_a_batch(
    events: list[tuple], vocabulary: Vocabulary, later: int
) -> None:
    columns, as_of = columns_of(events), NOW - later * MINUTE_US
    batch = batch_from_lists(vocabulary, {n: [v] for n, v in columns.items()}, [as_of])
    coder = FieldCoder(vocabulary)
    own = coder.events(columns, as_of=as_of)
    if not len(own):
        return
    recent = recent_of(own.times, own.numbers, as_of=as_of, recent_days=DAYS)
    found = features_of(sums_of(own, coder), recent, coder, as_of=as_of)
    wanted = activity_features(batch, vocabulary, tuple(DAYS.tolist()))[0].numpy()
    tolerance = 0.0 if set(columns["value"]) <= {None, *PRICES} else 1e-6
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@given(st.lists(one_event, min_size=2, max_size=40), vocabularies, st.data())
def test_two_parts_of_a_history_join_to_the_whole(
    events: list[tuple], vocabulary: Vocabulary, data: st.DataObject
) -> None:
    events.sort(key=lambda event: -event[0])
    cut = data.draw(st.integers(1, len(events) - 1))
    coder = FieldCoder(vocabulary)
    first, second, whole = (
        coder.events(columns_of(part)) for part in (events[:cut], events[cut:], events)
    )
    same_visit = bool(second.times[0] - first.times[-1] <= VISIT_PAUSE_US)
    if vocabulary.grouping is not None:
        same_visit = first.visits[-1] == second.visits[0]
    both = joined(sums_of(first, coder), sums_of(second, coder), same_visit=same_visit)
    wanted = sums_of(whole, coder)
    for name, value in vars(wanted).items():
        np.testing.assert_allclose(getattr(both, name), value, rtol=1e-9, atol=1e-9, err_msg=name)


@settings(max_examples=60)
@given(histories, vocabularies, st.integers(0, 5))
def test_an_embedding_alone_is_that_of_the_network(
    events: list[tuple], vocabulary: Vocabulary, seed: int
) -> None:
    """Also where only the newest events are read, by one branch more than by the other."""
    sizes = {"forecast_events": (3, 30)[seed % 2], "sequence_events": (20, 5)[seed % 2]}
    network = drawn_network(vocabulary, seed, **sizes)
    columns = columns_of(events)
    batch = batch_from_lists(vocabulary, {n: [v] for n, v in columns.items()}, [NOW])
    with torch.inference_mode():
        wanted = network.encode(batch).joined()[0].numpy()
    encoder = OneUserEncoder(network)
    found = encoder.embed(encoder.coder.events(columns, as_of=NOW), as_of=NOW)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def test_sums_beyond_single_precision_are_infinite_in_both() -> None:
    vocabulary = VOCABULARIES[0]
    columns = columns_of([(minute, "view", "a", 3.4e38, None) for minute in range(3)])
    batch = batch_from_lists(vocabulary, {n: [v] for n, v in columns.items()}, [NOW])
    coder = FieldCoder(vocabulary)
    own = coder.events(columns)
    recent = recent_of(own.times, own.numbers, as_of=NOW, recent_days=DAYS)
    with np.errstate(over="ignore"):
        found = features_of(sums_of(own, coder), recent, coder, as_of=NOW)
    assert np.isinf(found).any()
    wanted = activity_features(batch, vocabulary, tuple(DAYS.tolist()))[0].numpy()
    np.testing.assert_array_equal(found, wanted)


def test_absent_fields_are_missing(world: World) -> None:
    encoder = world.model.one_user
    times = [world.store.newest - 10**9, world.store.newest]
    bare = {"time": times, "event": ["view", "purchase"]}
    wanted = world.model.embed_batch(
        world.model.batch_of({n: [v] for n, v in bare.items()}, as_of=times[1:])
    )[0]
    found = encoder.embed(encoder.coder.events(bare), as_of=times[1])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 63, 64, 192, 193])
def test_a_scan_in_blocks_gives_the_states_of_the_recurrence(n_steps: int) -> None:
    draw = np.random.default_rng(n_steps)
    keep, new = (draw.random((n_steps, 2, 5)).astype(np.float32) for _ in range(2))
    state, states = np.zeros((2, 5)), []
    for kept, fresh in zip(keep, new, strict=True):
        state = kept * state + fresh
        states.append(state)
    np.testing.assert_allclose(scan(keep, new), np.stack(states), rtol=1e-5)


def test_the_recurrence_of_the_network_is_the_one_that_is_scanned() -> None:
    layer = GatedRecurrence(4, 6)
    steps = torch.randn(1, 50, 4, generator=torch.Generator().manual_seed(0))
    gate, candidate = layer.gate_and_candidate(steps)[0].detach().chunk(2, dim=1)
    opening = torch.sigmoid(gate)
    found = scan((1 - opening).numpy(), (opening * torch.tanh(candidate)).numpy())
    np.testing.assert_allclose(found, layer(steps)[0].detach().numpy(), rtol=1e-5, atol=1e-6)
