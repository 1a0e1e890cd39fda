"""How a log is read: one frozen value, checked before anything is read."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from segmenter.clock import iso
from segmenter.errors import ConfigError
from segmenter.events.cleaning import CleaningRules
from segmenter.events.source_format import UTF_8, ReadOptions, check_encoding
from segmenter.events.times import TIME_UNITS, check_timezone

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class IngestOptions:
    """How a log is read.

    Attributes
    ----------
    until
        Events at or after this time, in microseconds since the epoch, are left out.
    timezone
        IANA name of the zone where times without zone were measured.
    time_unit
        ``"s"``, ``"ms"``, ``"us"`` or ``"ns"`` of epoch numbers; None tells it from their size.
    delimiter
        Between the fields of a CSV line; None takes the comma (``.tsv``: the tab).
    encoding
        Of CSV and JSON lines files, as Python names it.
    keep_duplicates
        Whether rows that repeat another in every column but ``seq`` are kept.
    now
        Time of the run in microseconds; events more than a day later are errors of the log. None
        asks the clock.
    chunk_rows
        Rows in memory at a time; the result does not depend on it.
    group_rows
        Rows that are sorted at a time; the result does not depend on it.
    """

    until: int | None = None
    timezone: str = "UTC"
    time_unit: str | None = None
    delimiter: str | None = None
    encoding: str = UTF_8
    keep_duplicates: bool = False
    now: int | None = None
    chunk_rows: int = 500_000
    group_rows: int = 300_000

    def check(self) -> None:
        """Refuse impossible options.

        Raises
        ------
        ConfigError
            Naming the option.
        """
        check_timezone(self.timezone)
        if self.time_unit is not None and self.time_unit not in TIME_UNITS:
            message = f"--time-unit must be one of {', '.join(TIME_UNITS)}; found {self.time_unit}"
            raise ConfigError(message)
        if self.delimiter is not None and len(self.delimiter) != 1:
            message = f"--delimiter must be one character; found {self.delimiter!r}"
            raise ConfigError(message)
        check_encoding(self.encoding)

    def reading(self) -> ReadOptions:
        """How files are opened."""
        return ReadOptions(self.delimiter, self.encoding, find_repeats=not self.keep_duplicates)

    def to_json(self) -> dict[str, Any]:
        """What decides the content, in plain form."""
        plain = asdict(self)
        for name in ("now", "chunk_rows", "group_rows"):
            del plain[name]
        return plain | {"until": None if self.until is None else iso(self.until)}

    def rules(self) -> CleaningRules:
        """What decides whether a row can be used."""
        now = int(time.time() * 1e6) if self.now is None else self.now
        return CleaningRules(self.timezone, self.time_unit, self.until, now + DAY_US)
