"""A table of outcomes is taken as it says, and refused where it does not say enough."""

import json

import numpy as np
import polars as pl
import pytest

from segmenter.errors import ColumnError
from segmenter.validity.supplied import supplied_outcomes
from segmenter.validity.validate import ValiditySettings, validate

USERS = pl.Series([f"u{user}" for user in range(200)])


def table(**columns):
    return pl.DataFrame({"user_id": USERS, **columns})


def test_zeros_and_ones_are_a_yes_or_no_and_other_numbers_an_amount():
    passed = [user % 3 == 0 for user in range(200)]
    given = table(
        passed=passed,
        score=[float(user % 17) for user in range(200)],
        churned=[user % 2 for user in range(200)],
        text=[str(user % 2) for user in range(200)],
    )
    outcomes, thin = supplied_outcomes(given, USERS)
    assert [(outcome.name, outcome.kind) for outcome in outcomes] == [
        ("passed", "auc"),
        ("score", "r2"),
        ("churned", "auc"),
        ("text", "auc"),
    ]
    assert thin == ()
    assert outcomes[0].values.tolist() == passed
    assert outcomes[1].amounts.tolist() == [float(user % 17) for user in range(200)]
    assert all(outcome.population.all() for outcome in outcomes)


def test_users_who_are_not_known_are_not_asked():
    values = [None if user < 20 else user % 2 for user in range(150)] + [float("nan")] * 50
    given = table(passed=pl.Series(values, dtype=pl.Float64, strict=False)).sample(
        fraction=1, shuffle=True, seed=0
    )
    strangers = pl.Series(["stranger"]).append(USERS)
    (outcome,), _ = supplied_outcomes(given, strangers)
    assert outcome.population.tolist() == [False, *(20 <= user < 150 for user in range(200))]
    assert outcome.values[outcome.population].tolist() == [user % 2 for user in range(20, 150)]


def test_a_population_restricts_who_is_asked():
    given = table(passed=[user % 2 for user in range(200)])
    asked = pl.DataFrame({"user_id": USERS[:120].append(pl.Series(["stranger"]))})
    (outcome,), _ = supplied_outcomes(given, USERS, population=asked)
    assert outcome.population.tolist() == [user < 120 for user in range(200)]
    assert outcome.population_name == "given population"


def test_an_outcome_that_hardly_varies_is_left_out_with_a_sentence():
    given = table(passed=[1] * 200, left=[int(user < 29) for user in range(200)])
    outcomes, thin = supplied_outcomes(given, USERS)
    assert outcomes == ()
    assert [sentence.split()[1] for sentence in thin] == ["passed", "left"]
    assert "known of 200 of these users and varies too little" in thin[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pl.DataFrame({"user": ["a"], "passed": [1]}), "must have a column user_id; found user"),
        (pl.DataFrame({"user_id": ["a", "a"], "x": [1, 0]}), "found 2 rows of 1 users"),
        (pl.DataFrame({"user_id": ["a"]}), "must have a column beside user_id"),
        (pl.DataFrame({"user_id": ["a"], "x": ["often"]}), "found column x of type String"),
        (pl.DataFrame({"user_id": ["a"], "x": [[1]]}), "found column x of type List"),
    ],
)
def test_a_table_that_does_not_say_enough_is_refused(given, message):
    with pytest.raises(ColumnError, match=message):
        supplied_outcomes(given, USERS)


def test_a_population_without_users_is_refused():
    with pytest.raises(ColumnError, match="table of population must have a column user_id"):
        supplied_outcomes(table(x=[0] * 200), USERS, population=pl.DataFrame({"id": ["a"]}))


def test_a_supplied_outcome_comes_first_and_needs_no_future_window(store, personas):
    users = np.arange(store.n_users)
    labels = personas.rank("dense").to_numpy().astype(np.int64)
    truth = personas.is_in(["persona 0", "persona 2"])
    given = pl.DataFrame({"user_id": store.user_ids(), "renewed": truth})
    report = validate(
        store,
        users=users,
        labels=labels,
        cut=store.newest + 1,
        outcomes=given,
        settings=ValiditySettings(n_draws=50),
    )
    assert [outcome.title for outcome in report.outcomes] == ["Renewed AUC"]
    assert report.rows[0].scores[0].score.value == pytest.approx(1, abs=1e-3)
    assert any(note.startswith("No future window") for note in report.notes)
    assert json.dumps(report.to_json())
    later = validate(
        store,
        users=users,
        labels=labels,
        cut=store.newest - 86_400_000_000 * 20,
        outcomes=given,
        settings=ValiditySettings(n_draws=20),
    )
    assert later.outcomes[0].name == "renewed"
    assert len(later.outcomes) > 3
