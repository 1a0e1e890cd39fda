"""Telephone numbers: E.164 by ``phonenumbers``, plain cases by patterns on whole columns.

A number is kept as its digits with the calling code (``4930123456``) and as its national digits;
platforms write ``+4930123456``, ``4930123456`` or ``30123456``.
"""

from dataclasses import dataclass

import phonenumbers
import polars as pl
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

from serving.exports.phone_plans import CALLING_CODE, calling_plan, region_plan
from serving.exports.text import empty_to_null, nulls, text_column, visible, where

PLAIN = r"^(?:\+?[0-9]|\()[0-9 ().\-]*$"
SEPARATORS = r"[ ().\-]"
NO_COUNTRY = "phone without a calling code and no country to complete it"
NOT_ONE = "phone that is no telephone number"
NO_SUCH = "phone that no numbering plan has"
Parsed = tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class Phones:
    """Telephone numbers of people.

    Attributes
    ----------
    digits
        String [n], calling code and national number; where there is a reason, the best reading.
    national
        String [n], the national number alone.
    reasons
        String [n], why a number cannot be one; null where it is valid or there is none.
    """

    digits: pl.Series
    national: pl.Series
    reasons: pl.Series


def phones(raw: pl.Series, regions: pl.Series) -> Phones:
    """Read telephone numbers.

    Parameters
    ----------
    raw
        String [n], in any writing.
    regions
        String [n], ISO 3166-1 codes of two capital letters by which national numbers are
        completed; null where unknown.
    """
    text = empty_to_null(visible(text_column(raw)))
    frame = pl.DataFrame({"text": text, "region": regions})
    found = _plain_numbers(frame)
    left = found["digits"].is_null() & text.is_not_null()
    if left.any():
        read = _by_library(frame.filter(left).unique(maintain_order=True))
        late = frame.filter(left).join(
            read, on=["text", "region"], how="left", nulls_equal=True, maintain_order="left"
        )
        rows = left.arg_true()
        found = pl.DataFrame(
            [
                found[name].clone().scatter(rows, late[name])
                for name in ("digits", "national", "reason")
            ]
        )
    return Phones(found["digits"], found["national"], found["reason"])


def read_phone(text: str, region: str | None) -> Parsed:
    """Digits, national digits and reason of one number, as the library reads it.

    What begins with ``00`` counts as international. A number without ``+`` that the region does
    not have is tried as an international one, since many people leave the sign out.
    """
    written = "+" + text[2:] if text.startswith("00") else text
    for writing in dict.fromkeys((written, text)):
        first = _parsed(writing, region)
        if first is not None and phonenumbers.is_valid_number(first):
            return (*_parts(first), None)
    digits = "".join(str(int(character)) for character in written if character.isdecimal())
    bare = digits.lstrip("0")
    if not written.startswith("+"):
        second = _parsed(f"+{bare}", None)
        if (
            second is not None
            and phonenumbers.is_valid_number(second)
            and (bare == digits or _is_of(second, region))
        ):
            return (*_parts(second), None)
    if first is not None and phonenumbers.is_possible_number(first):
        return (*_parts(first), NO_SUCH)
    if not bare:
        return None, None, NOT_ONE
    without_country = region is None and not written.startswith("+")
    return bare, bare, NO_COUNTRY if without_country else NO_SUCH


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _parts(number: PhoneNumber) -> tuple[str, str]:
    digits = phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:]
    return digits, phonenumbers.national_significant_number(number)


def _is_of(number: PhoneNumber, region: str | None) -> bool:
    """Whether a number has the calling code of a region."""
    return region is not None and number.country_code == phonenumbers.country_code_for_region(
        region
    )


def _by_library(numbers: pl.DataFrame) -> pl.DataFrame:
    """Read different numbers one by one."""
    parsed = [read_phone(text, region) for text, region in numbers.rows()]
    schema = {"digits": pl.String, "national": pl.String, "reason": pl.String}
    return pl.concat(
        [numbers, pl.DataFrame(parsed, schema=schema, orient="row")], how="horizontal"
    )


def _plain_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Digits of the numbers that patterns alone can read, null elsewhere."""
    nothing = nulls(len(frame))
    found = pl.DataFrame({"digits": nothing, "national": nothing, "reason": nothing})
    plain = frame["text"].str.contains(PLAIN).fill_null(value=False)
    rows = plain.arg_true()
    compact = frame["text"].gather(rows).str.replace_all(SEPARATORS, "")
    zeros = frame["text"].gather(rows).str.starts_with("00")
    compact = where(compact, zeros, lambda some: some.str.replace("^00", "+"))
    codes = compact.str.extract(CALLING_CODE).cast(pl.Int32)
    regions = frame["region"].gather(rows)
    national = _international(compact, codes)
    domestic = ~compact.str.starts_with("+")
    own, own_codes = _domestic(compact, regions.zip_with(domestic, nulls(len(regions))))
    national, codes = national.zip_with(~domestic, own), codes.zip_with(~domestic, own_codes)
    digits = codes.cast(pl.String) + national
    return found.with_columns(
        found["digits"].scatter(rows, digits), found["national"].scatter(rows, national)
    )


def _international(compact: pl.Series, codes: pl.Series) -> pl.Series:
    """National numbers behind ``+`` and a calling code, null where the plan is in doubt."""
    national = nulls(len(compact))
    for code in codes.drop_nulls().unique().sort().to_list():
        rows = (codes == code).arg_true()
        rest = compact.gather(rows).str.slice(1 + len(str(code)))
        national = national.scatter(rows, _sure(rest, code))
    return national


def _domestic(compact: pl.Series, regions: pl.Series) -> tuple[pl.Series, pl.Series]:
    """National numbers and calling codes of numbers as they are written at home."""
    national = nulls(len(compact))
    codes = pl.repeat(None, len(compact), dtype=pl.Int32, eager=True)
    for region in regions.drop_nulls().unique().sort().to_list():
        plan = region_plan(region)
        if plan is None:
            continue
        rows = (regions == region).arg_true()
        written, code = compact.gather(rows), int(plan.calling_code)
        prefixed = written.str.starts_with(plan.prefix) if plan.prefix else written.is_null()
        rest = where(written, prefixed, lambda some: some.str.slice(1))
        sure = _sure(rest, code)
        doubt = written.str.contains(plan.doubtful) & ~prefixed
        sure = sure.zip_with(~doubt, nulls(len(sure)))
        national = national.scatter(rows, sure)
        codes = codes.scatter(rows, pl.Series([code] * len(rows), dtype=pl.Int32))
    return national, codes


def _sure(national: pl.Series, code: int) -> pl.Series:
    """National numbers that the plan of their code knows, null elsewhere."""
    plan = calling_plan(code)
    sure = pl.repeat(value=False, n=len(national), eager=True)
    for kinds, general in plan.sure:
        sure |= national.str.contains(kinds) & national.str.contains(general)
    sure &= ~national.str.contains(plan.doubtful)
    return national.zip_with(sure, nulls(len(national)))
