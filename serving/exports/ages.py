"""Who is known to be a minor."""

import datetime as dt

import polars as pl

from serving.exports.consent.decision import YES
from serving.exports.people import People

AGE_COLUMNS = ("age", "birth_date", "birth_year", "is_minor")


def minors(people: People, moment: dt.datetime, minimum_age: int) -> pl.Series:
    """Whether each person is known to be younger than an age.

    Any of the columns ``is_minor``, ``age``, ``birth_date`` (ISO 8601) and ``birth_year`` counts;
    of a year of birth the youngest possible age is taken. A person without any is no known minor.

    Parameters
    ----------
    people
        With any of the columns.
    moment
        At which the age counts.
    minimum_age
        In years.
    """
    if not any(people.has(name) for name in AGE_COLUMNS):
        return pl.repeat(value=False, n=len(people.frame), eager=True)
    said = people.text("is_minor").str.to_lowercase().is_in(list(YES))
    age = people.text("age").cast(pl.Float64, strict=False)
    year = people.text("birth_year").str.slice(0, 4).cast(pl.Int32, strict=False)
    born = people.text("birth_date").str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    try:
        latest = moment.date().replace(year=moment.year - minimum_age)
    except ValueError:  # 29 February
        latest = moment.date().replace(year=moment.year - minimum_age, day=28)
    known = [said, age < minimum_age, year >= moment.year - minimum_age, born > latest]
    young = [one.fill_null(value=False) for one in known]
    exact = born.is_not_null()
    return young[0] | young[1] | (young[2] & ~exact) | young[3]
