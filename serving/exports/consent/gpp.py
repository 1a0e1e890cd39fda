"""Strings of IAB's Global Privacy Platform: opt-outs of the United States, and a TCF string.

What lives here: the header, the sections whose layout is known, and the opt-outs in them. The
sections of Maryland, Indiana, Kentucky and Rhode Island have another layout and are not read: such
a section says nothing, which counts as unknown.

References
----------
IAB Tech Lab, Global Privacy Platform, ``Core/Consent String Specification`` and
``Sections/US-National``, ``Sections/US-States``, December 2025.
"""

from dataclasses import dataclass

from serving.exports.consent.bits import BitsError, bits_of

HEADER_TYPE = 3
TCF_EU, US_PRIVACY = 2, 6
US_NATIONAL, CALIFORNIA, UTAH, IOWA = 7, 8, 11, 18
# Virginia, Colorado, Connecticut, Florida, Montana, Oregon, Texas, Delaware, Nebraska,
# New Hampshire, New Jersey, Tennessee, Minnesota
ALIKE = (9, 10, 12, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23)
OPT_OUTS: dict[int, tuple[tuple[str, int], ...]] = {
    US_NATIONAL: (("sale", 18), ("sharing", 20), ("targeted advertising", 22)),
    CALIFORNIA: (("sale", 12), ("sharing", 14)),
    **dict.fromkeys((UTAH, IOWA), (("sale", 14), ("targeted advertising", 16))),
    **dict.fromkeys(ALIKE, (("sale", 12), ("targeted advertising", 14))),
}
"""Section id to the first bit of each opt-out; 0 not applicable, 1 opted out, 2 did not."""

GPC_SUBSECTION = 1


class GppError(ValueError):
    """A text is no string of the Global Privacy Platform."""


@dataclass(frozen=True)
class GppString:
    """What a string says.

    Attributes
    ----------
    sections
        Section ids in order.
    opted_out
        What the person opted out of.
    has_choice
        Whether a section was read in which the person could have opted out.
    tcf
        TCF string of the European Union within it; None where there is none.
    """

    sections: tuple[int, ...]
    opted_out: frozenset[str]
    has_choice: bool
    tcf: str | None


def read_gpp(text: str) -> GppString:
    """Read a string.

    Raises
    ------
    GppError
        If it is none, or its sections are not those that its header names.
    """
    header, *bodies = text.strip().split("~")
    try:
        sections = _sections(header)
        if len(sections) != len(bodies):
            message = f"a GPP header names {len(sections)} sections; found {len(bodies)}"
            raise GppError(message)
        found = dict(zip(sections, bodies, strict=True))
        opted_out, has_choice = set[str](), False
        for section, body in found.items():
            outs = _opt_outs(section, body)
            has_choice |= outs is not None
            opted_out |= outs or set()
    except (BitsError, IndexError) as error:
        message = "not a GPP string: it ends early or has a character that it cannot have"
        raise GppError(message) from error
    return GppString(sections, frozenset(opted_out), has_choice, found.get(TCF_EU))


def _sections(header: str) -> tuple[int, ...]:
    """Section ids of a header, each coded as the difference from the one before."""
    bits = bits_of(header)
    if bits.number(6) != HEADER_TYPE:
        message = "a GPP string must begin with D"
        raise GppError(message)
    bits.number(6)  # version
    sections: list[int] = []
    last = 0
    for _ in range(bits.number(12)):
        is_range = bits.flag()
        first = last + bits.fibonacci()
        last = first + bits.fibonacci() if is_range else first
        sections += range(first, last + 1)
    return tuple(sections)


def _opt_outs(section: int, body: str) -> set[str] | None:
    """Opt-outs of a section; None where it says nothing of them."""
    if section == US_PRIVACY:
        # "1YNN": version, notice, opt-out of sale, limited service provider agreement
        return {"N": set(), "Y": {"sale"}}.get(body[2].upper())
    if section not in OPT_OUTS:
        return None
    core, *others = body.split(".")
    values = {}
    for name, start in OPT_OUTS[section]:
        bits = bits_of(core)
        bits.number(start)
        values[name] = bits.number(2)
    outs = {name for name, value in values.items() if value == 1}
    for other in others:
        bits = bits_of(other)
        if bits.number(2) == GPC_SUBSECTION and bits.flag():
            outs.add("global privacy control")
    return outs if outs or any(values.values()) else None
