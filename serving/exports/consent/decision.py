"""Who may be exported: every signal of a person together, for one destination.

A refusal anywhere wins. Without a refusal one grant is enough. Without either a person is left
out, unless a setting takes silence as consent in the person's country.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import polars as pl

from serving.exports.consent.gpp import GppError, read_gpp
from serving.exports.consent.tcf import TcfError, covers, read_tcf
from serving.exports.destination import GRANTED, UNSTATED, Destination
from serving.exports.people import People

YES = ("true", "1", "yes", "y", "granted", "opt_in", "opt-in", "consent_granted")
NO = ("false", "0", "no", "n", "denied", "opt_out", "opt-out", "consent_denied")
PLAIN_COLUMNS = (
    *("consent", "consent_ads", "consent_advertising", "consent_marketing"),
    *("ad_user_data", "ad_personalization"),
)
"""Columns that must not say no, whatever else there is; one that says yes is enough."""
TCF_COLUMN, GPP_COLUMN = "tcf_string", "gpp_string"
REFUSED, UNREADABLE, NO_VENDOR = "refused", "unreadable", "no vendor"
REASONS = {
    REFUSED: "consent refused",
    UNREADABLE: "consent string not valid",
    NO_VENDOR: "TCF string, but the destination's vendor number is not known (--tcf-vendor)",
}
UNKNOWN = "no consent known"
PERMITTED = "permitted"
"""A person who could have opted out and did not: may be exported, but has stated no consent."""


@dataclass(frozen=True)
class Decisions:
    """Consent of a batch of people.

    Attributes
    ----------
    states
        String [n]: ``granted``, ``unstated`` (may be exported), or null (may not).
    reasons
        String [n]: why a person may not; null for those who may.
    """

    states: pl.Series
    reasons: pl.Series


def consent_columns(destination: Destination) -> tuple[str, ...]:
    """Columns of an identity table that speak of consent."""
    own = f"consent_{destination.name.replace('-', '_')}"
    return (*PLAIN_COLUMNS, own, TCF_COLUMN, GPP_COLUMN)


def decide(
    people: People,
    destination: Destination,
    *,
    vendor: int | None = None,
    silence_is_consent: frozenset[str] = frozenset(),
) -> Decisions:
    """Whether the consent of people covers a destination.

    Parameters
    ----------
    people
        With any of `consent_columns`.
    destination
        Where they would be sent.
    vendor
        Its number in the Global Vendor List of TCF; None takes the one that it is known by.
    silence_is_consent
        ISO 3166-1 codes of countries where a person without any signal may be exported.
    """
    signals = {
        name: _yes_or_no(people.text(name))
        for name in consent_columns(destination)[:-2]
        if name in people.frame.columns
    }
    number = destination.tcf_vendor if vendor is None else vendor
    for name, read in ((TCF_COLUMN, _tcf_signal), (GPP_COLUMN, _gpp_signal)):
        if name in people.frame.columns:
            signals[name] = _each_once(people.text(name), partial(read, vendor=number))
    frame = pl.DataFrame([people.countries.alias("_country")]).with_columns(
        series.alias(name) for name, series in signals.items()
    )
    return _decided(frame, list(signals), silence_is_consent)


def _decided(frame: pl.DataFrame, signals: list[str], silent: frozenset[str]) -> Decisions:
    def anyone(*values: str) -> pl.Expr:
        hits = [pl.col(name).is_in(list(values)) for name in signals]
        return pl.any_horizontal(hits).fill_null(value=False) if hits else pl.lit(value=False)

    quiet = pl.col("_country").is_in(list(silent)).fill_null(value=False)
    state = (
        pl.when(anyone(*REASONS))
        .then(None)
        .when(anyone(GRANTED))
        .then(pl.lit(GRANTED))
        .when(anyone(PERMITTED) | quiet)
        .then(pl.lit(UNSTATED))
    )
    whys = [pl.when(anyone(word)).then(pl.lit(why)) for word, why in REASONS.items()]
    reason = pl.coalesce(*whys, pl.lit(UNKNOWN))
    decided = frame.select(state=state.cast(pl.String), reason=reason)
    why = decided.select(pl.when(pl.col("state").is_null()).then("reason").alias("reason"))
    return Decisions(decided["state"], why.to_series())


def _yes_or_no(text: pl.Series) -> pl.Series:
    words = dict.fromkeys(YES, GRANTED) | dict.fromkeys(NO, REFUSED)
    return text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.String)


def _each_once(text: pl.Series, read: Callable[[str], str | None]) -> pl.Series:
    """Read each different string once."""
    different = text.drop_nulls().unique().to_list()
    known = {one: read(one) for one in different}
    return text.replace_strict(
        list(known), list(known.values()), default=None, return_dtype=pl.String
    )


@lru_cache(maxsize=65_536)
def _tcf_signal(text: str, vendor: int | None) -> str | None:
    """What a TCF string says of a vendor; a vendor without a number has no consent by TCF."""
    try:
        string = read_tcf(text)
    except TcfError:
        return UNREADABLE
    if vendor is None:
        return NO_VENDOR
    return GRANTED if covers(string, vendor) else REFUSED


@lru_cache(maxsize=65_536)
def _gpp_signal(text: str, vendor: int | None) -> str | None:
    try:
        string = read_gpp(text)
    except GppError:
        return UNREADABLE
    if string.opted_out:
        return REFUSED
    if string.tcf is not None:
        return _tcf_signal(string.tcf, vendor)
    return PERMITTED if string.has_choice else None
