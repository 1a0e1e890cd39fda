"""What a journey looks like in plain numbers, by family: the same for real and generated users.

Which event types, pairs and categories are looked at is fixed on real users before anything
generated is seen.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

LENGTH, MIX, ORDER, TIME, CATEGORY, VALUE = (
    "length", "mix", "order", "time", "category", "value",
)  # fmt: skip
FAMILIES = (LENGTH, MIX, ORDER, TIME, CATEGORY, VALUE)
N_TYPES, N_PAIRS, N_CATEGORIES = 15, 40, 20
SHORT_GAP_S = 1800.0
DAY_S = 86_400.0
KIND, VALUE_FIELD = "category", "value"


@dataclass(frozen=True)
class Table:
    """Features of users.

    Attributes
    ----------
    values
        float64 [n, p]; NaN where a user has nothing to measure.
    names
        p names, ``family: feature``.
    """

    values: np.ndarray
    names: tuple[str, ...]

    def family(self, name: str) -> np.ndarray:
        """The features of one family, float64 [n, q]."""
        chosen = [place for place, one in enumerate(self.names) if one.startswith(f"{name}: ")]
        return self.values[:, chosen]

    def families(self) -> list[str]:
        """Families that have a feature, in the usual order."""
        return [name for name in FAMILIES if any(one.startswith(name) for one in self.names)]

    def rows(self, chosen: np.ndarray) -> "Table":
        """Some of the users."""
        return Table(self.values[chosen], self.names)


@dataclass(frozen=True)
class Looks:
    """What is looked at.

    Attributes
    ----------
    types, pairs, categories
        The commonest event types, pairs of successive types, and categories of real users.
    has_value
        Whether the log has the field ``value``.
    """

    types: tuple[str, ...]
    pairs: tuple[str, ...]
    categories: tuple[str, ...]
    has_value: bool

    @classmethod
    def of(cls, events: pl.DataFrame) -> "Looks":
        """Fixed on the events of real users, a table as `events_table` makes it."""
        marked = _marked(events)
        pairs = marked.filter(pl.col("follows"))["pair"]
        kinds = marked["kind"] if KIND in events.columns else marked["kind"].head(0)
        return cls(
            _commonest(marked["event"], N_TYPES),
            _commonest(pairs, N_PAIRS),
            _commonest(kinds, N_CATEGORIES),
            VALUE_FIELD in events.columns,
        )

    def table(self, events: pl.DataFrame) -> Table:
        """Features of each user of a log, in the order in which users first come."""
        marked = _marked(events)
        expressions = {**self._order_and_mix(), **self._time(), **self._category()}
        if self.has_value:
            expressions |= self._value()
        found = marked.group_by("user", maintain_order=True).agg(
            pl.len().cast(pl.Float64).log1p().alias(f"{LENGTH}: events"),
            *(one.cast(pl.Float64).alias(name) for name, one in expressions.items()),
        )
        table = found.drop("user")
        return Table(table.fill_null(np.nan).to_numpy(), tuple(table.columns))

    def _order_and_mix(self) -> dict[str, pl.Expr]:
        found = {f"{MIX}: distinct types": pl.col("event").n_unique()}
        for name in self.types:
            here = pl.col("event") == name
            found[f"{MIX}: share of {name}"] = here.mean()
            found[f"{ORDER}: first {name}"] = pl.col("place").filter(here).min() / pl.len()
        for name in self.pairs:
            here = pl.col("follows") & (pl.col("pair") == name)
            found[f"{ORDER}: share of {name}"] = here.sum() / pl.len()
        return found

    def _time(self) -> dict[str, pl.Expr]:
        gap, turn = pl.col("gap"), pl.col("time_s") % DAY_S / DAY_S * (2 * np.pi)
        logged = (gap.log1p() / np.log(10)).filter(pl.col("follows"))
        return {
            f"{TIME}: span": (pl.col("time_s").max() - pl.col("time_s").min()).log1p(),
            f"{TIME}: mean gap": logged.mean(),
            f"{TIME}: spread of gaps": logged.std(),
            f"{TIME}: median gap": logged.median(),
            f"{TIME}: short gaps": (gap < SHORT_GAP_S).filter(pl.col("follows")).mean(),
            f"{TIME}: hour, sine": turn.sin().mean(),
            f"{TIME}: hour, cosine": turn.cos().mean(),
        }

    def _category(self) -> dict[str, pl.Expr]:
        if not self.categories:
            return {}
        same = (pl.col("kind") == pl.col("kind").shift(1)).filter(pl.col("follows"))
        found = {
            f"{CATEGORY}: distinct": pl.col("kind").n_unique(),
            f"{CATEGORY}: repeats": same.mean(),
        }
        for name in self.categories:
            found[f"{CATEGORY}: share of {name}"] = (pl.col("kind") == name).mean()
        return found

    def _value(self) -> dict[str, pl.Expr]:
        size = pl.col(VALUE_FIELD).fill_null(0.0).clip(0.0).log1p()
        found = {
            f"{VALUE}: mean": size.mean(),
            f"{VALUE}: spread": size.std(),
            f"{VALUE}: greatest": size.max(),
            f"{VALUE}: above zero": (size > 0).mean(),
        }
        for name in self.types:
            found[f"{VALUE}: mean of {name}"] = size.filter(pl.col("event") == name).mean()
        return found


def nan_mean(values: np.ndarray) -> np.ndarray:
    """Mean of each column's known values, NaN where there is none."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def _marked(events: pl.DataFrame) -> pl.DataFrame:
    """Events with their place, their gap, and what came before."""
    kind = pl.col(KIND).fill_null("(none)") if KIND in events.columns else pl.lit("")
    known = events.with_columns(
        (pl.col("time").dt.epoch("us") / 1e6).alias("time_s"), kind.alias("kind")
    )
    # One event type says nothing of order: categories stand in for it.
    told = pl.col("event") if events["event"].n_unique() > 1 else pl.col("kind")
    return known.with_columns(
        told.shift(1).over("user").is_not_null().alias("follows"),
        pl.concat_str(told.shift(1).over("user"), told, separator=" > ").alias("pair"),
        (pl.col("time_s") - pl.col("time_s").shift(1).over("user")).clip(0.0).alias("gap"),
        pl.int_range(pl.len()).over("user").alias("place"),
    )


def _commonest(column: pl.Series, n: int) -> tuple[str, ...]:
    """The commonest values, ties by text."""
    counts = column.drop_nulls().value_counts().sort("count", pl.nth(0), descending=[True, False])
    return tuple(counts.to_series(0).head(n).to_list())
