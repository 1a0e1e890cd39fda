"""Decoding: what the network says step by step, the same for the same seed, alone or together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings, strategies as st
from polars.testing import assert_frame_equal

from segmenter.autoencoder.decoder import GAP, HOUR, crop
from segmenter.autoencoder.likelihoods import fit_number_classes
from segmenter.errors import ConfigError
from segmenter.events.ingest import ingest
from segmenter.events.ingest_options import IngestOptions
from segmenter.generation.crowd import Crowd, decoder_input, frames_near, read_crowd
from segmenter.generation.decoding import decode
from segmenter.generation.journeys import Journeys, generate
from segmenter.generation.numerals import clock_of, fit_numerals
from tests.models import World

N = 24


@pytest.fixture(scope="module")
def crowd(world: World) -> Crowd:
    users = np.arange(world.store.n_users)
    as_of = world.store.newest
    embeddings = world.model.embed(world.store, as_of=as_of)
    return read_crowd(
        world.model.network, world.store, users=users, embeddings=embeddings, as_of=as_of
    )


def journeys(
    world: World, crowd: Crowd, n: int = N, *, seed: int = 0, temperature: float = 1.0
) -> Journeys:
    return generate(
        world.model.network, crowd, crowd.embeddings[:n], seed=seed, temperature=temperature
    )


def table(world: World, made: Journeys) -> pl.DataFrame:
    return made.table(world.model.network.vocabulary)


@settings(max_examples=5)
@given(st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_bytes(world: World, crowd: Crowd, seed: int) -> None:
    first, second = (table(world, journeys(world, crowd, seed=seed)) for _ in "12")
    assert_frame_equal(first, second, check_exact=True)
    assert first.write_csv() == second.write_csv()


def test_another_seed_gives_other_journeys(world: World, crowd: Crowd) -> None:
    first, second = (table(world, journeys(world, crowd, seed=seed)) for seed in (0, 1))
    assert not first.equals(second)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**31), n=st.integers(1, N))
def test_a_journey_does_not_depend_on_the_others_in_its_batch(
    world: World, crowd: Crowd, *, seed: int, n: int
) -> None:
    alone = table(world, journeys(world, crowd, n, seed=seed))
    together = table(world, journeys(world, crowd, seed=seed))
    users = together["user"].unique(maintain_order=True)[:n]
    kept = together.filter(pl.col("user").is_in(users.implode()))
    without = ["user", "session"]  # ids are counted over the whole set
    assert_frame_equal(alone.drop(without), kept.drop(without), check_exact=True)


def test_at_temperature_zero_no_seed_matters(world: World, crowd: Crowd) -> None:
    network, points = world.model.network, crowd.embeddings[:N]
    frames = frames_near(crowd, points, seed=0)
    first, second = (
        generate(network, crowd, points, seed=seed, temperature=0, frames=frames)
        for seed in (1, 2)
    )
    assert_frame_equal(table(world, first), table(world, second), check_exact=True)


def test_each_step_is_the_choice_of_the_network_that_reads_the_whole_journey(
    world: World, crowd: Crowd
) -> None:
    network = world.model.network
    points = crowd.embeddings[:N]
    latent, frames = decoder_input(network, points), frames_near(crowd, points, seed=0)
    endless = replace(crowd.scales, newest=2**62)  # gaps at the end of the log would be cut
    made = decode(network.decoder, latent, frames=frames, scales=endless, seed=0, temperature=0)
    part = crop(made, network.config.sequence_events)
    # The network is told when a journey is to end, not when it did.
    whole = type(part)(
        part.events,
        part.position,
        part.total,
        part.before,
        part.start,
        torch.from_numpy(frames.end),
    )
    with torch.inference_mode():
        read = network.decoder._states(latent, whole, None)
        classes = network.decoder.classes(made)
        for name, head, decided in zip(
            network.decoder.chain, network.decoder.heads, network.decoder.decided, strict=True
        ):
            if name == HOUR:
                break  # an hour that does not fit its gap is not kept
            logits = head(read)
            if name in network.decoder.fields:
                logits = logits.masked_fill(crowd.scales.hidden(name), -torch.inf)
            later = torch.ones(len(read), dtype=torch.bool)
            later[made.starts] = name != GAP
            assert torch.equal(logits.argmax(1)[later], classes[name][later]), name
            read = read + decided(classes[name])


@settings(max_examples=5)
@given(seed=st.integers(0, 2**31), temperature=st.sampled_from([0.0, 0.7, 1.0, 3.0]))
def test_journeys_have_the_asked_length_and_run_forward(
    world: World, crowd: Crowd, *, seed: int, temperature: float
) -> None:
    points = crowd.embeddings[:N]
    frames = frames_near(crowd, points, seed=seed)
    made = generate(
        world.model.network, crowd, points, seed=seed, temperature=temperature, frames=frames
    )
    assert made.batch.lengths.tolist() == frames.length.tolist()
    starts = made.batch.starts
    assert made.batch.times[starts].tolist() == frames.start.tolist()
    later = torch.ones(len(made.batch.times), dtype=torch.bool)
    later[starts] = False
    steps = made.batch.times.diff(prepend=made.batch.times[:1])
    assert (steps[later] >= 0).all()
    assert (made.batch.times % crowd.scales.clock_us == 0).all()
    before_newest = frames.start <= crowd.scales.newest
    last = made.batch.as_of.numpy()
    assert (last[before_newest] <= crowd.scales.newest).all()


def test_a_generated_log_passes_ingest_without_rejects(
    world: World, crowd: Crowd, tmp_path: Path
) -> None:
    events = table(world, journeys(world, crowd))
    events.write_parquet(tmp_path / "events.parquet")
    options = IngestOptions(keep_duplicates=True)
    report = ingest([tmp_path / "events.parquet"], tmp_path / "store", options=options)
    assert report.n_events == report.n_read == len(events)
    assert not any(report.rejected.values())


def test_some_journeys_of_a_set_are_what_they_were(world: World, crowd: Crowd) -> None:
    made = journeys(world, crowd)
    rows = np.array([5, 2, 19])
    chosen, whole = table(world, made.only(rows)), table(world, made)
    for place, row in enumerate(rows):
        user = whole["user"].unique(maintain_order=True)[int(row)]
        one = chosen["user"].unique(maintain_order=True)[place]
        assert_frame_equal(
            chosen.filter(pl.col("user") == one).drop("user"),
            whole.filter(pl.col("user") == user).drop("user"),
        )


def test_what_hardly_anybody_did_is_never_drawn(world: World, crowd: Crowd) -> None:
    counts = dict(crowd.scales.n_users)
    common = int(np.argmax(counts["category"][2:])) + 2
    counts["category"] = np.where(np.arange(len(counts["category"])) == common, 4, 50)
    scales = replace(crowd.scales, n_users=counts)
    made = journeys(world, replace(crowd, scales=scales), temperature=3.0)
    assert not (made.batch.codes["category"] == common).any()
    assert (journeys(world, crowd, temperature=3.0).batch.codes["category"] == common).any()


def test_a_value_is_counted_once_per_user(world: World, crowd: Crowd) -> None:
    vocabulary = world.model.network.vocabulary
    owners = world.log.group_by("category").agg(pl.col("user").n_unique())
    for text, n in owners.drop_nulls().iter_rows():
        code = vocabulary.encode("category", [text])[0]
        # The newest events alone are read, so that some of the older ones are not seen.
        assert 0 < crowd.scales.n_users["category"][code] <= n


@pytest.mark.parametrize("temperature", [-0.1, 5.1, float("nan")])
def test_a_temperature_out_of_range_is_refused(
    world: World, crowd: Crowd, temperature: float
) -> None:
    with pytest.raises(ConfigError, match="between 0 and 5"):
        journeys(world, crowd, temperature=temperature)


@settings(max_examples=30)
@given(st.lists(st.integers(-300, 5_000), min_size=1, max_size=400), st.floats(0, 1, width=32))
def test_a_number_drawn_from_a_class_is_of_that_class(values: list[int], chance: float) -> None:
    known = np.array(values, dtype=np.float64) / 4
    classes = fit_number_classes(known.astype(np.float32))
    numerals = fit_numerals(classes, known)
    codes = np.arange(1, classes.n_classes)
    drawn = numerals.draw(codes, np.full(len(codes), chance, dtype=np.float32))
    unrounded = torch.from_numpy(drawn.astype(np.float32))
    found = classes.encode(unrounded).numpy()
    inside = np.abs(found - codes) <= 1  # on the border of two bins, or on an exact value
    exact = found <= len(classes.atoms)
    assert (inside | exact).all()


@pytest.mark.parametrize(("clock", "text"), [(86_400_000_000, "day"), (60_000_000, "minute")])
def test_the_clock_of_a_log_is_found(clock: int, text: str) -> None:
    times = np.random.default_rng(0).integers(0, 10_000, 500) * clock
    assert clock_of(times) == clock, text


@pytest.mark.parametrize(("digits", "values"), [(0, [1, 5, 90]), (2, [0.99, 1.5, 1234.07])])
def test_the_digits_of_a_number_survive_short_floats(digits: int, values: list[float]) -> None:
    short = np.repeat(np.array(values, dtype=np.float32).astype(np.float64), 20)
    numerals = fit_numerals(fit_number_classes(short.astype(np.float32)), short)
    assert numerals.decimals == digits
    assert set(numerals.draw(np.array([1, 2, 3]), np.full(3, 0.5)).tolist()) == set(values)
