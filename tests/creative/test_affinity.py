"""Which assets fit which segments: found where planted, and shrunk where there is little."""

import numpy as np
import polars as pl
import pytest

from segmenter.creative.affinity import best_assets, fit_segments
from segmenter.errors import CreativeError

ASSETS = pl.Series([f"a{place}" for place in range(20)])
SEGMENTS = ("calm", "loud", "new")


def engagement(seed: int, *, odds: float = 3.0, n_users: int = 1_500) -> tuple:
    """Segment ``loud`` takes assets a0 to a3 with higher odds; everything else is alike."""
    generator = np.random.default_rng(seed)
    segment = generator.integers(0, 3, n_users)
    rate = np.full((3, 20), 0.05)
    rate[1, :4] *= odds
    shown = generator.random((n_users, 20)) < np.array([0.8, 0.4, 0.4])[segment][:, None]
    taken = shown & (generator.random((n_users, 20)) < rate[segment])
    rows = []
    for name, table in (("impression", shown), ("click", taken)):
        users, assets = np.nonzero(table)
        rows.append(
            pl.DataFrame(
                {
                    "user_id": users,
                    "asset_id": [f"a{one}" for one in assets.tolist()],
                    "event": name,
                }
            )
        )
    names = [SEGMENTS[one] for one in segment.tolist()]
    return pl.concat(rows), pl.DataFrame({"user_id": range(n_users), "segment": names})


@pytest.mark.parametrize("shown", [None, "impression"])
def test_planted_fits_are_found_and_hardly_any_other(shown) -> None:
    log, segments = engagement(0)
    found = fit_segments(log, segments, ASSETS, event="click", shown=shown)
    best = best_assets(found)
    assert set(best["loud"]["asset_id"]) == {"a0", "a1", "a2", "a3"}
    assert len(best["calm"]) + len(best["new"]) <= 2
    assert (found.pairs["low"] <= found.pairs["fit"]).all()
    assert (found.pairs["fit"] <= found.pairs["high"]).all()


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = []
    for seed in range(20):
        log, segments = engagement(seed, odds=1.0)
        pairs = fit_segments(log, segments, ASSETS, event="click", shown="impression").pairs
        held.append(((pairs["low"] <= 1) & (pairs["high"] >= 1)).mean())
    assert np.mean(held) >= 0.95


def test_a_segment_that_is_shown_more_is_not_taken_for_one_that_likes_more() -> None:
    log, segments = engagement(3, odds=1.0)
    found = fit_segments(log, segments, ASSETS, event="click", shown="impression").pairs
    means = found.group_by("segment").agg(pl.col("fit").mean())
    assert (means["fit"] - 1).abs().max() < 0.1


def test_a_user_counts_once_for_an_asset_and_strangers_for_nothing() -> None:
    log, segments = engagement(0)
    once = fit_segments(log, segments, ASSETS, event="click")
    twice = fit_segments(pl.concat([log, log]), segments, ASSETS, event="click")
    assert once.pairs.equals(twice.pairs)
    half = fit_segments(log, segments.head(700), ASSETS.head(10), event="click")
    assert half.n_without_segment > 0
    assert half.n_unknown_assets > 0
    assert half.n_users <= 700


def test_what_cannot_be_counted_is_refused() -> None:
    log, segments = engagement(0)
    with pytest.raises(CreativeError, match="event is missing"):
        fit_segments(log.drop("event"), segments, ASSETS, event="click")
    with pytest.raises(CreativeError, match="segment is missing"):
        fit_segments(log, segments.drop("segment"), ASSETS)
    with pytest.raises(CreativeError, match="no engagement"):
        fit_segments(log, segments, pl.Series(["other"]), event="click")
