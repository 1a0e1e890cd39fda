"""The page of a model, as a browser would read it, and its tables."""

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from segmenter.validity.lift import Interval
from segmenter.validity.validity_report import ValidityReport
from tests.training.report_samples import CUT_US, OUTCOMES, printed, renamed, sample_report
from training.report.data import Coverage, ReportData
from training.report.headline_views import verdict
from training.report.page import render
from training.report.tables import segment_table, validity_table
from training.report.words import MINUS, difference, score

VOID = {"meta", "input", "br", "link", "img", "hr"}
MAX_BYTES = 3_000_000
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\"' onmouseover='alert(1)",
    "&lt;b&gt; {{ 7 * 7 }} {% raw %}",
)


class Page(HTMLParser):
    """What a parser finds in a page: tags in order, attributes, and the text of each element."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag and its attributes."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last, or remember that it was something else."""
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        """Add text to every element around it."""
        for tag in set(self.open):
            self.texts[tag][-1] += data

    @property
    def text(self) -> str:
        """Everything that is read, in order, with single spaces."""
        return " ".join(" ".join(self.texts["body"]).split())

    @property
    def payload(self) -> dict[str, Any]:
        """What is handed to the script."""
        return json.loads(self.texts["script"][0])


@pytest.fixture(scope="module")
def report() -> ReportData:
    return sample_report()


@pytest.fixture(scope="module")
def html(report: ReportData) -> str:
    return render(report)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def small(**sizes: int) -> ReportData:
    return sample_report(**{"n_users": 240, "n_segments": 3} | sizes)


SMALL = small()


def test_a_page_is_well_formed(page: Page) -> None:
    assert not page.unbalanced
    assert not page.open
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_links_of_a_page_lead_to_parts_of_it(page: Page) -> None:
    ids = {value for _, name, value in page.attributes if name == "id"}
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert len(links) >= 6
    assert {link.removeprefix("#") for link in links} <= ids


def test_a_page_asks_nothing_of_any_network(page: Page, html: str) -> None:
    loading = {"src", "href", "action", "data", "poster", "srcset", "xlink:href", "background"}
    values = [value for _, name, value in page.attributes if name in loading]
    assert all(value.startswith("#") for value in values)
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest|import\(", html)


def test_only_the_one_script_of_the_page_may_run(page: Page) -> None:
    policy = next(value for _, name, value in page.attributes if "default-src" in value)
    assert "default-src 'none'" in policy
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in page.texts["script"]
    ]
    assert len(digests) == 2  # the embedded data, which never runs, and the script
    assert allowed == digests[1:]
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_the_largest_page_is_small_enough_to_be_mailed() -> None:
    data = sample_report(n_users=30_000, n_segments=40, n_shown=6_000)
    ids = tuple(hashlib.sha256(user.encode()).hexdigest()[:36] for user in data.user_map.user_id)
    large = render(replace(data, user_map=replace(data.user_map, user_id=ids)))
    assert len(Page(large).payload["x"]) == 6_000
    assert len(large.encode()) < MAX_BYTES / 2


def test_endless_user_ids_are_left_out(report: ReportData) -> None:
    ids = tuple(user * 400 for user in report.user_map.user_id)
    html = render(replace(report, user_map=replace(report.user_map, user_id=ids)))
    assert Page(html).payload["user"] == []
    assert len(html) < MAX_BYTES / 2


@settings(max_examples=40, deadline=None)
@given(
    name=st.text(min_size=1) | st.sampled_from(HOSTILE),
    user_id=st.text() | st.sampled_from(HOSTILE),
    value=st.text() | st.sampled_from(HOSTILE),
)
def test_texts_from_data_never_become_markup(name: str, user_id: str, value: str) -> None:
    before = Page(render(SMALL))
    after = Page(render(renamed(SMALL, name, user_id=user_id, value=value)))
    assert after.tags == before.tags
    assert [item[:2] for item in after.attributes] == [item[:2] for item in before.attributes]
    shown = " ".join(name.split()) or "Segment 1"
    assert after.payload["segments"][0]["name"] == shown
    assert after.payload["user"][0] == user_id


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_read_as_it_is_written(name: str) -> None:
    data = renamed(small(), name, user_id="1", value=name)
    assert " ".join(name.split()) in Page(render(data)).text
    assert name in " ".join(printed(segment_table(data), width=200).split())


def test_the_map_holds_every_user_at_the_place_of_the_report(
    report: ReportData, page: Page
) -> None:
    payload, users = page.payload, report.user_map
    ids = [payload["segments"][place]["id"] for place in payload["segment"]]
    assert ids == list(users.segment_id)
    for name in ("x", "y", "strength"):
        assert payload[name] == list(getattr(users, name))
    assert payload["user"] == list(users.user_id)


def test_users_of_an_unknown_segment_are_on_the_map_without_one(report: ReportData) -> None:
    users = report.user_map
    strange = replace(users, segment_id=(-1, *users.segment_id[1:]))
    assert Page(render(replace(report, user_map=strange))).payload["segment"][0] == -1


def test_every_segment_is_in_the_page_with_its_figures(report: ReportData, page: Page) -> None:
    rows = [" ".join(text.split()) for text in page.texts["tr"]]
    for segment in report.segments:
        row = next(row for row in rows if row.startswith(f"{segment['id']}{segment['name']} "))
        assert f"{segment['n_users']:,}" in row
        assert f"{100 * segment['n_core'] / segment['n_users']:.0f} %" in row
        for fact in segment["facts"][:2]:
            here, low, high = (round(100 * fact[name]) for name in ("here", "low", "high"))
            assert f"{here} %" in row
            assert f"{low} % to {high} %, n = {fact['n_users']:,}" in row


