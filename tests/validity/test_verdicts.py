"""Losses read as plainly as wins, and figures as people write them."""

import pytest

from segmenter.validity.lift import Interval
from segmenter.validity.validity_report import (
    OutcomeSummary,
    Row,
    Score,
    ValidityReport,
    figure,
)
from segmenter.validity.verdicts import standing, verdicts

SPEND = OutcomeSummary("later spend", "r2", "everybody", 500, 40.0)


def score(value, ahead=None, rule=""):
    span = None if ahead is None else Interval(ahead, ahead - 0.02, ahead + 0.02)
    return Score(Interval(value, value - 0.03, value + 0.03), span, rule)


ROWS = (
    Row("Segments", "segments", 8, (score(0.5),)),
    Row("RFM 3x3x3", "rule", 26, (score(0.45, 0.05),)),
    Row("Demographics", "rule", None, (score(0.48, 0.02, "age x income"),)),
    Row("KMeans", "model", 8, (score(0.56, -0.06),)),
    Row("No segments", "none", 1, (score(0.0, 0.5),)),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.517, ".52"), (-0.043, "-.04"), (1.0, "1.00"), (0.0, ".00"), (-1.5, "-1.50")],
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
