"""Tables hold every figure of the report as text, and only that."""

import numpy as np
import pytest

from segmenter.validity.lift import Interval
from segmenter.validity.rows import (
    ActivityShare,
    Lift,
    LiftCurve,
    OutcomeSummary,
    Row,
    Score,
    SegmentValidity,
    WithinActivity,
)
from segmenter.validity.tables import validity_tables
from segmenter.validity.validity_report import ValidityReport

OUTCOMES = (
    OutcomeSummary("later spend", "r2", "everybody", 1_500, 1234.5),
    OutcomeSummary("later buy", "auc", "known attributes", 800, 0.25),
)


def span(value):
    return Interval(value, value - 0.01, value + 0.01)


def row(name, kind, n_groups, *scores):
    return Row(name, kind, n_groups, tuple(scores))


def beside(value, ahead, rule=""):
    return Score(span(value), span(ahead), rule)


ROWS = (
    row("Segments", "segments", 7, Score(span(0.5)), Score(span(0.7))),
    row("RFM 3x3x3", "rule", 26, beside(0.45, 0.05), beside(0.75, -0.05)),
    row(
        "Demographics", "rule", None, beside(0.1, 0.4, "age"), beside(0.69, 0.005, "age x income")
    ),
    row("No segments", "none", 1, beside(0.0, 0.5), beside(0.5, 0.2)),
)
LINEAR = (
    row("Embedding", "embedding", None, *(Score(span(0.6), over_rule=span(0.15)),) * 2),
    row("Plain features", "features", None, beside(0.62, -0.02), beside(0.6, 0.0)),
)
REPORT = ValidityReport(
    0,
    1,
    1_500,
    OUTCOMES,
    ROWS,
    (
        SegmentValidity(
            3, 1_100, (Lift(1_100, 2_000.4, 1_990.0, span(1.62)), Lift(500, 0.2, 0.22, span(0.8)))
        ),
        SegmentValidity(5, 400, (Lift(400, 7.25, 90.0, span(0.01)), Lift(0, 0.0, 0.0, None))),
    ),
    linear=LINEAR,
    within=WithinActivity(10, OUTCOMES[:1], ROWS, (ActivityShare("Segments", 0.28, 0.8),)),
    curves=tuple(
        LiftCurve(place, name, tuple(span(lift) for lift in np.linspace(2, 0, 10)))
        for place in range(2)
        for name in ("Segments", "RFM 3x3x3")
    ),
)


@pytest.fixture(scope="module")
def tables():
    return {table.title: table for table in validity_tables(REPORT)}


def test_every_part_of_a_report_has_its_table(tables):
    assert list(tables) == [
        "What the segments predict",
        "What the embedding predicts",
        "How much of the segmentation is activity",
        "Within activity deciles",
        "Later spend by segment",
        "Later spend by tenths of the users",
    ]
    for table in tables.values():
        assert all(len(cells) == len(table.columns) for cells in table.rows)


def test_scores_are_marked_by_how_the_segments_stand_beside_them(tables):
    table = tables["What the segments predict"]
    assert table.columns[2:] == (
        "Segments (7)",
        "RFM 3x3x3 (26)",
        "Demographics",
        "No segments (1)",
    )
    assert table.rows == (
        ("Later spend R2", "1,500", ".50 (.49 to .51)", ".45 +", ".10 +", ".00 +"),
        ("Later buy (known attributes) AUC", "800", ".70 (.69 to .71)", ".75 -", ".69 =", ".50 +"),
    )
    assert "90 % interval" in table.note


def test_the_embedding_stands_beside_the_best_rule(tables):
    rows = tables["What the embedding predicts"].to_dicts()
    assert [line["embedding less the best rule"] for line in rows] == [
        "RFM 3x3x3 +0.150 (+0.140 to +0.160)",
        "RFM 3x3x3 +0.150 (+0.140 to +0.160)",
    ]
    assert rows[0]["Plain features"] == ".62 -"
    assert rows[1]["Plain features"] == ".60 ="


def test_a_segment_without_anybody_asked_has_no_figures(tables):
    assert tables["Later spend by segment"].rows == (
        ("3", "1,100", "1,100", "2,000", "1,990", "1.62 (1.61 to 1.63)"),
        ("5", "400", "400", "7.25", "90", "0.01 (0.00 to 0.02)"),
    )


def test_shares_of_activity_are_percentages(tables):
    assert tables["How much of the segmentation is activity"].rows == (
        ("Segments", "28 %", "80 %"),
    )


def test_tenths_stand_in_order_with_a_column_for_each_segmentation(tables):
    table = tables["Later spend by tenths of the users"]
    assert table.columns == ("tenth", "Segments", "RFM 3x3x3")
    assert [cells[0] for cells in table.rows] == [str(tenth) for tenth in range(1, 11)]
    assert table.rows[0][1] == "2.00 (1.99 to 2.01)"


def test_parts_that_were_not_made_have_no_table():
    assert validity_tables(ValidityReport(0, 1, 5, reason="thin")) == []
    plain = ValidityReport(0, 1, 1_500, OUTCOMES, ROWS, REPORT.segments)
    titles = [table.title for table in validity_tables(plain)]
    assert titles[0] == "What the segments predict"
    assert "What the embedding predicts" not in titles
    assert "Within activity deciles" not in titles
