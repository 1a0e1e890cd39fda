"""Every destination against a file that a person can compare with the specification.

In ``golden/DESTINATION/`` a digest is written as ``{sha256:jdoe@gmail.com}``: the algorithm and
the text, normalised by hand. ``{sha256/base64:...}`` is the Base64 form of the raw bytes.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from serving.exports.destination import ADD, REMOVE, REPLACE
from serving.exports.destinations import DESTINATIONS
from serving.exports.json_layout import JsonLayout
from tests.serving.exports.crowd import frame_for, order_for

GOLDEN = Path(__file__).parent / "golden"
TOKEN = re.compile(r"\{(sha256|sha512|sha1|md5)(/base64)?:([^{}]*)\}")
SPECIFIED = re.compile(r"^(?:section \d+(?:\.\d)?: |issue 7, )\S")


def expanded(text: str) -> str:
    """A golden text with its digests computed by hashlib."""

    def digest(found: re.Match[str]) -> str:
        algorithm, encoding, plain = found.groups()
        raw = hashlib.new(algorithm, plain.encode()).digest()
        return base64.b64encode(raw).decode() if encoding else raw.hex()

    return TOKEN.sub(digest, text)


def written(name: str, action: str, folder: Path) -> dict[str, str]:
    destination = DESTINATIONS[name]
    order = order_for(destination, action)
    files = destination.layout.write([frame_for(destination)], order, folder=folder, stem=action)
    return {file.name: (folder / file.name).read_text(encoding="utf-8") for file in files}


def actions(name: str) -> list[str]:
    one = DESTINATIONS[name]
    return [ADD, *([REMOVE] if one.can_remove else []), *([REPLACE] if one.can_replace else [])]


@pytest.mark.parametrize("name", DESTINATIONS)
def test_what_is_written_is_the_golden_file(name, tmp_path):
    golden = {
        path.name: expanded(path.read_text(encoding="utf-8"))
        for path in sorted((GOLDEN / name).iterdir())
    }
    found: dict[str, str] = {}
    for action in actions(name):
        found |= written(name, action, tmp_path)
    assert found == golden


@pytest.mark.parametrize("name", DESTINATIONS)
def test_golden_files_hold_no_digest_that_nobody_can_read(name):
    for path in (GOLDEN / name).iterdir():
        text = TOKEN.sub("", path.read_text(encoding="utf-8"))
        assert not re.search(r"[0-9a-f]{32}|[A-Za-z0-9+/]{43}=", text), path


@pytest.mark.parametrize("name", DESTINATIONS)
def test_every_column_names_its_clause_of_the_specification(name):
    destination = DESTINATIONS[name]
    for field in destination.fields:
        assert SPECIFIED.match(field.clause), (name, field.name)
    assert SPECIFIED.match(f"{destination.minimum.clause}")
    assert len({field.id for field in destination.fields}) == len(destination.fields)
    assert destination.links or destination.section == "issue 7"


@pytest.mark.parametrize("name", DESTINATIONS)
def test_every_body_is_json(name, tmp_path):
    if not isinstance(DESTINATIONS[name].layout, JsonLayout):
        pytest.skip("not a destination of payloads")
    for action in actions(name):
        for text in written(name, action, tmp_path).values():
            assert [json.loads(line) for line in text.splitlines()]


def test_at_least_twelve_platforms_are_served():
    platforms = {one.section for one in DESTINATIONS.values()} - {"issue 7"}
    assert len(platforms) >= 12
