"""Rows of scores: the judge's own for one question, honest averages for many."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import r2_score, roc_auc_score

from segmenter.validity.lift import fold_numbers, out_of_fold_prediction, resampled_users
from segmenter.validity.outcomes import Outcome
from segmenter.validity.scoring import MAX_TRIED, Candidate, Scorer, grouping, linear_rows, rows_of
from tests.validity.reference import judge

SEEDS = st.integers(0, 10_000)


def everybody(n):
    return np.ones(n, dtype=bool)


def question(values, population=None):
    inside = everybody(len(values)) if population is None else population
    return Outcome("later", "auc", np.asarray(values, dtype=np.float64), inside)


def joined(parts):
    values = np.sum([part.values * part.population for part in parts], axis=0)
    inside = np.any([part.population for part in parts], axis=0)
    return Outcome("later things", "mean auc", values, inside, parts=tuple(parts))


def random_questions(generator, n, n_parts):
    return [
        question(
            (generator.random(n) < generator.uniform(0.1, 0.5)).astype(np.float64),
            generator.random(n) < 0.8,
        )
        for _ in range(n_parts)
    ]


def score_of(labels, outcome, *, n_draws=0, bands=None):
    """The figures of one segmentation on one outcome."""
    weights = resampled_users(len(labels), n_draws=n_draws, seed=0)
    scorer = Scorer([outcome], weights, seed=0, bands=bands)
    (figures,) = scorer.score(grouping("segments", "segments", {"": labels}, seed=0)).figures
    return figures


@pytest.mark.parametrize("kind", ["r2", "auc"])
def test_a_score_is_the_judges_own(kind):
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 9, 500)
    amounts = labels / 3 + generator.normal(0, 1, 500)
    values = (amounts > 2).astype(np.float64) if kind == "auc" else amounts
    names = [f"user {user}" for user in range(500)]
    segment = {name: label for name, label in zip(names, labels, strict=True) if label}
    expected = judge().score(segment, {"later": (kind, dict(zip(names, values, strict=True)))})
    outcome = Outcome("later", kind, values, everybody(500))
    found = score_of(np.where(labels == 0, -1, labels), outcome)
    assert found[0] == pytest.approx(expected["later"], abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, banded=st.booleans())
def test_a_mean_auc_averages_questions_whose_users_were_held_out_together(seed, banded):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 5, 120)
    bands = generator.integers(0, 3, 120) if banded else np.zeros(120, dtype=np.int64)
    parts = random_questions(generator, 120, 4)
    expected = []
    for part in parts:
        inside = part.population
        values = part.values[inside]
        # Held against a slow loop elsewhere; here ties must be ties to the last bit.
        predicted = out_of_fold_prediction(labels[inside], values)
        fold = fold_numbers(int(inside.sum()), 5, 0)
        pairs = [
            (predicted[yes] > predicted[no]) + 0.5 * (predicted[yes] == predicted[no])
            for yes in np.flatnonzero(values == 1)
            for no in np.flatnonzero(values == 0)
            if fold[yes] == fold[no] and bands[inside][yes] == bands[inside][no]
        ]
        expected.append(np.mean(pairs))
    found = score_of(labels, joined(parts), bands=bands if banded else None)
    assert found[0] == pytest.approx(np.mean(expected), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_the_same_guess_for_everybody_is_exactly_chance_where_signals_are_weak(seed):
    generator = np.random.default_rng(seed)
    nothing = np.zeros(150, dtype=np.int64)
    outcome = joined(random_questions(generator, 150, 5))
    assert score_of(nothing, outcome)[0] == pytest.approx(0.5)
    bands = generator.integers(0, 4, 150)
    assert score_of(nothing, outcome, bands=bands)[0] == pytest.approx(0.5)


def test_segments_that_are_bands_of_activity_say_nothing_within_the_bands():
    generator = np.random.default_rng(0)
    bands = np.repeat(np.arange(10), 40)
    outcome = question(generator.random(400) < (bands + 1) / 12)
    assert score_of(bands, outcome)[0] > 0.7
    assert score_of(bands, outcome, bands=bands)[0] == pytest.approx(0.5)


def test_segments_of_taste_keep_what_they_say_within_the_bands():
    generator = np.random.default_rng(0)
    bands, taste = np.repeat(np.arange(10), 60), np.arange(600) % 2
    outcome = joined([question(generator.random(600) < np.where(taste, 0.6, 0.2))])
    both = score_of(taste, outcome)[0], score_of(taste, outcome, bands=bands)[0]
    assert both[1] == pytest.approx(both[0], abs=0.03)
    assert both[1] > 0.65


def test_the_best_variant_counts_and_is_named():
    generator = np.random.default_rng(1)
    good, bad = generator.integers(0, 4, 300), generator.integers(0, 4, 300)
    amounts = Outcome("later", "r2", good + generator.normal(0, 1, 300), everybody(300))
    parts = [question(generator.random(300) < (good + 1) / 6) for _ in range(MAX_TRIED + 5)]
    scorer = Scorer(
        [amounts, parts[0], joined(parts)], resampled_users(300, n_draws=20, seed=0), seed=0
    )
    rules = grouping("rules", "rule", {"bad": bad, "good": good}, seed=0)
    alone = scorer.score(grouping("rules", "rule", {"good": good}, seed=0))
    scored = scorer.score(rules)
    assert scored.chosen == ("good", "good", "good")
    assert rules.n_groups is None
    for figures, expected in zip(scored.figures, alone.figures, strict=True):
        np.testing.assert_allclose(figures, expected)


def candidate(name, kind, predicted):
    """Something that predicts these values, whatever is asked."""
    return Candidate(name, kind, ("",), lambda *_: iter([predicted[None]]))


def test_rows_pair_every_difference_over_the_same_users():
    generator = np.random.default_rng(4)
    values = generator.normal(0, 1, 200)
    near, far = (values + generator.normal(0, noise, 200) for noise in (0.5, 0.9))
    weights = resampled_users(200, n_draws=80, seed=2)
    outcome = Outcome("later", "r2", values, everybody(200))
    scorer = Scorer([outcome], weights, seed=0)
    tested, rule = candidate("Segments", "segments", near), candidate("RFM", "rule", far)
    one, other, nothing = rows_of([scorer.score(tested), scorer.score(rule)], [outcome])
    drawn = np.array(
        [
            r2_score(values, near, sample_weight=w) - r2_score(values, far, sample_weight=w)
            for w in weights.T
        ]
    )
    ahead = other.scores[0].ahead
    assert one.scores[0].ahead is None
    assert ahead.value == pytest.approx(drawn[0])
    assert (ahead.low, ahead.high) == pytest.approx(tuple(np.quantile(drawn[1:], [0.05, 0.95])))
    # "No segments" is 0 by definition, so being ahead of it is the score itself.
    assert nothing.kind == "none"
    assert nothing.scores[0].ahead == one.scores[0].score


def test_linear_models_stand_beside_the_best_rule_of_each_outcome():
    generator = np.random.default_rng(5)
    values = (generator.random(300) < 0.4).astype(np.float64)
    weights = resampled_users(300, n_draws=60, seed=0)
    outcome = question(values)
    scorer = Scorer([outcome], weights, seed=0)
    model, plain, good, bad = (
        scorer.score(candidate(name, kind, values + generator.normal(0, noise, 300)))
        for name, kind, noise in (
            ("Embedding", "embedding", 0.6),
            ("Plain features", "features", 0.8),
            ("good", "rule", 1.0),
            ("bad", "rule", 3.0),
        )
    )
    first, second = linear_rows([model, plain], [bad, good])
    assert first.scores[0].ahead is None
    assert second.scores[0].ahead.value == pytest.approx(model.figures[0][0] - plain.figures[0][0])
    for row, scored in ((first, model), (second, plain)):
        expected = scored.figures[0][0] - good.figures[0][0]
        assert row.scores[0].over_rule.value == pytest.approx(expected)
        assert row.scores[0].score.value == pytest.approx(scored.figures[0][0])


def test_the_areas_under_bootstrap_weights_stay_areas():
    values = np.zeros(200)
    values[:31] = 1
    (figures,) = (
        Scorer([question(values)], resampled_users(200, n_draws=200, seed=0), seed=0)
        .score(candidate("perfect but for one", "rule", values + (np.arange(200) == 199)))
        .figures
    )
    predicted = values + (np.arange(200) == 199)
    assert figures[0] == pytest.approx(roc_auc_score(values, predicted))
    assert figures.max() <= 1
