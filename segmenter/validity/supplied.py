"""Outcomes that the log does not tell and a table supplies: passed, churned, worth a call."""

import numpy as np
import polars as pl

from segmenter.errors import ColumnError
from segmenter.validity.outcomes import EVERYBODY, Outcome

USER = "user_id"
POPULATION = "given population"


def supplied_outcomes(
    table: pl.DataFrame, user_ids: pl.Series, *, population: pl.DataFrame | None = None
) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
    """Outcomes from the columns of a table.

    Parameters
    ----------
    table
        One row per user: ``user_id`` and one column per outcome, whose name is the outcome's. A
        column that holds 0 and 1 alone, or booleans, is a yes or no; other numbers are amounts
        and are scored as they are.
    user_ids
        The n users who are judged, in order.
    population
        A column ``user_id`` of the users who are asked; None asks all.

    Returns
    -------
    tuple
        The outcomes that vary enough to be predicted, and a sentence for each that does not.
        Users who are not in the table, or whose value is missing, are not asked.

    Raises
    ------
    ColumnError
        If a table has no ``user_id``, a user twice, no outcome, or an outcome that is no number.
    """
    place = pl.DataFrame({USER: user_ids})
    known = place.join(_checked(table), on=USER, how="left", maintain_order="left")
    asked = np.ones(len(place), dtype=bool)
    if population is not None:
        asked = user_ids.is_in(_user_ids(population, "population").implode()).to_numpy()
    name = EVERYBODY if population is None else POPULATION
    found = [
        _outcome(known[column], asked, population_name=name)
        for column in known.columns
        if column != USER
    ]
    thin = tuple(
        f"Outcome {outcome.name} is left out: it is known of {int(outcome.population.sum()):,} "
        "of these users and varies too little among them."
        for outcome in found
        if not outcome.is_telling()
    )
    return tuple(outcome for outcome in found if outcome.is_telling()), thin


def _user_ids(table: pl.DataFrame, what: str) -> pl.Series:
    if USER not in table.columns:
        message = f"a table of {what} must have a column {USER}; found {', '.join(table.columns)}"
        raise ColumnError(message)
    return table[USER].cast(pl.String)


def _checked(table: pl.DataFrame) -> pl.DataFrame:
    """The table with its users as text and its outcomes as numbers."""
    users = _user_ids(table, "outcomes")
    if users.n_unique() < len(users):
        message = (
            f"a table of outcomes must hold each user once; found {len(users)} rows of "
            f"{users.n_unique()} users"
        )
        raise ColumnError(message)
    if len(table.columns) == 1:
        message = f"a table of outcomes must have a column beside {USER}; found none"
        raise ColumnError(message)
    return table.select(users, *(_number(table[name]) for name in table.columns if name != USER))


def _number(column: pl.Series) -> pl.Series:
    readable = column.dtype.is_numeric() or column.dtype in {pl.String, pl.Boolean, pl.Null}
    number = column.cast(pl.Float64, strict=False) if readable else None
    if number is None or number.null_count() > column.null_count():
        message = (
            f"an outcome must be a number or 0 and 1; found column {column.name} of type "
            f"{column.dtype}"
        )
        raise ColumnError(message)
    return number.fill_nan(None)


def _outcome(column: pl.Series, asked: np.ndarray, *, population_name: str) -> Outcome:
    known = column.is_not_null().to_numpy()
    values = column.fill_null(0).to_numpy().astype(np.float64)
    yes_or_no = bool(np.isin(values, (0, 1)).all())
    return Outcome(
        column.name, "auc" if yes_or_no else "r2", values, asked & known, population_name
    )
