"""Times of any usual form to microseconds since the epoch, UTC.

ISO 8601 texts with or without zone, dates, epoch numbers in seconds to nanoseconds, and the date
types of columnar files. A time that cannot be read becomes null; whether that is an error is
decided by the caller.
"""

from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl

from segmenter.errors import ColumnError, ConfigError
from segmenter.events.bounds import EARLIEST, FARTHEST

TIME_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""Microseconds per unit."""
ZONED = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f %#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y%m%dT%H%M%S%#z",
)
NAIVE_UTC = ("%Y-%m-%d %H:%M:%S%.f UTC",)
NAIVE = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y%m%dT%H%M%S",
)


def check_timezone(name: str) -> None:
    """Refuse a time zone that is not known.

    Raises
    ------
    ConfigError
        If `name` is no IANA time zone.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"unknown time zone {name!r}; pass --timezone with a name like Europe/Paris"
        raise ConfigError(message) from error


def to_microseconds(
    column: pl.Series, *, timezone: str = "UTC", time_unit: str | None = None
) -> pl.Series:
    """Times of a column in microseconds since the epoch, UTC; null where unreadable.

    Parameters
    ----------
    column
        Texts, numbers, dates or datetimes.
    timezone
        Where times without zone were measured. Of an hour that the clock strikes twice the first
        is meant; an hour that it skips is unreadable.
    time_unit
        Unit of epoch numbers, a key of `TIME_UNITS`; None tells it from the size of each number:
        below 1e11 seconds, 1e14 milliseconds, 1e17 microseconds, else nanoseconds.

    Returns
    -------
    polars.Series
        Int64.

    Raises
    ------
    ColumnError
        If the column is of a type that cannot be a time.
    """
    times = _read(column, timezone, time_unit)
    return times.set((times >= FARTHEST) | (times < EARLIEST), None)


def _read(column: pl.Series, timezone: str, time_unit: str | None) -> pl.Series:
    kind = column.dtype
    if kind in (pl.Datetime, pl.Date):
        return _from_datetime(column, timezone)
    if kind.is_integer():
        return _from_integers(column.cast(pl.Int64, strict=False), time_unit)
    if kind.is_float() or kind.is_decimal():
        return _from_floats(column.cast(pl.Float64), time_unit)
    if kind == pl.Null:
        return column.cast(pl.Int64)
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return _from_texts(column.cast(pl.String), timezone, time_unit)
    message = f"the time column holds {kind} values; a time is a text, a number or a date"
    raise ColumnError(message)


def _from_datetime(column: pl.Series, timezone: str) -> pl.Series:
    column = column.cast(pl.Datetime("us", getattr(column.dtype, "time_zone", None)))
    if column.dtype.time_zone is None and timezone != "UTC":  # type: ignore[attr-defined]
        column = column.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return column.to_physical()


def _from_integers(column: pl.Series, time_unit: str | None) -> pl.Series:
    numbers = column.fill_null(0).to_numpy()
    size = np.abs(numbers.astype(np.float64))
    if time_unit is None:
        choices = [size < 1e11, size < 1e14, size < 1e17]
    else:
        choices = [np.full(len(size), time_unit == unit) for unit in ("s", "ms", "us")]
    far = size * TIME_UNITS[time_unit or "ns"] >= FARTHEST
    numbers = np.where(far, 0, numbers)
    with np.errstate(over="ignore"):  # np.select computes every choice for every row
        scaled = np.select(
            choices, [numbers * 1_000_000, numbers * 1000, numbers], numbers // 1000
        )
    return pl.Series(scaled).set(pl.Series(far) | column.is_null(), None)


def _from_floats(column: pl.Series, time_unit: str | None) -> pl.Series:
    numbers = column.fill_null(float("nan")).to_numpy()
    size = np.abs(numbers)
    if time_unit is None:
        factor = np.select([size < 1e11, size < 1e14, size < 1e17], [1e6, 1e3, 1.0], 1e-3)
    else:
        factor = np.full(len(size), TIME_UNITS[time_unit])
    scaled = np.round(numbers * factor)
    readable = np.abs(scaled) < FARTHEST
    whole = np.where(readable, scaled, 0).astype(np.int64)
    return pl.Series(whole).set(pl.Series(~readable), None)


def _from_texts(column: pl.Series, timezone: str, time_unit: str | None) -> pl.Series:
    """Try each form on the rows that no earlier form could read, the first row's form first."""
    texts = column.str.strip_chars()
    parsers = _parsers(timezone, time_unit)
    present = texts.drop_nulls().head(1)
    parsers.sort(key=lambda parse: parse(present).null_count() > 0)
    result = pl.Series(np.zeros(len(texts), dtype=np.int64))
    open_rows = texts.is_not_null()
    for parse in parsers:
        rows = open_rows.arg_true()
        if len(rows) == 0:
            break
        if len(rows) == len(texts):
            result = parse(texts)
        else:
            result = result.scatter(rows, parse(texts.gather(rows)))
        open_rows &= result.is_null()
    return result.set(open_rows | texts.is_null(), None)


def _parsers(timezone: str, time_unit: str | None) -> list[Callable[[pl.Series], pl.Series]]:
    def zoned(form: str, zone: str) -> Callable[[pl.Series], pl.Series]:
        return lambda texts: texts.str.to_datetime(
            form, time_unit="us", time_zone=zone, strict=False
        ).to_physical()

    def naive(form: str) -> Callable[[pl.Series], pl.Series]:
        return lambda texts: _from_datetime(
            texts.str.to_datetime(form, time_unit="us", strict=False), timezone
        )

    return [
        lambda texts: _from_integers(texts.cast(pl.Int64, strict=False), time_unit),
        lambda texts: _from_floats(texts.cast(pl.Float64, strict=False), time_unit),
        *(zoned(form, "UTC") for form in ZONED),
        *(
            lambda texts, form=form: texts.str.to_datetime(
                form, time_unit="us", strict=False
            ).to_physical()
            for form in NAIVE_UTC
        ),
        *(naive(form) for form in NAIVE),
    ]
