"""What is learned from: nothing after the as-of time, every history once, little padding."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings, strategies as st

from segmenter.autoencoder.config import DAY_US
from segmenter.autoencoder.encoder import pad
from segmenter.errors import FitError
from segmenter.events.batches import EventBatch, SequenceReader
from segmenter.events.holdout import is_held_out
from segmenter.events.store import EventStore
from segmenter.events.vocabulary import fit_vocabulary
from segmenter.validity.guard import PastStore
from tests.models import SMALL, make_store
from training import data
from training.config import TrainConfig
from training.data import (
    BatchSizes,
    Histories,
    HistoryBatches,
    choose_cuts,
    observed_from,
    plan_histories,
)
from training.prepare import Prepared, prepare

N_USERS = 300
N_DAYS = 100
START = np.datetime64("2025-01-01", "us")
LATE = 70
"""First day on which quantity, session, plan and the value `novel` occur."""


def skewed_log() -> pl.DataFrame:
    """Users of 1 to thousands of events, and fields that occur only late."""
    generator = np.random.default_rng(5)
    counts = np.minimum(1 + generator.lognormal(2.5, 1.4, N_USERS), 4000).astype(int)
    owner = np.repeat(np.arange(N_USERS), counts)
    n_events = len(owner)
    time = START + generator.integers(0, N_DAYS * DAY_US, n_events).astype("timedelta64[us]")
    late = time >= START + np.timedelta64(LATE, "D")
    shown = pl.Series(late)
    category = pl.Series([f"c{i}" for i in generator.integers(0, 9, n_events)])
    value = generator.lognormal(2, 1, n_events).round(2)
    return pl.DataFrame(
        {
            "user": pl.Series([f"u{i}" for i in range(N_USERS)]).gather(owner),
            "event": pl.Series(["view", "buy"]).gather(generator.integers(0, 2, n_events)),
            "time": time,
            "category": category.zip_with(
                pl.Series(~late | (generator.random(n_events) < 0.5)), pl.Series(["novel"])
            ),
            "value": value,
            "quantity": pl.Series(value).zip_with(shown, pl.Series([None], dtype=pl.Float64)),
            "session": category.zip_with(shown, pl.Series([None], dtype=pl.String)),
        }
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EventStore:
    return make_store(skewed_log(), tmp_path_factory.mktemp("skewed"))


def planned(
    store: EventStore, config: TrainConfig, *, as_of: int
) -> tuple[SequenceReader, Histories]:
    reader = SequenceReader(store, fit_vocabulary(store, as_of=as_of, limits=config.limits))
    return reader, plan_histories(store, reader, config, as_of=as_of)


def batches(
    reader: SequenceReader,
    histories: Histories,
    *,
    sizes: BatchSizes,
    seed: tuple[int, int] | None = (0, 0),
) -> HistoryBatches:
    chosen = np.flatnonzero(~histories.validation)
    return HistoryBatches(reader, histories, chosen, sizes=sizes, seed=seed)


def contents(batch: EventBatch) -> Iterator[tuple[str, torch.Tensor]]:
    """Everything that the network can see in a batch, by name."""
    yield from {"times": batch.times, "lengths": batch.lengths, "as of": batch.as_of}.items()
    yield from batch.codes.items()
    yield from batch.numbers.items()
    if batch.visits is not None:
        yield "visits change", batch.visits[1:] != batch.visits[:-1]


def assert_same_batch(one: EventBatch, other: EventBatch) -> None:
    for (name, here), (same_name, there) in zip(contents(one), contents(other), strict=True):
        assert name == same_name
        np.testing.assert_array_equal(here.numpy(), there.numpy(), err_msg=name)


def some_config() -> st.SearchStrategy[TrainConfig]:
    return st.builds(
        TrainConfig,
        n_cuts=st.integers(1, 5),
        window_days=st.none() | st.floats(0.5, 9.0),
        min_events=st.integers(1, 12),
        max_histories=st.integers(60, 2000),
        max_categories=st.integers(1, 12),
        validation_share=st.sampled_from([0.0, 0.05, 0.4]),
        seed=st.integers(0, 99),
    )


@settings(max_examples=25, deadline=None)
@given(config=some_config(), days=st.floats(10, N_DAYS + 5))
def test_later_events_change_neither_a_history_nor_a_batch(store, config, days) -> None:
    as_of = store.oldest + int(days * DAY_US)
    past = PastStore(store, until=as_of + 1)
    reader, histories = planned(store, config, as_of=as_of)
    past_reader, past_histories = planned(past, config, as_of=as_of)
    assert reader.vocabulary == past_reader.vocabulary
    assert histories.window_days == past_histories.window_days
    for name in ("users", "cuts", "validation"):
        np.testing.assert_array_equal(getattr(histories, name), getattr(past_histories, name))
    sizes = BatchSizes(32, 3000, 64)
    with_later = batches(reader, histories, sizes=sizes)
    without = batches(past_reader, past_histories, sizes=sizes)
    assert len(with_later) == len(without) > 0
    for one, other in zip(with_later, without, strict=True):
        assert_same_batch(one.history, other.history)
        assert (one.window is None) == (other.window is None)
        if one.window is not None and other.window is not None:
            assert_same_batch(one.window, other.window)


@pytest.mark.parametrize("days", [40, LATE + 5])
def test_later_events_change_nothing_that_is_counted_before_training(store, days) -> None:
    as_of = store.oldest + days * DAY_US
    states = []
    for seen in (store, PastStore(store, until=as_of + 1)):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            states.append(prepare(seen, TrainConfig(model=SMALL), as_of=as_of).model.state_dict())
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        np.testing.assert_array_equal(value.numpy(), states[1][name].numpy(), err_msg=name)


@settings(max_examples=20, deadline=None)
@given(config=some_config(), days=st.floats(20, N_DAYS + 5))
def test_a_history_is_all_before_its_cut_and_its_window_all_that_follows(
    store, config, days
) -> None:
    as_of = store.oldest + int(days * DAY_US)
    _, histories = planned(store, config, as_of=as_of)
    window = round(histories.window_days * DAY_US)
    assert 0 < len(histories) <= config.max_histories
    assert (histories.cuts + window <= as_of).all()
    times, offsets = np.asarray(store.times), np.asarray(store.offsets)
    for row in range(0, len(histories), 7):
        user, cut = histories.users[row], histories.cuts[row]
        own = times[offsets[user] : offsets[user + 1]]
        assert histories.starts[row] == offsets[user]
        assert histories.ends[row] - histories.starts[row] == (own <= cut).sum() > 0
        inside = (own > cut) & (own <= cut + window)
        assert histories.window_ends[row] - histories.ends[row] == inside.sum()


@given(
    observed=st.tuples(st.integers(-(10**15), 10**15), st.integers(0, 10**15)),
    n_cuts=st.integers(1, 20),
    asked=st.none() | st.floats(0.01, 500),
)
def test_cuts_and_windows_lie_inside_the_observed_time(observed, n_cuts, asked) -> None:
    oldest, span = observed
    config = TrainConfig(n_cuts=n_cuts, window_days=asked)
    if asked is not None and int(asked * DAY_US) >= span:
        with pytest.raises(FitError, match="window_days must be below"):
            choose_cuts(oldest, oldest + span, config)
        return
    cuts, window = choose_cuts(oldest, oldest + span, config)
    assert cuts == sorted(set(cuts))
    assert 1 <= len(cuts) <= n_cuts
    assert oldest <= cuts[0]
    assert cuts[-1] + window == oldest + span
    if asked is None:
        assert window <= min(0.26 * span, 90 * DAY_US)
        assert cuts[0] >= oldest + int(span * 0.33)
    else:
        assert window == int(asked * DAY_US)


def test_without_time_to_spare_histories_end_now_and_nothing_follows(tmp_path: Path) -> None:
    log = skewed_log().with_columns(time=pl.lit(START).cast(pl.Datetime("us")))
    store = make_store(log.head(500), tmp_path)
    reader, histories = planned(store, TrainConfig(min_events=1), as_of=store.newest)
    assert histories.window_days == 0
    assert set(histories.cuts) == {store.newest}
    assert len(histories) == store.n_users
    read = list(batches(reader, histories, sizes=BatchSizes(8, 1000, 64)))
    assert all(batch.window is None for batch in read)


@pytest.mark.parametrize(("n_more", "shortest"), [(0, 1), (data.MIN_HISTORIES, 6)])
def test_short_histories_are_used_only_where_long_ones_are_few(
    tmp_path: Path, n_more: int, shortest: int
) -> None:
    """Thirty users of one event, and so many of six."""
    sizes = [1] * 30 + [6] * n_more
    users = np.repeat(np.arange(len(sizes)), sizes)
    minute = np.arange(len(users)) % 6
    log = pl.DataFrame(
        {"user": users, "event": "a", "time": START + minute.astype("timedelta64[m]")}
    )
    store = make_store(log, tmp_path)
    config = TrainConfig(min_events=6, window_days=1e-4)
    _, histories = planned(store, config, as_of=store.newest + 10**9)
    assert (histories.ends - histories.starts).min() == shortest


def test_one_stray_event_does_not_stretch_the_observed_time(tmp_path: Path) -> None:
    log = skewed_log()
    stray = log.head(1).with_columns(time=pl.datetime(1980, 1, 1))
    store = make_store(pl.concat([log, stray]), tmp_path)
    assert store.oldest < observed_from(store, store.newest)
    begin = int(START.astype(np.int64))
    assert abs(observed_from(store, store.newest) - begin) < DAY_US


@settings(max_examples=20, deadline=None)
@given(days=st.floats(1, N_DAYS), most=st.integers(1, 5000))
def test_the_observed_time_begins_where_the_past_alone_says(store, days, most) -> None:
    as_of = store.oldest + int(days * DAY_US)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "MAX_TIMES", most)
        begin = observed_from(store, as_of)
        assert begin == observed_from(PastStore(store, until=as_of + 1), as_of)
    times = np.asarray(store.times)
    assert times.min() <= begin <= as_of


def test_nothing_before_the_as_of_time_is_an_error(store) -> None:
    with pytest.raises(FitError, match="later --until"):
        observed_from(store, store.oldest - 1)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_who_is_held_out_follows_from_the_id_alone(store, share) -> None:
    expected = []
    for user in store.user_ids():
        digest = hashlib.blake2b(user.encode(), digest_size=4, person=b"validation").hexdigest()
        expected.append(int(digest, 16) / 16**8 < share)
    held_out = is_held_out(store, share)
    assert held_out.tolist() == expected
    assert abs(held_out.mean() - share) < 4 * np.sqrt(0.25 / store.n_users)


def test_every_history_of_a_held_out_user_is_held_out(store) -> None:
    config = TrainConfig(validation_share=0.3, min_events=1)
    _, histories = planned(store, config, as_of=store.newest)
    held_out = set(np.flatnonzero(is_held_out(store, 0.3)))
    assert [user in held_out for user in histories.users] == histories.validation.tolist()
    assert 0 < histories.validation.sum() < len(histories)


def test_nobody_is_held_out_where_nobody_would_be_left(store, tmp_path: Path) -> None:
    unlucky = store.user_ids()[int(np.flatnonzero(is_held_out(store, 0.05))[0])]
    alone = make_store(skewed_log().filter(pl.col("user") == unlucky), tmp_path)
    assert is_held_out(alone, 0.05).all()
    _, histories = planned(alone, TrainConfig(), as_of=alone.newest)
    assert len(histories) > 0
    assert not histories.validation.any()


@pytest.fixture(scope="module")
def prepared(store) -> Prepared:
    config = TrainConfig(n_cuts=5, min_events=2, model=SMALL)
    return prepare(store, config, as_of=store.newest)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.builds(BatchSizes, st.integers(1, 400), st.integers(1, 20_000), st.just(64)),
    seed=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_a_pass_reads_every_history_once_within_its_budget(prepared, sizes, seed) -> None:
    histories = prepared.histories
    plan = prepared.training_batches(sizes, seed)
    rows = np.concatenate(plan._plan)
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(~histories.validation))
    lengths = histories.ends - histories.starts
    for some in plan._plan:
        assert len(some) <= sizes.users
        assert lengths[some].sum() <= sizes.events or len(some) == 1
    assert len(plan) == len(plan._plan)


def test_what_is_read_is_what_was_planned(prepared) -> None:
    histories = prepared.histories
    plan = prepared.training_batches(BatchSizes(64, 10_000, 64), (0, 0))
    for rows, batch, whole in zip(plan._plan, plan, plan.whole(), strict=True):
        assert batch.rows.tolist() == whole.rows.tolist() == rows.tolist()
        lengths = histories.ends[rows] - histories.starts[rows]
        assert whole.history.lengths.tolist() == lengths.tolist()
        newest = whole.history.tail(64)
        assert batch.history.lengths.tolist() == newest.lengths.tolist()
        assert torch.equal(batch.history.times, newest.times)
        assert batch.history.as_of.tolist() == histories.cuts[rows].tolist()
        assert (batch.history.times <= batch.history.as_of[batch.history.owner]).all()
        follows = histories.window_ends[rows] - histories.ends[rows]
        assert batch.window.lengths.tolist() == follows.tolist()
        assert (batch.window.times > batch.window.as_of[batch.window.owner]).all()


def test_the_order_follows_from_seed_and_pass_alone(prepared) -> None:
    sizes = BatchSizes(32, 10_000, 64)

    def order(*seed: int) -> list[list[int]]:
        return [rows.tolist() for rows in prepared.training_batches(sizes, seed)._plan]

    assert order(3, 1) == order(3, 1)
    assert len({str(order(*seed)) for seed in [(3, 1), (3, 2), (4, 1)]}) == 3


@pytest.mark.parametrize("n_users", [16, 64, 256])
def test_padding_stays_under_a_tenth_on_a_skewed_log(prepared, n_users) -> None:
    histories = prepared.histories
    lengths = histories.ends - histories.starts
    assert lengths.max() > 50 * np.median(lengths)
    plan = prepared.training_batches(BatchSizes(n_users, 200_000, 192), (0, 0))
    real = steps = 0
    for batch in plan:
        recent = batch.history.tail(192)
        _, mask = pad(torch.zeros(len(recent.times), 1), recent.lengths)
        real, steps = real + int(mask.sum()), steps + mask.numel()
    assert plan.padding_share() == pytest.approx(1 - real / steps)
    assert plan.padding_share() <= 0.1


def test_batches_are_full_where_lengths_are_alike(prepared) -> None:
    plan = prepared.training_batches(BatchSizes(64, 200_000, 1), (0, 0))
    assert len(plan) == -(-int((~prepared.histories.validation).sum()) // 64)
