"""The network: same vector alone and in a batch, no look ahead, every kind of history."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from segmenter.autoencoder.config import DAY_US, AutoencoderConfig
from segmenter.autoencoder.decoder import GAP, crop
from segmenter.autoencoder.likelihoods import fit_number_classes
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.autoencoder.profile_fit import fit_profile
from segmenter.events.batches import EventBatch, batch_from_lists
from segmenter.events.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    values={"event": ("view", "buy"), "category": tuple("abcdef"), "item": tuple("uvwxyz")},
    numeric=("value",),
)
AS_OF = 200 * DAY_US
SIZES = AutoencoderConfig(
    window_days=20, forecast_events=16, sequence_events=16, crop_events=8, profile_dimensions=6
)


def random_lists(n_users: int, seed: int, *, max_events: int = 40) -> dict[str, list[list]]:
    """Parallel lists of random events, times ascending, some values unknown or missing."""
    generator = np.random.default_rng(seed)
    columns: dict[str, list[list]] = {name: [] for name in (*VOCABULARY.values, "time", "value")}
    for _ in range(n_users):
        n = int(generator.integers(1, max_events))
        columns["time"].append(sorted(generator.integers(0, AS_OF, n).tolist()))
        for name, texts in VOCABULARY.values.items():
            choices = [*texts, "never seen", None]
            columns[name].append([choices[i] for i in generator.integers(0, len(choices), n)])
        columns["value"].append([None, *generator.normal(10, 50, n - 1).tolist()])
    return columns


def batch_of(columns: dict[str, list[list]]) -> EventBatch:
    return batch_from_lists(VOCABULARY, columns, [AS_OF] * len(columns["time"]))


def pick(columns: dict[str, list[list]], users: list[int]) -> dict[str, list[list]]:
    return {name: [rows[user] for user in users] for name, rows in columns.items()}


@pytest.fixture(scope="module")
def model() -> SequenceAutoencoder:
    """A network with a fitted profile and random weights."""
    history = batch_of(random_lists(60, seed=0))
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        profile = fit_profile(lambda: iter([history]), VOCABULARY, SIZES, seed=0)
        numbers = {
            GAP: fit_number_classes(np.array([0.0, 1.0, 60.0, 3600.0])),
            "value": fit_number_classes(np.linspace(-50, 80, 100)),
        }
        return SequenceAutoencoder(VOCABULARY, SIZES, numbers=numbers, profile=profile).eval()


def embed(model: SequenceAutoencoder, columns: dict[str, list[list]]) -> np.ndarray:
    with torch.inference_mode():
        return model.encode(batch_of(columns)).joined().numpy()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), company=st.integers(1, 12))
def test_a_vector_does_not_depend_on_the_company_it_is_computed_in(model, seed, company) -> None:
    columns = random_lists(company + 1, seed)
    alone = embed(model, pick(columns, [0]))
    together = embed(model, columns)[:1]
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_the_order_in_which_events_arrive_does_not_matter(model) -> None:
    columns = random_lists(5, seed=3)
    turned = {name: [row[::-1] for row in rows] for name, rows in columns.items()}
    np.testing.assert_allclose(embed(model, columns), embed(model, turned), atol=1e-6)


def test_events_after_the_as_of_time_change_nothing(model) -> None:
    columns = random_lists(5, seed=4)
    later = {name: [list(row) for row in rows] for name, rows in columns.items()}
    for user in range(5):
        later["time"][user].append(AS_OF + 1)
        later["value"][user].append(1e6)
        for name in VOCABULARY.values:
            later[name][user].append(VOCABULARY.values[name][0])
    np.testing.assert_array_equal(embed(model, columns), embed(model, later))


def test_one_event_no_event_and_a_very_long_history_have_finite_vectors(model) -> None:
    long = random_lists(1, seed=5, max_events=2)
    n_events = 30_000
    long["time"][0] = list(range(n_events))
    long["value"][0] = [1.0] * n_events
    for name in VOCABULARY.values:
        long[name][0] = [VOCABULARY.values[name][0]] * n_events
    one = pick(random_lists(1, seed=6, max_events=2), [0])
    columns = {name: [long[name][0], one[name][0], []] for name in long}
    assert np.isfinite(embed(model, columns)).all()


def test_only_the_newest_events_reach_the_sequence_but_all_reach_the_profile(model) -> None:
    columns = random_lists(1, seed=7, max_events=60)
    columns = {name: [rows[0] * 3] for name, rows in columns.items()}
    columns["time"][0] = list(range(len(columns["time"][0])))
    batch = batch_of(columns)
    assert len(batch.tail(SIZES.sequence_events).times) == SIZES.sequence_events
    tail = batch.tail(SIZES.sequence_events)
    sequence = model.forecast_encoder.sequence
    with torch.inference_mode():
        assert bool((sequence(batch) != 0).any())
        torch.testing.assert_close(sequence(batch), sequence(tail))
        assert not torch.allclose(model.profile(batch), model.profile(tail))


def test_the_description_and_the_weights_rebuild_the_network(model) -> None:
    columns = random_lists(6, seed=8)
    again = SequenceAutoencoder.from_description(model.description())
    again.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(embed(model, columns), embed(again.eval(), columns))


def test_the_decoder_never_sees_the_event_that_it_decodes(model) -> None:
    columns = random_lists(1, seed=9)
    batch = batch_of(columns)
    latent = torch.zeros(1, model.embedding_dimensions)
    changed = {name: [list(row) for row in rows] for name, rows in columns.items()}
    last = len(changed["time"][0]) - 1
    changed["category"][0][last] = "a" if columns["category"][0][last] != "a" else "b"
    with torch.inference_mode():
        before = model.decoder._states(latent, crop(batch, 8), None)
        after = model.decoder._states(latent, crop(batch_of(changed), 8), None)
    torch.testing.assert_close(before, after)


def test_losses_fall_when_the_network_learns(model) -> None:
    columns = random_lists(40, seed=10)
    history = batch_of(columns)
    window = batch_of(random_lists(40, seed=11))
    copy = SequenceAutoencoder.from_description(model.description())
    copy.load_state_dict(model.state_dict())
    copy.eval()  # without dropout and noise the loss is a function of the weights alone
    profile = copy.profile(history)
    with torch.no_grad():
        forecast = copy.encode(history).forecast
    for losses in (
        lambda: copy.forecast_losses(history, profile, window),
        lambda: copy.taste_losses(history, profile, forecast),
    ):
        optimizer = torch.optim.Adam(copy.parameters(), lr=3e-3)
        first = torch.stack(list(losses().values())).sum().detach()
        for _ in range(20):
            optimizer.zero_grad()
            torch.stack(list(losses().values())).sum().backward()
            optimizer.step()
        assert torch.stack(list(losses().values())).sum().detach() < 0.9 * first


def test_mixed_precision_gives_nearly_the_same_losses_and_whole_gradients(model) -> None:
    history, window = batch_of(random_lists(40, seed=10)), batch_of(random_lists(40, seed=11))
    profile = model.profile(history)
    with torch.no_grad():
        forecast = model.encode(history).forecast
    for losses in (
        lambda: model.forecast_losses(history, profile, window),
        lambda: model.taste_losses(history, profile, forecast),
    ):
        exact = losses()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            short = losses()
        for name, value in exact.items():
            torch.testing.assert_close(short[name].float(), value, rtol=0.03, atol=0.01)
        model.zero_grad()
        torch.stack([value.float() for value in short.values()]).sum().backward()
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        assert gradients
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        assert all(gradient.dtype == torch.float32 for gradient in gradients)
    model.zero_grad()


def test_a_value_that_was_never_seen_throws_nobody_out_of_the_space() -> None:
    known, unheard = random_lists(60, seed=0), random_lists(20, seed=1)
    for name, texts in VOCABULARY.values.items():
        for rows in known[name]:
            rows[:] = [text if text in texts else texts[0] for text in rows]
        for rows in unheard[name]:
            rows[:] = ["never seen" for _ in rows]
    sizes = replace(SIZES, profile_dimensions=48)  # more than the values have directions
    profile = fit_profile(lambda: iter([batch_of(known)]), VOCABULARY, sizes, seed=0)
    assert profile(batch_of(unheard)).abs().max() < 100


def test_a_model_from_before_the_calendar_still_decodes(model: SequenceAutoencoder) -> None:
    plain = SIZES.to_json()
    del plain["decoder_calendar"]
    sizes = AutoencoderConfig.from_json(plain)
    old = SequenceAutoencoder(VOCABULARY, sizes, numbers=model.numbers, profile=model.profile)
    assert not any("calendar" in name for name in old.state_dict())
    batch = batch_of(random_lists(5, seed=3))
    part = crop(batch.tail(16), 8)
    nll = old.eval().decoder.step_nll(old.decoder_input(old.encode(batch)), part)
    assert all(torch.isfinite(link).all() for link in nll.values())


@settings(max_examples=20)
@given(st.lists(st.integers(0, AS_OF), min_size=2, max_size=50))
def test_every_time_has_its_place_between_two_knots(
    model: SequenceAutoencoder, times: list[int]
) -> None:
    decoder, moments = model.decoder, torch.tensor(times)
    before = decoder.calendar.clone()
    decoder.set_calendar(moments)
    date = decoder._date(torch.cat([moments, torch.tensor([-DAY_US, 2 * AS_OF])]))
    knots = (decoder.calendar * 1e6).long()
    assert torch.allclose(date.sum(1), torch.ones(len(date)))
    assert ((date > 0).sum(1) <= 2).all()
    assert torch.equal(decoder._date(knots).argmax(1), torch.arange(len(knots)))
    assert date[-2, 0] == date[-1, -1] == 1  # outside is the nearest end
    decoder.calendar.copy_(before)
