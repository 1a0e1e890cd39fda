"""Files and bodies keep their limits, lose nobody, and are the same bytes however they arrive."""

import gzip
import json
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from serving.exports.csv_layout import CsvFile, CsvLayout
from serving.exports.destination import ADD, Order
from serving.exports.json_layout import (
    Bodies,
    JsonLayout,
    around,
    free_text,
    list_of,
    object_of,
    rows_of,
)

ORDER = Order(1, "segment", 0, ADD, {})
VALUES = st.lists(st.none() | st.text(max_size=20).filter(lambda text: text != ""), max_size=60)
MOST = st.none() | st.integers(1, 9)
CUTS = st.integers(1, 25)


def frames(values: list[str | None], size: int) -> list[pl.DataFrame]:
    table = pl.DataFrame({"id": values}, schema={"id": pl.String})
    return [table.slice(start, size) for start in range(0, len(values), size)]


def bodies(max_members: int | None, max_bytes: int | None) -> Bodies:
    return Bodies(
        method=lambda _: "POST",
        path=lambda _: "/people",
        member=rows_of(free_text("id")),
        envelope=lambda _: around({"people": ["@members@"]}),
        max_members=max_members,
        max_bytes=max_bytes,
    )


@settings(max_examples=60)
@given(VALUES, CUTS, st.tuples(MOST, st.none() | st.integers(150, 300)))
def test_bodies_keep_their_limits_and_lose_nobody(tmp_path_factory, values, size, limits):  # noqa: PLR0917 - fixture and examples
    most, n_bytes = limits
    folder = tmp_path_factory.mktemp("bodies")
    layout = JsonLayout(bodies(most, n_bytes))
    files = layout.write(frames(values, size), ORDER, folder=folder, stem="x")
    lines = [
        line for file in files for line in (folder / file.name).read_bytes().split(b"\n")[:-1]
    ]
    found = [person for line in lines for person in json.loads(line)["people"]]
    assert found == [value for value in values if value is not None]
    assert sum(file.n_people for file in files) == len(found)
    assert sum(file.n_requests for file in files) == len(lines)
    assert all(n_bytes is None or len(line) <= n_bytes for line in lines)
    assert all(most is None or len(json.loads(line)["people"]) <= most for line in lines)


@settings(max_examples=60)
@given(VALUES, CUTS, MOST)
def test_files_keep_their_limits_and_lose_nobody(tmp_path_factory, values, size, most):  # noqa: PLR0917 - fixture and examples
    folder = tmp_path_factory.mktemp("files")
    kind = CsvFile(columns=(("Id", "id"), ("Id", "id")), needs=("id",), max_rows=most)
    files = CsvLayout(kind).write(frames(values, size), ORDER, folder=folder, stem="x")
    tables = [pl.read_csv(folder / file.name, infer_schema=False) for file in files]
    found = [row for table in tables for row in table.rows()]
    wanted = [value for value in values if value is not None]
    assert [len(table) for table in tables] == [file.n_people for file in files]
    assert found == [(value, value) for value in wanted]
    assert all(most is None or len(table) <= most for table in tables)


def test_a_file_ends_before_it_is_too_large(tmp_path):
    kind = CsvFile(columns=(("Id", "id"),), needs=("id",), max_bytes=1_000)
    values = [f"{number:09d}" for number in range(500)]
    files = CsvLayout(kind).write(frames(values, 20), ORDER, folder=tmp_path, stem="x")
    texts = [(tmp_path / file.name).read_text() for file in files]
    assert all(len(text) <= 1_000 and text.startswith("Id\n") for text in texts)
    assert [line for text in texts for line in text.splitlines()[1:]] == values


@pytest.mark.parametrize("compressed", [False, True])
def test_the_bytes_do_not_depend_on_how_people_arrive(tmp_path, compressed):
    values = [f"person {number}" for number in range(100)]
    kind = CsvFile(columns=(("Id", "id"),), needs=("id",))
    for layout in (
        CsvLayout(kind, compressed=compressed),
        JsonLayout(bodies(7, 400), compressed=compressed),
    ):
        written = []
        for size in (1, 13, 100):
            folder = tmp_path / f"{type(layout).__name__}-{size}"
            folder.mkdir()
            (file,) = layout.write(frames(values, size), ORDER, folder=folder, stem="x")
            written.append((folder / file.name).read_bytes())
        assert len(set(written)) == 1
        text = gzip.decompress(written[0]) if compressed else written[0]
        assert b"person 99" in text


def test_nobody_gives_no_body_and_a_file_that_says_so(tmp_path):
    assert JsonLayout(bodies(None, None)).write([], ORDER, folder=tmp_path, stem="x") == []
    kind = CsvFile(columns=(("Id", "id"),), needs=("id",))
    assert CsvLayout(kind).write([], ORDER, folder=tmp_path, stem="x") == []


@given(st.lists(st.none() | st.text(), min_size=1))
def test_any_text_becomes_json(texts):
    frame = pl.DataFrame({"a": texts, "b": texts[::-1]}, schema={"a": pl.String, "b": pl.String})
    member = object_of(("a", free_text("a")), ("list", list_of(free_text("a"), free_text("b"))))
    for text, one, other in zip(frame.select(member).to_series(), texts, texts[::-1], strict=True):
        listed = [value for value in (one, other) if value is not None]
        wanted = {"a": one, "list": listed}
        wanted = {key: value for key, value in wanted.items() if value not in (None, [])}
        assert (None if text is None else json.loads(text)) == (wanted or None)


def test_bodies_of_a_session_are_numbered_and_the_last_one_says_so(tmp_path):
    def session(_: Order, number: int, is_last: bool):  # noqa: FBT001 - the shape of a layout
        return "session", {"seq": number, "last": is_last}

    layout = JsonLayout(replace(bodies(2, None), session=session))
    values = [f"p{number}" for number in range(5)]
    (file,) = layout.write(frames(values, 3), ORDER, folder=tmp_path, stem="x")
    lines = [json.loads(line) for line in (tmp_path / file.name).read_text().splitlines()]
    assert [line["people"] for line in lines] == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert [line["session"]["seq"] for line in lines] == [1, 2, 3]
    assert [line["session"]["last"] for line in lines] == [False, False, True]


def test_a_body_that_is_a_set_has_nobody_twice(tmp_path):
    layout = JsonLayout(replace(bodies(None, None), is_set=True))
    (file,) = layout.write(frames(["a", "b", "a"], 2), ORDER, folder=tmp_path, stem="x")
    assert json.loads((tmp_path / file.name).read_text())["people"] == ["a", "b"]
    assert file.n_people == 2
