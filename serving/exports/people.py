"""The raw identifiers of some people, each kind read once for all destinations."""

from functools import cached_property

import polars as pl

from serving.exports.emails import plain
from serving.exports.names import country, lower, upper
from serving.exports.phones import Phones, phones
from serving.exports.text import digest_algorithms, nulls, text_column

IDENTITY_COLUMNS = (
    *("user_id", "email", "phone", "first_name", "last_name"),
    *("street", "street_2", "city", "state", "postal_code", "country"),
    *("gender", "birth_year", "birth_month", "birth_day"),
    *("idfa", "aaid", "device_id", "x_handle", "x_user_id", "rampid"),
    *("job_title", "company"),
)
"""Columns of an identity table that destinations read; every one but the first may be missing."""


class People:
    """A batch of people with what is known of them.

    Parameters
    ----------
    frame
        Any of `IDENTITY_COLUMNS`, a row per person. It is read, never changed.
    default_country
        ISO 3166-1 code of two letters for people whose country is not known.
    """

    def __init__(self, frame: pl.DataFrame, *, default_country: str | None = None) -> None:
        self.frame, self.default_country = frame, default_country
        self._texts: dict[str, pl.Series] = {}
        self._algorithms: dict[str, pl.Series] = {}

    def text(self, source: str) -> pl.Series:
        """A column as trimmed text; nulls where the table has no such column."""
        if source not in self._texts:
            self._texts[source] = self._read(source)
        return self._texts[source]

    def has(self, source: str) -> bool:
        """Whether anything can be known of a column."""
        if source == "device":
            return any(name in self.frame.columns for name in ("device_id", "idfa", "aaid"))
        if source == "country" and self.default_country is not None:
            return True
        return source in self.frame.columns

    def algorithms(self, source: str) -> pl.Series:
        """Hash function of the values of a column that are digests already, else null."""
        if source not in self._algorithms:
            self._algorithms[source] = digest_algorithms(self.text(source))
        return self._algorithms[source]

    @cached_property
    def emails(self) -> pl.Series:
        """E-mail addresses in plain form."""
        return plain(self.text("email"))

    @cached_property
    def countries(self) -> pl.Series:
        """ISO 3166-1 codes of two capital letters; the default one where none is known."""
        known = country(self.text("country"))
        return known if self.default_country is None else known.fill_null(self.default_country)

    @cached_property
    def phones(self) -> Phones:
        """Telephone numbers, completed by the country."""
        return phones(self.text("phone"), self.countries)

    def _read(self, source: str) -> pl.Series:
        if source == "device" and self.has(source):
            return self._devices()
        if source not in self.frame.columns:
            return nulls(len(self.frame))
        return text_column(self.frame[source])

    def _devices(self) -> pl.Series:
        """One device of each person: the id as given, else Apple's, else Google's."""
        given, apple = self.text("device_id"), upper(self.text("idfa"))
        named = given.zip_with(given.is_not_null(), apple)
        return named.zip_with(named.is_not_null(), lower(self.text("aaid")))
