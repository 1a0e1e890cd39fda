"""Numbers, names and times as the report prints them."""

import datetime as dt
import math

NARROW_SPACE = "\u202f"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"


def percent(share: float) -> str:
    """A share in percents, one decimal where whole percents would say nothing."""
    value = 100 * share
    decimals = 1 if 0 < abs(value) < 1 or 99 < abs(value) < 100 else 0
    return f"{value:.{decimals}f}{NARROW_SPACE}%"


def amount(value: float) -> str:
    """A number with as many digits as say something: ``1,320``, ``3.4``, ``0.042``."""
    if not math.isfinite(value):
        return DASH
    if value == 0 or abs(value) >= 10:
        return f"{value:,.0f}".replace("-", MINUS)
    text = f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"
    return text.removesuffix(".0").replace("-", MINUS)


def score(value: float, *, n_decimals: int = 2) -> str:
    """An R2, AUC or the like without a leading zero, ``.52``."""
    text = f"{round(value, n_decimals) + 0.0:.{n_decimals}f}"
    return text.replace("-0.", "-.", 1).removeprefix("0").replace("-", MINUS) or "0"


def difference(value: float) -> str:
    """A difference of two scores with its sign: ``+.031``."""
    text = f"{round(value, 3) + 0.0:+.3f}"
    shortened = text.replace("0.", ".", 1) if abs(value) < 1 else text
    return shortened.replace("-", MINUS)


def spoken(text: str) -> str:
    """A value of a log as a person would write it: no shouting, no padding, no control codes."""
    calm = " ".join(printable(text).split())
    return calm.capitalize() if calm.isupper() else calm


def titled(text: str) -> str:
    """Text that begins a line: its first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def printable(text: str) -> str:
    """Text without what would steer a terminal or a page instead of being read."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def moment(iso: str) -> str:
    """An ISO 8601 time to the minute, ``2017-09-30 23:59 UTC``; a day alone at midnight."""
    try:
        time = dt.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    utc = time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC)
    return f"{utc:%Y-%m-%d}" if utc.time() == dt.time() else f"{utc:%Y-%m-%d %H:%M} UTC"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 segment``, ``2,469 users``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
