"""Outsiders planted into a log: robots, testers, resellers and crawlers, named for it."""

import numpy as np
import polars as pl

KINDS = ("robot", "tester", "reseller", "crawler")
DAY_S = 86_400


def plant_outsiders(log: pl.DataFrame, n_users: int, *, seed: int) -> pl.DataFrame:
    """The log with outsiders, ``planted-KIND-i``, made of its own rows.

    A robot repeats one event like a clock; a tester tries everything in two hours; a reseller has
    three things, at great value; a crawler goes through all items at night.

    Parameters
    ----------
    log
        user, event, time and any fields of the contract.
    n_users
        Outsiders, of each kind alike.
    seed
        Of everything about them.
    """
    generator = np.random.default_rng(seed)
    last, usual = log["time"].max(), int(log.group_by("user").len()["len"].median())
    span_s = (last - log["time"].min()).total_seconds()
    made = [
        _made(KINDS[number % 4], log, generator, usual=usual, span_s=span_s).with_columns(
            user=pl.lit(f"planted-{KINDS[number % 4]}-{number}")
        )
        for number in range(n_users)
    ]
    ago = pl.duration(microseconds=(pl.col("ago") * 1e6).cast(pl.Int64))
    outsiders = pl.concat(made).with_columns(time=(pl.lit(last) - ago).cast(log["time"].dtype))
    return pl.concat([log, outsiders.select(log.columns)])


def _made(
    kind: str, log: pl.DataFrame, generator: np.random.Generator, *, usual: int, span_s: float
) -> pl.DataFrame:
    """Events of one outsider, with ``ago`` in seconds before the end of the log."""
    n_events = int(np.clip(usual * generator.uniform(1, 4), 60, 4_000))
    days = generator.uniform(0.2, 0.9) * span_s / DAY_S
    if kind == "robot":
        rows = np.full(n_events, generator.integers(len(log)))
        ago = np.linspace(0, days * DAY_S, n_events)
    elif kind == "tester":
        rows = generator.integers(0, len(log), n_events)
        ago = generator.uniform(0, 0.5) * span_s + generator.uniform(0, 7_200, n_events)
    elif kind == "reseller":
        rows = generator.choice(generator.integers(0, len(log), 3), n_events)
        ago = generator.uniform(0, days * DAY_S, n_events)
    else:
        rows = np.resize(generator.permutation(len(log)), 3 * n_events)
        second = generator.integers(DAY_S // 24, 5 * DAY_S // 24, 3 * n_events)
        ago = generator.integers(0, max(int(days), 1), 3 * n_events) * DAY_S + second
    events = log[rows].with_columns(ago=pl.Series(ago, dtype=pl.Float64))
    if kind == "reseller" and "value" in log.columns:
        dear = pl.Series(np.exp(generator.normal(6, 1, len(events))))
        return events.with_columns(value=dear)
    return events
