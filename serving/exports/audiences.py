"""From members and identities to audiences, part by part, in memory that does not grow with them.

Members and identities are put aside in parts by user id and joined part by part; what is to be
sent is put aside in parts by a hash of the person, so that one person stands once in an audience
and the order of people tells nothing and depends on nothing but who they are.
"""

import datetime as dt
import gc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import polars_hash  # noqa: F401 - adds the namespaces of hash functions to polars expressions

from serving.exports.ages import minors
from serving.exports.cells import PERSON_KEY, Cells, cells_of
from serving.exports.consent.decision import GPP_COLUMN, TCF_COLUMN, YES, Decisions, decide
from serving.exports.control_group import ControlGroup
from serving.exports.destination import Destination
from serving.exports.erased import Erased
from serving.exports.identities import LIMITED_COLUMN
from serving.exports.people import People
from serving.exports.scores import ScoredSegment
from serving.exports.spill import Spill, range_part
from serving.exports.suppression import Suppression
from serving.exports.text import nulls
from serving.exports.waterfall import Tally

PART_ROWS = 250_000
"""Members or identities of a part, on average; memory grows with it."""

HASH, HELD, USERS = "_hash", "_held", "_users"


@dataclass(frozen=True)
class Rules:
    """Who may be exported.

    Attributes
    ----------
    min_strength
        Least strength of membership, in [0, 1].
    minimum_age
        In years; people who are known to be younger are left out.
    moment
        At which the age counts.
    default_country
        Of people whose country is not known; None for none.
    silence_is_consent
        Countries where a person without any signal may be exported.
    vendors
        Destination to its number in the Global Vendor List, where another than the known one.
    suppression
        Who is left out whatever their consent; None for nobody.
    erased
        Who was forgotten and must not leave again; None for nobody.
    control
        The control group, whom nothing is sent to; None for none.
    """

    min_strength: float
    minimum_age: int
    moment: dt.datetime
    default_country: str | None = None
    silence_is_consent: frozenset[str] = frozenset()
    vendors: Mapping[str, int] = field(default_factory=dict)
    suppression: Suppression | None = None
    erased: Erased | None = None
    control: ControlGroup | None = None


@dataclass
class Audience:
    """People of one segment for one destination, put aside until they are written.

    Attributes
    ----------
    destination, segment
        Which they are.
    spill
        The people.
    columns
        Of the people, those included that nobody has.
    tally
        Counts of each step.
    """

    destination: Destination
    segment: ScoredSegment
    spill: Spill
    columns: dict[str, pl.DataType] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def parts(self) -> Iterator[pl.DataFrame | None]:
        """Different people in their final order, part by part; None for nobody. Counts them."""
        for part in self.spill.parts():
            if part is None:
                yield None
                continue
            different = _different(part)
            free = different.filter(~pl.col(HELD)).drop(HELD)
            self.tally.count("people", len(different))
            self.tally.count("not_held", len(free))
            yield free.with_columns(
                pl.lit(None, kind).alias(name)
                for name, kind in self.columns.items()
                if name not in free.columns and name not in (PERSON_KEY, HELD)
            )

    def people(self) -> Iterator[pl.DataFrame]:
        """Frames of different people in their final order; counts them."""
        return (part for part in self.parts() if part is not None)


