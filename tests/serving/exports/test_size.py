"""Sizes before an export: the very figures of the export, or an interval that holds them."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from serving.exports import size
from serving.exports.audiences import Rules
from serving.exports.destinations import DESTINATIONS
from serving.exports.export import Export, export
from serving.exports.identities import IdentityTable
from serving.exports.scores import chosen_segments, open_scores
from serving.exports.size import SAMPLE, Shared, scaled, sizes, wilson
from serving.exports.waterfall import STAGES
from tests.serving.exports.scored import AS_OF, crowd, write_scores


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """An export of 12,000 users, of whom some hundreds share an address."""
    folder = tmp_path_factory.mktemp("sized")
    members, people = crowd(12_000, seed=9)
    write_scores(folder / "scores", members)
    people.write_parquet(folder / "people.parquet")
    people.write_csv(folder / "people.csv")
    scores = open_scores(folder / "scores")
    return Export(
        scores=scores,
        identities=folder / "people.parquet",
        segments=tuple(chosen_segments(scores, "1,2")),
        destinations=(DESTINATIONS["google-data-manager"], DESTINATIONS["tiktok"]),
        rules=Rules(min_strength=0.4, minimum_age=18, moment=AS_OF, default_country="US"),
    )


def test_segments_that_are_small_enough_are_counted_and_not_estimated(job):
    exact = {(one.destination, one.segment_id): one for one in export(job, None).waterfalls}
    found = sizes(job, SAMPLE)
    assert len(found) == len(exact)
    for one in found:
        told = exact[one.waterfall.destination, one.waterfall.segment_id]
        assert one.waterfall.counts == told.counts
        assert one.waterfall.reasons == told.reasons
        assert one.waterfall.verdict == f"would be {told.verdict}"
        assert one.waterfall.remedies == told.remedies
        assert all(one.intervals[stage] == (n, n) for stage, n in told.counts.items())


def test_samples_give_intervals_that_hold_the_figures_of_the_export(job, monkeypatch):
    (exact, *_) = export(job, None).waterfalls
    inside = []
    for seed in range(20):
        monkeypatch.setattr(size, "SEED", seed)
        (found, *_) = sizes(job, 1)
        assert 1_500 < found.n_sampled < 2_500 < found.waterfall.counts["members"]
        pairs = [(stage, *found.intervals[stage]) for stage in STAGES]
        inside += [low <= exact.counts[stage] <= high for stage, low, high in pairs]
        wide = [high - low for stage, low, high in pairs if stage in ("strong", "adult", "valid")]
        assert max(wide) < 0.1 * exact.counts["members"]
    assert sum(inside) / len(inside) > 0.9


@given(st.integers(0, 3_000), st.integers(1, 3_000), st.floats(0.001, 0.999))
def test_the_interval_of_a_share_is_in_order_and_holds_the_share(n_hits, n, fraction):
    low, high = wilson(min(n_hits, n), n, fraction)
    assert 0 <= low <= min(n_hits, n) / n <= high <= 1


def test_people_who_are_two_users_are_counted_by_the_chance_to_see_both():
    counts = dict.fromkeys(STAGES, 1_000) | {"people": 990, "not_held": 990}
    intervals, estimates = scaled(counts, 0.1, 10_000, shared=Shared(10, 0))
    assert estimates["people"] == 10_000 - 10 / 0.1**2
    assert intervals["people"][0] < estimates["people"] < intervals["people"][1]
    assert scaled(counts, 1.0, 1_000, shared=Shared(10, 0))[1] == counts


@pytest.mark.parametrize("n_users_each", [1, 2, 12, 300])
def test_the_interval_of_people_holds_whoever_shares_an_address(n_users_each):
    generator = np.random.default_rng(3)
    person = np.arange(60_000) // n_users_each
    inside = 0
    for _ in range(60):
        sampled = np.bincount(person[generator.random(60_000) < 0.05])
        n_people, n_users = int((sampled > 0).sum()), int(sampled.sum())
        counts = dict.fromkeys(STAGES, n_users) | {"people": n_people, "not_held": n_people}
        shared = Shared(int((sampled > 1).sum()), int((sampled > 2).sum()))
        low, high = scaled(counts, 0.05, 60_000, shared=shared)[0]["people"]
        inside += low <= person[-1] + 1 <= high
    assert inside > 54


def test_the_rows_of_some_users_are_the_same_of_either_kind_of_file(job):
    users = pl.Series([f"user-{n:05d}" for n in range(0, 12_000, 7)])
    tables = [
        pl.concat(list(IdentityTable(path, job.destinations).rows_of(users))).sort("user_id")
        for path in (job.identities, job.identities.with_suffix(".csv"))
    ]
    assert len(tables[0]) > 1_000
    columns = sorted(tables[0].columns)
    assert tables[0].select(columns).equals(tables[1].select(columns))
