"""Windows hold every event of the span once, whatever the size of a block."""

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings, strategies as st

from segmenter.validity.window import windows
from tests.validity.reference import DAY_US, START_US, before, per_user, since


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 1_000),
    n_users=st.integers(1, 600),
    start_day=st.one_of(st.none(), st.integers(-5, 125)),
    end_day=st.integers(-5, 125),
    max_events=st.sampled_from([1, 500, 10_000_000]),
)
def test_blocks_hold_what_a_filter_of_the_log_holds(
    *, store, log, seed, n_users, start_day, end_day, max_events
):
    users = np.random.default_rng(seed).permutation(store.n_users)[:n_users]
    end = START_US + end_day * DAY_US
    start = None if start_day is None else START_US + start_day * DAY_US
    blocks = list(windows(store, users, start=start, end=end, max_events=max_events))
    assert sum(block.n_users for block in blocks) == n_users
    events = before(log.events, end)
    events = events if start is None else since(events, start)
    expected = per_user(
        events,
        store,
        pl.len().alias("n"),
        pl.col("time").dt.date().n_unique().alias("days"),
        pl.col("time").max().dt.epoch("us").alias("last"),
        pl.col("value").sum().alias("spend"),
        (pl.col("event") == "view").mean().alias("views"),
        users=users,
    )
    view = store.vocabulary("event").index("view") + 1
    found = {
        "n": [block.total() for block in blocks],
        "days": [block.active_days() for block in blocks],
        "last": [block.greatest(block.times) for block in blocks],
        "spend": [block.total(np.nan_to_num(block.numbers("value"))) for block in blocks],
        "views": [block.mean(block.codes("event") == view) for block in blocks],
    }
    for name, parts in found.items():
        np.testing.assert_allclose(np.concatenate(parts), expected[name], rtol=1e-9, err_msg=name)


def test_a_block_is_cut_where_its_events_reach_the_budget(store):
    users = np.arange(store.n_users)
    lengths = np.diff(np.asarray(store.offsets))
    newest = store.newest + 1
    for block in windows(store, users, end=newest, max_events=1_000):
        assert len(block.owner) <= 1_000 + lengths.max()
    assert len(list(windows(store, users, end=newest, max_events=1_000))) > 10


def test_a_window_without_events_has_zeros_for_everybody(store):
    (block,) = windows(store, np.arange(7), end=START_US)
    assert block.n_users == 7
    for zeros in (block.total(), block.active_days(), block.greatest(block.times)):
        assert zeros.tolist() == [0.0] * 7
