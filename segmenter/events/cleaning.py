"""Raw rows to typed rows, and the reason for each row that cannot be used.

What lives here: the form of each field and what makes a row unusable on its own. Duplicates need
the whole log and are found in `segmenter.events.build`.
"""

from dataclasses import dataclass

import polars as pl

from segmenter.errors import ColumnError, SourceError
from segmenter.events.bounds import LARGEST
from segmenter.events.contract import Layout
from segmenter.events.times import to_microseconds

ROW = "<row>"
"""Internal column: number of the row in the whole log, from 0."""
UNREAD = "<unread>"
"""Internal column: hash of the columns that are not read, where duplicates are looked for."""
REASON = "reason"
DUPLICATE = "exact duplicate"
BROKEN_LINE = "unreadable line"
FUTURE = "time in the future"

CONSENT = ("denied", "granted")
"""Vocabulary of the consent field: code 1, code 2; 0 is unknown."""
CONSENT_WORDS = {
    **dict.fromkeys(("0", "false", "f", "no", "n", "denied", "opt-out", "opted_out"), 1),
    **dict.fromkeys(("1", "true", "t", "yes", "y", "granted", "opt-in", "opted_in"), 2),
}


@dataclass(frozen=True)
class CleaningRules:
    """What decides whether a row can be used.

    Attributes
    ----------
    timezone
        Where times without zone were measured.
    time_unit
        Unit of epoch numbers; None tells it from their size.
    until
        Events at or after this time, in microseconds, are left out; None keeps all.
    latest
        Greatest possible time in microseconds; a later one is an error of the log.
    """

    timezone: str
    time_unit: str | None
    until: int | None
    latest: int


@dataclass(frozen=True)
class CleanedRows:
    """The outcome for some rows.

    Attributes
    ----------
    rows
        Typed rows: texts, ``time`` and ``seq`` Int64, numbers Float64 with null for missing,
        ``consent`` Int8 code, the row number, and the hash of unread columns where it is there.
    rejected
        Unusable rows as text, with their reason and row number.
    n_after_until
        Usable rows at or after ``until``.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    n_after_until: int


def clean_rows(raw: pl.DataFrame, layout: Layout, rules: CleaningRules) -> CleanedRows:
    """Give every field its form and set unusable rows aside.

    Parameters
    ----------
    raw
        Rows as read, columns named by field, the row number, and perhaps the hash of the columns
        that are not read.
    layout
        Which fields there are.
    rules
        What decides.

    Returns
    -------
    CleanedRows
        Usable rows, and unusable rows with the first reason that holds for each.

    Raises
    ------
    ColumnError
        If a column is of a type that its field cannot have.
    SourceError
        If bytes are not UTF-8 text.
    """
    numeric = layout.numeric
    typed = {
        name: _number(raw[name], name) if name in numeric else _typed(raw[name], name, rules)
        for name in layout.columns
    }
    rows = pl.DataFrame(typed).hstack(raw.select(name for name in (ROW, UNREAD) if name in raw))
    tests = [
        (pl.col("user").is_null(), "no user"),
        (pl.col("event").is_null(), "no event"),
        (pl.col("time").is_null(), "unreadable time"),
        (pl.col("time") > rules.latest, FUTURE),
        *(
            (pl.lit(_is_impossible(raw[name], rows[name])), f"impossible {name}")
            for name in numeric
        ),
    ]
    reasons = pl.coalesce(pl.when(test).then(pl.lit(reason)) for test, reason in tests).alias(
        REASON
    )
    reason = rows.select(reasons).to_series()
    rejected = _as_text(raw.head(0), layout).with_columns(reason.head(0))
    if reason.null_count() < len(rows):
        unusable = reason.is_not_null()
        rejected = _as_text(raw.filter(unusable), layout).with_columns(reason.drop_nulls())
        rows = rows.filter(~unusable)
    n_usable = len(rows)
    if rules.until is not None:
        rows = rows.filter(pl.col("time") < rules.until)
    return CleanedRows(rows, rejected, n_usable - len(rows))


def _typed(column: pl.Series, name: str, rules: CleaningRules) -> pl.Series:
    if name == "time":
        return to_microseconds(column, timezone=rules.timezone, time_unit=rules.time_unit)
    if name == "seq":
        return _whole_number(column)
    if name == "consent":
        words = text_of(column).str.strip_chars().str.to_lowercase()
        return words.replace_strict(CONSENT_WORDS, default=0, return_dtype=pl.Int8)
    return text_of(column)


def text_of(column: pl.Series) -> pl.Series:
    """Texts of a column; null where missing or blank.

    Whole numbers are written without a fraction, since an id column with gaps often arrives as
    floating-point numbers.

    Raises
    ------
    SourceError
        If binary values are not UTF-8.
    """
    kind = column.dtype
    if kind.is_float():
        column = column.fill_nan(None)
        whole = column.cast(pl.Int128, strict=False)
        is_whole = (whole.cast(kind) == column).fill_null(value=False)
        return whole.cast(pl.String).zip_with(is_whole, column.cast(pl.String))
    if kind != pl.String:
        try:
            column = column.cast(pl.String)
        except pl.exceptions.PolarsError as error:
            message = f"column {column.name} holds bytes that are not UTF-8 text: {error}"
            raise SourceError(message) from error
    # Blank texts are empty or begin with white space: below "!", or not ASCII.
    if not ((column < "!") | (column >= "\u0080")).any():
        return column
    blank = column.str.strip_chars().str.len_bytes() == 0
    return column.set(blank, None) if blank.any() else column


def _number(column: pl.Series, name: str) -> pl.Series:
    """Numbers of a column; null where missing or unreadable."""
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        numbers = column.cast(pl.Float64)
    elif column.dtype in (pl.String, pl.Categorical, pl.Enum):
        numbers = column.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    else:
        raise ColumnError(_no_number_message(column, name))
    # NaN is how many programs write a missing number; -0.0 and 0.0 are one value.
    return numbers.fill_nan(None) + 0.0


def _whole_number(column: pl.Series) -> pl.Series:
    """Int64 of a column, exact where it is written as a whole number; null where there is none."""
    numbers = _number(column, "seq").cast(pl.Int64, strict=False)
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    return column.cast(pl.Int64, strict=False).fill_null(numbers)


def _no_number_message(column: pl.Series, name: str) -> str:
    return (
        f"column {column.name} holds {column.dtype} values; the {name} must be a number; "
        f"pass --{name} with another column"
    )


def _is_impossible(raw: pl.Series, number: pl.Series) -> pl.Series:
    """Where a number is said that is none, or none that a measure can have."""
    impossible = (number.abs() > LARGEST).fill_null(value=False)
    if raw.dtype.is_numeric() or number.null_count() == raw.null_count():
        return impossible
    said = text_of(raw).str.strip_chars().str.to_lowercase()
    return impossible | (number.is_null() & said.is_not_null() & (said != "nan"))


def _as_text(raw: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Raw values as they would be printed."""
    return raw.select(
        pl.col(ROW), *(pl.col(name).cast(pl.String, strict=False) for name in layout.columns)
    )
