"""Values to places on a page, in percents of a width."""

import math
from dataclasses import dataclass

from training.report.words import score

N_TICKS = 4
"""A scale has about so many round numbers beside it."""


@dataclass(frozen=True)
class Bar:
    """A bar with its interval, in percents of the scale's width.

    Attributes
    ----------
    left, width
        Of the bar.
    low, high
        Ends of the interval.
    clipped
        Whether the bar goes on beyond the scale.
    """

    left: float
    width: float
    low: float
    high: float
    clipped: bool


@dataclass(frozen=True)
class Scale:
    """A linear scale.

    Attributes
    ----------
    low, high
        Values at 0 and at 100 %.
    """

    low: float
    high: float

    def at(self, value: float) -> float:
        """Percent of the width at which a value stands; values outside stand at the edge."""
        span = self.high - self.low
        share = (value - self.low) / span if span > 0 and math.isfinite(value) else 0.0
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def bar(self, value: float, *, base: float, low: float, high: float) -> Bar:
        """A bar from `base` to `value`, with an interval from `low` to `high`."""
        start, end = sorted((self.at(base), self.at(value)))
        clipped = not self.low <= value <= self.high
        return Bar(start, round(end - start, 2), self.at(low), self.at(high), clipped)

    def ticks(self) -> list[tuple[float, str]]:
        """Round numbers inside the scale, with as many decimals as tell them apart."""
        rough = (self.high - self.low) / N_TICKS
        if not rough > 0:
            return []
        unit = 10.0 ** math.floor(math.log10(rough))
        step = min((unit * many for many in (1, 2, 5, 10)), key=lambda made: abs(made - rough))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        n_decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return [
            (place * step, score(place * step, n_decimals=n_decimals))
            for place in range(first, last + 1)
        ]
