"""The tables for the terminal, and the parts that a page is laid out with."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from tests.training.report_samples import printed, renamed, sample_report
from training.report.charts import HEIGHT, WIDTH, line_chart
from training.report.data import ReportData
from training.report.page import flattened
from training.report.scales import Scale
from training.report.tables import segment_table, validity_table
from training.report.words import MINUS, moment, printable


@pytest.fixture(scope="module")
def report() -> ReportData:
    return sample_report()


@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30),
    mark=st.none() | st.floats(-1e9, 1e9),
)
def test_a_chart_keeps_its_lines_inside_and_larger_values_higher(
    values: list[float], mark: float | None
) -> None:
    chart = line_chart("x", {"a": values, "none": []}, accent="a", mark=mark)
    (line,) = chart.lines
    assert len(line.points) == len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line.points)
    heights = [y for _, y in line.points]
    order = sorted(range(len(values)), key=values.__getitem__)
    assert all(heights[a] >= heights[b] for a, b in pairwise(order))


@given(
    ends=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    value=st.floats(),
    base=st.floats(-1e6, 1e6),
)
def test_a_bar_lies_on_its_scale(ends: tuple[float, float], value: float, base: float) -> None:
    scale = Scale(min(ends), max(ends))
    bar = scale.bar(value, base=base, low=value, high=value)
    assert 0 <= bar.left <= bar.left + bar.width <= 100.01
    assert bar.clipped == (not min(ends) <= value <= max(ends))


def test_the_segment_table_names_every_segment_at_a_hundred_columns(report: ReportData) -> None:
    text = printed(segment_table(report))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for segment in report.segments:
        first = segment["name"].split(",")[0].split()[0]
        pattern = rf"^ *{segment['id']}  +{re.escape(first)}.* {segment['n_users']:,} "
        assert re.search(pattern, text, re.MULTILINE), segment


def test_the_validity_table_holds_every_segmentation_and_outcome(report: ReportData) -> None:
    table, validity = validity_table(report), report.validity_report
    assert table is not None
    assert validity is not None
    text = printed(table)
    assert max(map(len, text.splitlines())) <= 100
    assert all(outcome.title in text for outcome in validity.outcomes)
    for row in validity.rows:
        assert len(re.findall(rf"^ +{row.name} ", text, re.MULTILINE)) == len(validity.outcomes)
    assert f"{MINUS}.02" in text


@given(st.text())
def test_tables_pass_on_nothing_that_steers_a_terminal(text: str) -> None:
    assert printable(text).isprintable()
    data = renamed(
        sample_report(n_users=80, n_segments=1), f"\x1b[31m{text}", user_id="1", value=text
    )
    assert "\x1b" not in printed(segment_table(data))


def test_settings_are_flattened_to_paths() -> None:
    plain = {"seed": 0, "settings": {"model": {"noise": 0.1}, "empty": {}}, "until": None}
    pairs = [("seed", "0"), ("settings / model / noise", "0.1"), ("until", "null")]
    assert list(flattened(plain)) == pairs


@pytest.mark.parametrize(
    ("iso", "said"),
    [
        ("2017-10-01T00:00:00Z", "2017-10-01"),
        ("2017-10-01T02:30:59+02:00", "2017-10-01 00:30 UTC"),
        ("sometime", "sometime"),
    ],
)
def test_times_are_said_in_utc(iso: str, said: str) -> None:
    assert moment(iso) == said
