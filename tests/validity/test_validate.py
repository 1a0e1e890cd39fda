"""Segments that tell users apart win, random ones lose, and thin data are called thin."""

import json

import numpy as np
import polars as pl
import pytest

from segmenter.clock import iso
from segmenter.errors import FitError
from segmenter.validity.validate import ValiditySettings, validate
from segmenter.validity.validity_report import (
    EMBEDDING,
    NO_SEGMENTS,
    PLAIN_FEATURES,
    RANDOM_ENCODER,
    SEGMENTS,
    ValidityReport,
)
from tests.validity.reference import DAY_US, START_US, events_of, judge

RULES = ("RFM 3x3x3", "RFM 5x5x5", "Demographics")
QUICK = ValiditySettings(n_draws=100)


@pytest.fixture(scope="module")
def seen(store, cut):
    first = np.asarray(store.times)[np.asarray(store.offsets)[:-1]]
    return np.flatnonzero(first < cut)


@pytest.fixture(scope="module")
def labels(personas, seen):
    """True personas, as segments 0..3."""
    return personas.rank("dense").to_numpy()[seen].astype(np.int64) - 1


@pytest.fixture(scope="module")
def attributes(log):
    return log.attributes.rename({"user": "user_id"}).head(450)


@pytest.fixture(scope="module")
def embeddings(personas, seen):
    """Vectors that hold the persona, and vectors that hold nothing."""
    generator = np.random.default_rng(3)
    truth = np.eye(4)[personas.rank("dense").to_numpy()[seen].astype(np.int64) - 1]
    noise = generator.normal(0, 1, (2, len(seen), 8))
    return (truth @ np.eye(4, 8) * 3 + noise[0]).astype(np.float32), noise[1].astype(np.float32)


@pytest.fixture(scope="module")
def report(*, store, seen, labels, cut, attributes, embeddings):
    return validate(
        store,
        users=seen,
        labels=labels,
        cut=cut,
        attributes=attributes,
        embeddings=embeddings[0],
        random_embeddings=embeddings[1],
        settings=QUICK,
    )


def place_of(report, name, population="everybody"):
    return [(outcome.name, outcome.population) for outcome in report.outcomes].index(
        (name, population)
    )


def test_every_row_is_scored_on_every_outcome_and_compared_with_the_segments(report):
    names = [row.name for row in report.rows]
    assert names[0] == SEGMENTS
    assert names[-1] == NO_SEGMENTS
    kinds = {row.name: row.kind for row in report.rows}
    rules = {name for name, kind in kinds.items() if kind == "rule"}
    models = {name for name, kind in kinds.items() if kind == "model"}
    assert rules == set(RULES)
    assert models == {"KMeans", RANDOM_ENCODER}
    assert report.row("KMeans").n_groups == report.row(RANDOM_ENCODER).n_groups == 4
    for row in report.rows:
        assert len(row.scores) == len(report.outcomes)
        for score in row.scores:
            assert score.score.low <= score.score.value <= score.score.high
            assert (score.ahead is None) == (row.name == SEGMENTS)
    tested, *others = report.rows
    for row in others:
        for score, own in zip(row.scores, tested.scores, strict=True):
            assert score.ahead.value == pytest.approx(own.score.value - score.score.value)


def test_the_personas_beat_no_segments_and_shuffled_ones_do_not(
    *, report, store, seen, labels, cut
):
    place = place_of(report, "later spend")
    assert report.row(NO_SEGMENTS).scores[place].ahead.low > 0.1
    shuffled = np.random.default_rng(0).permutation(labels)
    luck = validate(store, users=seen, labels=shuffled, cut=cut, settings=QUICK)
    assert abs(luck.rows[0].scores[place].score.value) < 0.05
    assert luck.best_rule(place).scores[place].ahead.high < 0
    assert any("behind RFM" in note for note in luck.notes)


def test_a_score_is_the_judges_own(*, report, store, seen, labels):
    place = place_of(report, "later spend")
    users = store.user_ids().gather(seen).to_list()
    times, value = np.asarray(store.times), np.nan_to_num(np.asarray(store.numbers("value")))
    offsets = np.asarray(store.offsets)
    spend = [
        float(
            value[slice(*offsets[row : row + 2])][
                times[slice(*offsets[row : row + 2])] >= report.cut
            ].sum()
        )
        for row in seen
    ]
    target = ("r2", dict(zip(users, np.log1p(spend), strict=True)))
    segment = dict(zip(users, labels.tolist(), strict=True))
    expected = judge().score(segment, {"spend": target})["spend"]
    assert report.rows[0].scores[place].score.value == pytest.approx(expected, abs=1e-9)


def test_outcomes_are_asked_again_of_users_with_attributes(report):
    place = place_of(report, "later spend", "known attributes")
    assert report.outcomes[place].n_users < report.outcomes[0].n_users
    assert "(known attributes)" in report.outcomes[place].title


