"""A network that grows with its vocabulary: nothing old moves, and what is new starts unheard."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import given, settings, strategies as st

from segmenter.audience_model import embed_batch
from segmenter.autoencoder.config import DAY_US, AutoencoderConfig
from segmenter.autoencoder.decoder import GAP, crop
from segmenter.autoencoder.forecast import window_targets
from segmenter.autoencoder.growth import grow_forecast_heads, grow_network
from segmenter.autoencoder.likelihoods import fit_number_classes
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.autoencoder.profile import activity_features, activity_names, tfidf_entries
from segmenter.autoencoder.profile_fit import fit_profile
from segmenter.autoencoder.profile_growth import grow_profile, profile_places
from segmenter.events.batches import EventBatch, batch_from_lists
from segmenter.events.vocabulary import OTHER, Vocabulary

AS_OF = 200 * DAY_US
SIZES = AutoencoderConfig(
    window_days=20,
    forecast_events=16,
    sequence_events=16,
    crop_events=8,
    profile_dimensions=6,
    forecast_dimensions=5,
    taste_dimensions=4,
    event_dimensions=8,
    recurrent_dimensions=8,
    decoder_dimensions=8,
)
POOL = {"event": ("view", "buy", "wish"), "category": tuple("abcdef"), "item": tuple("stuvwxyz")}
NUMBERS = {
    name: fit_number_classes(np.linspace(0, top, 100))
    for name, top in {GAP: 9_000.0, "value": 80.0, "height": 3.0}.items()
}


def a_vocabulary(sizes: dict[str, int], numeric: tuple[str, ...]) -> Vocabulary:
    return Vocabulary({name: POOL[name][:n] for name, n in sizes.items()}, numeric)


@st.composite
def growths(draw: st.DrawFn) -> tuple[Vocabulary, Vocabulary]:
    """A vocabulary and one that it may grow to: more values, fields and numbers behind."""
    known = {"event": draw(st.integers(1, 3))}
    for name in draw(st.permutations(["category", "item"]))[: draw(st.integers(0, 2))]:
        known[name] = draw(st.integers(1, len(POOL[name])))
    later = {name: draw(st.integers(n, len(POOL[name]))) for name, n in known.items()}
    for name in ("category", "item"):
        if name not in later and draw(st.booleans()):
            later[name] = draw(st.integers(1, len(POOL[name])))
    numeric = draw(st.permutations(["value", "height"]))
    n_before = draw(st.integers(0, 2))
    n_later = draw(st.integers(n_before, 2))
    return a_vocabulary(known, tuple(numeric[:n_before])), a_vocabulary(
        later, tuple(numeric[:n_later])
    )


def random_lists(seed: int, *, n_users: int = 30) -> dict[str, list[list]]:
    """Parallel lists of random events: each user does a few values only; some are missing."""
    generator = np.random.default_rng(seed)
    columns: dict[str, list[list]] = {name: [] for name in (*POOL, "time", "value", "height")}
    for _ in range(n_users):
        n = int(generator.integers(1, 25))
        columns["time"].append(sorted(generator.integers(0, AS_OF, n).tolist()))
        for name, texts in POOL.items():
            own = [*generator.choice(texts, 3), "never seen", None]
            columns[name].append([own[i] for i in generator.integers(0, len(own), n)])
        for name in ("value", "height"):
            columns[name].append([None, *generator.normal(10, 5, n - 1).tolist()])
    return columns


@dataclass(frozen=True)
class Growth:
    """The same users in the codes of both vocabularies, and both networks."""

    columns: dict[str, list[list]]
    before: EventBatch
    after: EventBatch
    old: SequenceAutoencoder
    new: SequenceAutoencoder

    @property
    def touched(self) -> np.ndarray:
        """Users with a value that the old vocabulary of a field lacks and the new one has."""
        fresh = [
            (self.after.codes[name] >= self.old.vocabulary.size(name)).numpy()
            for name in self.old.vocabulary.categorical
        ]
        owner = self.after.owner.numpy()
        return np.isin(np.arange(len(self.after)), owner[np.any(fresh, axis=0)])


def batch_of(vocabulary: Vocabulary, columns: dict[str, list[list]]) -> EventBatch:
    return batch_from_lists(vocabulary, columns, [AS_OF] * len(columns["time"]))


def classes(vocabulary: Vocabulary) -> dict:
    return {name: NUMBERS[name] for name in (GAP, *vocabulary.numeric)}


def grow(known: Vocabulary, later: Vocabulary, seed: int) -> Growth:
    """A network with random weights, all of its heads included, and what it grows to."""
    columns = random_lists(seed)
    before, after = batch_of(known, columns), batch_of(later, columns)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        profile = fit_profile(lambda: iter([before]), known, SIZES, seed=seed)
        old = SequenceAutoencoder(known, SIZES, numbers=classes(known), profile=profile)
        old.forecast_heads.set_scales([window_targets(before, known)])
        wider = grow_profile(old.profile, lambda: iter([after]), vocabulary=later, config=SIZES)
        counts = {
            name: np.bincount(codes, minlength=later.size(name))
            for name, codes in after.codes.items()
        }
        new = grow_network(old, wider, numbers=classes(later), counts=counts)
    new.forecast_heads.set_scales([window_targets(after, later)])
    grow_forecast_heads(new, old)
    return Growth(columns, before, after, old.eval(), new.eval())


@settings(max_examples=15, deadline=None)
@given(growths(), st.integers(0, 1_000))
def test_who_did_nothing_new_has_the_same_embedding(
    pair: tuple[Vocabulary, Vocabulary], seed: int
) -> None:
    growth = grow(*pair, seed)
    same = ~growth.touched
    one, other = embed_batch(growth.old, growth.before), embed_batch(growth.new, growth.after)
    np.testing.assert_allclose(other[same], one[same], atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(growths(), st.integers(0, 1_000))
def test_a_new_value_is_read_as_the_other_that_it_was(
    pair: tuple[Vocabulary, Vocabulary], seed: int
) -> None:
    growth = grow(*pair, seed)
    for encoder in ("forecast_encoder", "taste_encoder"):
        one = getattr(growth.old, encoder).sequence(growth.before)
        other = getattr(growth.new, encoder).sequence(growth.after)
        torch.testing.assert_close(other, one, atol=1e-5, rtol=0)


@settings(max_examples=15, deadline=None)
@given(growths(), st.integers(0, 1_000))
def test_what_was_forecast_for_other_is_shared_among_the_new_values(
    pair: tuple[Vocabulary, Vocabulary], seed: int
) -> None:
    growth = grow(*pair, seed)
    old, new = growth.old.decoder, growth.new.decoder
    latent = torch.randn(4, SIZES.forecast_dimensions + SIZES.taste_dimensions)
    for before, after in zip(old.bags, new.bags, strict=False):
        one, other = torch.softmax(before(latent), 1), torch.softmax(after(latent), 1)
        n_known = one.shape[1]
        known = [code for code in range(n_known) if code != OTHER]
        torch.testing.assert_close(other[:, known], one[:, known])
        joined = other[:, OTHER] + other[:, n_known:].sum(1)
        torch.testing.assert_close(joined, one[:, OTHER])


@settings(max_examples=15, deadline=None)
@given(growths(), st.integers(0, 1_000))
def test_old_steps_are_decoded_as_before(pair: tuple[Vocabulary, Vocabulary], seed: int) -> None:
    growth = grow(*pair, seed)
    old, new = growth.old.decoder, growth.new.decoder
    latent = torch.randn(len(growth.before), SIZES.forecast_dimensions + SIZES.taste_dimensions)
    one = old.step_nll(latent, crop(growth.before, 8))
    other = new.step_nll(latent, crop(growth.after, 8))
    untouched = [link for link in old.chain if link not in old.fields]
    untouched += [
        name
        for name in old.fields
        if growth.old.vocabulary.size(name) == growth.new.vocabulary.size(name)
    ]
    for name in untouched:
        torch.testing.assert_close(other[name], one[name], atol=1e-5, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(growths(), st.integers(0, 1_000))
def test_known_forecasts_stay_and_new_values_start_at_their_base_rate(
    pair: tuple[Vocabulary, Vocabulary], seed: int
) -> None:
    growth = grow(*pair, seed)
    old, new = growth.old.forecast_heads, growth.new.forecast_heads
    latent = torch.randn(4, SIZES.forecast_dimensions)
    for field, name in enumerate(new.fields):
        occurs, shares = new.occurrences[field](latent), new.shares[field](latent)
        n_known = old.fields.get(name, 0)
        rate = new.base_rate(field).clamp(1e-4, 1 - 1e-4)
        torch.testing.assert_close(
            torch.sigmoid(occurs[:, n_known:]), rate[n_known:].expand(4, -1)
        )
        if n_known:
            place = list(old.fields).index(name)
            torch.testing.assert_close(occurs[:, :n_known], old.occurrences[place](latent))
            torch.testing.assert_close(shares[:, :n_known], old.shares[place](latent))
        at_zero = torch.softmax(new.shares[field](torch.zeros(1, latent.shape[1])), 1)[0]
        expected = rate[n_known:].sum() / rate.sum()
        torch.testing.assert_close(at_zero[n_known:].sum(), expected)
    wanted = old.totals(latent) * old.totals_scale + old.totals_mean
    found = new.totals(latent) * new.totals_scale + new.totals_mean
    torch.testing.assert_close(found[:, : wanted.shape[1]], wanted)


@settings(max_examples=15, deadline=None)
@given(growths(), st.integers(0, 1_000))
def test_each_activity_feature_keeps_its_name_and_each_column_its_meaning(
    pair: tuple[Vocabulary, Vocabulary], seed: int
) -> None:
    growth = grow(*pair, seed)
    for network, batch in ((growth.old, growth.before), (growth.new, growth.after)):
        names = activity_names(network.vocabulary, SIZES.recent_days)
        assert len(set(names)) == len(names)
        assert activity_features(batch, network.vocabulary, SIZES.recent_days).shape[1] == len(
            names
        )
    same = ~growth.touched
    places = profile_places(growth.new.profile, growth.old.profile)
    one, other = growth.old.profile(growth.before), growth.new.profile(growth.after)
    torch.testing.assert_close(other[same][:, places], one[same], atol=1e-5, rtol=0)


def test_a_new_value_lies_where_least_squares_puts_it_among_those_who_did_it() -> None:
    known = a_vocabulary({"event": 3, "category": 5}, ())
    later = a_vocabulary({"event": 3, "category": 6}, ())
    columns, code = random_lists(1, n_users=200), later.size("category") - 1
    before, history = batch_of(known, columns), batch_of(later, columns)
    old = fit_profile(lambda: iter([before]), known, SIZES, seed=0)
    grown = grow_profile(old, lambda: iter([history]), vocabulary=later, config=SIZES)
    found = grown.directions(1)[code].clone()
    grown.directions(1)[code] = 0
    scores = grown.what(history).double().numpy()
    owner, codes, weight = tfidf_entries(history, "category", grown.idf(1))
    column = np.zeros(len(history))
    column[owner[codes == code]] = weight[codes == code]
    expected, *_ = np.linalg.lstsq(scores, column)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.05
