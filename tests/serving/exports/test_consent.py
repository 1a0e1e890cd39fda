"""Consent: strings against the examples of their specifications, and every signal together."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, strategies as st

from serving.exports.consent import decision
from serving.exports.consent.bits import ALPHABET
from serving.exports.consent.gpp import OPT_OUTS, GppError, read_gpp
from serving.exports.consent.tcf import TcfError, covers, read_tcf
from serving.exports.destinations import DESTINATIONS
from serving.exports.people import People

EXAMPLE = "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA"
GOOGLE = 755
PURPOSES = st.frozensets(st.integers(1, 24))
VENDORS = st.frozensets(st.integers(1, 1_200), max_size=8)


def number(value: int, n_bits: int) -> str:
    return f"{value:0{n_bits}b}"


def field(members: frozenset[int], n_bits: int) -> str:
    return "".join("1" if n in members else "0" for n in range(1, n_bits + 1))


def vendors(members: frozenset[int], *, ranges: bool) -> str:
    greatest = max(members, default=0)
    if not ranges:
        return number(greatest, 16) + "0" + field(members, greatest)
    items = "".join("0" + number(member, 16) for member in sorted(members))
    return number(greatest, 16) + "1" + number(len(members), 12) + items


def text_of(bits: str) -> str:
    padded = bits + "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(padded[at : at + 6], 2)] for at in range(0, len(padded), 6))


def tcf(
    purposes=frozenset({1, 2, 3, 4, 7}),
    interest=frozenset(),
    *,
    allowed=frozenset({GOOGLE}),
    allowed_interest=frozenset(),
    disclosed=frozenset({GOOGLE}),
    policy=5,
    ranges=False,
):
    """A string written from the table of the specification, by other code than reads it."""
    core = number(2, 6) + number(17_489_088_000, 36) * 2 + number(880, 12) + number(0, 18)
    core += number(4, 6) + number(13, 6) + number(48, 12) + number(policy, 6) + "10"
    core += number(0, 12) + field(purposes, 24) + field(interest, 24) + "0"
    core += number(3, 6) + number(4, 6) + vendors(allowed, ranges=ranges)
    core += vendors(allowed_interest, ranges=ranges)
    parts = [text_of(core)]
    if disclosed is not None:
        parts.append(text_of(number(1, 3) + vendors(disclosed, ranges=not ranges)))
    return ".".join(parts)


def fibonacci(value: int) -> str:
    numbers = [1, 2]
    while numbers[-1] <= value:
        numbers.append(numbers[-1] + numbers[-2])
    bits, started = "", False
    for one in reversed(numbers):
        if one <= value:
            bits, value, started = "1" + bits, value - one, True
        elif started:
            bits = "0" + bits
    return bits + "1"


def gpp(*sections: tuple[int, str]) -> str:
    header, last = number(3, 6) + number(1, 6) + number(len(sections), 12), 0
    for section, _ in sections:
        header, last = header + "0" + fibonacci(section - last), section
    return "~".join([text_of(header), *(body for _, body in sections)])


def us_section(section: int, *, outs: int = 2, gpc: bool | None = None) -> str:
    start = OPT_OUTS[section][0][1]
    core = text_of(number(1, 6) + "0" * (start - 6) + number(outs, 2) + "10" * 30)
    return core if gpc is None else f"{core}.{text_of('01' + ('1' if gpc else '0'))}"


def test_the_example_of_the_tcf_specification_is_read_as_it_says():
    found = read_tcf(EXAMPLE)
    assert found.created == dt.datetime(2025, 6, 3, tzinfo=dt.UTC)
    assert (found.cmp_id, found.language, found.vendor_list_version) == (880, "EN", 48)
    assert (found.is_service_specific, found.publisher_country) == (True, "DE")
    assert (found.purposes, found.policy_version, found.segments) == (frozenset(), 2, (1, 3))
    assert not any(covers(found, vendor) for vendor in found.vendors)


@given(st.tuples(PURPOSES, PURPOSES), VENDORS, st.booleans())
def test_what_is_written_into_a_string_is_read_from_it(both, allowed, ranges):
    purposes, interest = both
    text = tcf(purposes, interest, allowed=allowed, allowed_interest=allowed, ranges=ranges)
    found = read_tcf(text)
    assert (found.purposes, found.purposes_interest) == (purposes, interest)
    assert (found.vendors, found.vendors_interest) == (allowed, allowed)
    assert found.disclosed == {GOOGLE}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"purposes": frozenset({1, 3, 4})}, False),
        ({"purposes": frozenset({1, 2, 4, 7})}, False),
        ({"purposes": frozenset({1, 3, 4}), "interest": frozenset({2, 7})}, False),
        (
            {
                "purposes": frozenset({1, 3, 4}),
                "interest": frozenset({2, 7}),
                "allowed_interest": frozenset({GOOGLE}),
            },
            True,
        ),
        ({"purposes": frozenset({2, 7}), "interest": frozenset({1, 3, 4})}, False),
        ({"allowed": frozenset({21})}, False),
        ({"disclosed": frozenset({21})}, False),
        ({"disclosed": None}, False),
        ({"policy": 3}, False),
    ],
)
def test_a_vendor_is_covered_only_by_everything_together(changes, expected):
    assert covers(read_tcf(tcf(**changes)), GOOGLE) is expected


@pytest.mark.parametrize(
    "text", ["", "A", "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "C", "CQ!", "Zoë"]
)
def test_what_is_no_consent_string_is_refused(text):
    with pytest.raises(TcfError):
        read_tcf(text)


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("DBABM~x", (2,)),
        ("DBACNY~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", (2, 6)),
        ("DBABjw~x~1YNN", (5, 6)),
    ],
)
def test_the_headers_of_the_gpp_specification_are_read_as_it_says(text, sections):
    assert read_gpp(text).sections == sections


@given(st.frozensets(st.sampled_from(sorted(OPT_OUTS)), min_size=1))
def test_any_sections_are_found_again(chosen):
    text = gpp(*((section, us_section(section)) for section in sorted(chosen)))
    found = read_gpp(text)
    assert found.sections == tuple(sorted(chosen))
    assert found.has_choice
    assert not found.opted_out


@pytest.mark.parametrize("section", sorted(OPT_OUTS))
def test_an_opt_out_of_any_state_is_found(section):
    assert "sale" in read_gpp(gpp((section, us_section(section, outs=1)))).opted_out
    asked = read_gpp(gpp((section, us_section(section, gpc=True))))
    assert asked.opted_out == {"global privacy control"}
    assert not read_gpp(gpp((section, us_section(section, gpc=False)))).opted_out


@pytest.mark.parametrize("text", ["", "CQ", "DBABM", "DBABM~x~y", "D!", "DBAC~1YNN~1YNN"])
def test_what_is_no_gpp_string_is_refused(text):
    with pytest.raises(GppError):
        read_gpp(text)


def state(destination="google-data-manager", silent=(), **columns):
    people = People(pl.DataFrame({"user_id": ["u"]} | {k: [v] for k, v in columns.items()}))
    chosen = DESTINATIONS[destination]
    found = decision.decide(people, chosen, silence_is_consent=frozenset(silent))
    return found.states[0], found.reasons[0]


OUT = gpp((7, us_section(7, outs=1)))
IN = gpp((7, us_section(7)))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, (None, "no consent known")),
        ({"consent": "yes"}, ("granted", None)),
        ({"consent": True}, ("granted", None)),
        ({"consent": "perhaps"}, (None, "no consent known")),
        ({"consent": "1", "ad_personalization": "DENIED"}, (None, "consent refused")),
        ({"consent": "1", "consent_google_data_manager": "no"}, (None, "consent refused")),
        ({"consent_meta": "no", "consent": "1"}, ("granted", None)),
        ({"tcf_string": tcf()}, ("granted", None)),
        ({"tcf_string": tcf(policy=2)}, (None, "consent refused")),
        ({"tcf_string": "junk", "consent": "1"}, (None, "consent string not valid")),
        ({"gpp_string": IN}, ("unstated", None)),
        ({"gpp_string": OUT, "consent": "1"}, (None, "consent refused")),
        ({"gpp_string": gpp((2, tcf()))}, ("granted", None)),
        ({"gpp_string": gpp((2, tcf()), (6, "1YYN"))}, (None, "consent refused")),
        ({"gpp_string": gpp((6, "1---"))}, (None, "no consent known")),
    ],
)
def test_a_refusal_wins_and_silence_is_no_consent(columns, expected):
    assert state(**columns) == expected


def test_silence_counts_only_where_a_setting_says_so():
    assert state(silent=["US"], country="US") == ("unstated", None)
    assert state(silent=["US"], country="DE") == (None, "no consent known")
    assert state(silent=["US"]) == (None, "no consent known")
    assert state(silent=["US"], country="US", consent="no") == (None, "consent refused")


def test_a_vendor_without_a_number_has_no_consent_by_tcf():
    found, reason = state(destination="meta", tcf_string=tcf(), consent="1")
    assert found is None
    assert "--tcf-vendor" in reason


VALUES = st.sampled_from(["yes", "no", None, "?"])


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1))
def test_columns_together_decide_as_one_by_one(rows):
    names = ["consent", "ad_user_data", "ad_personalization"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    found = decision.decide(People(frame), DESTINATIONS["dv360"]).states.to_list()
    assert found == ["granted" if "yes" in row and "no" not in row else None for row in rows]
