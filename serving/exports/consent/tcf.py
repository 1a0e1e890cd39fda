"""Consent strings of IAB Europe's Transparency and Consent Framework, version 2.3.

What lives here: reading a string, and the gate of an audience export. The one package that reads
such strings in Python stopped at version 2.0, which had no mandatory disclosed vendors.

References
----------
IAB Tech Lab, "Consent string and vendor list formats v2", version of April 2025 (TCF 2.3).
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from serving.exports.consent.bits import Bits, BitsError, bits_of

VERSION = 2
DISCLOSED_VENDORS, PUBLISHER_TC = 1, 3
MIN_POLICY_VERSION = 4
"""Strings of an older policy are invalid since 30 September 2023."""

CONSENT_PURPOSES = frozenset({1, 3, 4})
"""Store on a device, create profiles for advertising, use them: by consent alone."""

EITHER_PURPOSES = frozenset({2, 7})
"""Select advertising, measure it: by consent or legitimate interest."""


class TcfError(ValueError):
    """A text is no consent string of a known version."""


@dataclass(frozen=True)
class TcfString:
    """What a consent string says.

    Attributes
    ----------
    created
        When, in UTC.
    cmp_id, vendor_list_version, policy_version
        Of the consent tool, the list of vendors and the policy.
    language, publisher_country
        Two capital letters each.
    is_service_specific
        Whether it holds for one service alone.
    purposes, purposes_interest
        Purposes with consent, and those with legitimate interest.
    vendors, vendors_interest
        Vendors with consent, and those with legitimate interest.
    disclosed
        Vendors that were shown to the person; None where the segment is missing.
    segments
        Types of the segments after the core.
    """

    created: dt.datetime
    cmp_id: int
    vendor_list_version: int
    policy_version: int
    language: str
    publisher_country: str
    is_service_specific: bool
    purposes: frozenset[int]
    purposes_interest: frozenset[int]
    vendors: frozenset[int]
    vendors_interest: frozenset[int]
    disclosed: frozenset[int] | None
    segments: tuple[int, ...]


def read_tcf(text: str) -> TcfString:
    """Read a consent string.

    Raises
    ------
    TcfError
        If it is none of version 2.
    """
    core, *others = text.strip().split(".")
    try:
        bits = bits_of(core)
        if bits.number(6) != VERSION:
            message = f"a consent string must be of version {VERSION}"
            raise TcfError(message)
        created = dt.datetime.fromtimestamp(bits.number(36) / 10, dt.UTC)
        bits.number(36)
        fields = _core(bits)
        kinds = [bits_of(other) for other in others]
        segments = tuple(kind.number(3) for kind in kinds)
        shown = next((k for k, n in zip(kinds, segments, strict=True) if n == 1), None)
        disclosed = None if shown is None else _vendors(shown)
    except (BitsError, OverflowError, OSError) as error:
        message = "not a consent string: it ends early or has a character that it cannot have"
        raise TcfError(message) from error
    return TcfString(created=created, disclosed=disclosed, segments=segments, **fields)


def covers(string: TcfString, vendor: int) -> bool:
    """Whether a consent string lets a vendor use a person's profile for advertising.

    The policy must be in force; purposes 1, 3 and 4 and the vendor need consent, purposes 2 and 7
    consent or legitimate interest; and the vendor must have been disclosed, as version 2.3 asks.
    """
    if string.policy_version < MIN_POLICY_VERSION or string.disclosed is None:
        return False
    if vendor not in string.vendors or vendor not in string.disclosed:
        return False
    interest = string.purposes_interest if vendor in string.vendors_interest else frozenset()
    return string.purposes >= CONSENT_PURPOSES and string.purposes | interest >= EITHER_PURPOSES


def _core(bits: Bits) -> dict[str, Any]:
    cmp_id = bits.number(12)
    bits.number(12 + 6)  # version of the consent tool, its screen
    fields: dict[str, Any] = {
        "cmp_id": cmp_id,
        "language": _letters(bits),
        "vendor_list_version": bits.number(12),
        "policy_version": bits.number(6),
        "is_service_specific": bits.flag(),
    }
    bits.number(1 + 12)  # texts of its own, special features
    fields["purposes"] = bits.members(24)
    fields["purposes_interest"] = bits.members(24)
    bits.flag()  # purpose one treatment
    fields["publisher_country"] = _letters(bits)
    fields["vendors"] = _vendors(bits)
    fields["vendors_interest"] = _vendors(bits)
    return fields


def _letters(bits: Bits) -> str:
    return "".join(chr(ord("A") + bits.number(6)) for _ in range(2))


def _vendors(bits: Bits) -> frozenset[int]:
    """Vendors as a field of bits up to the greatest number, or as ranges."""
    greatest = bits.number(16)
    if not bits.flag():
        return bits.members(greatest)
    found: set[int] = set()
    for _ in range(bits.number(12)):
        is_range = bits.flag()
        first = bits.number(16)
        found |= set(range(first, (bits.number(16) if is_range else first) + 1))
    return frozenset(found)
