"""Numbering plans in the form of plain patterns, taken from the metadata of ``phonenumbers``.

What lives here: for each calling code, the pattern of national numbers that the library is sure
to call valid and to read unchanged. The patterns are a subset on purpose: what they do not cover
goes to the library itself.
"""

from dataclasses import dataclass
from functools import cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, country_code_for_region
from phonenumbers.phonemetadata import PhoneNumberDesc

KINDS = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
    *("personal_number", "voip", "pager", "uan", "voicemail"),
)
NEVER = r"[^\s\S]"
"""A pattern that matches nothing."""

CALLING_CODE = rf"^\+({'|'.join(str(code) for code in sorted(COUNTRY_CODE_TO_REGION_CODE))})"
"""Finds the calling code of an international number; no code is the beginning of another."""


@dataclass(frozen=True)
class CallingPlan:
    """National numbers behind one calling code that need no second look.

    Attributes
    ----------
    sure
        Pairs of anchored patterns, one for each region without leading digits of its own: of every
        kind of number, and of numbers in general. A number that matches both of a pair is valid.
    doubtful
        Pattern at whose match the library decides: leading digits of another region behind the
        same code, or something that may be a national prefix.
    """

    sure: tuple[tuple[str, str], ...]
    doubtful: str


@dataclass(frozen=True)
class RegionPlan:
    """How a national number of a region is written.

    Attributes
    ----------
    calling_code
        As text.
    prefix
        The national prefix where it is one fixed digit, else empty.
    doubtful
        Pattern at whose match the library decides: an international prefix, the calling code, or
        a national prefix that is more than one digit.
    """

    calling_code: str
    prefix: str
    doubtful: str


@cache
def calling_plan(code: int) -> CallingPlan:
    """Plan of a calling code.

    References
    ----------
    libphonenumber, ``isValidNumber`` and ``getRegionCodeForNumber``: of several regions behind a
    code, one with leading digits is chosen by them, the others by the kinds of number they have.
    """
    regions = COUNTRY_CODE_TO_REGION_CODE[code]
    plans = [PhoneMetadata.metadata_for_region_or_calling_code(code, name) for name in regions]
    single = len(plans) == 1
    own = [plan for plan in plans if plan is not None and (single or not plan.leading_digits)]
    others = [plan.leading_digits for plan in plans if not single and plan and plan.leading_digits]
    # The first region is the main one, whose national prefix the library tries to take away.
    prefix = plans[0].national_prefix_for_parsing if plans[0] else None
    kinds: dict[str, list[str]] = {}
    for plan in own:
        general = plan.general_desc.national_number_pattern if plan.general_desc else None
        if general:
            kinds.setdefault(general, []).extend(_patterns(plan))
    doubtful = [*others, *([prefix] if prefix else [])]
    return CallingPlan(
        sure=tuple(
            (rf"^(?:{'|'.join(patterns)})$", rf"^(?:{general})$")
            for general, patterns in kinds.items()
            if patterns
        ),
        doubtful=rf"^(?:{'|'.join(doubtful)})" if doubtful else NEVER,
    )


@cache
def region_plan(region: str) -> RegionPlan | None:
    """Plan of a region by its ISO 3166-1 code of two letters; None for an unknown one."""
    plan = PhoneMetadata.metadata_for_region(region, None)
    if plan is None:
        return None
    code, prefix = str(country_code_for_region(region)), plan.national_prefix_for_parsing or ""
    fixed = prefix if len(prefix) == 1 and not plan.national_prefix_transform_rule else ""
    doubtful = [code, *(pattern for pattern in (plan.international_prefix,) if pattern)]
    if prefix and not fixed:
        doubtful.append(prefix)
    return RegionPlan(code, fixed, rf"^(?:{'|'.join(doubtful)})")


def _patterns(plan: PhoneMetadata) -> list[str]:
    """Patterns of every kind of number that the plan has."""
    descriptions: list[PhoneNumberDesc | None] = [getattr(plan, kind) for kind in KINDS]
    patterns = [each.national_number_pattern for each in descriptions if each is not None]
    return [pattern for pattern in patterns if pattern]
