"""Cards, groups and the flow picture: what they show is what was measured, whatever it holds."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from tests.training.portrait_samples import with_evidence, with_portrait, with_refit
from tests.training.report_samples import sample_report
from tests.training.test_report import HOSTILE, Page
from training.report.card_views import card_views
from training.report.coverage_views import coverage_view
from training.report.data import ReportData
from training.report.flow_views import GAP, flow_view
from training.report.page import render


def small(n_segments: int = 4) -> ReportData:
    return sample_report(n_users=400, n_segments=n_segments)


def heights(path: str) -> tuple[float, float, float]:
    """Tops at either end of a ribbon, and its height."""
    numbers = [float(text) for text in re.findall(r"-?\d+\.\d+", path)]
    return numbers[1], numbers[7], numbers[8] - numbers[7]


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(0, 1_000), st.booleans())
def test_ribbons_fill_their_segments_without_overlap(n_segments, seed, with_behavior) -> None:
    data = with_refit(small(n_segments), seed=seed, with_behavior=with_behavior)
    found = flow_view(data)
    assert found is not None
    assert len(found.columns) == len(found.headings) == (3 if with_behavior else 2)
    for column in found.columns:
        edges = [(node.top, node.top + node.height) for node in column]
        assert all(top >= -0.01 and end <= 100.01 for top, end in edges)
        for (_, end), (top, _) in pairwise(edges):
            assert top == pytest.approx(end + GAP, abs=0.03)
    starts = sorted(heights(one.path) for one in found.ribbons if one.path.startswith("M1.60"))
    for (top, _, height), (following, *_) in pairwise(starts):
        assert following >= top + height - 0.05
    total = sum(height for *_, height in starts)
    assert total == pytest.approx(sum(node.height for node in found.columns[0]), abs=1.0)


def test_what_moved_is_drawn_over_what_stayed_and_told_in_words() -> None:
    found = flow_view(with_refit(small()))
    assert found is not None
    stays = [ribbon.stays for ribbon in found.ribbons]
    assert stays == sorted(stays, reverse=True)
    assert any(
        ribbon.slot is None and ribbon.hint.startswith("new to") for ribbon in found.ribbons
    )
    said = " ".join(found.sentences).replace("\u202f", " ")
    for part in ("52 % of the 1,900 users", "keeps 96 %", "vanish 5: nobody is in its reach"):
        assert part in said
    assert found.headings == (
        "2017-07-01, by shoppers/1",
        "today, by shoppers/1",
        "today, by the refit",
    )
    assert flow_view(small()) is None


def test_a_card_shows_rule_evidence_stability_groups_and_journeys() -> None:
    first, *others = card_views(with_portrait(with_evidence(small())))
    assert "finds 70 % of the members" in first.rule
    assert (first.stability, others[0].stability) == ("unstable .41", "stable .83")
    (flag,) = first.flags
    assert (flag.topic, flag.evidence[:7]) == ("children", "DIAPERS")
    assert sum(float(share.split("\u202f")[0]) for _, share in first.groups) == pytest.approx(
        100, abs=2
    )
    (transition,) = first.transitions
    assert (transition.before, transition.after, transition.lift[:3]) == ("view", "cart", "2.0")
    assert first.journeys[0][0] == "day 0: purchase BERRIES x2, view and 3 more"


def test_the_page_has_all_of_it_and_stays_well_formed() -> None:
    data = with_refit(with_portrait(with_evidence(small())))
    html = render(data)
    page = Page(html)
    assert not page.unbalanced
    assert not page.open
    for part in (
        *(
            "Where the users went",
            "How the members go about it",
            "unstable .41",
            "Sensitive: children",
        ),
        *("day 4: purchase BERRIES", "events above 4,120", "What strength means", "sensitive"),
    ):
        assert part in html
    assert html.count('class="card"') == len(data.segments)
    assert html.count('class="ribbon') == len(flow_view(data).ribbons)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_a_log_says_is_never_markup(hostile: str) -> None:
    page = Page(render(with_portrait(small(), label=hostile)))
    assert not page.unbalanced
    assert sum(hostile.split(maxsplit=1)[0] in text for text in page.texts["li"]) >= 8


def test_groups_are_shares_of_all_and_reports_of_before_have_none() -> None:
    data = with_portrait(small())
    found = coverage_view(data)
    assert found is not None
    assert sum(group.part for group in found.groups) == pytest.approx(1)
    assert [group.name for group in found.groups] == ["core", "voted", "second", "outsider"]
    assert found.outsiders[1].endswith("(robots)")
    assert found.strength is not None
    assert "off by 0.037" in found.strength_text
    assert coverage_view(small()) is None
    unmeasured = replace(data, portrait=dict(data.portrait or {}) | {"calibration": None})
    assert coverage_view(unmeasured).strength is None
    assert "What strength means" not in render(unmeasured)
    assert ReportData.from_json(data.to_json()) == data
