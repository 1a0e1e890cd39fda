"""Linear models out of fold equal scikit-learn's in a loop and never see their own user."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold

from segmenter.validity.features import standardised
from segmenter.validity.linear import linear_predictions
from segmenter.validity.outcomes import Outcome

STRENGTHS = (0.1, 1.0)


def everybody(n):
    return np.ones(n, dtype=bool)


def sample(seed, n=150, width=6):
    generator = np.random.default_rng(seed)
    columns = standardised(generator.normal(3, 2, (n, width)))
    return generator, columns, columns @ generator.normal(0, 1, width)


def slow_ridge(columns, values, strength):
    predicted = np.empty(len(values))
    for train, test in KFold(5, shuffle=True, random_state=0).split(values):
        model = Ridge(alpha=strength * len(train)).fit(columns[train], values[train])
        predicted[test] = model.predict(columns[test])
    return predicted


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_amounts_are_predicted_as_by_ridge_in_a_loop(seed):
    generator, columns, signal = sample(seed)
    population = generator.random(150) < 0.8
    outcome = Outcome("later", "r2", signal + generator.normal(0, 1, 150), population)
    (predicted,) = linear_predictions(columns, outcome, STRENGTHS, seed=0)
    for strength, row in zip(STRENGTHS, predicted, strict=True):
        expected = slow_ridge(columns[population], outcome.values[population], strength)
        np.testing.assert_allclose(row, expected, atol=1e-8)


@pytest.mark.parametrize("shared", [True, False])
def test_many_questions_are_predicted_as_one_by_one(shared):
    generator, columns, signal = sample(1)
    inside = everybody(150)
    parts = tuple(
        Outcome(
            f"later {place}",
            "auc",
            (signal + generator.normal(0, 1, 150) > 0).astype(np.float64),
            inside if shared else generator.random(150) < 0.7,
        )
        for place in range(3)
    )
    outcome = Outcome("later things", "mean auc", signal, inside, parts=parts)
    predictions = list(linear_predictions(columns, outcome, STRENGTHS, seed=0))
    assert len(predictions) == 3
    for part, predicted in zip(parts, predictions, strict=True):
        rows = part.population
        expected = slow_ridge(columns[rows], part.values[rows], STRENGTHS[1])
        np.testing.assert_allclose(predicted[1], expected, atol=1e-8)


def test_a_yes_or_no_is_predicted_as_by_logistic_regression_in_a_loop():
    generator, columns, signal = sample(2)
    values = (signal + generator.normal(0, 1, 150) > 1).astype(np.float64)
    outcome = Outcome("later", "auc", values, everybody(150))
    (predicted,) = linear_predictions(columns, outcome, STRENGTHS, seed=0)
    expected = np.empty(150)
    for train, test in KFold(5, shuffle=True, random_state=0).split(values):
        spread = len(train) * values[train].mean() * (1 - values[train].mean())
        model = LogisticRegression(C=1 / (STRENGTHS[0] * spread), tol=1e-8, max_iter=10_000)
        model.fit(columns[train], values[train])
        expected[test] = model.decision_function(columns[test])
    np.testing.assert_allclose(predicted[0], expected, atol=1e-3)
    assert roc_auc_score(values, predicted[0]) > 0.8


@pytest.mark.parametrize("kind", ["r2", "auc"])
def test_no_user_is_predicted_from_the_users_own_outcome(kind):
    generator, columns, signal = sample(3)
    values = signal + generator.normal(0, 1, 150)
    values = (values > 0).astype(np.float64) if kind == "auc" else values
    for user in (0, 77, 149):
        changed = values.copy()
        changed[user] = 1 - changed[user]
        rows = [
            next(
                linear_predictions(
                    columns, Outcome("later", kind, given_values, everybody(150)), (0.3,), seed=0
                )
            )[0]
            for given_values in (values, changed)
        ]
        assert rows[0][user] == pytest.approx(rows[1][user], abs=1e-9)
        assert np.abs(rows[0] - rows[1]).max() > 1e-6


def test_numbers_without_any_signal_predict_nothing():
    generator, columns, _ = sample(4, n=400, width=30)
    outcome = Outcome("later", "r2", generator.normal(0, 1, 400), everybody(400))
    (predicted,) = linear_predictions(columns, outcome, (3.0,), seed=0)
    assert r2_score(outcome.values, predicted[0]) < 0.02


def test_standardised_columns_have_unit_spread_and_constant_ones_are_left_out():
    generator = np.random.default_rng(0)
    given_columns = np.hstack(
        [
            generator.normal(1e6, 1e-2, (50, 2)),
            np.full((50, 1), 7.0),
            generator.normal(0, 1, (50, 1)),
        ]
    ).astype(np.float64)
    made = standardised(given_columns)
    assert made.shape == (50, 3)
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(made.std(axis=0), 1)
    assert standardised(np.ones((5, 2), dtype=np.float32)).shape == (5, 0)
