"""Test vectors: ``python -m serving.exports.vectors FILE.json``.

A file is a list of rows with ``platform``, ``field``, ``input``, ``normalised``, ``hash`` (or
null), ``encoding`` and ``algorithm``. Each row goes through the very field of the destination
that an export writes; a row passes when a form that the destination sends has the normalised
value and, where the row has one, its digest.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from segmenter.errors import SourceError
from serving.exports.destination import Destination
from serving.exports.destinations import DESTINATIONS
from serving.exports.digests import ENCODINGS, Digest, digest_of, recoded
from serving.exports.fields import Field
from serving.exports.names import trimmed
from serving.exports.people import People
from serving.exports.text import digest_algorithms

DEFAULT_COUNTRY = "US"
"""Country that completes national numbers, as the one vector that needs a country has it."""

LITERAL_PHONES = frozenset({"amazon"})
"""Destinations whose specification asks for digits and names no country to complete them."""

AS_GIVEN = re.compile(r"\((?:raw|wrong)", re.IGNORECASE)
"""Marks a field whose row checks the hash function alone."""

PLAIN_IDS = re.compile(r"userid|externid|externaluserid|appuid|crmid|customerid|^uid$|lookalike")
"""Advertisers' own ids and values, which every platform takes as they are (section 18)."""

KINDS = {
    "email": "email",
    "phone": "phone",
    "idfa": "idfa",
    "aaid": "aaid",
    "gaid": "aaid",
    "gpadvid": "aaid",
    "googleaid": "aaid",
    "maid": "device",
    "madid": "device",
    "mobile": "device",
    "device": "device",
    "unifiedid": "email",
}
"""Parts of field names, to the column that such a field is made of."""


@dataclass(frozen=True)
class Outcome:
    """What became of one row.

    Attributes
    ----------
    row
        The row.
    passed
        Whether it was reproduced.
    found
        Pairs of normalised value and digest that the destination would send.
    """

    row: Mapping[str, Any]
    passed: bool
    found: tuple[tuple[str | None, str | None], ...]


def check(rows: Iterable[Mapping[str, Any]]) -> list[Outcome]:
    """Put every row through its destination."""
    return [_check(row) for row in rows]


def read_vectors(path: Path) -> list[dict[str, Any]]:
    """Rows of a file of test vectors.

    Raises
    ------
    SourceError
        If the file is missing or is no list of rows.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"cannot read test vectors from {path}: {error}; pass a JSON file"
        raise SourceError(message) from error
    needed = {"platform", "field", "input", "normalised"}
    if not isinstance(rows, list) or not all(needed <= set(row) for row in rows):
        message = f"{path} must be a list of rows with the keys {', '.join(sorted(needed))}"
        raise SourceError(message)
    return rows


def _check(row: Mapping[str, Any]) -> Outcome:
    forms = tuple(_forms(row))
    wanted, digest = row["normalised"], row.get("hash")
    passed = any(normalised == wanted and digest in (None, hashed) for normalised, hashed in forms)
    if wanted is None:
        passed = all(normalised is None for normalised, _ in forms)
    return Outcome(row, passed, forms)


def _forms(row: Mapping[str, Any]) -> Iterable[tuple[str | None, str | None]]:
    """Normalised values and digests of every form that the destination sends."""
    text = pl.Series([row["input"]], dtype=pl.String)
    if AS_GIVEN.search(row["field"]):
        yield row["input"], _digest(text, row)
        return
    destination = _destination(row["platform"])
    if destination is None:
        return
    literal = destination.name in LITERAL_PHONES
    fields = _fields(destination, row["field"])
    if not fields and PLAIN_IDS.search(_plain(row["field"])):
        values = trimmed(text)
        yield values[0], _digest(values, row)
    for field in fields:
        formed = field.formed(_people(text, field, row, literal=literal))
        is_wanted_valid = row["normalised"] is not None
        values = formed.values if is_wanted_valid else formed.valid
        yield values[0], _digest(values, row)


def _people(text: pl.Series, field: Field, row: Mapping[str, Any], *, literal: bool) -> People:
    named = row.get("country") or row.get("default_country")
    country = named or (None if literal else DEFAULT_COUNTRY)
    source = "device_id" if field.source == "device" else field.source
    # The country of an address is not known unless the row says so.
    default = country if field.source == "phone" else named
    return People(pl.DataFrame({source: text}), default_country=default)


def _digest(values: pl.Series, row: Mapping[str, Any]) -> str | None:
    """The digest that a row names, null where it names none."""
    if row.get("hash") is None or values[0] is None:
        return None
    encoding = row.get("encoding")
    chosen = encoding if encoding in ENCODINGS else "hex-lower"
    if digest_algorithms(values)[0] is not None:
        return str(recoded(values, chosen)[0])
    return str(digest_of(values, Digest(row.get("algorithm") or "sha256", chosen))[0])


def _destination(platform: str) -> Destination | None:
    wanted = _plain(platform)
    for destination in DESTINATIONS.values():
        if wanted in {_plain(name) for name in (destination.name, *destination.platforms)}:
            return destination
    return None


def _fields(destination: Destination, name: str) -> list[Field]:
    """Fields of a destination that a name may mean, the surest ones."""
    wanted = _plain(name)
    named = [
        field
        for field in destination.fields
        if wanted in {_plain(each) for each in (field.name, field.source, *field.aliases)}
    ]
    exact = [field for field in named if _plain(field.name) == wanted]
    if named:
        return exact or named
    sources = [source for part, source in KINDS.items() if part in wanted]
    return [field for field in destination.fields if field.source in sources]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def main(arguments: list[str]) -> int:
    """Check the files that are named; returns the exit code."""
    if not arguments:
        print("usage: python -m serving.exports.vectors FILE.json ...", file=sys.stderr)  # noqa: T201 - the product of the command
        return 2
    outcomes = [outcome for name in arguments for outcome in check(read_vectors(Path(name)))]
    for outcome in outcomes:
        if not outcome.passed:
            row = {key: outcome.row.get(key) for key in ("platform", "field", "input")}
            wanted = (outcome.row["normalised"], outcome.row.get("hash"))
            print(f"failed: {row}: wanted {wanted}, found {list(outcome.found)}")  # noqa: T201 - the product of the command
    n_passed = sum(outcome.passed for outcome in outcomes)
    print(f"{n_passed} passed, {len(outcomes) - n_passed} failed")  # noqa: T201 - the product of the command
    return 0 if n_passed == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