def number_of_parts(n_rows: int) -> int:
    """Parts for a number of members or identities."""
    return max(1, -(-n_rows // PART_ROWS))


def put_aside(batches: Iterable[pl.DataFrame], folder: Path, n_parts: int) -> Spill:
    """Put a table aside in parts by user id."""
    spill = Spill(folder, n_parts)
    by_user = pl.col("user_id").hash(seed=0) % n_parts
    for batch in batches:
        spill.add(batch, by_user)
    return spill


def gather(aside: tuple[Spill, Spill], audiences: list[Audience], rules: Rules) -> Iterator[int]:
    """Bring members and identities together and put those aside who may be sent.

    Parameters
    ----------
    aside
        Members and identities, in the same parts.
    audiences
        To be filled: of every destination, the same segments.
    rules
        Who may be exported.

    Yields
    ------
    int
        Members that are done, after each part.
    """
    done, (members, identities) = 0, aside
    for some, known in zip(members.parts(), identities.parts(), strict=True):
        if some is None:
            continue
        joined = some
        if known is not None:
            once = known.unique("user_id", keep="first")
            joined = some.join(once, on="user_id", how="left", maintain_order="left")
        _pass(joined, audiences, rules)
        # The telephone library leaves cycles through the frames of its callers, which would keep
        # the tables of every part alive.
        if members.n_parts > 1 and "phone" in joined.columns:
            gc.collect()
        done += len(some)
        yield done


def _pass(joined: pl.DataFrame, audiences: list[Audience], rules: Rules) -> None:
    """Pass one part to all audiences."""
    everybody = People(joined, default_country=rules.default_country)
    strong = joined["strength"].fill_null(0.0) >= rules.min_strength
    adult = ~minors(everybody, rules.moment, rules.minimum_age)
    destinations = {one.destination.name: one.destination for one in audiences}
    decisions = {
        name: decide(
            everybody,
            destination,
            vendor=rules.vendors.get(name),
            silence_is_consent=rules.silence_is_consent,
        )
        for name, destination in destinations.items()
    }
    consented = {name: one.states.is_not_null() for name, one in decisions.items()}
    anywhere = pl.DataFrame([mask.alias(name) for name, mask in consented.items()])
    chosen = strong & adult & anywhere.select(pl.any_horizontal(pl.all())).to_series()
    people = People(joined.filter(chosen), default_country=rules.default_country)
    held = rules.control.draw(people.frame) if rules.control is not None else None
    for name in destinations:
        own = [one for one in audiences if one.destination.name == name]
        steps = _Steps(joined, strong, strong & consented[name], adult, chosen, held)
        _pass_to(own, steps, people, decisions[name], rules)


@dataclass(frozen=True)
class _Steps:
    """Masks over the members of a part, who of them the people are, and the control group."""

    joined: pl.DataFrame
    strong: pl.Series
    consented: pl.Series
    adult: pl.Series
    chosen: pl.Series
    held: pl.Series | None

    def table(self) -> pl.DataFrame:
        """The steps that need no identifier, beside the segment of each member."""
        return pl.DataFrame(
            {
                "segment_id": self.joined["segment_id"],
                "strong": self.strong,
                "consented": self.consented,
                "adult": self.consented & self.adult,
            }
        )


def _pass_to(  # noqa: PLR0917 - one part on its way
    audiences: list[Audience],
    steps: _Steps,
    people: People,
    decisions: Decisions,
    rules: Rules,
) -> None:
    """Pass one part to the audiences of one destination."""
    cells = cells_of(people, audiences[0].destination)
    consented = steps.consented.filter(steps.chosen)
    kept = consented
    if rules.suppression is not None and len(rules.suppression):
        kept &= ~rules.suppression.hits(people, cells.frame)
    if rules.erased is not None:
        kept &= ~rules.erased.hits(people, cells.frame)
    has = kept & cells.has_identifier
    valid = has & cells.frame[PERSON_KEY].is_not_null()
    early = steps.table()
    late = pl.DataFrame(
        {
            "segment_id": people.frame["segment_id"],
            "not_suppressed": kept,
            "with_identifier": has,
            "valid": valid,
        }
    )
    _count(audiences, early, late)
    left_out = {
        "consented": [decisions.reasons.zip_with(steps.strong, nulls(len(early)))],
    }
    _explain(audiences, early["segment_id"], left_out)
    masked = [one.zip_with(has, nulls(len(late))) for one in cells.reasons]
    _explain(audiences, late["segment_id"], {"valid": masked})
    states = decisions.states.filter(steps.chosen)
    sendable = _sendable(people, cells, states)
    held = steps.held if steps.held is not None else pl.lit(value=False)
    _put_people_aside(audiences, sendable.with_columns(held.alias(HELD)).filter(valid))


def _count(audiences: list[Audience], *tables: pl.DataFrame) -> None:
    """Add the sums of masks to the tallies of their segments."""
    by_segment = {one.segment.id: one for one in audiences}
    for number, table in enumerate(tables):
        sums = table.group_by("segment_id").agg(pl.all().sum(), pl.len().alias("members"))
        for row in sums.iter_rows(named=True):
            tally = by_segment[row.pop("segment_id")].tally
            n_members = row.pop("members")
            if number == 0:
                tally.count("members", n_members)
            for stage, n_people in row.items():
                tally.count(stage, n_people)


def _explain(
    audiences: list[Audience], segments: pl.Series, reasons: Mapping[str, list[pl.Series]]
) -> None:
    """Add reasons to the tallies of their segments."""
    by_segment = {one.segment.id: one for one in audiences}
    for stage, columns in reasons.items():
        for column in columns:
            frame = pl.DataFrame({"segment": segments, "reason": column}).drop_nulls()
            for segment, reason, n in (
                frame.group_by("segment", "reason").len().sort("reason").rows()
            ):
                by_segment[segment].tally.explain(stage, {reason: n})


def _sendable(people: People, cells: Cells, states: pl.Series) -> pl.DataFrame:
    """Cells with what a layout wants to know beside, and the hash by which people are ordered."""
    limited = people.text(LIMITED_COLUMN).str.to_lowercase().is_in(list(YES))
    return cells.frame.with_columns(
        people.frame["user_id"].alias("_user_id"),
        people.frame["segment_id"].alias("_segment"),
        people.frame["strength"].alias("_strength"),
        people.countries.alias("_country"),
        states.alias("_consent"),
        people.text(TCF_COLUMN).alias("_tcf"),
        people.text(GPP_COLUMN).alias("_gpp"),
        limited.fill_null(value=False).alias("_limited"),
        pl.col(PERSON_KEY).nchash.wyhash().alias(HASH),  # type: ignore[attr-defined] # the plugin adds it
    )


def _put_people_aside(audiences: list[Audience], frame: pl.DataFrame) -> None:
    """Put people aside for the audience of their segment."""
    by_segment = {one.segment.id: one for one in audiences}
    single = len(audiences) == 1
    pieces = (
        {(audiences[0].segment.id,): frame}
        if single
        else frame.partition_by("_segment", as_dict=True)
    )
    for (segment,), piece in pieces.items():
        audience = by_segment[segment]
        audience.columns |= dict(piece.drop("_segment").schema)
        known = piece.select(
            one for one in piece.drop("_segment").get_columns() if one.null_count() < len(one)
        )
        audience.spill.add(known, range_part(pl.col(HASH), audience.spill.n_parts))


def _different(part: pl.DataFrame) -> pl.DataFrame:
    """People in the order of their hash, each one once: the surest membership of each.

    A person of whom any user is in the control group is in it. Of a person who is several users
    all stand in the column `USERS`.
    """
    ordered = part.sort(HASH)
    again = ordered[HASH] == ordered[HASH].shift()
    if not again.any():
        return ordered.drop(PERSON_KEY)
    several = part.filter(pl.col(HASH).is_in(ordered[HASH].filter(again).implode()))
    groups = several.group_by(PERSON_KEY).agg(
        pl.col("_user_id").sort().alias(USERS), pl.col(HELD).any().alias("_any_held")
    )
    surest = part.sort(
        [HASH, PERSON_KEY, "_strength", "_user_id"], descending=[False, False, True, False]
    ).unique(PERSON_KEY, keep="first", maintain_order=True)
    joined = surest.join(groups, on=PERSON_KEY, how="left", maintain_order="left")
    held = pl.col("_any_held").fill_null(pl.col(HELD)).alias(HELD)
    return joined.with_columns(held).drop(PERSON_KEY, "_any_held")
