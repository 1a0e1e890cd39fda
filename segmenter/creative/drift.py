"""Brand drift: how far each region or period is from what was flagged on brand, and why."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.creative.causes import Naming, name_direction
from segmenter.creative.manifest import FLAG, NO, YES
from segmenter.creative.store import CreativeSpace
from segmenter.creative.words import Words
from segmenter.errors import CreativeError
from segmenter.space.attributes import encode_attribute
from segmenter.space.contrasts import Contrast, contrasts
from segmenter.space.group_drift import (
    MIN_GROUP,
    WARN_TARGETS,
    GroupDrift,
    measure_group_drift,
)
from segmenter.space.within import MIN_SIDE, without
from segmenter.validity.lift import Interval

DATE, YEAR = "date", "year"
MIN_SHARE_OF_REVIEWED = 0.05


@dataclass(frozen=True)
class Period:
    """One group in one year.

    Attributes
    ----------
    year
        The year.
    drift
        In the unit of the whole drift; its interval is over the members of that year.
    n_members
        So many they are.
    """

    year: str
    drift: Interval
    n_members: int


@dataclass(frozen=True)
class Reason:
    """Why a group is where it is.

    Attributes
    ----------
    name
        Of the group.
    step
        float64 [d], from the group to the target without what is local.
    naming
        The step in words.
    tags
        What the manifest knows: the group beside the flagged, readable tags alone, surest first.
    periods
        The group over the years; empty without dates.
    """

    name: str
    step: np.ndarray
    naming: Naming
    tags: tuple[Contrast, ...]
    periods: tuple[Period, ...]


@dataclass(frozen=True)
class BrandDrift:
    """A drift study.

    Attributes
    ----------
    by
        Column whose values are compared.
    measured
        The figures.
    reasons
        By group, in the order of `measured`.
    rows
        bool [n_pictures], which pictures count: those whose group is known.
    warnings
        What a reader should know first.
    """

    by: str
    measured: GroupDrift
    reasons: tuple[Reason, ...]
    rows: np.ndarray
    warnings: tuple[str, ...]

    def reason(self, name: str) -> Reason:
        """The reasons of a group.

        Raises
        ------
        CreativeError
            If there is no such group.
        """
        found = {one.name: one for one in self.reasons}
        if name not in found:
            message = f"{self.by} has no value {name!r} that counts; it has {', '.join(found)}"
            raise CreativeError(message)
        return found[name]


def measure_brand_drift(
    space: CreativeSpace,
    words: Words,
    *,
    by: str = "region",
    unit: str | None = None,
    seed: int = 0,
) -> BrandDrift:
    """Measure how far groups of a library are from its flagged assets.

    Parameters
    ----------
    space
        The library; its manifest has the flag and the column.
    words
        To name the reasons.
    by
        Column, or ``year`` of the column ``date``.
    unit
        Column of what belongs together, such as a campaign: it is resampled as one.
    seed
        Of the resamples.

    Raises
    ------
    CreativeError
        If nothing is flagged, or the column is not known.
    SpaceError
        If fewer than two groups are large enough, or none has enough flags.
    """
    table = space.assets[: space.n_pictures]
    groups = group_column(table, by)
    large = groups.value_counts(name="n").filter(pl.col("n") >= MIN_GROUP)
    chosen = groups.is_in(large[groups.name].drop_nulls().implode()).fill_null(value=False)
    rows = chosen.to_numpy()
    inside = table.filter(chosen)
    names = groups.filter(chosen).to_numpy().astype(str)
    vectors = space.vectors[: space.n_pictures][rows].astype(np.float64)
    flags, others = space.on_brand[rows], _known_off_brand(inside, names)
    measured = measure_group_drift(
        vectors,
        names,
        flags,
        others=others,
        controls=_controls(space, inside, by=by),
        units=None if unit is None else group_column(inside, unit).fill_null("?").to_numpy(),
        seed=seed,
    )
    reasons = [
        Reason(
            place.name,
            step := without(
                measured.target - vectors[names == place.name].mean(axis=0), measured.basis
            ),
            name_direction(
                step,
                words,
                space.readability,
                basis=measured.basis,
                without=[*groups.unique(), YES, NO],
            ),
            _tag_contrasts(space, inside, (names == place.name, flags), by=by),
            _periods(inside, vectors, names == place.name, measured=measured),
        )
        for place in measured.groups
    ]
    return BrandDrift(
        by, measured, tuple(reasons), rows, _warnings(measured, groups, rows, others=others)
    )


def group_column(table: pl.DataFrame, name: str) -> pl.Series:
    """A column as texts; ``year`` is read from ``date`` where there is no such column.

    Raises
    ------
    CreativeError
        If it is not known.
    """
    if name in table.columns:
        return table[name].cast(pl.String)
    if name == YEAR and DATE in table.columns:
        return table[DATE].cast(pl.String).str.extract(r"((?:19|20)\d\d)").alias(YEAR)
    message = f"the manifest has no column {name!r}; it has {', '.join(table.columns)}"
    raise CreativeError(message)


def _known_off_brand(table: pl.DataFrame, names: np.ndarray) -> np.ndarray | None:
    """Pictures that reviewers called off brand; None where they are too few to compare with."""
    off = (table[FLAG] == NO).to_numpy()
    enough = all((off & (names == name)).sum() >= MIN_SIDE for name in np.unique(names))
    return off if enough and off.mean() >= MIN_SHARE_OF_REVIEWED else None


def _controls(space: CreativeSpace, table: pl.DataFrame, *, by: str) -> list[np.ndarray]:
    """Readable tags, a column of 0 and 1 per value, NaN where not known."""
    found = []
    for name, reading in space.readability.items():
        if name in {by, FLAG, YEAR} or not reading["readable"] or _is_alias(table, name, by):
            continue
        column = table[name]
        if reading["is_number"]:
            found.append(column.cast(pl.Float64).fill_null(np.nan).to_numpy())
            continue
        known = column.is_not_null().to_numpy()
        codes = encode_attribute(name, column.cast(pl.String).fill_null("").to_numpy().astype(str))
        for code, label in enumerate(codes.labels):
            if label in reading["by_value"]:
                found.append(np.where(known, codes.codes == code, np.nan))
    return found


def _is_alias(table: pl.DataFrame, name: str, by: str) -> bool:
    """Whether a column says the same as the groups."""
    if by not in table.columns:
        return False
    pairs = table.select(pl.struct(by, name).n_unique()).item()
    return bool(pairs <= max(table[by].n_unique(), table[name].n_unique()))


def _tag_contrasts(
    space: CreativeSpace, table: pl.DataFrame, sides: tuple[np.ndarray, np.ndarray], *, by: str
) -> tuple[Contrast, ...]:
    readable = [
        name
        for name, reading in space.readability.items()
        if reading["readable"] and name not in {by, FLAG}
    ]
    return contrasts(table.select(readable), *sides)[:8] if readable else ()


def _periods(
    table: pl.DataFrame, vectors: np.ndarray, inside: np.ndarray, *, measured: GroupDrift
) -> tuple[Period, ...]:
    """A group over the years on the axis; every year has its own members alone as error."""
    if DATE not in table.columns:
        return ()
    years = group_column(table, YEAR)
    far = (measured.target - vectors) @ measured.axis / measured.spread
    found = []
    for year in years.filter(pl.Series(inside)).drop_nulls().unique().sort():
        members = far[inside & (years == year).fill_null(value=False).to_numpy()]
        if len(members) >= MIN_GROUP:
            mean, error = float(members.mean()), float(members.std(ddof=1) / len(members) ** 0.5)
            around = Interval(mean, mean - 1.96 * error, mean + 1.96 * error)
            found.append(Period(year, around, len(members)))
    return tuple(found)


def _warnings(
    measured: GroupDrift, groups: pl.Series, rows: np.ndarray, *, others: np.ndarray | None
) -> tuple[str, ...]:
    few = [place for place in measured.groups if place.n_targets < WARN_TARGETS]
    found = [
        f"{place.name} has only {place.n_targets} flagged assets: its say in the axis is weak"
        for place in few
    ]
    if others is None:
        found.append(f"hardly any asset is flagged {NO}: the {YES} are compared with all others")
    if measured.local_error is None:
        found.append(
            "no readable tag is known in every group: differences may be the regions' own look"
        )
    if not rows.all():
        n_out = int((~rows).sum())
        found.append(f"{n_out} pictures are left out: no {groups.name}, or too few of it")
    return tuple(found)