def test_each_segment_tells_what_its_members_did(*, report, store, seen, labels, cut):
    place = place_of(report, "later events")
    assert [segment.segment_id for segment in report.segments] == [0, 1, 2, 3]
    offsets, times = np.asarray(store.offsets), np.asarray(store.times)
    later = np.array([(times[offsets[u] : offsets[u + 1]] >= cut).sum() for u in seen])
    for segment in report.segments:
        lift = segment.lifts[place]
        mean = later[labels == segment.segment_id].mean()
        assert segment.n_users == lift.n_users == (labels == segment.segment_id).sum()
        assert lift.mean == pytest.approx(mean)
        assert lift.lift.value == pytest.approx(mean / later.mean())
        assert abs(lift.predicted - lift.mean) < 0.25 * later.mean()


def test_a_report_survives_json(report):
    again = ValidityReport.from_json(json.loads(json.dumps(report.to_json())))
    assert again == report
    assert again.summary_line() == report.summary_line() == report.to_json()["summary"]


def test_a_validation_repeats_itself(*, store, seen, labels, cut, attributes):
    one, other = (
        validate(store, users=seen, labels=labels, cut=cut, attributes=attributes, settings=QUICK)
        for _ in range(2)
    )
    assert one == other


def test_what_the_embedding_predicts_is_told_apart_from_what_the_segments_predict(report):
    place = place_of(report, "later spend")
    assert [row.name for row in report.linear] == [EMBEDDING, PLAIN_FEATURES, RANDOM_ENCODER]
    embedding, _, nothing = (row.scores[place] for row in report.linear)
    assert embedding.ahead is None
    assert nothing.ahead.low > 0.1, "an embedding that holds the persona is ahead of noise"
    best = report.best_rule(place).scores[place].score.value
    assert embedding.over_rule.value == pytest.approx(embedding.score.value - best)
    assert report.linear_row(EMBEDDING) == report.linear[0]
    assert any(note.startswith("The embedding, read by a linear model") for note in report.notes)


def test_without_an_embedding_nothing_is_said_of_one(*, store, seen, labels, cut):
    report = validate(store, users=seen, labels=labels, cut=cut, settings=QUICK)
    assert report.linear == ()
    assert report.row(RANDOM_ENCODER) is None
    assert not any("embedding" in note for note in report.notes)


def test_personas_of_taste_keep_what_they_say_among_the_equally_active(report):
    within = report.within
    names = [outcome.name for outcome in within.outcomes]
    place = names.index("later categories")
    assert within.rows[0].scores[place].score.low > 0.55
    rfm = next(row for row in within.rows if row.name == "RFM 5x5x5")
    assert rfm.scores[place].ahead.low > 0
    shares = {share.name: share.information for share in within.shares}
    assert shares[SEGMENTS] < shares["RFM 3x3x3"]
    assert any(note.startswith("Activity alone explains") for note in report.notes)


def test_tenths_of_the_users_average_to_all_of_them(report):
    curves = [curve for curve in report.curves if curve.outcome == place_of(report, "later spend")]
    assert [curve.name for curve in curves] == [SEGMENTS, *RULES]
    for curve in curves:
        assert len(curve.lifts) == 10
        assert np.mean([lift.value for lift in curve.lifts]) == pytest.approx(1)
        assert curve.lifts[0].value > curve.lifts[-1].value
        assert all(lift.low <= lift.value <= lift.high for lift in curve.lifts)


@pytest.mark.parametrize("what", ["embeddings", "random_embeddings"])
def test_each_user_needs_one_finite_embedding(*, store, seen, labels, cut, what):
    few = np.zeros((7, 3), dtype=np.float32)
    with pytest.raises(FitError, match=f"each of {len(seen)} users; found 7, of which 7 are"):
        validate(store, users=seen, labels=labels, cut=cut, **{what: few})
    holed = np.zeros((len(seen), 3), dtype=np.float32)
    holed[4, 1] = np.nan
    with pytest.raises(FitError, match=f"of which {len(seen) - 1} are finite"):
        validate(store, users=seen, labels=labels, cut=cut, **{what: holed})


def test_progress_only_moves_forward_and_ends_at_the_end(*, store, seen, labels, cut):
    told = []
    validate(
        store,
        users=seen,
        labels=labels,
        cut=cut,
        settings=QUICK,
        progress=lambda done, total: told.append((done, total)),
    )
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1] == max(totals)


def test_users_without_a_segment_are_judged_together_and_not_listed(*, store, seen, labels, cut):
    some = np.where(np.arange(len(labels)) % 3 == 0, -1, labels)
    report = validate(store, users=seen, labels=some, cut=cut, settings=QUICK)
    assert report.n_users == len(seen)
    assert [segment.segment_id for segment in report.segments] == [0, 1, 2, 3]
    assert sum(segment.n_users for segment in report.segments) == (some >= 0).sum()


