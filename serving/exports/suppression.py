"""People who are left out whatever their consent: lists of raw or hashed ids.

A list is compared before anything is hashed, by user id, mailbox, telephone number and device; an
entry that is a digest is compared with what the destination would be sent and with the usual
forms. An address in one writing leaves out every writing of the same mailbox.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from segmenter.errors import SourceError
from serving.exports.devices import UUID
from serving.exports.digests import SHA256, digest_of, is_digest, recoded
from serving.exports.emails import canonical, google, plain
from serving.exports.people import People
from serving.exports.phones import phones
from serving.exports.text import nulls, text_column


@dataclass(frozen=True)
class Suppression:
    """Ids of people to leave out.

    Attributes
    ----------
    user_ids, mailboxes, numbers, devices, digests
        String each, sorted by nothing: as given, canonical addresses, E.164 digits, small
        letters, hexadecimal digits.
    """

    user_ids: pl.Series
    mailboxes: pl.Series
    numbers: pl.Series
    devices: pl.Series
    digests: pl.Series

    def __len__(self) -> int:
        return len(self.user_ids)

    def hits(self, people: People, cells: pl.DataFrame) -> pl.Series:
        """Whether each person is to be left out.

        Parameters
        ----------
        people
            With any identifiers.
        cells
            What a destination would be sent of them, digests in any encoding.
        """
        found = people.text("user_id").is_in(self.user_ids)
        if len(self.mailboxes):
            found |= _within(canonical(people.emails), self.mailboxes)
        if len(self.numbers):
            found |= _within(people.phones.digits, self.numbers)
        if len(self.devices):
            for source in ("device_id", "idfa", "aaid"):
                found |= _within(people.text(source).str.to_lowercase(), self.devices)
        if len(self.digests):
            for digests in digests_of(people, cells):
                found |= _within(digests, self.digests)
        return found.fill_null(value=False)


def digests_of(people: People, cells: pl.DataFrame) -> Iterable[pl.Series]:
    """Digests of people as sent, as given, and in the usual forms; hexadecimal, small letters."""
    for name in cells.columns:
        if cells.schema[name] == pl.String:
            yield _as_hexadecimal(cells[name])
    for source in ("email", "phone", "device_id", "idfa", "aaid"):
        yield _as_hexadecimal(people.text(source))
    emails, numbers = people.emails, people.phones.digits
    for text in (emails, google(emails), canonical(emails), numbers, "+" + numbers):
        yield digest_of(text, SHA256)


def read_suppression(
    paths: Iterable[Path], *, default_country: str | None = None, option: str = "--suppress"
) -> Suppression:
    """Read lists of ids: every cell of every line of text or CSV files; `option` named them.

    Raises
    ------
    SourceError
        If a file cannot be read; people who must be left out are never guessed.
    """
    cells = [cell for path in paths for cell in _cells(path, option)]
    ids = text_column(pl.Series(cells, dtype=pl.String)).drop_nulls().unique(maintain_order=True)
    hashed = is_digest(ids)
    raw = ids.filter(~hashed)
    is_email, is_device = raw.str.contains("@", literal=True), raw.str.contains(UUID)
    is_number = raw.str.contains(r"^[+(]?[0-9][0-9 ().\-]{6,}$") & ~is_device
    numbers = raw.filter(is_number)
    countries = pl.Series([default_country] * len(numbers), dtype=pl.String)
    return Suppression(
        user_ids=ids,
        mailboxes=canonical(plain(raw.filter(is_email))).drop_nulls(),
        numbers=phones(numbers, countries).digits.drop_nulls(),
        devices=raw.filter(is_device).str.to_lowercase(),
        digests=recoded(ids.filter(hashed), "hex-lower"),
    )


def _cells(path: Path, option: str) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {option} {path}; pass a text or CSV file, one person a line"
        raise SourceError(message) from error
    return [
        cell.strip().strip('"') for line in lines for cell in line.replace(";", ",").split(",")
    ]


def _within(values: pl.Series, some: pl.Series) -> pl.Series:
    return values.is_in(some).fill_null(value=False)


def _as_hexadecimal(values: pl.Series) -> pl.Series:
    hashed = is_digest(values)
    none = nulls(len(values))
    if not hashed.any():
        return none
    return recoded(values.zip_with(hashed, none), "hex-lower")
