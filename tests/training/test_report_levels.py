"""How a page tells the choice of the level, and whether the segments pass the floor."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.validity.lift import Interval
from segmenter.validity.validity_report import ValidityReport
from tests.training.report_samples import CUT_US, OUTCOMES, sample_levels, sample_report
from tests.training.test_report import Page
from training.report.data import ABOVE_FLOOR, BELOW_FLOOR, NOT_JUDGED, ReportData
from training.report.headline_views import standing_view
from training.report.level_views import NEAR_BEST, ROOM_FOR_NAME, ROOM_FOR_TICK, levels_view
from training.report.lift_views import tenth_charts
from training.report.page import N_OPEN, render
from training.report.scales import Scale
from training.report.words import MINUS
from training.selection import Level

SMALL = sample_report(n_users=240, n_segments=3)


def plain(levels: Sequence[Level]) -> list[dict[str, Any]]:
    return [asdict(level) for level in levels]


@st.composite
def tried(draw: st.DrawFn, *, was_judged: bool = True) -> list[dict[str, Any]]:
    """Levels of any numbers, weights and figures."""
    numbers = draw(st.lists(st.integers(1, 200), unique=True, min_size=1, max_size=11))
    weights = draw(st.lists(st.floats(0, 2).map(lambda w: round(w, 3)), unique=True, max_size=4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = sample_levels(
        generator, n_segments=sorted(numbers), weights=weights or [0.0], was_judged=was_judged
    )
    kept = draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made)))
    return plain([one for one, keep in zip(made, kept, strict=True) if keep or one.chosen])


@given(levels=tried())
def test_every_level_is_a_dot_inside_each_chart_and_higher_where_its_figure_is(
    levels: list[dict[str, Any]],
) -> None:
    view = levels_view(levels)
    if len({level["n_segments"] for level in levels}) == 1:
        assert not view.charts
        return
    assert [chart.title for chart in view.charts] == ["validity", "stability"]
    for chart in view.charts:
        dots = [dot for line in chart.lines for dot in line.dots]
        assert len(dots) == len(levels)
        assert all(0 < dot.x < 100 and 0 < dot.y < 100 for dot in dots)
        values = sorted((level[chart.title] for level in levels), reverse=True)
        heights = sorted(dot.y for dot in dots)
        low, high = values[-1], values[0]
        if high > low:  # the same places on a plain linear scale
            expected = [5 + 90 * (high - value) / (high - low) for value in values]
            assert heights == pytest.approx(expected, abs=0.02)
        assert all(a.x < b.x for line in chart.lines for a, b in pairwise(line.dots))


@given(levels=tried())
def test_the_published_level_and_those_near_the_best_are_marked(
    levels: list[dict[str, Any]],
) -> None:
    near = sum(level["behind"] <= NEAR_BEST for level in levels)
    published = next(level for level in levels if level["chosen"])
    view = levels_view(levels)
    for chart in view.charts:
        marks = [dot.mark for line in chart.lines for dot in line.dots]
        assert marks.count("published") == 1
        assert marks.count("near") + 1 == near
        assert [line.is_published for line in chart.lines].index(True) == len(chart.lines) - 1
        assert (chart.published_at, str(published["n_segments"])) in chart.across
    assert [row.is_published for row in view.rows] == [level["chosen"] for level in levels]


@given(levels=tried())
def test_numbers_below_and_names_beside_a_chart_never_touch(levels: list[dict[str, Any]]) -> None:
    for chart in levels_view(levels).charts:
        assert all(b - a >= ROOM_FOR_TICK for (a, _), (b, _) in pairwise(chart.across))
        names = sorted(line.name_at for line in chart.lines)
        assert all(b - a >= ROOM_FOR_NAME - 0.02 for a, b in pairwise(names))
        assert 0 < names[0] <= names[-1] <= 100


def test_the_sentence_counts_the_levels_that_were_as_good() -> None:
    levels = plain(sample_levels(np.random.default_rng(0)))
    near = sum(level["behind"] <= NEAR_BEST for level in levels)
    assert near > 1
    said = " ".join(levels_view(levels).sentences)
    assert f"Of 27 levels tried, {near} lie within one standard error of the best" in said
    assert "the most stable of these is published" in said
    assert "never on the outcomes reported below" in said
    alone = [level | {"behind": 0.0 if level["chosen"] else 3.0} for level in levels]
    assert "no other lies within one standard error" in " ".join(levels_view(alone).sentences)


@given(levels=tried(was_judged=False))
def test_without_an_earlier_window_no_validity_is_shown_and_the_page_says_so(
    levels: list[dict[str, Any]],
) -> None:
    view = levels_view(levels)
    assert "There is no earlier window inside the training period" in " ".join(view.sentences)
    assert "validity" not in {chart.title for chart in view.charts}
    assert {len(row.cells) for row in view.rows} == {4}
    marks = {dot.mark for chart in view.charts for line in chart.lines for dot in line.dots}
    assert marks <= {"", "published"}


@settings(max_examples=10, deadline=None)
@given(levels=tried() | tried(was_judged=False))
def test_the_page_lists_every_level_and_marks_one(levels: list[dict[str, Any]]) -> None:
    page = Page(render(replace(SMALL, levels=tuple(levels))))
    assert not page.unbalanced
    assert "How the number of segments was chosen" in page.text
    rows = [" ".join(text.split()) for text in page.texts["tr"]]
    published = [row for row in rows if row.endswith("published")]
    assert len(published) == 1
    chosen = next(level for level in levels if level["chosen"])
    assert published[0].startswith(str(chosen["n_segments"]))
    assert f"{len(levels):,} level" in page.text


@given(low=st.floats(-1e4, 1e4), width=st.floats(1e-3, 1e4))
def test_ticks_are_round_even_and_told_apart(low: float, width: float) -> None:
    scale = Scale(low, low + width)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 8
    assert all(low - 1e-6 * width <= value <= low + width * (1 + 1e-6) for value, _ in ticks)
    labels = [label for _, label in ticks]
    assert len(set(labels)) == len(labels)
    steps = [b - a for (a, _), (b, _) in pairwise(ticks)]
    digit = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
    assert any(math.isclose(digit, round_number, rel_tol=1e-4) for round_number in (1, 2, 5))
    assert all(math.isclose(step, steps[0], rel_tol=1e-4) for step in steps)
    said = [float(label.replace(MINUS, "-")) for label in labels]
    assert said == pytest.approx([value for value, _ in ticks], rel=1e-9, abs=1e-9)


def behind_everything(data: ReportData) -> ReportData:
    """The same report, behind every row on every outcome."""
    report = data.validity_report
    assert report is not None
    first, *others = report.rows
    lost = Interval(-0.4, -0.5, -0.3)
    rows = [
        replace(row, scores=tuple(replace(made, ahead=lost) for made in row.scores))
        for row in others
    ]
    return replace(data, validity=replace(report, rows=(first, *rows)).to_json())


def test_the_badge_tells_the_standing_with_its_reason() -> None:
    reason = "these users did nothing after the cut"
    nothing = ValidityReport(CUT_US, CUT_US + 1, 240, reason=reason).to_json()
    cases = [
        (SMALL, ABOVE_FLOOR, "Above the floor", "Ahead of RFM 5x5x5 on Later spend R2; ahead of"),
        (behind_everything(SMALL), BELOW_FLOOR, "Below the floor", "Behind RFM 5x5x5 on Later"),
        (replace(SMALL, validity=None), NOT_JUDGED, "Not judged", "No later events are known"),
        (replace(SMALL, validity=nothing), NOT_JUDGED, "Not judged", "These users did nothing"),
    ]
    for data, kind, badge, reason in cases:
        view = standing_view(data)
        assert (view.kind, view.badge) == (kind, badge)
        assert view.reason.startswith(reason)
        page = Page(render(data))
        assert f"{badge} {view.reason}" in " ".join(page.texts["header"][0].split())
        assert ("p", "class", f"standing {kind}") in page.attributes


@given(signs=st.lists(st.sampled_from((-1, 0, 1)), min_size=len(OUTCOMES), max_size=len(OUTCOMES)))
def test_the_badge_counts_the_outcomes_on_which_the_segments_are_ahead(signs: list[int]) -> None:
    report = SMALL.validity_report
    assert report is not None
    segments, rule, *_ = report.rows
    scores = tuple(
        replace(made, ahead=Interval(sign, sign - 0.5, sign + 0.5))
        for made, sign in zip(rule.scores, signs, strict=True)
    )
    judged = replace(report, rows=(segments, replace(rule, scores=scores)))
    data = replace(SMALL, validity=judged.to_json())
    view = standing_view(data)
    if signs[0] < 0 or 1 not in signs:
        assert view.kind == BELOW_FLOOR
    else:
        assert f"on {signs.count(1)} of {len(OUTCOMES)} outcomes" in view.reason


def test_many_outcomes_are_all_in_one_table_and_folded_after_the_first() -> None:
    page = Page(render(SMALL))
    folded = " ".join(page.texts["details"])
    assert f"{len(OUTCOMES) - N_OPEN} further outcomes in full" in folded
    rows = [" ".join(text.split()) for text in page.texts["tr"]]
    report = SMALL.validity_report
    assert report is not None
    for place, outcome in enumerate(OUTCOMES):
        rule = report.best_rule(place)
        row = next(row for row in rows if row.startswith(f"{outcome.title}."))
        assert rule is not None
        assert rule.name in row
        assert "KMeans" in row or "Random encoder" in row
    few = replace(
        report,
        outcomes=report.outcomes[:N_OPEN],
        rows=tuple(replace(row, scores=row.scores[:N_OPEN]) for row in report.rows),
        linear=(),
        within=None,
        curves=(),
        segments=(),
    )
    assert "further outcome" not in Page(render(replace(SMALL, validity=few.to_json()))).text


def test_lift_by_tenths_is_shown_beside_the_best_rule_only() -> None:
    report = SMALL.validity_report
    assert report is not None
    known = {curve.name for curve in report.curves}
    for place, chart in tenth_charts(report).items():
        rule = report.best_rule(place)
        assert rule is not None
        beside = {rule.name} if rule.name in known else known - {"Segments"}
        assert {line.name for line in chart.lines} == {"Segments"} | beside


def test_what_is_left_without_a_mean_has_none() -> None:
    report = SMALL.validity_report
    assert report is not None
    assert report.within is not None
    dust = tuple(replace(outcome, mean=-9.4e-16) for outcome in report.within.outcomes)
    judged = replace(report, within=replace(report.within, outcomes=dust))
    assert f"e{MINUS}16" not in Page(render(replace(SMALL, validity=judged.to_json()))).text


def test_the_ends_of_the_curves_are_not_repeated_among_the_figures() -> None:
    data = replace(SMALL, figures={"histories": 9.0, "final taste train loss": 123_456.0})
    text = Page(render(data)).text
    assert "histories" in text
    assert "123,456" not in text
