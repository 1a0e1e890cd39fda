"""Names, addresses, birth dates and countries, in the forms that platforms hash.

A form begins with trimmed text in Unicode form NFC. Each function is one rule of one platform's
specification; the destinations say which rule is theirs.
"""

from functools import cache

import polars as pl
import pycountry

from serving.exports.text import empty_to_null, nulls, text_column, visible, where

TITLES = r"(?:^|\s)(?:mr|mrs|ms|dr)\.?(?:\s+|$)"
SUFFIXES = (
    r"(?:,\s*|\s+)(?:jr\.?|sr\.?|2nd|3rd|ii|iii|iv|v|vi|cpa|dc|dds|vm|jd|md|phd)"
    r"(?:\s*$|(?P<rest>[,\s]))"
)
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


def trimmed(raw: pl.Series) -> pl.Series:
    """Trimmed text, as it is."""
    return empty_to_null(visible(text_column(raw)))


def lower(raw: pl.Series) -> pl.Series:
    """Trimmed, in lower case."""
    return trimmed(raw).str.to_lowercase()


def upper(raw: pl.Series) -> pl.Series:
    """Trimmed, in upper case."""
    return trimmed(raw).str.to_uppercase()


def lower_without_spaces(raw: pl.Series) -> pl.Series:
    """In lower case, without any white space."""
    return _removed(lower(raw), r"\s+")


def google_given_name(raw: pl.Series) -> pl.Series:
    """In lower case, without the titles that Google's Java helper drops."""
    return empty_to_null(_repeatedly(lower(raw), TITLES, " ").str.strip_chars())


def google_family_name(raw: pl.Series) -> pl.Series:
    """In lower case, without the suffixes that Google's Java helper drops."""
    return empty_to_null(_repeatedly(lower(raw), SUFFIXES, "${rest}").str.strip_chars(" ,"))


def meta_name(raw: pl.Series) -> pl.Series:
    """In lower case, without punctuation and white space; every script is kept."""
    return _removed(lower(raw), r"[\p{P}\p{S}\s]+")


def initial(raw: pl.Series) -> pl.Series:
    """First letter of a name, in lower case."""
    return meta_name(raw).str.slice(0, 1)


def letters(raw: pl.Series) -> pl.Series:
    """Letters of any script, in lower case, and nothing else."""
    return _removed(lower(raw), r"[^\p{L}\p{M}]+")


def letters_and_digits(raw: pl.Series) -> pl.Series:
    """In lower case, only ``a-z`` and ``0-9``."""
    return _removed(lower(raw), r"[^a-z0-9]+")


def meta_state(raw: pl.Series, countries: pl.Series) -> pl.Series:
    """Code of two letters for a state of the USA, else letters in lower case."""
    states, plain = us_states(), letters(raw)
    american = (countries == "US") | countries.is_null()
    known = american & plain.is_in(list(states))
    return where(plain, known, lambda some: some.replace_strict(states))


def meta_postal_code(raw: pl.Series, countries: pl.Series) -> pl.Series:
    """In lower case, without spaces, up to a hyphen; of the USA the first five digits."""
    short = _removed(lower(raw), r"\s+|-.*")
    american = (countries == "US") | countries.is_null()
    nine = american & short.str.contains(r"^[0-9]{9}$")
    return where(short, nine, lambda some: some.str.slice(0, 5))


def compact_postal_code(raw: pl.Series) -> pl.Series:
    """Without hyphens and spaces."""
    return _removed(trimmed(raw), r"[\s-]+")


def gender(raw: pl.Series) -> pl.Series:
    """``m`` or ``f``, null for anything else."""
    first = lower(raw).str.slice(0, 1)
    words = {"m": "m", "f": "f"}
    return first.replace_strict(words, default=None, return_dtype=pl.String)


def year(raw: pl.Series) -> pl.Series:
    """Year of birth in four digits, null for anything else."""
    return trimmed(raw).str.extract(r"^([0-9]{4})(?:\.0)?$")


def month(raw: pl.Series) -> pl.Series:
    """Month of birth in two digits, from a number or an English name; null for anything else."""
    text = lower(raw).str.strip_chars(" .")
    names = {
        form: f"{number:02d}" for number, name in enumerate(MONTHS, 1) for form in (name, name[:3])
    }
    named = text.replace_strict(names, default=None, return_dtype=pl.String)
    return named.zip_with(named.is_not_null(), _two_digits(text, 12))


def day(raw: pl.Series) -> pl.Series:
    """Day of birth in two digits, null for anything else."""
    return _two_digits(lower(raw), 31)


def country(raw: pl.Series) -> pl.Series:
    """ISO 3166-1 code of two capital letters, from a code of two or three letters or a name."""
    text = upper(raw)
    different = text.drop_nulls().unique()
    known = {name: country_code(name) for name in different.to_list()}
    return text.replace_strict(
        list(known), list(known.values()), default=None, return_dtype=pl.String
    )


@cache
def country_code(text: str) -> str | None:
    """ISO 3166-1 code of two letters of a code or an English name; None for an unknown one."""
    if text.upper() == "UK":  # not its code, but what people write
        return "GB"
    try:
        return str(pycountry.countries.lookup(text).alpha_2)
    except LookupError:
        return None


@cache
def us_states() -> dict[str, str]:
    """Letters of the name of each state and territory of the USA, to its code."""
    states = pycountry.subdivisions.get(country_code="US")  # type: ignore[no-untyped-call] # the library has none
    return {
        "".join(letter for letter in state.name.lower() if letter.isalpha()): state.code[
            3:
        ].lower()
        for state in states
    }


def _removed(text: pl.Series, pattern: str) -> pl.Series:
    return empty_to_null(text.str.replace_all(pattern, ""))


def _repeatedly(text: pl.Series, pattern: str, replacement: str) -> pl.Series:
    """Replace until nothing is left to replace: a match takes the space before the next one."""
    found = text.str.contains(pattern)
    while found.any():
        text = where(text, found, lambda some: some.str.replace(pattern, replacement))
        found = text.str.contains(pattern)
    return text


def _two_digits(text: pl.Series, most: int) -> pl.Series:
    number = text.str.extract(r"^0*([0-9]{1,2})(?:\.0)?$").cast(pl.Int32)
    padded = number.cast(pl.String).str.zfill(2)
    fits = (number >= 1) & (number <= most)
    return padded.zip_with(fits, nulls(len(padded)))
