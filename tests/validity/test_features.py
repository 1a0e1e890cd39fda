"""Plain features say what scikit-learn and polars say of the same log."""

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfTransformer

from segmenter.validity.features import MAX_SCORE, N_DIRECTIONS, plain_features
from tests.validity.reference import before, events_of, per_user, store_of


@pytest.fixture(scope="module")
def few(log, tmp_path_factory):
    """The log without items: all its values fit in the directions."""
    events = log.events.drop("item").with_columns(
        pl.when(pl.col("category") != "category 3").then("category").alias("category")
    )
    return events, store_of(events, tmp_path_factory.mktemp("few"))


def test_directions_keep_the_similarities_of_scikit_learns_term_weights(few, cut):
    events, store = few
    fields = []
    for name in ("event", "category"):
        table = (
            before(events, cut)
            .with_columns(pl.col(name).fill_null("none"))
            .pivot(name, index="user", values="time", aggregate_function="len")
            .fill_null(0)
        )
        wanted = pl.DataFrame({"user": store.user_ids()})
        counts = wanted.join(table, on="user", how="left", maintain_order="left").fill_null(0)
        matrix = sparse.csr_matrix(counts.drop("user").to_numpy().astype(np.float64))
        fields.append(TfidfTransformer(sublinear_tf=True).fit_transform(matrix).toarray())
    similarities = np.hstack(fields) @ np.hstack(fields).T
    made = plain_features(store, np.arange(store.n_users), until=cut, seed=0)
    # Types and categories, each with a column for rare values and one for missing ones.
    n_directions = (4 + 2) + (15 + 2) - 1
    directions = made[:, :n_directions]
    ratio = similarities.trace() / (directions**2).sum()
    np.testing.assert_allclose(directions @ directions.T * ratio, similarities, atol=1e-6)
    assert directions.std(axis=0).mean() == pytest.approx(1)


def test_activity_ranks_users_as_polars_does(few, cut):
    events, store = few
    events = before(events, cut)
    made = plain_features(store, np.arange(store.n_users), until=cut, seed=0)
    time, value = pl.col("time"), pl.col("value")
    last = pl.datetime(2025, 4, 1)
    recent = (last - time) <= pl.duration(days=28)
    table = per_user(
        events,
        store,
        pl.len().alias("events"),
        time.dt.date().n_unique().alias("days"),
        (-time.max().dt.epoch("us")).alias("recency"),
        (-time.min().dt.epoch("us")).alias("tenure"),
        recent.sum().alias("of late"),
        value.sum().alias("spend"),
        value.max().alias("greatest"),
        value.mean().alias("mean"),
        (value.fill_null(0) * recent).sum().alias("spent of late"),
        (time.dt.hour() < 6).mean().alias("night"),
        (time.dt.weekday() == 6).mean().alias("Saturdays"),
        (pl.col("event") == "search").sum().alias("searches"),
    ).drop("user")
    for name in table.columns:
        agreement = [
            abs(spearmanr(table[name].to_numpy(), column).statistic)
            for column in made.T
            if np.ptp(column) > 0
        ]
        assert max(agreement) > 0.999, name


def test_features_are_finite_bounded_and_repeatable(store, cut):
    users = np.arange(store.n_users)
    made = plain_features(store, users, until=cut, seed=3)
    assert np.isfinite(made).all()
    assert np.ptp(made, axis=0).min() > 0
    assert np.abs(made[:, N_DIRECTIONS:]).max() <= MAX_SCORE
    assert np.array_equal(made, plain_features(store, users, until=cut, seed=3))


def test_the_order_of_users_does_not_change_what_is_said_of_each(few, cut):
    store = few[1]
    users = np.arange(0, store.n_users, 3)
    shuffled = np.random.default_rng(0).permutation(len(users))
    one = plain_features(store, users, until=cut, seed=0)
    other = plain_features(store, users[shuffled], until=cut, seed=0)
    apart = np.linalg.norm(one[:, None] - one[None], axis=2)[np.ix_(shuffled, shuffled)]
    again = np.linalg.norm(other[:, None] - other[None], axis=2)
    np.testing.assert_allclose(again, apart, atol=1e-6)


def test_users_who_did_the_same_are_the_same(make_store):
    rows = [
        (f"u{user}", kind, day) for user in range(10) for kind, day in (("a", 0), ("b", user % 2))
    ]
    store = make_store(events_of(rows))
    made = plain_features(store, np.arange(10), until=store.newest + 1, seed=0)
    even = [int(user.removeprefix("u")) % 2 == 0 for user in store.user_ids()]
    assert np.ptp(made[even], axis=0).max() == pytest.approx(0, abs=1e-9)
    assert np.ptp(made, axis=0).max() > 0


def test_users_without_any_event_before_the_time_have_no_features(store):
    made = plain_features(store, np.arange(5), until=store.oldest, seed=0)
    assert made.shape[0] == 5
    assert made.size == 0 or np.ptp(made, axis=0).max() == 0
