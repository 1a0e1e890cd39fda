"""The log of decisions: read back as written, and no entry changes unnoticed."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import ReviewError
from training.review.decision_log import (
    DONE,
    INTENT,
    NOTE,
    VOID,
    Decision,
    FileLog,
    check_head,
    pending,
)

words = st.text(max_size=12)
decisions = st.builds(
    Decision,
    action=st.sampled_from(("approve", "reject")),
    model=words,
    version=st.integers(1, 9),
    digest=words,
    by=words,
    reason=words,
    aliases=st.dictionaries(words, st.none() | st.integers(1, 9), max_size=2),
    tags=st.dictionaries(words, st.dictionaries(words, words, max_size=2), max_size=2),
    details=st.dictionaries(words, st.integers() | words | st.none(), max_size=2),
)
written = st.lists(st.tuples(st.sampled_from((INTENT, NOTE)), decisions), min_size=1, max_size=5)


def filled(folder: Path, content: list[tuple[str, Decision]]) -> FileLog:
    log = FileLog(folder / "log.jsonl")
    log.path.unlink(missing_ok=True)
    for kind, decision in content:
        log.append(kind, decision)
    return log


@settings(max_examples=40)
@given(written)
def test_what_is_written_is_read_and_each_line_holds_the_digest_of_the_one_before(
    tmp_path_factory, content
):
    log = filled(tmp_path_factory.getbasetemp(), content)
    assert [(entry.kind, entry.decision) for entry in log.read()] == content
    lines = log.path.read_bytes().splitlines()
    expected = ["0" * 64, *(hashlib.sha256(line).hexdigest() for line in lines)]
    assert [json.loads(line)["previous"] for line in lines] == expected[:-1]


@settings(max_examples=60)
@given(written, st.data())
def test_any_changed_byte_before_the_last_entry_is_noticed(tmp_path_factory, content, data):
    log = filled(tmp_path_factory.getbasetemp(), [*content, content[0]])
    whole = log.path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n")
    place = data.draw(st.integers(0, last - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    log.path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    with pytest.raises(ReviewError, match="the log of decisions is broken"):
        log.read()


@settings(max_examples=40)
@given(written, st.data())
def test_a_removed_or_repeated_line_is_noticed_by_the_chain_or_the_head(
    tmp_path_factory, content, data
):
    log = filled(tmp_path_factory.getbasetemp(), content)
    head, lines = log.read()[-1].head, log.path.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    repeated = data.draw(st.booleans())
    kept = lines[:place] + ([lines[place]] * 2 if repeated else []) + lines[place + 1 :]
    log.path.write_bytes(b"".join(kept))
    with pytest.raises(ReviewError, match="the log of decisions is broken"):
        check_head(log.read(), f"{head} file", model="m")


@settings(max_examples=40)
@given(written, st.data())
def test_a_torn_last_line_is_not_read_and_is_replaced_by_the_next_entry(
    tmp_path_factory, content, data
):
    log = filled(tmp_path_factory.getbasetemp(), [*content, content[0]])
    whole, before = log.path.read_bytes(), log.read()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    log.path.write_bytes(whole[: data.draw(st.integers(start, len(whole) - 1))])
    assert log.read() == before[:-1]
    log.append(*content[0])
    assert [entry.decision for entry in log.read()] == [entry.decision for entry in before]


def test_a_registry_has_one_log_alone(tmp_path):
    log = FileLog(tmp_path / "log")
    head = log.append(NOTE, Decision("review", "m", 1, "", "Ada", "")).head
    check_head(log.read(), f"{head} file", model="m")
    with pytest.raises(ReviewError, match="kept in a run of the tracking server"):
        check_head(log.read(), f"{head} run", model="m")


def test_an_intent_is_pending_until_it_is_done_or_void(tmp_path):
    decision, log = Decision("approve", "m", 1, "", "Ada", "better"), FileLog(tmp_path / "log")
    first, second, third = (log.append(INTENT, decision) for _ in range(3))
    log.append(DONE, decision, of=second.number)
    log.append(VOID, decision, of=first.number)
    assert pending(log.read()) == [third]


def test_a_folder_in_place_of_the_log_is_refused(tmp_path):
    with pytest.raises(ReviewError, match="cannot read"):
        FileLog(tmp_path).read()
