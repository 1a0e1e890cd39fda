"""Times in payloads. It is no destination itself."""

import datetime as dt

from serving.exports.destination import Order

DAY_S = 86_400


def zulu(seconds: int) -> str:
    """A time in seconds since the epoch as ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def expiry(order: Order, lifetime_days: int) -> int:
    """Seconds since the epoch at which a membership of this order ends."""
    return order.as_of + lifetime_days * DAY_S