def test_every_score_and_every_sentence_of_the_validation_is_printed(
    report: ReportData, page: Page
) -> None:
    validity = report.validity_report
    assert validity is not None
    cards = [" ".join(text.split()) for text in page.texts["article"]]
    for place, outcome in enumerate(validity.outcomes):
        for row in (*validity.rows, *validity.linear):
            made = row.scores[place]
            assert f"{row.name}" in cards[place]
            assert score(made.score.value) in cards[place]
            if made.ahead is not None:
                low, high = difference(made.ahead.low), difference(made.ahead.high)
                assert f"{difference(made.ahead.value)} ({low} to {high})" in cards[place]
        sentence = next(note for note in validity.notes if note.startswith(f"{outcome.title}: "))
        assert sentence.removeprefix(f"{outcome.title}: s") in cards[place]
    assert "Amounts in 2 currencies" in page.text


def test_the_stamps_stand_in_head_and_foot(report: ReportData, page: Page) -> None:
    (footer,) = page.texts["footer"]
    assert all(stamp in footer for stamp in (report.label, report.as_of, report.trained_at))
    assert "2017-09-30 23:58 UTC" in page.texts["header"][0]
    assert report.provenance["events digest"] in page.text


def test_bars_stay_inside_their_tracks(page: Page) -> None:
    styles = [value for tag, name, value in page.attributes if (tag, name) == ("i", "style")]
    seen = 0
    for style in styles:
        left = re.search(r"left:([\d.]+)%", style)
        width = re.search(r"width:([\d.]+)%", style)
        right = sum(float(found[1]) for found in (left, width) if found)
        assert right <= 100.02, style
        seen += bool(width)
    assert seen > 100


def test_a_report_survives_its_plain_form(report: ReportData) -> None:
    assert ReportData.from_json(report.to_json()) == report
    text = json.dumps(report.to_json(), allow_nan=False)
    again = ReportData.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.validity_report == report.validity_report
    assert render(again) == render(report)


def test_a_model_without_later_events_says_how_to_judge_it() -> None:
    data = replace(small(), validity=None, version=None)
    page = Page(render(data))
    assert "--until" in page.texts["header"][0]
    assert "not registered" in page.text
    assert "What each segment did later" not in page.text
    assert validity_table(data) is None


def test_a_validation_without_outcomes_says_why() -> None:
    reason = "none of these users has an event from <then> on"
    empty = ValidityReport(CUT_US, CUT_US + 1, 240, reason=reason, notes=("Only 240 users.",))
    data = replace(small(), validity=empty.to_json())
    page = Page(render(data))
    assert "Not judged None of these users has" in page.texts["header"][0]
    assert f"Not judged: {reason}." in page.text
    assert "Only 240 users." in page.text
    assert validity_table(data) is None


def test_segments_below_the_floor_are_said_to_be() -> None:
    report = small().validity_report
    assert report is not None
    first, *others = report.rows
    made = others[0].scores
    behind = replace(made[0], score=Interval(0.9, 0.9, 0.9), ahead=Interval(-0.4, -0.5, -0.3))
    rows = (first, replace(others[0], scores=(behind, *made[1:])), *others[1:])
    page = Page(render(replace(small(), validity=replace(report, rows=rows).to_json())))
    assert "Below the floor. Behind RFM 3x3x3 on Later spend R2" in page.text
    assert f"behind {MINUS}.400" in page.text


def test_the_least_that_a_model_can_be_has_a_page() -> None:
    data = small(n_segments=1)
    bare = replace(
        data,
        segments=(data.segments[0] | {"facts": [], "name": ""},),
        user_map=replace(data.user_map, x=(), y=(), segment_id=(), strength=(), user_id=()),
        coverage=Coverage(0.0, 1.0, 0.5, 0.5, 0.0, 240),
        curves={},
        validity=None,
        encoder={"kind": "profile", "reason": "users are few", "hybrid": None, "profile": None},
        figures={},
        provenance={},
    )
    page = Page(render(bare))
    assert not page.unbalanced
    assert "1 segment of 240 users" in page.texts["h1"][0]
    assert "No map was kept" in page.text
    assert "Segment 1" in printed(segment_table(bare))


def test_values_that_are_no_numbers_leave_a_gap_in_a_curve(report: ReportData) -> None:
    curves = {"forecast": {"train loss": [math.nan, 2.0, 1.0], "validation loss": [math.inf] * 3}}
    page = Page(render(replace(report, curves=curves)))
    drawn = [
        value for tag, name, value in page.attributes if (tag, name) == ("polyline", "points")
    ]
    assert all("nan" not in points for points in drawn)
    assert any(len(points.split()) == 2 for points in drawn)


@given(
    signs=st.lists(st.sampled_from((-1, 0, 1)), min_size=len(OUTCOMES), max_size=len(OUTCOMES)),
)
def test_the_verdict_counts_wins_and_losses_alike(signs: list[int]) -> None:
    report = SMALL.validity_report
    assert report is not None
    (segments, rule, *_), words = report.rows, {1: "ahead", 0: "level", -1: "behind"}
    scores = tuple(
        replace(made, ahead=Interval(sign, sign - 0.5, sign + 0.5))
        for made, sign in zip(rule.scores, signs, strict=True)
    )
    said = verdict(replace(report, rows=(segments, replace(rule, scores=scores))))
    for sign, word in words.items():
        found = re.search(rf"\b{word}\b[^;]*? on (\d)", said)
        assert int(found[1] if found else 0) == signs.count(sign), said
