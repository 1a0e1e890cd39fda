"""When to send and how long to wait: a rate, and a back-off with jitter.

References
----------
Full jitter: Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015. Retry-After:
RFC 9110, section 10.2.3.
"""

import datetime as dt
import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How often a request is tried, and how long is waited.

    Attributes
    ----------
    attempts
        Of one request.
    first_s, longest_s
        Bound of the first wait, which doubles, and of every wait.
    timeout_s
        Of one attempt.
    """

    attempts: int = 6
    first_s: float = 0.5
    longest_s: float = 120.0
    timeout_s: float = 30.0

    def wait_s(self, attempt: int, asked_s: float | None, pick: random.Random) -> float:
        """Seconds until the next attempt.

        Parameters
        ----------
        attempt
            Attempts so far, from 1.
        asked_s
            What the receiver asks for; None for nothing.
        pick
            Draws the jitter.
        """
        bound = min(self.longest_s, self.first_s * 2 ** (attempt - 1))
        drawn = pick.uniform(0, bound)
        return drawn if asked_s is None else min(max(asked_s, drawn), self.longest_s)


def asked_wait_s(text: str | None, now: dt.datetime) -> float | None:
    """Seconds of a header Retry-After, which is a number or a date; None for nothing readable."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return max(0.0, (zoned - now).total_seconds())


class Pace:
    """Lets requests pass no faster than a rate.

    Parameters
    ----------
    per_minute
        Requests.
    sleep, clock
        To wait by and to look at; seconds.
    """

    def __init__(
        self,
        per_minute: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap_s, self._sleep, self._clock = 60.0 / per_minute, sleep, clock
        self._next = clock()

    def wait(self) -> None:
        """Return when the next request may start."""
        now = self._clock()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._gap_s
