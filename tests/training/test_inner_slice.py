"""The earlier slice: what segments predict of it, no more than chance where they say nothing."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold

from segmenter.validity.activity import activity_before, within_bands
from segmenter.validity.guard import check_blind
from segmenter.validity.lift import fold_numbers, resampled_users
from segmenter.validity.outcomes import Outcome
from segmenter.validity.scoring import Scorer
from tests.training.crowd import AS_OF, CUT, crowd_at, slice_of
from tests.validity.reference import DAY_US, START_US, events_of, slow_out_of_fold, store_of
from training.inner_slice import MAX_USERS, N_DRAWS, InnerSlice, inner_slice, sampled_rows


def numbers_of(store):
    """Number of each user of a store whose users are named u0, u1, .."""
    return np.array([int(user[1:]) for user in store.user_ids()])


@pytest.fixture(scope="module")
def earlier(two_months):
    return slice_of(two_months.store)


@pytest.fixture(scope="module")
def persona(two_months):
    """The kind of each user of the slice."""
    return two_months.persona[crowd_at(two_months.store, CUT).users]


def fold_of(n_users):
    """The fold that each user is held out in."""
    fold = np.empty(n_users, dtype=np.int64)
    for number, (_, held_out) in enumerate(KFold(5, shuffle=True, random_state=0).split(fold)):
        fold[held_out] = number
    return fold


def share_of_pairs_in_order(values, predicted, stratum):
    """Of all pairs of a yes and a no of one stratum, those where the yes is put first."""
    yes = values > 0
    pairs = yes[:, None] & ~yes & (stratum[:, None] == stratum)
    order = np.sign(predicted[:, None] - predicted)[pairs]
    return (order.mean() + 1) / 2


def slow_score(outcome, labels, bands):
    """One outcome's score beyond chance, from slow predictions of each of its questions."""
    scores = []
    for question in outcome.asked:
        inside = question.population
        values = question.values[inside]
        predicted = slow_out_of_fold(labels[inside], values)
        if outcome.kind == "r2":
            return r2_score(values, predicted)
        if outcome.kind == "auc" and bands is None:
            return 2 * roc_auc_score(values, predicted) - 1
        band = 0 if bands is None else 10 * bands[inside]
        scores.append(share_of_pairs_in_order(values, predicted, band + fold_of(len(values))))
    return 2 * np.mean(scores) - 1


def test_validity_is_the_mean_over_all_questions_of_their_score_beyond_chance(two_months):
    then = crowd_at(two_months.store, CUT).users[:160]
    some = inner_slice(two_months.store, then, np.zeros((160, 2)), cut=CUT, end=AS_OF, seed=0)
    labels = np.random.default_rng(0).integers(0, 5, 160)
    bands = activity_before(two_months.store, then, until=CUT + 1).bands
    scores = [
        slow_score(outcome, labels, of_bands)
        for scorer, of_bands in zip(some.scorers, (None, bands), strict=True)
        for outcome in scorer.outcomes
    ]
    kinds = {outcome.kind for scorer in some.scorers for outcome in scorer.outcomes}
    assert kinds == {"r2", "auc", "mean auc"}
    figures = some.validity(labels, seed=0)
    assert figures.shape == (1 + N_DRAWS,)
    assert figures[0] == pytest.approx(np.mean(scores), abs=1e-9)


def test_personas_predict_and_random_labels_say_nothing(earlier, persona):
    known = earlier.validity(persona, seed=0)
    assert known[0] > 0.3
    generator = np.random.default_rng(1)
    for n_segments in (4, 12, 30):
        random = [
            earlier.validity(generator.integers(0, n_segments, len(persona)), seed=0)
            for _ in range(6)
        ]
        assert abs(np.mean([figures[0] for figures in random])) < 0.06
        assert all((figures < known).all() for figures in random)


def test_one_segment_for_all_predicts_no_more_than_chance(earlier, persona):
    assert -0.1 < earlier.validity(np.zeros_like(persona), seed=0)[0] <= 0


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(4)))
def test_the_numbers_of_segments_do_not_matter(earlier, persona, numbers):
    renamed = np.array(numbers)[persona]
    np.testing.assert_allclose(
        earlier.validity(renamed, seed=0), earlier.validity(persona, seed=0), atol=1e-12
    )


def test_halves_of_personas_that_differ_in_nothing_add_no_validity(earlier, persona):
    """Finer is not better by itself: a random split of each persona predicts no more."""
    coin = np.random.default_rng(2).integers(0, 2, len(persona))
    assert earlier.validity(2 * persona + coin, seed=0)[0] <= earlier.validity(persona, seed=0)[0]


