"""The tree of levels on the page."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from segmenter.segments.hierarchy import Hierarchy
from segmenter.segments.lineage import Lineage
from segmenter.segments.segment import Segment
from tests.training.report_samples import sample_report
from training.report.data import ReportData
from training.report.page import render
from training.report.segment_views import segment_views
from training.report.tree_views import LABEL_SHARE, BoxView, tree_view

NASTY = "<b>Milk</b> & 'honey'"


def with_levels(name: str = "Group") -> ReportData:
    """A report of six segments in two macro segments, with two micro segments each."""
    data = sample_report(n_users=600, n_segments=6)
    published = [Segment.from_json(plain) for plain in data.segments]
    halves = [(item, part) for item in published for part in (0, 1)]
    micros = [
        replace(item, id=number, name=f"Part {number}", n_users=item.n_users // 2, stability=0.7)
        for number, (item, _) in enumerate(halves, start=1)
    ]
    macro_of = {item.id: 1 + item.id % 2 for item in published}
    macros = [
        replace(
            published[0],
            id=number,
            name=f"{name} {number}",
            n_users=sum(item.n_users for item in published if macro_of[item.id] == number),
            share=sum(item.share for item in published if macro_of[item.id] == number),
        )
        for number in (1, 2)
    ]
    levels = Hierarchy(
        tuple(macros),
        tuple(micros),
        macro_of,
        {micro.id: item.id for micro, (item, _) in zip(micros, halves, strict=True)},
        np.zeros((len(micros), 2)),
        Lineage.begin(macros, at="2026"),
        Lineage.begin(micros, at="2026"),
        "2 macro segments, since it is so",
    )
    return replace(data, hierarchy=levels.to_json())


def test_every_segment_stands_once_below_what_holds_it_the_largest_first() -> None:
    data = with_levels()
    tree = tree_view(data, segment_views(data))
    assert tree is not None
    published = [box for macro in tree.macros for box in macro.parts]
    assert {box.id for box in published} == {plain["id"] for plain in data.segments}
    assert tree.n_micros == sum(len(box.parts) for box in published) == 12
    for macro in tree.macros:
        assert macro.n_users == sum(box.n_users for box in macro.parts)
        assert macro.slot is None
        sizes = [box.n_users for box in macro.parts]
        assert sizes == sorted(sizes, reverse=True)
    slots = {view.segment.id: view.slot for view in segment_views(data)}
    for box in published:
        assert {part.slot for part in box.parts} == {slots[box.id]} == {box.slot}
        assert box.is_named == (box.share >= LABEL_SHARE)
    assert isinstance(tree.macros[0], BoxView)


class Tags(HTMLParser):
    """Tags that are open at the end, and all that were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, _: list) -> None:
        """Remember a tag that needs an end."""
        if tag not in ("br", "meta", "input", "path", "polyline", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the tag that was opened last."""
        if tag not in ("path", "polyline", "polygon"):
            assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["Group", NASTY])
def test_the_page_draws_the_tree_and_escapes_names(name: str) -> None:
    page = render(with_levels(name))
    start = page.index('<section id="tree">')
    section = page[start : page.index("</section>", start) + len("</section>")]
    assert "<b>Milk" not in section
    assert section.count('class="box macro"') == 2
    assert section.count('class="box micro"') == 12
    assert "2 macro segments, since it is so" in section
    tags = Tags()
    tags.feed(section)
    assert not tags.open


def test_a_report_without_levels_shows_no_tree() -> None:
    page = render(sample_report(n_users=300, n_segments=3))
    assert 'id="tree"' not in page
