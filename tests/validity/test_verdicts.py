"""Losses read as plainly as wins, and figures as people write them."""

import pytest

from segmenter.validity.lift import Interval
from segmenter.validity.rows import (
    ActivityShare,
    OutcomeSummary,
    Row,
    Score,
    WithinActivity,
    figure,
)
from segmenter.validity.validity_report import ValidityReport
from segmenter.validity.verdicts import activity_verdicts, linear_verdicts, standing, verdicts

SPEND = OutcomeSummary("later spend", "r2", "everybody", 500, 40.0)


def span(value, half=0.02):
    return None if value is None else Interval(value, value - half, value + half)


def score(value, ahead=None, *, rule="", over=None):
    return Score(span(value, 0.03), span(ahead), rule, span(over))


ROWS = (
    Row("Segments", "segments", 8, (score(0.5),)),
    Row("RFM 3x3x3", "rule", 26, (score(0.45, 0.05),)),
    Row("Demographics", "rule", None, (score(0.48, 0.02, rule="age x income"),)),
    Row("KMeans", "model", 8, (score(0.56, -0.06),)),
    Row("No segments", "none", 1, (score(0.0, 0.5),)),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.517, ".52"),
        (-0.043, "-.04"),
        (1.0, "1.00"),
        (0.0, ".00"),
        (-1.5, "-1.50"),
        (-0.004, ".00"),
        (-0.996, "-1.00"),
        (0.996, "1.00"),
    ],
)
def test_a_score_is_printed_with_two_decimals(value, text):
    assert figure(value) == text


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.01, 0.2, "ahead of"),
        (-0.2, -0.01, "behind"),
        (-0.1, 0.1, "level with"),
        (0, 0.1, "level with"),
    ],
)
def test_a_difference_counts_when_its_interval_leaves_out_zero(low, high, word):
    assert standing(Interval((low + high) / 2, low, high)) == word


def test_the_verdict_names_the_best_rule_and_every_model():
    (sentence,) = verdicts((SPEND,), ROWS)
    assert sentence == (
        "Later spend R2: segments .50, "
        "level with Demographics (age x income) .48 (+0.020; +0.000 to +0.040) and "
        "behind KMeans .56 (-0.060; -0.080 to -0.040)."
    )


def test_the_best_rule_is_that_of_the_outcome():
    report = ValidityReport(0, 1, 500, (SPEND,), ROWS)
    assert report.best_rule(0).name == "Demographics"
    assert report.row("KMeans").n_groups == 8
    assert report.row("nobody") is None
    assert ValidityReport(0, 1, 5, reason="thin").best_rule(0) is None


def test_the_summary_stands_the_baselines_beside_the_segments():
    report = ValidityReport(0, 1, 500, (SPEND,), ROWS)
    assert report.summary_line() == (
        "Later spend R2 .50 (.47 to .53) | RFM 3x3x3 .45 | Demographics .48 | KMeans .56"
    )
    assert ValidityReport(0, 1, 5, reason="thin").summary_line() == "Not judged: thin"


LATER = OutcomeSummary("adoption of a new category", "mean auc", "everybody", 500, 3.0, 40)


def test_the_embedding_is_told_apart_from_the_segments():
    linear = (
        Row("Embedding", "embedding", None, (score(0.55, over=0.07),)),
        Row("Plain features", "features", None, (score(0.56, -0.01, over=0.08),)),
    )
    full, counted = linear_verdicts((SPEND,), ROWS, linear)
    assert full == (
        "The embedding, read by a linear model: Later spend R2 .55, "
        "ahead of Demographics (age x income) .48 (+0.070; +0.050 to +0.090) and "
        "level with Plain features .56 (-0.010; -0.030 to +0.010)."
    )
    assert counted == (
        "Linear on the embedding, beside the best rule: "
        "ahead on 1, level on 0 and behind on 0 of 1 outcomes."
    )
    assert linear_verdicts((SPEND,), ROWS, ()) == []


def twice(rows):
    return tuple(Row(row.name, row.kind, row.n_groups, row.scores * 2) for row in rows)


def test_losses_of_the_embedding_are_named():
    scores = (score(0.3, over=-0.2), score(0.6, over=0.1))
    linear = (
        Row("Embedding", "embedding", None, scores),
        Row("Plain features", "features", None, (score(0.2, 0.1), score(0.6, 0.0))),
    )
    _, counted = linear_verdicts((SPEND, LATER), twice(ROWS), linear)
    assert counted.endswith(
        "ahead on 1, level on 0 and behind on 1 of 2 outcomes (Later spend R2)."
    )


def test_the_control_says_how_much_is_activity_and_what_is_left():
    within = WithinActivity(
        10,
        (SPEND, LATER),
        twice(ROWS),
        (ActivityShare("Segments", 0.412, 0.8), ActivityShare("KMeans", 0.386, 0.7)),
    )
    explained, counted, taste = activity_verdicts(within)
    assert explained.startswith("Activity alone explains 41 % of the segmentation (KMeans 39 %)")
    assert "ahead on 0, level on 2 and behind on 0 of 2 outcomes" in counted
    assert taste.startswith(
        "Within activity deciles: adoption of a new category mean AUC: segments .50, level with"
    )


def report_of(*ahead_of_rule, ahead_of_model=0.0, ahead_of_nothing=0.3):
    """A report whose segments stand like this beside the rule on each outcome."""
    outcomes = (SPEND, LATER)[: len(ahead_of_rule)]
    n = len(outcomes)
    rows = (
        Row("Segments", "segments", 8, (score(0.5),) * n),
        Row("RFM 3x3x3", "rule", 26, tuple(score(0.5 - ahead, ahead) for ahead in ahead_of_rule)),
        Row("KMeans", "model", 8, (score(0.5 - ahead_of_model, ahead_of_model),) * n),
        Row("No segments", "none", 1, (score(0.0, ahead_of_nothing),) * n),
    )
    return ValidityReport(0, 1, 500, outcomes, rows)


NOTHING = "ahead of no rule and of no untrained model on any outcome"


@pytest.mark.parametrize(
    ("report", "reasons"),
    [
        (report_of(0.1), []),
        (report_of(0.0, 0.1), []),
        (report_of(0.0, ahead_of_model=0.1), []),
        (report_of(0.015, 0.01, ahead_of_model=0.01), [NOTHING]),
        (report_of(-0.015, 0.1), []),
        (report_of(0.0, 0.0), [NOTHING]),
        (report_of(-0.1, 0.1), ["behind RFM 3x3x3 on Later spend R2"]),
        (report_of(0.1, -0.1), []),
        (report_of(0.1, ahead_of_nothing=-0.1), ["behind No segments on Later spend R2"]),
        (ValidityReport(0, 1, 5, reason="thin"), []),
    ],
)
def test_the_floor_is_the_best_rule_on_the_first_outcome_and_something_to_be_ahead_of(
    report, reasons
):
    assert list(report.floor_reasons) == reasons
    assert report.below_floor == bool(reasons)
    assert report.to_json()["below_floor"] == report.below_floor
    assert report.to_json()["floor_reasons"] == reasons


def test_a_report_of_an_older_version_is_read():
    report = report_of(0.1)
    plain = report.to_json()
    for name in ("linear", "within", "curves", "below_floor", "floor_reasons"):
        del plain[name]
    for row in plain["rows"]:
        for one in row["scores"]:
            del one["over_rule"]
    for outcome in plain["outcomes"]:
        del outcome["n_parts"]
    assert ValidityReport.from_json(plain) == report
