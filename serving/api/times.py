"""One time of a request to microseconds, read as `segmenter.events.times` reads a column.

Of its forms the usual ones: ISO 8601 texts with or without zone, and epoch numbers.
"""

import datetime as dt

from pydantic_core import PydanticCustomError

from segmenter.clock import EPOCH
from segmenter.events.bounds import EARLIEST, FARTHEST

NO_TIME = ("time", "must be an ISO 8601 time or a number since 1970, in the years 1900 to 9999")
MICROSECOND = dt.timedelta(microseconds=1)
UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0))
"""Sizes below which an epoch number is seconds, milliseconds, microseconds; and their factors."""


def microseconds(value: object) -> int:
    """Microseconds since the epoch, UTC.

    Parameters
    ----------
    value
        ISO 8601 text, without a zone in UTC; or a number of seconds to nanoseconds since the
        epoch, told apart by its size.

    Raises
    ------
    PydanticCustomError
        If the value is no time between the years 1900 and 9999.
    """
    if isinstance(value, str):
        moment = _from_text(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        moment = _from_number(value)
    else:
        moment = None
    if moment is None or not EARLIEST <= moment < FARTHEST:
        raise PydanticCustomError(*NO_TIME)
    return moment


def _from_text(text: str) -> int | None:
    # Python reads further forms, which a column of a log would not be read by.
    usual = text[4:5] == "-" and text[5:6] != "W" and text[10:11] in ("", "T", " ")
    try:
        moment = dt.datetime.fromisoformat(text) if usual else None
    except ValueError:
        return None
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (aware - EPOCH) // MICROSECOND


def _from_number(number: float) -> int | None:
    size = abs(number)
    if not size < FARTHEST * 1000:  # NaN is none either
        return None
    factor = next((factor for below, factor in UNITS if size < below), None)
    if isinstance(number, int):
        return number // 1000 if factor is None else number * int(factor)
    return round(number * (1e-3 if factor is None else factor))
