"""A few people with known identifiers, and orders for them."""

import polars as pl

from serving.exports.cells import PERSON_KEY, cells_of
from serving.exports.destination import ADD, Destination, Order
from serving.exports.people import People

AS_OF = 1_767_225_600  # 2026-01-01
PEOPLE = pl.DataFrame(
    {
        "user_id": ["u-1", "u-2", "u-3", "u-4"],
        "email": ["J.Doe+shop@Gmail.com", " Zoë_K@Example.DE ", "no address", None],
        "phone": ["(415) 555-2671", "0170 1234567", None, "+1 555 123 4567"],
        "first_name": [" Dr. Jane ", "Zoë-Ann", "Bo", None],
        "last_name": ["O'Brien, Jr.", "Müller", "Li", None],
        "street": ["456 Main St. Apt 1", "Weg 1", None, None],
        "street_2": [None, "Hof", None, None],
        "city": ["New York", "Köln", None, None],
        "state": ["New York", "NRW", None, None],
        "postal_code": ["10001-1234", "50667", None, None],
        "country": ["USA", "Germany", "US", "US"],
        "gender": ["Female", "f", None, None],
        "birth_year": ["1987", "1990", None, None],
        "birth_month": ["January", "12", None, None],
        "birth_day": ["5", "31", None, None],
        "idfa": ["F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", None, None, None],
        "aaid": [None, "2b6f0cc9-04d1-49c1-b2f1-1e1c5d1f3a77", None, None],
        "x_handle": ["@JaneDoe", None, None, None],
        "x_user_id": ["12345", None, None, None],
        "job_title": ["VP", None, None, None],
        "company": ['Doe "& Sons"', None, None, None],
    }
)


def frame_for(destination: Destination, people: pl.DataFrame = PEOPLE) -> pl.DataFrame:
    """Cells of those who can be found, with what a layout wants to know beside."""
    crowd = People(people)
    return (
        cells_of(crowd, destination)
        .frame.with_columns(
            people["user_id"].alias("_user_id"),
            crowd.countries.alias("_country"),
            _strength=pl.lit(0.75),
            _consent=pl.when(pl.col(PERSON_KEY).rank("dense") == 2)
            .then(pl.lit("unstated"))
            .otherwise(pl.lit("granted")),
            _tcf=pl.when(crowd.countries == "DE").then(pl.lit("CQtcf.I")),
            _gpp=pl.lit(None, dtype=pl.String),
            _limited=crowd.countries == "US",
        )
        .filter(pl.col(PERSON_KEY).is_not_null())
    )


def order_for(destination: Destination, action: str = ADD) -> Order:
    """An order of one segment with every setting left at its placeholder."""
    settings = {setting.name: setting.placeholder for setting in destination.settings}
    return Order(3, 'Big "spenders"', AS_OF, action, settings)