def test_many_users_are_sampled_and_the_report_says_so(*, store, seen, labels, cut):
    settings = ValiditySettings(n_draws=50, max_users=200)
    report = validate(store, users=seen, labels=labels, cut=cut, settings=settings)
    assert report.n_users == 200
    assert any(f"200 of {len(seen)} users" in note for note in report.notes)


def test_outcomes_end_where_the_settings_say(*, store, seen, labels, cut):
    settings = ValiditySettings(n_draws=20, end=cut + 10 * DAY_US)
    short = validate(store, users=seen, labels=labels, cut=cut, settings=settings)
    long = validate(store, users=seen, labels=labels, cut=cut, settings=QUICK)
    assert (short.end, long.end) == (cut + 10 * DAY_US, store.newest + 1)
    means = [r.outcomes[place_of(r, "later events")].mean for r in (short, long)]
    assert means[0] < 0.5 * means[1]


def test_each_user_needs_one_label(*, store, seen, labels, cut):
    with pytest.raises(FitError, match=f"one label for each user; found 7 of {len(seen)}"):
        validate(store, users=seen, labels=labels[:7], cut=cut)


def test_where_nobody_came_back_nothing_is_judged_and_the_reason_is_told(*, store, seen, labels):
    end = store.newest + 1
    report = validate(store, users=seen, labels=labels, cut=end)
    assert f"No future window: the log has no event from {iso(end)} on." in report.notes
    assert (report.outcomes, report.rows, report.segments) == ((), (), ())
    assert report.reason == f"none of these users has an event from {iso(end)} on"
    assert report.reason in report.summary_line()
    assert ValidityReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_one_user_is_not_judged(make_store):
    store = make_store(events_of([("a", "view", 0), ("a", "view", 9)]))
    report = validate(store, users=np.array([0]), labels=np.array([0]), cut=START_US + 5 * DAY_US)
    assert report.outcomes == ()
    assert "varies too little" in report.reason


def test_one_event_type_and_no_values_are_judged_on_activity(make_store):
    generator = np.random.default_rng(0)
    rows = [
        (f"u{user}", "visit", float(day) + generator.random())
        for user in range(200)
        for day in range(60)
        if generator.random() < (0.1 if user % 2 else 0.5)
    ]
    store = make_store(events_of(rows))
    users = np.arange(store.n_users)
    labels = np.array([int(user[1:]) % 2 for user in store.user_ids()])
    report = validate(
        store, users=users, labels=labels, cut=START_US + 40 * DAY_US, settings=QUICK
    )
    assert [outcome.name for outcome in report.outcomes] == ["later events"]
    assert report.rows[0].scores[0].score.low > 0.5
    assert any(note.startswith("Only 200 users") for note in report.notes)
    assert any(note.startswith("One event type only") for note in report.notes)


@pytest.mark.parametrize(
    ("kinds", "items", "note"),
    [
        (("visit",), False, "One event type only: segments can differ in when and how much"),
        (("visit", "buy"), False, "Two event types only: segments can differ in when and how"),
        (("visit",), True, "One event type only: segments can differ in the item"),
        (("visit", "buy"), True, None),
        (("visit", "buy", "return"), False, None),
    ],
)
def test_a_log_that_hardly_tells_what_users_do_is_pointed_out(*, kinds, items, note, make_store):
    rows = [(f"u{user}", kinds[user % len(kinds)], user % 7) for user in range(100)]
    events = events_of(rows)
    if items:
        events = events.with_columns(pl.format("item {}", pl.int_range(pl.len())).alias("item"))
    store, users = make_store(events), np.arange(100)
    report = validate(store, users=users, labels=users % 2, cut=START_US + 5 * DAY_US)
    found = [one for one in report.notes if "event type" in one]
    assert [one[: len(note or "")] for one in found] == ([note] if note else [])


def test_a_log_of_one_day_is_called_one(make_store):
    rows = [
        (f"u{user}", "view", user % 90 / 100 + later) for user in range(90) for later in (0, 5)
    ]
    store = make_store(events_of(rows))
    users = np.arange(90)
    report = validate(store, users=users, labels=users % 2, cut=START_US + 2 * DAY_US)
    assert any("lie within a day" in note for note in report.notes)


def test_a_short_time_after_the_cut_is_pointed_out(*, store, seen, labels, cut):
    settings = ValiditySettings(n_draws=20, end=cut + DAY_US // 2)
    report = validate(store, users=seen, labels=labels, cut=cut, settings=settings)
    assert "The time after the cut is shorter than a day." in report.notes


def test_amounts_in_several_currencies_are_pointed_out(make_store, log, cut):
    currency = (
        pl.when(pl.col("user").str.ends_with("1")).then(pl.lit("SEK")).otherwise(pl.lit("EUR"))
    )
    store = make_store(log.events.with_columns(currency.alias("currency")))
    users = np.arange(store.n_users)
    report = validate(store, users=users, labels=users % 3, cut=cut, settings=QUICK)
    assert "Amounts in 2 currencies are added as they are." in report.notes
