"""One column or key of a destination: where it comes from, its form, its digest, its clause.

What lives here: the kinds of field. Which fields a destination has stands in its own file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import polars as pl

from serving.exports.devices import device_reasons
from serving.exports.digests import Digest, digest_of, recoded
from serving.exports.emails import email_reasons
from serving.exports.people import People
from serving.exports.text import nulls, where

Rule = Callable[[pl.Series], pl.Series]
"""From a column of text to the form that a platform wants."""


@dataclass(frozen=True)
class Formed:
    """A column of people in the form of one field.

    Attributes
    ----------
    values
        String [n]; where there is a reason, the nearest form, which is not to be sent.
    reasons
        String [n], why a value cannot be sent; null where it can or where there is none.
    """

    values: pl.Series
    reasons: pl.Series

    @property
    def valid(self) -> pl.Series:
        """The values without those that have a reason."""
        return self.values.zip_with(self.reasons.is_null(), nulls(len(self.values)))


@dataclass(frozen=True)
class Field:
    """A column of a file or a key of a payload.

    Attributes
    ----------
    name
        As the platform writes it.
    source
        Column of the identity table that it is made of.
    form
        From people to the form before any hashing.
    digest
        How it is hashed; None when it is sent as it is.
    clause
        Where the specification says so.
    identifies
        Whether a person can be found by this field alone.
    key
        Name that is unique within the destination; the name itself where left out.
    aliases
        Further names of the field in the platform's own documents.
    """

    name: str
    source: str
    form: Callable[[People], Formed]
    digest: Digest | None
    clause: str
    identifies: bool = False
    key: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The unique name."""
        return self.key or self.name

    def formed(self, people: People) -> Formed:
        """The field before hashing; what is a digest already is kept as it came."""
        formed, algorithms = self.form(people), people.algorithms(self.source)
        hashed = algorithms.is_not_null()
        if self.source in UNHASHED_SOURCES or not hashed.any():
            return formed
        raw = people.text(self.source)
        values = formed.values.zip_with(~hashed, _lower_digits(raw))
        wanted = algorithms == (self.digest.algorithm if self.digest else "")
        reason = f"{self.source} that is a digest already, of another kind than is sent"
        reasons = formed.reasons.zip_with(~hashed, nulls(len(raw)))
        wrong = pl.Series([reason] * len(raw), dtype=pl.String)
        return Formed(values, reasons.zip_with(~(hashed & ~wanted), wrong))

    def cells(self, people: People) -> Formed:
        """The field as it is sent: valid values, hashed where the platform hashes."""
        if not people.has(self.source):
            return Formed(nulls(len(people.frame)), nulls(len(people.frame)))
        formed = self.formed(people)
        if self.digest is None:
            return replace(formed, values=formed.valid)
        hashed = people.algorithms(self.source).is_not_null()
        if not hashed.any() or self.source in UNHASHED_SOURCES:
            return replace(formed, values=digest_of(formed.valid, self.digest))
        fresh = digest_of(formed.valid.zip_with(~hashed, nulls(len(hashed))), self.digest)
        encoding = self.digest.encoding
        known = where(formed.valid, hashed, lambda some: recoded(some, encoding))
        return replace(formed, values=fresh.zip_with(~hashed, known))


UNHASHED_SOURCES = frozenset({"user_id", "rampid", "country", "postal_code"})
"""Columns whose values are never read as digests."""


def email_field(
    name: str, *rules: Rule, clause: str, digest: Digest | None = None, **more: object
) -> Field:
    """A field made of the e-mail address in plain form, by further rules in turn."""

    def form(people: People) -> Formed:
        values = _applied(people.emails, rules)
        return Formed(values, email_reasons(values))

    return _field(Field(name, "email", form, digest, clause, identifies=True), more)


def phone_field(
    name: str, writing: str, *, clause: str, digest: Digest | None = None, **more: object
) -> Field:
    """A field made of the telephone number.

    Parameters
    ----------
    name, clause, digest, more
        Of the field.
    writing
        ``plus`` (E.164), ``digits`` (E.164 without the sign) or ``national``.
    """

    def form(people: People) -> Formed:
        numbers = people.phones
        values = numbers.national if writing == "national" else numbers.digits
        if writing == "plus":
            values = "+" + values
        return Formed(values, numbers.reasons)

    return _field(Field(name, "phone", form, digest, clause, identifies=True), more)


def text_field(
    name: str, source: str, *rules: Rule, clause: str, digest: Digest | None = None, **more: object
) -> Field:
    """A field made of any other column by rules in turn; what cannot be read is null."""

    def form(people: People) -> Formed:
        values = _applied(people.text(source), rules)
        return Formed(values, nulls(len(values)))

    return _field(Field(name, source, form, digest, clause), more)


def place_field(
    name: str,
    source: str,
    rule: Callable[[pl.Series, pl.Series], pl.Series],
    *,
    clause: str,
    digest: Digest | None = None,
    **more: object,
) -> Field:
    """A field made of a part of an address by a rule that asks for the country."""

    def form(people: People) -> Formed:
        values = rule(people.text(source), people.countries)
        return Formed(values, nulls(len(values)))

    return _field(Field(name, source, form, digest, clause), more)


def country_field(
    name: str, *rules: Rule, clause: str, digest: Digest | None = None, **more: object
) -> Field:
    """A field made of the country's code of two capital letters."""

    def form(people: People) -> Formed:
        values = _applied(people.countries, rules)
        return Formed(values, nulls(len(values)))

    return _field(Field(name, "country", form, digest, clause), more)


def device_field(
    name: str, source: str, *rules: Rule, clause: str, digest: Digest | None = None, **more: object
) -> Field:
    """A field made of a mobile advertising id: ``idfa``, ``aaid`` or ``device`` for either."""

    def form(people: People) -> Formed:
        values = _applied(people.text(source), rules)
        return Formed(values, device_reasons(values))

    return _field(Field(name, source, form, digest, clause, identifies=True), more)


def _field(field: Field, more: dict[str, object]) -> Field:
    return replace(field, **more)  # type: ignore[arg-type] # replace checks the names


def _applied(values: pl.Series, rules: tuple[Rule, ...]) -> pl.Series:
    return reduce(lambda column, rule: rule(column), rules, values)


def _lower_digits(digests: pl.Series) -> pl.Series:
    """Hexadecimal digests in small letters; Base64 keeps its case."""
    hexadecimal = digests.str.contains(r"^[0-9A-Fa-f]+$")
    return where(digests, hexadecimal, lambda some: some.str.to_lowercase())