def test_nothing_after_the_window_is_asked(two_months):
    then = crowd_at(two_months.store, CUT)

    def asked(store):
        found = slice_of(store)
        values = [
            part.values
            for scorer in found.scorers
            for outcome in scorer.outcomes
            for part in outcome.asked
        ]
        return np.concatenate(
            [found.embeddings.ravel(), *values, found.validity(then.users % 7, seed=0)]
        )

    assert (np.asarray(two_months.store.times) > AS_OF).mean() > 0.1
    check_blind(asked, two_months.store, until=AS_OF + 1, what="the slice")


def test_the_window_is_after_the_cut_and_up_to_its_end(tmp_path):
    """Everybody comes on the cut; a third again at the end, a third one microsecond later."""
    rows = [(f"u{user}", "view", 10.0) for user in range(120)]
    rows += [(f"u{user}", "view", 20.0) for user in range(40)]
    rows += [(f"u{user}", "view", 20.0 + 1 / DAY_US) for user in range(40, 80)]
    store = store_of(events_of(rows), tmp_path)
    again = numbers_of(store) < 40
    cut, end = START_US + 10 * DAY_US, START_US + 20 * DAY_US
    found = inner_slice(store, np.arange(120), np.zeros((120, 1)), cut=cut, end=end, seed=0)
    asked = {outcome.name: outcome for outcome in found.scorers[0].outcomes}
    assert set(asked) == {"later events", "later view"}
    assert asked["later view"].values.tolist() == again.tolist()
    np.testing.assert_allclose(asked["later events"].amounts, again)
    assert found.validity(again, seed=0)[0] > 0.9


def test_there_is_no_slice_where_nothing_can_be_predicted(two_months):
    store = two_months.store
    everybody, nobody = np.arange(store.n_users), np.arange(0)
    after = {"cut": store.newest, "end": store.newest + DAY_US}
    assert inner_slice(store, everybody, np.zeros((400, 1)), **after, seed=0) is None
    assert inner_slice(store, nobody, np.zeros((0, 1)), cut=CUT, end=AS_OF, seed=0) is None


def test_a_question_without_a_pair_of_users_to_compare_is_passed_over():
    """The only two users who differ inside their band are held out in different folds."""
    fold = fold_numbers(80, 5, 0)
    values = np.repeat([0.0, 1.0], 40)
    bands = values.astype(np.int64)
    two = [np.flatnonzero(fold == number)[0] for number in (0, 1)]
    bands[two], values[two] = 2, [1.0, 0.0]
    outcome = Outcome("later view", "auc", values, np.ones(80, dtype=bool))
    (within,) = within_bands((outcome,), bands)
    weights = resampled_users(80, n_draws=10, seed=0)
    among_all = Scorer([outcome], weights, seed=0)
    both = InnerSlice(
        np.zeros((80, 1)), (among_all, Scorer([within], weights, seed=0, bands=bands))
    )
    labels = np.arange(80) % 3
    np.testing.assert_array_equal(
        both.validity(labels, seed=0),
        InnerSlice(np.zeros((80, 1)), (among_all,)).validity(labels, seed=0),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3 * MAX_USERS), st.integers(0, 100))
def test_the_choice_is_made_on_all_users_or_on_a_sample_without_repeats(n_users, seed):
    rows = sampled_rows(n_users, seed=seed)
    assert len(rows) == min(n_users, MAX_USERS)
    assert (np.diff(rows) > 0).all()
    assert len(rows) == 0 or 0 <= rows[0] <= rows[-1] < n_users
    np.testing.assert_array_equal(sampled_rows(n_users, seed=seed), rows)
    if n_users > 2 * MAX_USERS:
        assert (sampled_rows(n_users, seed=seed + 1) != rows).any()


def test_a_log_of_one_kind_of_event_still_asks_how_many(tmp_path):
    generator = np.random.default_rng(3)
    rows = [
        (f"u{user}", "ping", day)
        for user in range(150)
        for day in generator.uniform(0, 20, 1 + 3 * (user % 9))
    ]
    store = store_of(events_of(rows), tmp_path)
    cut = START_US + 10 * DAY_US
    found = inner_slice(
        store, np.arange(150), np.zeros((150, 1)), cut=cut, end=store.newest, seed=0
    )
    names = {outcome.name for scorer in found.scorers for outcome in scorer.outcomes}
    assert "later events" in names
    assert found.validity(numbers_of(store) % 9, seed=0)[0] > 0.3
