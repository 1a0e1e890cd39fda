"""Points in time: microseconds since the epoch inside, ISO 8601 in UTC outside."""

import datetime as dt

from segmenter.errors import ConfigError

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def iso(micros: int) -> str:
    """A time as ISO 8601 text with Z, microseconds only where there are some."""
    moment = EPOCH + dt.timedelta(microseconds=micros)
    return moment.isoformat().replace("+00:00", "Z")


def now() -> str:
    """The present moment as ISO 8601 text with Z, in whole seconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_time(text: str, *, option: str) -> int:
    """Microseconds since the epoch of ISO 8601 text; without a zone it is UTC.

    Raises
    ------
    ConfigError
        If the text is no ISO 8601 date or time; `option` names where it came from.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{option} must be an ISO 8601 date or time such as 2017-10-01; found {text!r}"
        raise ConfigError(message) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (aware - EPOCH) // dt.timedelta(microseconds=1)
